"""One of the crowd that plays with the client that is shipped, and looks over its shoulder.

The client reconnects, resumes and repeats by itself; here is only written down what it asked, under which id,
what it was answered, and what it handed to its listener. Its luck: connections that it loses, some of them
with a frame that had arrived already.
"""

import asyncio
import contextlib
from collections.abc import Mapping
from random import Random
from typing import Any

from starwire import kinds
from starwire.client import Client, CommandError, Push
from starwire.client.link import Reconnect
from tests.chaos.audit import without_padding
from tests.chaos.history import Event, Order, Row, Seen, Witness

LOSSES = 0.003
"""So often a frame that comes is the last of its connection, and is not read."""


class Impatient(Random):
    """Chance for a client that comes back soon however often it was turned away: the campaign is short."""

    def random(self) -> float:
        return super().random() / 8


class Watched(Client):
    """The client, and what it does."""

    def __init__(self, url: str, account: Row, witness: Witness, rng: Random) -> None:
        super().__init__(url, tokens=account, timeout=None, connect_timeout=None)
        self.connections = 0
        self.playing = False
        self._witness = witness
        self._rng = rng
        self._asking: Order | None = None
        self._by_id: dict[str, Order] = {}
        self._link._source = Impatient(rng.getrandbits(64))
        self.on("*", self._heard)

    async def _ask(self, name: str | kinds.Kind, args: Mapping[str, Any]) -> Row:
        self._asking = Order("", str(name), dict(args), sent=1)
        self._witness.orders.append(self._asking)
        return await super()._ask(name, args)

    def _next_id(self) -> str:
        """The id of what is being asked: nothing comes between the question and its id."""
        id = super()._next_id()
        if self._asking is not None:
            self._asking.id, self._by_id[id], self._asking = id, self._asking, None
        return id

    def opened(self, result: Row, *more: Any) -> None:
        self.connections += 1
        for stream, start in result["streams"].items():
            assert start["recovered"], f"the client is told to read {stream} again, which nobody pruned"
            self._witness.seen.setdefault(stream, Seen(start["offset"]))
        super().opened(result, *more)

    def lost(self) -> None:
        for order in self._by_id.values():
            order.sent += not order.answered
        super().lost()

    def frame(self, frame: Row) -> None:
        if self.playing and self._rng.random() < LOSSES:
            raise Reconnect("bad luck")
        order = self._by_id.get(frame.get("id") or "")
        if order is not None and (frame["ok"] or not frame["error"]["retry"]):
            order.replies.append(frame)
        elif order is not None:
            order.lost_its_place = True
        super().frame(frame)

    def _heard(self, push: Push) -> None:
        event = Event(push.offset, push.event, push.at, push.data, push.message)
        self._witness.seen[push.stream].events.append(without_padding(event))
        if push.event == "subscribed":
            self._witness.seen.setdefault(push.data["stream"], Seen(push.data["offset"]))


class Shipped:
    """A player of the ledger with the shipped client. As `Member`, but for its luck."""

    def __init__(
        self,
        name: str,
        url: str,
        account: Row,
        *,
        room: int,
        pause: float,
        rng: Random,
        playing: asyncio.Event,
    ) -> None:
        self.witness = Witness(str(account["player"]))
        self.connected = asyncio.Event()
        self.overheard: list[Witness] = []
        self._client = Watched(url, account, self.witness, rng)
        self._name = name
        self._room = room
        self._pause = pause
        self._rng = rng
        self._playing = playing

    @property
    def troubles(self) -> dict[str, int]:
        return {"lost": max(0, self._client.connections - 1)}

    @property
    def unanswered(self) -> list[Order]:
        return [order for order in self.witness.orders if not order.answered]

    def cursor(self, stream: str) -> int:
        seen = self.witness.seen[stream]
        return seen.events[-1].offset if seen.events else seen.after

    async def live(self) -> None:
        """Be there for ever."""
        async with self._client:
            self.connected.set()
            await asyncio.Future()

    async def play(self) -> None:
        """Give orders for ever, while they may be given; some before the last was answered."""
        await self.connected.wait()
        await self._client.command("enter", room=self._room)
        async with asyncio.TaskGroup() as group:
            while True:
                await asyncio.sleep(self._pause * self._rng.uniform(0.2, 1.8))
                self._client.playing = self._playing.is_set()
                await self._playing.wait()
                group.create_task(self._act())

    async def _act(self) -> None:
        mark = f"{self._name}-{len(self.witness.orders) + 1}"
        what = self._rng.choices(("write", "ink", "tell", "spoil"), (60, 15, 18, 7))[0]
        args: Row = {"mark": mark}
        if what == "ink":
            what, args["seconds"] = "write", round(self._rng.uniform(0.05, 2.0), 3)
        elif what == "tell":
            args["room"] = self._room
        with contextlib.suppress(CommandError):
            await self._client.command(what, **args)
