"""A client that keeps every frame, and the engines that the guarantees are tested on.

A test asks its engine to ``start`` (with bounds of its own), connects real sockets, and moves the engine's
clock. Another engine joins by offering the same and by being named in ``conftest.py``.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import socket
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Protocol, TypeVar, cast

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

import starwire
from starwire.clock import ManualClock
from starwire.config import Settings
from starwire.engines.embedded import EmbeddedEngine
from starwire.limits import Limits
from starwire.server import Server
from starwire.store import tables
from tests.contract import garden

PATIENCE = 15.0
T = TypeVar("T")
Frame = dict[str, Any]


class Client:
    """One socket. Everything that came is in ``frames``, in order."""

    def __init__(self, socket: ClientConnection, player: str) -> None:
        self.player = player
        self.frames: list[Frame] = []
        self.closed: tuple[int, str] | None = None
        self.socket = socket
        self._ids = itertools.count(1)
        self._prefix = f"{player}-{id(self):x}"
        self._news = asyncio.Event()
        self._reader: asyncio.Task[None] | None = None

    def read(self) -> None:
        """Begin to read. A client that never does is a slow one."""
        self._reader = asyncio.get_running_loop().create_task(self._read())

    async def _read(self) -> None:
        try:
            while True:
                self.frames.append(json.loads(await self.socket.recv()))
                self._news.set()
        except ConnectionClosed as closed:
            received = closed.rcvd
            self.closed = (1006, "") if received is None else (received.code, received.reason)
        finally:
            self._news.set()

    async def until(self, found: Callable[[], T], what: str = "") -> T:
        """Wait until ``found`` gives something true; it may look at anything."""
        try:
            async with asyncio.timeout(PATIENCE):
                while True:
                    self._news.clear()
                    result = found()
                    if result:
                        return result
                    await self._news.wait()
        except TimeoutError:
            raise AssertionError(
                f"{self.player} waited in vain for {what or found}; closed: {self.closed};"
                f" the last frames: {self.frames[-5:]}"
            ) from None

    async def send(self, text: str | bytes) -> None:
        """Send any text as it is; bytes travel as a binary frame."""
        await self.socket.send(text)

    async def order(self, command: str, *, id: str | None = None, **args: Any) -> str:
        """Send a command without waiting for its reply; gives its id."""
        id = id or f"{self._prefix}-{next(self._ids)}"
        await self.send(json.dumps({"id": id, "command": command, "args": args}))
        return id

    async def reply(self, id: str | None, nth: int = 0) -> Frame:
        """The reply to an id; ``nth`` where several are expected."""

        def find() -> Frame | None:
            if len(replies := self.replies(id)) > nth:
                return replies[nth]
            assert self.closed is None, f"closed with {self.closed} before {id} was answered"
            return None

        found = await self.until(find, f"reply {nth} to {id}")
        assert found is not None
        return found

    def replies(self, id: str | None) -> list[Frame]:
        return [frame for frame in self.frames if frame["type"] == "reply" and frame["id"] == id]

    async def command(self, command: str, *, id: str | None = None, **args: Any) -> Any:
        """Send a command and give its result."""
        nth = 0 if id is None else len(self.replies(id))
        reply = await self.reply(await self.order(command, id=id, **args), nth)
        assert reply["ok"], f"{command} was answered {reply['error']}"
        return reply["result"]

    async def refused(self, command: str, *, id: str | None = None, **args: Any) -> Any:
        """Send a command that is answered with an error, and give the error."""
        nth = 0 if id is None else len(self.replies(id))
        reply = await self.reply(await self.order(command, id=id, **args), nth)
        assert not reply["ok"], f"{command} was answered {reply['result']}"
        return reply["error"]

    def pushes(self, event: str | None = None, *, stream: str | None = None) -> list[Frame]:
        return [
            frame
            for frame in self.frames
            if frame["type"] == "push"
            and (event is None or frame["event"] == event)
            and (stream is None or frame["stream"] == stream)
        ]

    def offsets(self, stream: str) -> list[int]:
        return [push["offset"] for push in self.pushes(stream=stream)]

    async def heard(self, event: str, count: int = 1) -> list[Frame]:
        """Wait for so many pushes of an event."""
        await self.until(lambda: len(self.pushes(event)) >= count, f"{count} of {event}")
        return self.pushes(event)

    async def so_many(self, stream: str, count: int) -> None:
        """Wait for so many pushes of a stream."""
        await self.until(lambda: len(self.offsets(stream)) >= count, f"{count} of {stream}")

    async def heard_up_to(self, stream: str, offset: int) -> None:
        """Wait until a stream was heard up to an offset."""
        await self.until(lambda: self.offsets(stream)[-1:] == [offset], f"{stream} up to {offset}")

    def of_type(self, kind: str) -> list[Frame]:
        """The frames of a type: reply, push, resync, status or goodbye."""
        return [frame for frame in self.frames if frame["type"] == kind]

    async def told(self, kind: str, count: int = 1) -> Frame:
        """Wait for a frame of a type and give it; the first, or the one that makes so many."""
        await self.until(lambda: len(self.of_type(kind)) >= count, kind)
        return self.of_type(kind)[count - 1]

    async def told_to_leave(self) -> tuple[int, str]:
        """Wait until the server has closed the connection: code and reason."""
        await self.until(lambda: self.closed, "the close")
        assert self.closed is not None
        return self.closed

    async def leave(self) -> None:
        """Close, and wait until it is closed."""
        await self.socket.close()
        if self._reader is not None:
            await self._reader

    def vanish(self) -> None:
        """Be gone without a word, as a page whose network is gone."""
        self.socket.transport.abort()


async def eventually(condition: Callable[[], T], what: str = "") -> T:
    """Wait until something that nobody announces has become true."""
    try:
        async with asyncio.timeout(PATIENCE):
            while not (result := condition()):  # noqa: ASYNC110 - nobody tells when it is so
                await asyncio.sleep(0.002)
            return result
    except TimeoutError:
        raise AssertionError(f"waited in vain for {what or condition}") from None


class Gate:
    """What holds a handler, and with it its worker, until the test opens it."""

    def __init__(self, folder: Path, number: int) -> None:
        self._file = folder / f"{number}.gate"
        self._file.touch()

    def __str__(self) -> str:
        return str(self._file)

    async def reached(self) -> None:
        """Wait until a handler stands before the gate."""
        await eventually(self._file.with_suffix(".reached").exists, "a handler at the gate")

    def open(self) -> None:
        """Let the handler go on, and all that come later."""
        self._file.unlink(missing_ok=True)


class Engine(Protocol):
    """What the guarantees need of an engine under test."""

    clock: ManualClock
    folder: Path

    def gate(self) -> Gate: ...
    async def start(self, app: starwire.App | None = None, **limits: Any) -> None: ...
    async def stop(self) -> None: ...
    async def advance(self, delta: timedelta | None = None, **units: float) -> None: ...
    def look(self) -> None: ...
    @property
    def port(self) -> int: ...
    async def open(
        self, *, player: str = "?", reading: bool = True, path: str = "/ws", **options: Any
    ) -> Client: ...
    async def connect(
        self, token: str, *, resume: dict[str, int] | None = None, epoch: str | None = None
    ) -> Client: ...
    def buffered(self, player: str) -> int: ...
    def rows(self, table: Any) -> list[Any]: ...
    def change(self, statement: Any) -> None: ...
    async def submit(self, player: str, order: starwire.Command) -> Any: ...


class Gateway:
    """What both engines have in common: a real server in this OS process, on a port of its own."""

    def __init__(self, folder: Path, clock: ManualClock) -> None:
        self.folder = folder
        self.clock = clock
        self.clients: list[Client] = []
        self.server: Server
        self._gates: list[Gate] = []
        self._task: asyncio.Task[None] | None = None

    def gate(self) -> Gate:
        """A gate for the handler of ``note``; opened at the end whatever happens."""
        self._gates.append(Gate(self.folder, len(self._gates)))
        return self._gates[-1]

    async def start(self, app: starwire.App | None = None, **limits: Any) -> None:
        """Start a server with these bounds; it listens when this returns."""
        raise NotImplementedError

    async def _run_due(self) -> None:
        """Have whatever is due run, and wait until nothing is."""
        raise NotImplementedError

    async def _serve(self, app: starwire.App, settings: Settings) -> None:
        self.server = Server(app, settings, clock=self.clock)
        self._stopping = asyncio.Event()
        self.server.uvicorn.main_loop = self._until_stopped  # type: ignore[method-assign]
        self._task = asyncio.get_running_loop().create_task(self.server.serve())
        async with asyncio.timeout(PATIENCE):
            while not self.server.uvicorn.started:
                await asyncio.sleep(0)
                if self._task.done():
                    self._task.result()

    async def _until_stopped(self) -> None:
        """In place of uvicorn's loop, which looks only ten times a second whether it is to stop."""
        await self.server.uvicorn.on_tick(0)
        await self._stopping.wait()

    async def stop(self) -> None:
        """Stop in order."""
        if self._task is not None:
            task, self._task = self._task, None
            self.server.stop()
            self._stopping.set()
            await task

    async def close(self) -> None:
        """The test is over."""
        for gate in self._gates:
            gate.open()
        for client in self.clients:
            client.vanish()
            if client._reader is not None:
                await client._reader
        await self.stop()

    async def advance(self, delta: timedelta | None = None, **units: float) -> None:
        """Let time pass at once; what fell due runs, and deadlines are looked at."""
        moved = (delta or timedelta(**units)) // timedelta(microseconds=1)
        self.clock.set(self.clock.now() + moved)
        await self._run_due()
        self.look()

    def look(self) -> None:
        """Have the gateway look at deadlines and lateness now, as it does each second."""
        self.server.look()

    @property
    def port(self) -> int:
        """Where the server listens."""
        return self.server.port

    async def open(
        self, *, player: str = "?", reading: bool = True, path: str = "/ws", **options: Any
    ) -> Client:
        """A socket that has not said hello."""
        options.setdefault("subprotocols", [Subprotocol("starwire.v1")])
        options.setdefault("compression", None)
        url = f"ws://127.0.0.1:{self.port}{path}"
        if not reading:
            small = socket.socket()
            small.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            small.connect(("127.0.0.1", self.port))
            options |= {"sock": small, "max_queue": 1, "ping_interval": None}
        client = Client(await connect(url, **options), player)
        self.clients.append(client)
        if reading:
            client.read()
        return client

    async def connect(
        self, token: str, *, resume: dict[str, int] | None = None, epoch: str | None = None
    ) -> Client:
        """A socket that has said hello; the reply is its first frame."""
        client = await self.open(player=token.split(";", maxsplit=1)[0])
        args: dict[str, Any] = {"token": token}
        if resume is not None:
            args |= {"resume": resume, "epoch": epoch}
        await client.command("hello", **args)
        return client

    def buffered(self, player: str) -> int:
        """The most bytes that wait at the server for a connection of this player."""
        mine: list[Any] = [each._transport for each in self.server.hub.sessions if each.player == player]
        return max((int(each._transport.get_write_buffer_size()) for each in mine), default=0)

    def rows(self, table: Any) -> list[Any]:
        """What a table holds, without what the server does for itself."""
        with self.server.database.read.begin() as connection:
            rows = list(connection.execute(table.select()))
        return [row for row in rows if getattr(row, "kind", None) != "beat"]

    def change(self, statement: Any) -> None:
        """Change what tables hold behind the server's back."""
        with self.server.database.write.begin() as connection:
            connection.execute(statement)

    async def submit(self, player: str, order: starwire.Command) -> Any:
        """A command from the server's own side."""
        return await self.server.app.submit(player, order)


class Embedded(Gateway):
    """The embedded engine: the gateway is everything."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, ManualClock(datetime(2030, 1, 1, tzinfo=UTC)))

    async def start(self, app: starwire.App | None = None, **limits: Any) -> None:
        """Start a server on the data folder; it listens when this returns."""
        settings = Settings(port=0, data=self.folder / "data", dev=True, limits=Limits(**limits))
        await self._serve(app or garden.build(), settings)

    async def _run_due(self) -> None:
        engine = cast("EmbeddedEngine", self.server.engine)
        before: set[int] | None = None
        async with asyncio.timeout(PATIENCE):
            while True:
                engine.run_due()
                for _ in range(2):  # a write comes back before its round ends; the second one is of the next
                    await engine.write(lambda _: None)
                due = {row.id for row in self.rows(tables.process) if self._is_due(row)}
                if not due or due == before:  # the same twice is held: of a kind that this code does not know
                    break
                before = due

    def _is_due(self, row: Any) -> bool:
        return bool(row.state != "paused" and row.run_at <= self.clock.now())
