"""A whole Starwire in one thread: ``World``, and the players connected to it."""

from __future__ import annotations

import asyncio
import itertools
import os
import secrets
import tempfile
from collections import deque
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import msgspec

from starwire import system
from starwire.app import App
from starwire.clock import MICROSECOND, ManualClock, to_datetime
from starwire.engines.embedded import open_embedded
from starwire.errors import Unauthenticated
from starwire.gateway.hub import Hub
from starwire.gateway.session import Session
from starwire.identity import Identity
from starwire.limits import Limits
from starwire.protocol import ErrorBody
from starwire.scheduler import Timer
from starwire.store import tables
from starwire.store.database import open_sqlite

START = datetime.fromisoformat("2030-01-01T00:00:00+00:00")
OPERATOR = "operator"
T = TypeVar("T")


class Push(msgspec.Struct, frozen=True):
    """An event as a client got it."""

    stream: str
    offset: int
    event: str
    at: datetime
    data: Any
    message: str | None = None


class CommandFailed(Exception):
    """A command or view was answered with an error; ``error`` is its body, with code, message and reason."""

    def __init__(self, command: str, error: ErrorBody) -> None:
        super().__init__(f"{command}: {error.code}: {error.message}")
        self.error = error


class _Inline:
    """The engine's threads, in the one thread of the test."""

    def __init__(self) -> None:
        self._work: Callable[[], bool] = lambda: False
        self._awake = False

    def start(self, work: Callable[[], bool]) -> None:
        self._work = work

    def wake(self) -> None:
        if not self._awake:
            self._awake = True
            asyncio.get_running_loop().call_soon(self._run)

    def _run(self) -> None:
        self._awake = False
        while self._work():
            pass

    def stop(self) -> None:
        self._awake = True

    def read(self, job: Callable[[], None]) -> None:
        asyncio.get_running_loop().call_soon(job)


class _Never:
    """A timer that the test's clock replaces."""

    def cancel(self) -> None:
        pass


def _no_timer(_seconds: float, _function: Callable[[], None]) -> Timer:
    return _Never()


