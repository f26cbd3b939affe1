"""Who hears which stream, when hello, grants and commits meet at the worst moment.

The engine here is a script: the table is a list, and a read answers when the test says so, with what the
table held when the read began. So every interleaving of a snapshot, a commit and its announcement can be
played.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import pytest

import starwire
from starwire import Identity, system
from starwire.batch import Event
from starwire.clock import ManualClock
from starwire.engine import Engine
from starwire.engines.memory import MemoryBroker
from starwire.gateway.hub import Hub
from starwire.gateway.session import Session
from starwire.limits import Limits
from starwire.protocol import encode, push_frame
from starwire.store.reads import StoredEvent
from starwire.stream import Position


@dataclass
class Read:
    """A read under way; the snapshot is taken now, the answer is given when the test says so."""

    what: str
    result: Any
    future: asyncio.Future[Any]

    def answer(self) -> None:
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

    def announce(self) -> None:
        """The broker says what was committed."""
        events, self.announcements = self.announcements, []
        self.broker.publish(events)

    def position(self, stream: str) -> Position:
        return Position(len(self.table.get(stream, [])), self.pruned.get(stream, 0))

    async def streams_of(self, player: str) -> dict[str, Position]:
        names = [f"player:{player}", "all", *self.granted.get(player, [])]
        return cast(dict[str, Position], await self._read("streams_of", {n: self.position(n) for n in names}))

    async def positions(self, streams: Sequence[str]) -> dict[str, Position]:
        found = {name: self.position(name) for name in streams}
        return cast(dict[str, Position], await self._read("positions", found))

    async def history(self, wanted: Sequence[tuple[str, int, int]]) -> list[list[StoredEvent]]:
        pages = [
            [
                StoredEvent(e.stream, e.offset, e.event, e.frame)
                for e in self.table.get(stream, [])
                if e.offset > max(after, self.pruned.get(stream, 0))
            ][:limit]
            for stream, after, limit in wanted
        ]
        return cast(list[list[StoredEvent]], await self._read("history", pages))

    async def _read(self, what: str, result: Any) -> Any:
        read = Read(what, result, asyncio.get_running_loop().create_future())
        self.reads.append(read)
        return await read.future

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

    def ping(self) -> None: ...

    def close(self, code: int, reason: str) -> None:
        self.closed = self.closed or (code, reason)

    def abort(self) -> None:
        self.close(1006, "aborted")


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


@pytest.fixture
async def gateway() -> Gateway:
    script = Script()
    registry = starwire.App("none").registry(system.module)
    limits = Limits(recent_events=4, catch_up_events=3, retained_events=3)
    hub = Hub(registry, cast(Engine, script), ManualClock(), limits, by_name, wrap=lambda frame: frame)
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


async def test_a_hello_that_reads_a_commit_before_it_is_announced_takes_it_from_nobody(
    gateway: Gateway,
) -> None:
    script = gateway.script
    script.commit("player:ann")
    script.announce()
    first = await gateway.connected("ann")
    script.commit("player:ann")  # committed; its announcement is under way…
    second = await gateway.connected("ann", player_ann=1)  # …and this hello has read it already
    script.announce()
    await go_on(gateway)
    for memory in (first, second):
        assert_whole(gateway, memory, "player:ann", after=1)


async def test_two_hellos_at_once_on_a_new_stream_leave_nobody_behind(gateway: Gateway) -> None:
    script = gateway.script
    for player in ("ann", "bob"):
        script.granted[player] = ["universe:1"]
    script.commit("universe:1")
    script.announce()
    bob = gateway.hello("bob")
    await settle()  # Bob's snapshot is of offset 1, and slow
    script.commit("universe:1")
    script.announce()  # nobody hears it yet
    ann = gateway.hello("ann")
    await settle()
    script.reads.reverse()
    await script.answer("streams_of")  # Ann's snapshot is of offset 2; she asks for positions
    await script.answer("streams_of")  # Bob finds the stream known
    await script.answer_all()
    await go_on(gateway)
    for memory in (ann, bob):
        assert_whole(gateway, memory, "universe:1")


async def test_a_grant_between_the_two_reads_of_a_hello_is_obeyed(gateway: Gateway) -> None:
    script = gateway.script
    script.commit("player:ann")
    script.commit("universe:1")
    script.announce()
    ann = gateway.hello("ann")
    await script.answer("streams_of")
    script.grant("ann", "universe:1")
    script.announce()
    await script.answer_all()
    await go_on(gateway)
    assert_whole(gateway, ann, "player:ann")
    assert offsets(ann, "universe:1") == [2, 3], "granted at offset 1, and it heard what came after"


async def test_a_grant_taken_between_the_two_reads_of_a_hello_is_obeyed(gateway: Gateway) -> None:
    script = gateway.script
    script.commit("universe:1")
    script.grant("ann", "universe:1")
    script.announce()
    ann = gateway.hello("ann")
    await script.answer("streams_of")
    script.take("ann", "universe:1")
    script.announce()
    await script.answer_all()
    await go_on(gateway)
    assert offsets(ann, "universe:1") == [], "the stream was taken from this player"


async def test_a_session_revoked_between_the_two_reads_of_a_hello_is_closed(gateway: Gateway) -> None:
    script = gateway.script
    ann = gateway.hello("ann")
    await script.answer("streams_of")
    script.commit("player:ann", "session_revoked", session="session of ann")
    script.announce()
    await script.answer_all()
    assert ann.closed == (4403, "the session was revoked")


async def test_a_grant_joins_a_stream_whose_first_hello_is_under_way(gateway: Gateway) -> None:
    script = gateway.script
    script.granted["bob"] = ["universe:1"]
    for _ in range(5):
        script.commit("universe:1")
    script.announce()
    ann = await gateway.connected("ann")
    bob = gateway.hello("bob")
    await script.answer("streams_of")  # Bob has made the feed known, and waits for its position
    script.grant("ann", "universe:1")
    script.commit("universe:1")
    script.announce()
    await script.answer_all()
    await go_on(gateway)
    assert offsets(ann, "universe:1") == [6, 7, 8]
    assert_whole(gateway, bob, "universe:1")


async def test_a_grant_that_is_taken_in_the_same_breath_gives_nothing(gateway: Gateway) -> None:
    script = gateway.script
    script.commit("universe:1")
    script.announce()
    ann = await gateway.connected("ann")
    script.grant("ann", "universe:1")
    script.take("ann", "universe:1")
    script.announce()
    await script.answer_all()
    await go_on(gateway)
    assert offsets(ann, "universe:1") == [], "the stream was taken from this player"


async def test_a_revocation_closes_a_session_that_is_too_slow_to_read_it(gateway: Gateway) -> None:
    script = gateway.script
    slow = await gateway.connected("ann")
    slow.takes = 1
    script.commit("player:ann")
    script.commit("player:ann", "session_revoked", session="session of ann")
    script.announce()
    assert slow.closed == (4403, "the session was revoked")


async def test_an_old_grant_that_is_read_again_gives_nothing_back(gateway: Gateway) -> None:
    script = gateway.script
    script.commit("universe:1")
    script.grant("ann", "universe:1")
    script.take("ann", "universe:1")
    script.announce()
    ann = await gateway.connected("ann", player_ann=1)
    await go_on(gateway)
    assert offsets(ann, "player:ann") == [2, 3, 4]
    assert offsets(ann, "universe:1") == []


async def test_an_old_revocation_that_is_read_again_closes_nothing(gateway: Gateway) -> None:
    script = gateway.script
    script.commit("player:ann")
    script.commit("player:ann", "session_revoked", session="session of ann")
    script.announce()
    ann = await gateway.connected("ann", player_ann=1)
    assert offsets(ann, "player:ann") == [2]
    assert ann.closed is None


async def test_announcements_that_are_lost_repeated_or_late_leave_no_hole(gateway: Gateway) -> None:
    script = gateway.script
    ann = await gateway.connected("ann")
    for _ in range(6):
        script.commit("player:ann")
    lost, script.announcements = script.announcements, []
    script.broker.publish([lost[0], lost[0], lost[5], lost[3], lost[0]])
    await script.answer_all()
    await go_on(gateway)
    assert_whole(gateway, ann, "player:ann")


async def test_a_page_that_was_pruned_while_it_was_asked_for_is_a_resync(gateway: Gateway) -> None:
    script = gateway.script
    for _ in range(9):
        script.commit("player:ann")
    script.announce()
    ann = gateway.hello("ann", player_ann=2)
    await script.answer("streams_of")
    await script.answer("positions")
    script.pruned["player:ann"] = 5  # between hello, which said it can, and the first page
    next(read for read in script.reads if read.what == "history").result = await_page(script, 2)
    await script.answer_all()
    assert [f for f in ann.frames if f["type"] == "resync"] == [
        {"type": "resync", "stream": "player:ann", "offset": 9}
    ]
    assert offsets(ann, "player:ann") == []
    await go_on(gateway)
    assert offsets(ann, "player:ann") == [10, 11]


def await_page(script: Script, after: int) -> list[list[StoredEvent]]:
    """What the table gives now to a read that was asked for events after an offset."""
    floor = max(after, script.pruned["player:ann"])
    rest = [e for e in script.table["player:ann"] if e.offset > floor]
    return [[StoredEvent(e.stream, e.offset, e.event, e.frame) for e in rest[:3]]]


@pytest.mark.parametrize("takes", [1, 2, 3, 5])
async def test_one_that_is_full_misses_nothing_and_delays_nobody(gateway: Gateway, takes: int) -> None:
    script = gateway.script
    slow, quick = await gateway.connected("ann"), await gateway.connected("ann")
    slow.takes = takes
    for _ in range(12):
        script.commit("player:ann")
        script.announce()
    assert offsets(quick, "player:ann") == list(range(1, 13)), "the quick one waits for nobody"
    assert len(offsets(slow, "player:ann")) == takes, "the slow one is given no more than it takes"
    session = slow.session
    assert session is not None
    for _ in range(20):
        slow.takes = takes
        session.drained()
        await script.answer_all()
    await go_on(gateway)
    slow.takes = float("inf")
    session.drained()
    await script.answer_all()
    assert_whole(gateway, slow, "player:ann")


async def test_nothing_is_heard_or_kept_after_the_last_has_left(gateway: Gateway) -> None:
    script = gateway.script
    ann = await gateway.connected("ann")
    gone = gateway.hello("ann")
    for memory in (ann, gone):
        assert memory.session is not None
        memory.session.lost(1006)
    await script.answer_all()
    script.commit("player:ann")
    assert script.broker._streams == {}
    assert gateway.hub._feeds._feeds == {}
    assert not gateway.hub.sessions


async def test_of_connections_that_say_hello_at_once_no_more_get_in_than_may() -> None:
    script = Script()
    registry = starwire.App("none").registry(system.module)
    limits = Limits(connections_per_player=2)
    hub = Hub(registry, cast(Engine, script), ManualClock(), limits, by_name, wrap=lambda frame: frame)
    gateway = Gateway(script, hub)
    all_at_once = [gateway.hello("ann") for _ in range(5)]
    await script.answer_all()
    closed = [memory.closed[0] for memory in all_at_once if memory.closed]
    assert closed == [4429] * 3


@pytest.mark.parametrize("seed", range(40))
async def test_whatever_the_order_of_reads_commits_and_announcements(gateway: Gateway, seed: int) -> None:
    """A random play of all of it: at the end, everyone who is connected has heard everything once."""
    play, script = random.Random(seed), gateway.script
    connected: list[tuple[Memory, int]] = []
    names = itertools.cycle(["ann", "bob"])
    for player in ("ann", "bob"):
        script.granted[player] = ["universe:1"]
    for _ in range(60):
        step = play.randrange(6)
        if step == 0 and len(connected) < 8:
            resume = play.randint(0, len(script.table.get("universe:1", [])))
            connected.append((gateway.hello(next(names), universe_1=resume), resume))
        elif step in (1, 2):
            script.commit(play.choice(["universe:1", "all", "player:ann"]))
        elif step == 3 and script.announcements:
            count = play.randint(1, len(script.announcements))
            said, script.announcements = script.announcements[:count], script.announcements[count:]
            script.broker.publish(said)
        elif step in (4, 5):
            await settle()
            if script.reads:
                read = script.reads.pop(play.randrange(len(script.reads)))
                read.answer()
                await settle()
    script.announce()
    await script.answer_all()
    script.commit("universe:1")
    await go_on(gateway)
    for memory, resume in connected:
        got = offsets(memory, "universe:1")
        head = len(script.table["universe:1"])
        assert got == list(range(resume + 1, head + 1)), f"resumed from {resume}; the head is {head}: {got}"
