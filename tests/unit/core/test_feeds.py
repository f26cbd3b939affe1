"""Who hears which stream, when hello, grants and commits meet at the worst moment."""

from __future__ import annotations

import itertools
import random

import pytest

from starwire.gateway.feed import Entry, Recent
from starwire.limits import Limits
from starwire.store.reads import StoredEvent
from tests.support.script import (
    Gateway,
    Memory,
    Script,
    assert_whole,
    go_on,
    offsets,
    scripted_gateway,
    settle,
)


@pytest.fixture
async def gateway() -> Gateway:
    return scripted_gateway(Limits(recent_events=4, catch_up_events=3, retained_events=3))


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


async def test_one_that_is_granted_a_stream_whose_last_event_is_announced_late_has_nothing_to_read(
    gateway: Gateway,
) -> None:
    script = gateway.script
    ann = await gateway.connected("ann")
    for _ in range(2):
        script.commit("universe:1")
    late = script.announcements.pop()
    script.announcements.clear()
    script.grant("ann", "universe:1")
    script.announce()
    script.broker.publish([late])  # an offset that ann was granted after, and the gateway had not heard of
    await script.answer_all()
    assert [frame["type"] for frame in ann.frames] == ["reply", "push"], "the grant, and no resync"
    await go_on(gateway)
    assert offsets(ann, "universe:1") == [3, 4]


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


async def test_what_several_hear_is_resumed_from_memory_and_what_one_hears_is_not_kept(
    gateway: Gateway,
) -> None:
    script = gateway.script
    for player in ("ann", "bob"):
        script.granted[player] = ["universe:1"]
        await gateway.connected(player)
    for _ in range(3):
        for stream in ("universe:1", "player:ann"):
            script.commit(stream)
        script.announce()
    assert not gateway.hub._feeds._feeds["player:ann"].recent
    back = gateway.hello("bob", universe_1=1)
    await script.answer("streams_of")
    assert script.reads == [], "nothing of its history has to be read"
    assert offsets(back, "universe:1") == [2, 3]


def recent_offsets(recent: Recent) -> list[int]:
    return [entry.offset for entry in recent]


def test_of_recent_events_the_oldest_go_when_they_are_too_many_or_too_large() -> None:
    recent = Recent(events=3, size=10)
    for offset, size in ((1, 4), (2, 3), (3, 3)):
        recent.append(Entry(offset, bytes(size), None))
    assert recent_offsets(recent) == [1, 2, 3], "ten bytes are not too many"
    recent.append(Entry(4, b"", None))
    assert recent_offsets(recent) == [2, 3, 4]
    recent.append(Entry(5, bytes(8), None))
    assert recent_offsets(recent) == [4, 5]
    recent.append(Entry(6, bytes(11), None))
    assert recent_offsets(recent) == [], "one that is too large alone leaves none, and no gap"
    recent.append(Entry(7, bytes(10), None))
    assert recent_offsets(recent) == [7]
    recent.clear()
    recent.append(Entry(8, bytes(10), None))
    assert recent_offsets(recent) == [8]


async def test_what_is_too_large_for_memory_is_resumed_from_the_table() -> None:
    gateway = scripted_gateway(Limits(recent_bytes=1_000))
    script = gateway.script
    for player in ("ann", "bob"):
        script.granted[player] = ["universe:1"]
        await gateway.connected(player)
    for _ in range(6):
        script.commit("universe:1", "noted", text="x" * 300)
    script.announce()
    assert recent_offsets(gateway.hub._feeds._feeds["universe:1"].recent) == [5, 6]
    near, far = gateway.hello("bob", universe_1=4), gateway.hello("bob", universe_1=1)
    for _ in range(2):
        await script.answer("streams_of")
    assert offsets(near, "universe:1") == [5, 6]
    assert [read.what for read in script.reads] == ["history"]
    await script.answer_all()
    assert offsets(far, "universe:1") == [2, 3, 4, 5, 6]


async def test_those_who_come_back_together_share_a_page_and_leave_it_for_the_next(gateway: Gateway) -> None:
    script = gateway.script
    for player in ("ann", "bob", "cid", "dan"):
        script.granted[player] = ["universe:1"]
    for _ in range(5):
        script.commit("universe:1")
    script.announce()
    back = [gateway.hello(player, universe_1=n) for player, n in (("ann", 2), ("bob", 3), ("cid", 4))]
    for what in ("streams_of", "positions") * 3:
        await script.answer(what)
    await script.answer("history")  # Ann's, who was first
    (read,) = script.reads
    assert [len(page) for page in read.result] == [2], "one page for the two others"
    await script.answer("history")
    assert [offsets(memory, "universe:1") for memory in back] == [[3, 4, 5], [4, 5], [5]]
    late = gateway.hello("dan", universe_1=2)
    await script.answer("streams_of")
    await script.answer("positions")
    assert script.reads == [], "the page is still at hand"
    assert offsets(late, "universe:1") == [3, 4, 5]


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
    gateway = scripted_gateway(Limits(connections_per_player=2))
    script = gateway.script
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
