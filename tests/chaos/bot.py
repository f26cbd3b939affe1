"""A player in a script: a small WebSocket client that keeps everything it sent, was answered and was told.

It trusts the server with nothing and shares no code with the clients that it ships: a cursor per stream, ids
of its own, and every command without a reply sent again under the same id on the next connection. A few that
were answered are sent again too. What all this was worth is the checker's to say.
"""

import asyncio
import contextlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from random import Random
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException
from websockets.typing import Subprotocol

from tests.chaos.history import Event, Order, Row, Seen, Witness, moment

STRUCTURES = ("metal_mine", "crystal_mine", "storehouse", "observatory", "shield")
PATIENCE_SECONDS = 10.0
OPEN_ORDERS = 8
"""A player who has so many unanswered looks at the chart for a while."""


@dataclass
class Sketch:
    """What a player remembers of a universe: enough to have something to order."""

    queue: list[int] = field(default_factory=list)
    stars: list[int] = field(default_factory=list)
    renamed: int = 0


class Bot:
    """One player. `live` keeps it connected while a server is up; `play` gives orders while it may.

    Args:
        name: what it calls its universes and its commands.
        url: of the server.
        account: the answer of `/auth/guest`.
        paces: of the universes that it creates.
        rng: all its choices.
        codes: invitations, shared by all bots.
        up: whether a server listens.
        playing: whether orders may be given.
    """

    def __init__(
        self,
        name: str,
        url: str,
        account: Row,
        *,
        paces: tuple[int, ...],
        rng: Random,
        codes: dict[int, str],
        up: asyncio.Event,
        playing: asyncio.Event,
    ) -> None:
        self.witness = Witness(str(account["player"]))
        self.universes: dict[int, Sketch] = {}
        self.due: dict[int, datetime] = {}
        """Of the processes it counts down."""
        self.connected = asyncio.Event()
        self.happened: Callable[[str], None] = lambda what: None
        """Called with `sent` and `heard`."""
        self._name = name
        self._url = url.replace("http", "ws", 1) + "/ws"
        self._token = account["access_token"]
        self._paces = list(paces)
        self._rng = rng
        self._codes = codes
        self._up = up
        self._playing = playing
        self._epoch: str | None = None
        self._socket: ClientConnection | None = None
        self._moved = asyncio.Event()
        self._hello: asyncio.Future[Row] | None = None
        self._by_id: dict[str, Order] = {}
        self._named = 0

    # The connection

    async def live(self) -> None:
        """Stay connected for ever: whenever a server is up, come back."""
        while True:
            await self._up.wait()
            with contextlib.suppress(OSError, WebSocketException, TimeoutError, EOFError):
                async with self._dial() as socket:
                    await self._be_connected(socket)
            self._socket = None
            self.connected.clear()
            await asyncio.sleep(0)

    def _dial(self, **options: Any) -> connect:
        """A connection about to be made."""
        return connect(
            self._url,
            subprotocols=[Subprotocol("starwire.v1")],
            compression=None,
            ping_interval=None,
            open_timeout=PATIENCE_SECONDS,
            close_timeout=0.1,
            max_size=None,
            proxy=None,
            **options,
        )

    async def _be_connected(self, socket: ClientConnection) -> None:
        hearing = asyncio.get_running_loop().create_task(self._listen(socket))
        try:
            await self._greet(socket, hearing)
            self._socket = socket
            for order in self._to_repeat():
                await self._transmit(order)
            while unsent := [order for order in self.witness.orders if not order.sent]:
                await self._transmit(unsent[0])
            self.connected.set()
            await hearing
        finally:
            hearing.cancel()
            with contextlib.suppress(asyncio.CancelledError, OSError, WebSocketException):
                await hearing

    async def _greet(self, socket: ClientConnection, hearing: asyncio.Task[None]) -> None:
        args: Row = {"token": self._token}
        if self._epoch is not None:
            resume = {name: self.cursor(name) for name in self.witness.seen}
            args |= {"epoch": self._epoch, "resume": resume}
        self._hello = asyncio.get_running_loop().create_future()
        await socket.send(json.dumps({"id": "hello", "command": "hello", "args": args}))
        answered: set[asyncio.Future[Any]] = {self._hello, hearing}
        await asyncio.wait(answered, return_when=asyncio.FIRST_COMPLETED)
        if not self._hello.done():
            await hearing
            raise ConnectionError("the server went away before it answered hello")

    def _welcome(self, reply: Row) -> None:
        assert reply["ok"], f"{self._name} is not let in: {reply}"
        result = reply["result"]
        assert self._epoch in (None, result["epoch"]), "the database has lost its memory: another epoch"
        self._epoch = result["epoch"]
        for name, start in result["streams"].items():
            assert start["recovered"], f"{self._name} is told to read {name} again, which nobody pruned"
            if name not in self.witness.seen:
                self.witness.seen[name] = Seen(start["offset"])

    def cursor(self, stream: str) -> int:
        seen = self.witness.seen[stream]
        return seen.events[-1].offset if seen.events else seen.after

    def _to_repeat(self) -> list[Order]:
        """What has no reply, in the order in which it was sent; and now and then something that has one."""
        open_orders = [order for order in self.unanswered if order.sent]
        answered = [order for order in self.witness.orders if order.answered][-6:]
        return open_orders + self._rng.sample(answered, min(len(answered), self._rng.choice((0, 1, 2))))

    async def _listen(self, socket: ClientConnection) -> None:
        async for text in socket:
            self._hear(json.loads(text))

    # What comes in

    def _hear(self, frame: Row) -> None:
        if frame["type"] == "push":
            self._push(frame)
        elif frame["type"] == "reply":
            self._reply(frame)
        else:
            assert frame["type"] in {"status", "goodbye"}, f"{self._name} was told {frame}"
        self._moved.set()

    def _reply(self, frame: Row) -> None:
        if frame["id"] == "hello":
            assert self._hello is not None
            self._welcome(frame)
            self._hello.set_result(frame)
            return
        order = self._by_id[frame["id"]]
        if not frame["ok"] and frame["error"]["retry"]:
            order.put_off = order.lost_its_place = True
            return
        order.replies.append(frame)
        if frame["ok"] and order.command == "invite":
            self._codes[order.args["universe"]] = frame["result"]["invitation"]

    def _push(self, frame: Row) -> None:
        event = Event(
            frame["offset"], frame["event"], moment(frame["at"]), frame["data"], frame.get("message")
        )
        self.witness.seen[frame["stream"]].events.append(event)
        data, name = event.data, event.event
        assert event.at <= datetime.now(UTC), f"{self._name} was told early: {event}"
        if name == "subscribed" and data["stream"] not in self.witness.seen:
            self.witness.seen[data["stream"]] = Seen(data["offset"])
        if name == "universe_opened":
            self.universes.setdefault(data["universe"], Sketch())
        if name == "process_started":
            self.due[data["process"]] = moment(data["due_at"])
        elif name in {"process_completed", "process_cancelled"}:
            self.due.pop(data["process"], None)
        if frame["stream"].startswith("universe:"):
            self._remember(int(frame["stream"].partition(":")[2]), data)
        self.happened("heard")

    def _remember(self, universe: int, data: Row) -> None:
        sketch = self.universes.setdefault(universe, Sketch())
        if "queue" in data:
            sketch.queue = [each["construction"] for each in data["queue"]]
        sketch.stars += [star["star"] for star in data.get("stars", ())]

    # What goes out

    @property
    def unanswered(self) -> list[Order]:
        return [order for order in self.witness.orders if not order.answered]

    async def order(self, command: str, **args: Any) -> Order:
        """Give a new order: it is sent now, or first thing on the next connection."""
        order = Order(f"{self._name}-{len(self.witness.orders) + 1}", command, args)
        self.witness.orders.append(order)
        self._by_id[order.id] = order
        if self.connected.is_set():
            await self._transmit(order)
        return order

    async def _transmit(self, order: Order) -> None:
        if self._socket is None:
            return
        order.sent += 1
        order.put_off = False
        with contextlib.suppress(OSError, WebSocketException):
            frame = {"id": order.id, "command": order.command, "args": order.args}
            await self._socket.send(json.dumps(frame))
            self.happened("sent")

    async def play(self) -> None:
        """Give orders for ever, while they may be given; think a moment between them, or not at all."""
        while True:
            await self._playing.wait()
            await self.connected.wait()
            for order in [order for order in self.witness.orders if order.put_off]:
                await self._transmit(order)
            if len(self.unanswered) < OPEN_ORDERS:
                for _ in range(self._rng.choice((1, 1, 1, 2, 4))):
                    await self._act()
            await self._think()

    async def _think(self) -> None:
        """For a moment; now and then only until something comes in."""
        hasty = self._rng.random() < 0.2
        self._moved.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._rng.uniform(0.01, 0.25)):
                while True:
                    await self._moved.wait()
                    if hasty:
                        return
                    self._moved.clear()

    async def _act(self) -> None:
        """One order, by chance: mostly building, and whatever else there is to do."""
        created = sum(order.command == "create_universe" for order in self.witness.orders)
        if created < len(self._paces):
            await self.order("create_universe", name=f"{self._name} {created + 1}", pace=self._paces[created])
            return
        strange = [universe for universe in self._codes if universe not in self.universes]
        if strange and self._rng.random() < 0.3:
            await self.order("join", invitation=self._codes[self._rng.choice(strange)])
            return
        if not self.universes:
            return
        universe = self._rng.choice(sorted(self.universes))
        await self._act_in(universe, self.universes[universe])

    async def _act_in(self, universe: int, sketch: Sketch) -> None:
        what = self._rng.choices(
            ("build", "cancel", "probe", "rename", "invite"),
            (60, 16, 10, 6, 1 if universe in self._codes else 9),
        )[0]
        if what == "cancel" and sketch.queue:
            await self.order(
                "cancel_construction", universe=universe, construction=self._rng.choice(sketch.queue)
            )
        elif what == "probe" and sketch.stars:
            await self.order("send_probe", universe=universe, star=self._rng.choice(sketch.stars))
        elif what == "rename":
            self._named += 1
            await self.order("rename_planet", universe=universe, planet=1, name=f"{self._name}-{self._named}")
        elif what == "invite":
            await self.order("invite", universe=universe)
        else:
            structure = self._rng.choice(STRUCTURES)
            await self.order("build", universe=universe, planet=1, structure=structure)