class _Memory:
    """A transport that keeps frames for the test to read, and answers pings."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.frames: deque[bytes] = deque()
        self.closed: tuple[int, str] | None = None
        self.session: Session | None = None

    def write(self, framed: bytes) -> None:
        if self.closed is None:
            self.frames.append(framed)

    def unsent(self) -> int:
        return 0

    def ping(self) -> None:
        if self.session is not None:
            self.session.heard()

    def close(self, code: int, reason: str) -> None:
        if self.closed is None:
            self.closed = (code, reason)

    def abort(self) -> None:
        self.close(1006, "aborted")


class Player:
    """One client in a world: sends commands, and keeps what it was sent."""

    def __init__(self, world: World, name: str) -> None:
        self.name = name
        self.frames: list[dict[str, Any]] = []
        """Every frame from the server, decoded."""
        self.pushes: list[Push] = []
        self._world = world
        self._transport = _Memory(f"memory:{name}")
        self._session: Session | None = None
        self._ids = itertools.count(1)
        self._replies: dict[str, dict[str, Any]] = {}

    @property
    def closed(self) -> tuple[int, str] | None:
        """The close code and reason, when the server has closed the connection."""
        return self._transport.closed

    @property
    def offsets(self) -> dict[str, int]:
        """The last offset seen of each stream."""
        return {push.stream: push.offset for push in self.pushes}

    def hello(self, *, token: str | None = None, resume: Mapping[str, int] | None = None) -> dict[str, Any]:
        """Open a connection and say hello; its result."""
        self._transport = _Memory(f"memory:{self.name}")
        self._session = self._world.call(lambda: self._world.hub.open(self._transport))
        self._transport.session = self._session
        args: dict[str, Any] = {"token": token or self.name}
        if resume is not None:
            args |= {"resume": dict(resume), "epoch": self._world.epoch}
        result: dict[str, Any] = self._call("hello", args)
        return result

    def disconnect(self) -> None:
        """Go away without a word."""
        session, self._session = self._session, None
        if session is not None:
            self._world.call(lambda: session.lost(1006))

    def send(self, text: str) -> None:
        """Send any text as one frame."""
        session = self._session
        if session is None:
            raise RuntimeError(f"{self.name} is not connected; call hello()")
        self._world.call(lambda: session.text(text))

    def command(self, command: str, /, *, id: str | None = None, **args: Any) -> Any:
        """Send a command and return its result.

        Raises:
            CommandFailed: it was answered with an error.
        """
        return self._call(command, args, id)

    def view(self, view: str, /, **args: Any) -> Any:
        """Ask a view and return its result; its positions are in ``frames[-1]``.

        Raises:
            CommandFailed: it was answered with an error.
        """
        return self._call(view, args)

    def received(self, event: str | None = None) -> list[Push]:
        """The pushes that have come so far, all or of one event."""
        return [push for push in self.pushes if event is None or push.event == event]

    def _call(self, command: str, args: Mapping[str, Any], id: str | None = None) -> Any:
        id = id or f"{self.name}-{next(self._ids)}"
        self._replies.pop(id, None)
        self.send(msgspec.json.encode({"id": id, "command": command, "args": args}).decode())
        reply = self._replies.get(id)
        if reply is None:
            raise RuntimeError(f"{command} was not answered; the connection: {self.closed or 'open'}")
        if not reply["ok"]:
            raise CommandFailed(command, msgspec.convert(reply["error"], ErrorBody))
        return reply["result"]

    def collect(self) -> int:
        """Take what the server has sent; how many frames. The world calls this."""
        frames, self._transport.frames = self._transport.frames, deque()
        for data in frames:
            frame = msgspec.json.decode(data)
            self.frames.append(frame)
            if frame["type"] == "push":
                self.pushes.append(msgspec.convert(frame, Push))
            elif frame["type"] == "reply" and frame["id"] is not None:
                self._replies[frame["id"]] = frame
        return len(frames)


class World:
    """An App in process, on a clock of the test's own. Use it in a ``with``.

    Args:
        app: the App under test; its tables are created.
        seed: what all randomness derives from; printed when a test fails. By default STARWIRE_SEED or random.
        start: the first moment.
        limits: other bounds than the default ones.
    """

    def __init__(
        self, app: App, *, seed: int | None = None, start: datetime = START, limits: Limits | None = None
    ) -> None:
        if seed is None:
            seed = int(os.environ.get("STARWIRE_SEED", secrets.randbelow(2**32)))
        self.seed = seed
        self.clock = ManualClock(start)
        self.players: list[Player] = []
        self._app = app
        self._limits = limits or Limits(commands_per_second=1e6, commands_burst=10**6)
        self._folder = tempfile.TemporaryDirectory(prefix="starwire-world-")
        self._loop = asyncio.new_event_loop()
        self._open()

    def _open(self) -> None:
        registry = self._app.registry(system.module)
        database = open_sqlite(Path(self._folder.name) / "world.db", durable=False)
        with database.write.begin() as connection:
            tables.metadata.create_all(connection)
            if registry.tables is not None:
                registry.tables.create_all(connection)
        self.database = database
        self.engine = open_embedded(
            registry,
            database,
            self.clock,
            self._limits,
            partitions=16,
            seed=str(self.seed),
            threads=_Inline(),
            call_later=_no_timer,
        )
        self.epoch = self.engine.epoch
        self.hub = Hub(registry, self.engine, self.clock, self._limits, _by_name, wrap=lambda frame: frame)
        self._loop.run_until_complete(self.engine.start())
        self.call(lambda: None)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            error.add_note(f"replay with STARWIRE_SEED={self.seed}")
        self.close()

    def close(self) -> None:
        """Drop everything."""
        self._loop.run_until_complete(self.engine.stop())
        self._loop.run_until_complete(self._loop.shutdown_default_executor())
        self._loop.close()
        self._folder.cleanup()

    @property
    def now(self) -> datetime:
        """The time in this world."""
        return to_datetime(self.clock.now())

    def connect(self, player: str, *, resume: Mapping[str, int] | None = None) -> Player:
        """A connection of a player that has said hello."""
        connected = Player(self, player)
        self.players.append(connected)
        connected.hello(resume=resume)
        return connected

    def advance(self, delta: timedelta | None = None, **units: float) -> None:
        """Let time pass: ``advance(hours=25)``. What falls due runs at its moment, in order."""
        target = self.clock.now() + (delta or timedelta(**units)) // MICROSECOND
        while True:
            due = self.engine.next_due
            if due is None or due > target:
                break
            self.clock.set(max(due, self.clock.now()))
            self.call(self.engine.run_due)
        self.clock.set(target)
        self.call(self.hub.check)

    def sleep(self, delta: timedelta | None = None, **units: float) -> None:
        """Let time pass while no server runs, then start again: what fell due runs late, in order."""
        for player in self.players:
            player.disconnect()
        self._loop.run_until_complete(self.engine.stop())
        self.clock.set(self.clock.now() + (delta or timedelta(**units)) // MICROSECOND)
        self._open()

    def call(self, action: Callable[[], T]) -> T:
        """Do something on the world's event loop, and let everything happen that comes of it."""
        return self._loop.run_until_complete(self._settle(action))

    async def _settle(self, action: Callable[[], T]) -> T:
        result = action()
        quiet = 0
        while quiet < 3:
            await asyncio.sleep(0)
            moved = sum(player.collect() for player in self.players) > 0
            quiet = 0 if moved or not self.engine.idle or self.hub.busy else quiet + 1
        return result


async def _by_name(token: str) -> Identity:
    """The test kit's authentication: a token is the player's name; ``operator`` may announce."""
    if not token:
        raise Unauthenticated("the token is empty")
    return Identity(token, token, claims={"operator": token == OPERATOR}, session=f"session:{token}")
