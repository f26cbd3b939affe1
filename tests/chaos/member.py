"""One of a crowd that has bad luck: connections that break, the same command twice, a page that hangs.

A `Bot` of the ledger. It enters a room, writes lines, tells the room, and now and then something happens to
it: its connection is cut or left, it sends a command again while the first still runs, on this connection or
on another, or it stops reading for a while.
"""

import asyncio
import contextlib
import json
import socket
from collections.abc import Sequence
from random import Random
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException

from tests.chaos.audit import without_padding
from tests.chaos.bot import Bot
from tests.chaos.history import Event, Order, Row, Seen, Witness, moment
from tests.hostile.wire import SWITCHING, Wire, order, request, text_frame

TWIN_SECONDS = 10.0
"""So long a second connection waits for the replies to what it repeats."""
SLOW_BYTES = 4096
"""What a slow reader's kernel takes for it."""
TROUBLES = {"cut": 5, "leave": 3, "twin": 6, "twice": 6}
"""What happens to a member, and how often in comparison."""


class Member(Bot):
    """A player of the ledger.

    Args:
        name: what its commands are called after.
        urls: of every gateway; it lives at the first, and repeats itself at any.
        account: the answer of `/auth/guest`.
        room: which one it enters.
        loud: bytes of padding in what it tells the room.
        pause: seconds between two of its orders, on average.
        slow: whether it stops reading for a while, so many seconds at most.
        rng: all its choices.
        up: whether a server listens.
        playing: whether orders may be given.
    """

    def __init__(
        self,
        name: str,
        urls: Sequence[str],
        account: Row,
        *,
        room: int,
        pause: float,
        rng: Random,
        up: asyncio.Event,
        playing: asyncio.Event,
        loud: int = 0,
        slow: float = 0.0,
    ) -> None:
        super().__init__(name, urls[0], account, paces=(), rng=rng, codes={}, up=up, playing=playing)
        self.overheard: list[Witness] = []
        """What its second connections were told."""
        self.troubles = dict.fromkeys((*TROUBLES, "slow"), 0)
        self._ports = [int(url.rpartition(":")[2]) for url in urls]
        self._room = room
        self._loud = loud
        self._pause = pause
        self._slow = slow
        self._reading = asyncio.Event()
        self._reading.set()

    # What it does

    async def _think(self) -> None:
        await asyncio.sleep(self._pause * self._rng.uniform(0.2, 1.8))

    async def _act(self) -> None:
        mark = f"{self._name}-{len(self.witness.orders) + 1}"
        if not self.witness.orders:
            await self.order("enter", room=self._room)
            return
        shares = (10, 5, 80, 5) if self._loud else (60, 15, 18, 7)
        what = self._rng.choices(("write", "ink", "tell", "spoil"), shares)[0]
        if what == "ink":
            await self.order("write", mark=mark, seconds=round(self._rng.uniform(0.05, 2.0), 3))
        elif what == "tell":
            await self.order("tell", mark=mark, room=self._room, bytes=self._loud)
        else:
            await self.order(what, mark=mark)

    def _push(self, frame: Row) -> None:
        keep(frame, self.witness.seen)
        self.happened("heard")

    # How it is connected

    def _dial(self, **options: Any) -> connect:
        if self._slow:
            slow = socket.socket()
            slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SLOW_BYTES)
            try:
                slow.connect(("127.0.0.1", self._ports[0]))
            except OSError:
                slow.close()
                raise
            options["sock"] = slow
        return super()._dial(**options)

    async def _listen(self, socket: ClientConnection) -> None:
        async for text in socket:
            await self._reading.wait()
            self._hear(json.loads(text))

    # What happens to it

    async def suffer(self) -> None:
        """Have bad luck for ever, while orders may be given."""
        while True:
            await asyncio.sleep(self._pause * self._rng.uniform(1.0, 9.0))
            await self._playing.wait()
            await self.connected.wait()
            if self._slow and self._rng.random() < 0.5:
                await self._read_nothing()
                continue
            trouble = self._rng.choices(list(TROUBLES), list(TROUBLES.values()))[0]
            self.troubles[trouble] += 1
            await getattr(self, f"_{trouble}")()

    async def _cut(self) -> None:
        if self._socket is not None:
            self._socket.transport.abort()

    async def _leave(self) -> None:
        if self._socket is not None:
            with contextlib.suppress(OSError, WebSocketException):
                await self._socket.close()

    async def _twice(self) -> None:
        """A command that is sent again at once, while the first still runs."""
        before = len(self.witness.orders)
        await self._act()
        for each in self.witness.orders[before:]:
            if self.connected.is_set():
                await self._transmit(each)

    async def _twin(self) -> None:
        """A second connection that repeats what is open and some of what was answered."""
        port = self._rng.choice(self._ports)
        done = [each for each in self.witness.orders if each.answered][-8:]
        repeated = [each for each in self.unanswered if each.sent]
        repeated += self._rng.sample(done, min(len(done), 3))
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(TWIN_SECONDS), Wire.tcp(port) as wire:
                if await wire.upgrade(request(port)) == SWITCHING:
                    await self._repeat(wire, repeated)

    async def _repeat(self, wire: Wire, orders: list[Order]) -> None:
        """Say hello and everything else in one breath; keep what comes until all is answered."""
        resume = {stream: self.cursor(stream) for stream in self.witness.seen}
        heard = Witness(self.witness.player)
        self.overheard.append(heard)
        hello = order("hello", "hello", token=self._token, epoch=self._epoch, resume=resume)
        await wire.send(text_frame(hello), *(text_frame(order(o.command, o.id, **o.args)) for o in orders))
        waiting = {each.id: each for each in orders}
        greeted = False
        while (waiting or not greeted) and (frame := await wire.hear()) is not None:
            if frame["type"] == "push":
                keep(frame, heard.seen)
            elif frame["type"] == "reply" and frame["id"] == "hello":
                if not frame["ok"]:
                    return
                greeted = True
                for stream, start in frame["result"]["streams"].items():
                    heard.seen[stream] = Seen(resume.get(stream, start["offset"]))
            elif frame["type"] == "reply":
                answered = waiting.pop(frame["id"])
                if frame["ok"] or not frame["error"]["retry"]:
                    answered.replies.append(frame)
                else:
                    answered.lost_its_place = True

    async def _read_nothing(self) -> None:
        """A page that hangs, and a kernel that takes little for it."""
        self.troubles["slow"] += 1
        self._reading.clear()
        await asyncio.sleep(self._rng.uniform(0.2, self._slow))
        self._reading.set()


def keep(push: Row, seen: dict[str, Seen]) -> None:
    """Remember a push, and of a stream that is granted by it where it begins."""
    event = Event(push["offset"], push["event"], moment(push["at"]), push["data"], push.get("message"))
    seen[push["stream"]].events.append(without_padding(event))
    if event.event == "subscribed":
        seen.setdefault(event.data["stream"], Seen(event.data["offset"]))
