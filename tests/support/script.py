"""A gateway whose engine is a script: what it reads is answered when the test says so.

The table is a list, and a read answers with what the table held when the read began. So every interleaving of
a snapshot, a commit and its announcement can be played.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import starwire
from starwire import Identity, system
from starwire.app import Authenticate
from starwire.batch import Event
from starwire.clock import ManualClock
from starwire.engine import Engine
from starwire.engines.gathering import Gathering
from starwire.engines.memory import MemoryBroker
from starwire.gateway.hub import Hub
from starwire.gateway.session import Session
from starwire.limits import Limits
from starwire.protocol import encode, push_frame
from starwire.store.reads import Answers, Question, StoredEvent
from starwire.stream import Position


@dataclass
class Read:
    """A read under way; the snapshot is taken now, the answer is given when the test says so."""

    what: str
    result: Any
    future: asyncio.Future[Any]

    def answer(self) -> None:
        if isinstance(self.result, Exception):
            self.future.set_exception(self.result)
        else:
            self.future.set_result(self.result)


@dataclass
class Script:
    """An engine whose reads and announcements the test lets happen one by one."""

    epoch: str = "e"
    partitions: int = 16
    lateness: float = 0.0
    broker: MemoryBroker = field(default_factory=MemoryBroker)
    table: dict[str, list[Event]] = field(default_factory=dict)
    pruned: dict[str, int] = field(default_factory=dict)
    granted: dict[str, list[str]] = field(default_factory=dict)
    reads: list[Read] = field(default_factory=list)
    announcements: list[Event] = field(default_factory=list)
    over: set[str] = field(default_factory=set)
    """Sessions that were signed out."""

    def commit(self, stream: str, event: str = "noted", /, **data: Any) -> None:
        """An event is in the table; nobody has heard of it yet."""
        events = self.table.setdefault(stream, [])
        offset = len(events) + 1
        frame = push_frame(stream, offset, event, "2030-01-01T00:00:00Z", encode(data), message=None)
        events.append(Event(stream, offset, event, frame))
        self.announcements.append(events[-1])

    def grant(self, player: str, stream: str) -> None:
        self.granted.setdefault(player, []).append(stream)
        self.commit(f"player:{player}", "subscribed", stream=stream, offset=len(self.table.get(stream, [])))

    def take(self, player: str, stream: str) -> None:
        self.granted[player].remove(stream)
        self.commit(f"player:{player}", "unsubscribed", stream=stream)

    def sign_out(self, player: str, session: str) -> None:
        """As accounts do: the session ends, then its end is an event."""
        self.over.add(session)
        self.commit(f"player:{player}", "session_revoked", session=session)

    def lose(self, *streams: str) -> None:
        """What was committed is never announced, and of these streams it is pruned."""
        self.announcements.clear()
        for stream in streams:
            self.pruned[stream] = len(self.table[stream])

    def announce(self) -> None:
        """The broker says what was committed."""
        events, self.announcements = self.announcements, []
        self.broker.publish(events)

    def position(self, stream: str) -> Position:
        return Position(len(self.table.get(stream, [])), self.pruned.get(stream, 0))

    async def streams_of(self, player: str) -> dict[str, Position]:
        names = [f"player:{player}", "all", *self.granted.get(player, [])]
        return cast(dict[str, Position], await self.read("streams_of", {n: self.position(n) for n in names}))

    async def positions(self, streams: Sequence[str]) -> dict[str, Position]:
        found = {name: self.position(name) for name in streams}
        return cast(dict[str, Position], await self.read("positions", found))

    async def session_is_live(self, session: str) -> bool:
        return cast(bool, await self.read("is_live", session not in self.over))

    async def history(self, wanted: Sequence[tuple[str, int, int]]) -> list[list[StoredEvent]]:
        pages = [
            [
                StoredEvent(e.stream, e.offset, e.event, e.frame)
                for e in self.table.get(stream, [])
                if e.offset > max(after, self.pruned.get(stream, 0))
            ][:limit]
            for stream, after, limit in wanted
        ]
        return cast(list[list[StoredEvent]], await self.read("history", pages))

    async def read(self, what: str, result: Any) -> Any:
        """Begin a read with this result."""
        return await self.begin(what, result)

    def begin(self, what: str, result: Any) -> asyncio.Future[Any]:
        """As ``read``, without waiting for it."""
        read = Read(what, result, asyncio.get_running_loop().create_future())
        self.reads.append(read)
        return read.future

    async def answer(self, what: str | None = None) -> None:
        """Let the oldest read (of a kind) answer, and everything happen that comes of it."""
        await settle()
        read = next(read for read in self.reads if what in (None, read.what))
        self.reads.remove(read)
        read.answer()
        await settle()

    async def answer_all(self) -> None:
        await settle()
        while self.reads:
            await self.answer()


@dataclass
class GatheredScript(Script):
    """A script that is asked in sets, as engines are: what a set asks is one read, ``set``."""

    most: int = 256
    unreadable: set[str] = field(default_factory=set)
    """Players whose names the database does not take."""
    away: Exception | None = None
    """What every set is answered with while it lasts."""
    sets: list[list[Question]] = field(default_factory=list)
    """What was asked, set by set."""

    def __post_init__(self) -> None:
        self._gathering = Gathering(self._begin, most=self.most)

    def _begin(self, questions: Sequence[Question]) -> asyncio.Future[Any]:
        self.sets.append(list(questions))
        players = {name for question in questions for name in question.players}
        if self.away is not None or players & self.unreadable:
            return self.begin("set", self.away or ValueError("a name that the database does not take"))
        granted = {player: [f"player:{player}", "all", *self.granted.get(player, [])] for player in players}
        streams = {name for question in questions for name in question.streams}
        streams.update(name for names in granted.values() for name in names)
        sessions = {name for question in questions for name in question.sessions}
        positions = {name: self.position(name) for name in streams}
        return self.begin("set", Answers(granted, positions, frozenset(sessions - self.over)))

    async def streams_of(self, player: str) -> dict[str, Position]:
        return await self._gathering.streams_of(player)

    async def positions(self, streams: Sequence[str]) -> dict[str, Position]:
        return await self._gathering.positions(streams)

    async def session_is_live(self, session: str) -> bool:
        return await self._gathering.session_is_live(session)


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


class Memory:
    """A transport that keeps what it is given."""

    def __init__(self) -> None:
        self.address = "memory"
        self.frames: list[Any] = []
        self.closed: tuple[int, str] | None = None
        self.takes: float = float("inf")
        self.session: Session | None = None

    def write(self, framed: bytes) -> None:
        self.frames.append(json.loads(framed))
        self.takes -= 1
        if self.takes <= 0 and self.session is not None and self.session.writable:
            self.session.full()

    def unsent(self) -> int:
        return 0

    def ping(self) -> None: ...

    def close(self, code: int, reason: str) -> None:
        self.closed = self.closed or (code, reason)

    def abort(self) -> None:
        self.close(1006, "aborted")


class Logins:
    """Tokens of logins that may be over: ``player`` or ``player;session``. Both questions are reads."""

    def __init__(self, script: Script) -> None:
        self._script = script

    async def __call__(self, token: str) -> Identity:
        player, _, session = token.partition(";")
        identity = Identity(player, session=session or f"session of {player}")
        return cast(Identity, await self._script.read("token", identity))

    async def is_live(self, identity: Identity) -> bool:
        return await self._script.session_is_live(identity.session or "")


async def by_name(token: str) -> Identity:
    return Identity(token, session=f"session of {token}")


@dataclass
class Gateway:
    script: Script
    hub: Hub

    def hello(self, player: str, **resume: int) -> Memory:
        """Begin a connection; its hello goes on when the script answers."""
        memory = Memory()
        session = self.hub.open(memory)
        memory.session = session
        args: dict[str, Any] = {"token": player}
        if resume:
            args |= {"resume": {name.replace("_", ":"): offset for name, offset in resume.items()}}
        session.text(json.dumps({"id": "h", "command": "hello", "args": args}))
        return memory

    async def connected(self, player: str, **resume: int) -> Memory:
        memory = self.hello(player, **resume)
        await self.script.answer_all()
        assert memory.frames[0]["ok"], memory.frames
        return memory


def scripted_gateway(limits: Limits, *, logins: bool = False, script: Script | None = None) -> Gateway:
    """A gateway on a script that nothing has happened in; with ``logins`` sessions can end."""
    script = script or Script()
    authenticate: Authenticate = Logins(script) if logins else by_name
    registry = starwire.App("none").registry(system.module)
    hub = Hub(registry, cast(Engine, script), ManualClock(), limits, authenticate, wrap=lambda frame: frame)
    return Gateway(script, hub)


def offsets(memory: Memory, stream: str) -> list[int]:
    return [f["offset"] for f in memory.frames if f["type"] == "push" and f["stream"] == stream]


def head_at_hello(memory: Memory, stream: str) -> int:
    offset: int = memory.frames[0]["result"]["streams"][stream]["offset"]
    return offset


async def go_on(gateway: Gateway) -> None:
    """Two more events on every stream, announced and read: whoever is stuck shows it."""
    for _ in range(2):
        for stream in list(gateway.script.table):
            gateway.script.commit(stream)
        gateway.script.announce()
        await gateway.script.answer_all()


def assert_whole(gateway: Gateway, memory: Memory, stream: str, *, after: int | None = None) -> None:
    """After an offset, or after the head that its hello told, everything came once and in order."""
    head = len(gateway.script.table[stream])
    first = head_at_hello(memory, stream) if after is None else after
    expected = list(range(first + 1, head + 1))
    assert offsets(memory, stream) == expected, f"of {stream} came {offsets(memory, stream)}, not {expected}"
