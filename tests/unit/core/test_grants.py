"""Grants and revocations when the events that tell them were missed: what holds is read again."""

from __future__ import annotations

import json
from typing import Any, cast

import msgspec
import pytest

from starwire.clock import ManualClock
from starwire.limits import Limits
from tests.support.script import Gateway, Memory, go_on, offsets, scripted_gateway, settle

REVOKED = (4403, "the session was revoked")
SIGNED_OUT = (4403, "The session was signed out.")


@pytest.fixture
async def gateway() -> Gateway:
    return scripted_gateway(Limits(recent_events=4, catch_up_events=3, retained_events=3), logins=True)


def resyncs(memory: Memory) -> dict[str, int]:
    return {frame["stream"]: frame["offset"] for frame in memory.frames if frame["type"] == "resync"}


def say(memory: Memory, command: str, **args: Any) -> None:
    assert memory.session is not None
    memory.session.text(json.dumps({"id": command, "command": command, "args": args}))


def replies(memory: Memory, id: str) -> list[Any]:
    return [frame for frame in memory.frames if frame["type"] == "reply" and frame["id"] == id]


# Between the token check and the snapshot


@pytest.mark.parametrize("announced", [True, False])
async def test_a_session_that_ends_between_its_token_check_and_the_snapshot_of_hello_is_refused(
    gateway: Gateway, announced: bool
) -> None:
    script = gateway.script
    ann = gateway.hello("ann")
    await settle()  # the token is being checked, and good
    script.sign_out("ann", "session of ann")
    if announced:
        script.announce()
    await script.answer("token")
    await script.answer_all()
    assert ann.closed == SIGNED_OUT
    (reply,) = ann.frames
    assert reply["error"]["code"] == "unauthorized"


@pytest.mark.parametrize("read", ["streams_of", "is_live", "positions"])
async def test_a_session_that_ends_during_any_read_of_hello_is_closed(gateway: Gateway, read: str) -> None:
    script = gateway.script
    ann = gateway.hello("ann")
    await settle()
    while script.reads[0].what != read:
        await script.answer()
    script.sign_out("ann", "session of ann")  # the read under way does not see it
    script.announce()
    await script.answer_all()
    assert ann.closed in (REVOKED, SIGNED_OUT)


async def test_a_session_that_ends_just_before_hello_is_answered_is_closed_though_much_is_unread(
    gateway: Gateway,
) -> None:
    script = gateway.script
    for _ in range(9):
        script.commit("player:ann")
    script.announce()
    await gateway.connected("ann")
    ann = gateway.hello("ann", player_ann=1)
    ann.takes = 1
    await script.answer("token")
    await script.answer("streams_of")
    script.sign_out("ann", "session of ann")  # the question after the session is under way
    script.announce()
    await script.answer("is_live")
    assert ann.closed == REVOKED, "it has not read so far, and would not for long"


async def test_a_refused_hello_leaves_nothing_behind(gateway: Gateway) -> None:
    script = gateway.script
    script.over.add("session of ann")
    ann = gateway.hello("ann")
    await script.answer_all()
    assert ann.closed == SIGNED_OUT
    assert ann.session is not None
    ann.session.lost(4403)
    assert script.broker._streams == {}
    assert gateway.hub._feeds._feeds == {}


async def test_a_refresh_with_a_token_of_a_session_that_is_over_changes_nothing(gateway: Gateway) -> None:
    script = gateway.script
    ann = await gateway.connected("ann")
    script.over.add("second")
    say(ann, "refresh", token="ann;second")
    await script.answer_all()
    (reply,) = replies(ann, "refresh")
    assert reply["error"]["code"] == "unauthorized"
    assert ann.closed is None
    script.sign_out("ann", "session of ann")
    script.announce()
    assert ann.closed == REVOKED


async def test_a_session_that_ends_while_a_connection_is_refreshed_into_it_is_closed(
    gateway: Gateway,
) -> None:
    script = gateway.script
    ann = await gateway.connected("ann")
    say(ann, "refresh", token="ann;second")
    await script.answer("token")
    await settle()  # its session is being asked about, and good
    script.sign_out("ann", "second")
    script.announce()
    assert ann.closed is None, "the connection is still of the first session"
    await script.answer_all()
    assert ann.closed == REVOKED


# The token of an open connection


def until(gateway: Gateway, memory: Memory, seconds: float) -> None:
    """The connection's token expires so many seconds from now."""
    assert memory.session is not None
    assert memory.session.identity is not None
    expires = gateway.hub.clock.now() + int(seconds * 1_000_000)
    memory.session.identity = msgspec.structs.replace(memory.session.identity, expires_at=expires)


@pytest.mark.parametrize("reads", [True, False])
async def test_an_expired_token_closes_the_connection_whether_it_reads_or_not(
    gateway: Gateway, reads: bool
) -> None:
    ann = await gateway.connected("ann")
    assert ann.session is not None
    until(gateway, ann, seconds=20)
    if not reads:
        ann.session.full()
    clock = cast(ManualClock, gateway.hub.clock)
    for seconds, told, closed in ((19, reads, None), (1, reads, (4401, "the token has expired"))):
        clock.set(clock.now() + seconds * 1_000_000)
        gateway.hub.check()
        assert [frame["type"] for frame in ann.frames[1:]] == ["status"] * told
        assert ann.closed == closed


async def test_a_connection_that_is_closed_while_it_is_behind_costs_no_more_reads(gateway: Gateway) -> None:
    script = gateway.script
    for _ in range(9):
        script.commit("player:ann")
    script.announce()
    ann = gateway.hello("ann", player_ann=1)
    for read in ("token", "streams_of", "is_live", "positions"):
        await script.answer(read)
    script.sign_out("ann", "session of ann")
    script.announce()
    assert ann.closed == REVOKED, "and its peer has not answered the close yet"
    await script.answer("history")  # which was under way
    assert script.reads == []


# History of the player's own stream is gone


async def lose_history(gateway: Gateway, *, then: int = 1) -> None:
    """What was committed is lost and pruned; so many events later the gateway finds out."""
    gateway.script.lose("player:ann")
    for _ in range(then):
        gateway.script.commit("player:ann")
    gateway.script.announce()
    await gateway.script.answer_all()


async def test_a_grant_that_was_lost_with_its_history_is_read_again(gateway: Gateway) -> None:
    script = gateway.script
    for _ in range(2):
        script.commit("universe:1")
    script.announce()
    ann = await gateway.connected("ann")
    script.grant("ann", "universe:1")
    await lose_history(gateway)
    assert resyncs(ann) == {"player:ann": 2, "universe:1": 2}
    await go_on(gateway)
    assert offsets(ann, "player:ann") == [3, 4]
    assert offsets(ann, "universe:1") == [3, 4]


async def test_a_stream_that_was_taken_in_lost_history_is_heard_no_longer(gateway: Gateway) -> None:
    script = gateway.script
    script.commit("universe:1")
    script.grant("ann", "universe:1")
    script.grant("ann", "universe:2")
    script.announce()
    ann = await gateway.connected("ann")
    script.take("ann", "universe:1")
    await lose_history(gateway)
    script.commit("universe:2")
    await go_on(gateway)
    assert offsets(ann, "universe:1") == [], "the stream was taken from this player"
    assert offsets(ann, "universe:2") == [1, 2, 3], "and the other one goes on without a break"
    assert resyncs(ann) == {"player:ann": 4}
    assert "universe:1" not in gateway.hub._feeds._feeds


async def test_a_revocation_that_was_lost_with_its_history_closes_the_session(gateway: Gateway) -> None:
    script = gateway.script
    ann, other = await gateway.connected("ann"), await gateway.connected("ann;other")
    script.sign_out("ann", "session of ann")
    await lose_history(gateway)
    assert ann.closed == REVOKED
    assert other.closed is None
    assert resyncs(other) == {"player:ann": 2}


async def test_lost_history_that_nothing_follows_is_found_by_comparing_heads(gateway: Gateway) -> None:
    script = gateway.script
    ann, other = await gateway.connected("ann"), await gateway.connected("ann;other")
    script.commit("universe:1")
    script.grant("ann", "universe:1")
    script.sign_out("ann", "session of ann")
    script.lose("player:ann")
    gateway.hub.compare_heads_soon()
    await script.answer_all()
    assert ann.closed == REVOKED
    assert resyncs(other) == {"player:ann": 2, "universe:1": 1}
    await go_on(gateway)
    assert offsets(other, "player:ann") == [3, 4]
    assert offsets(other, "universe:1") == [2, 3]


async def test_lost_history_of_any_stream_that_nothing_follows_is_told(gateway: Gateway) -> None:
    script = gateway.script
    ann = await gateway.connected("ann")
    for _ in range(3):
        script.commit("all")
    script.lose("all")
    gateway.hub.compare_heads_soon()
    await script.answer_all()
    assert resyncs(ann) == {"all": 3}
    await go_on(gateway)
    assert offsets(ann, "all") == [4, 5]


async def test_what_is_granted_or_taken_while_grants_are_read_again_is_obeyed(gateway: Gateway) -> None:
    script = gateway.script
    for stream in ("universe:1", "universe:2"):
        script.commit(stream)
    script.grant("ann", "universe:1")
    script.announce()
    ann = await gateway.connected("ann")
    script.commit("player:ann")
    script.lose("player:ann")
    script.commit("player:ann")
    script.announce()
    await script.answer("history")
    script.take("ann", "universe:1")  # the grants are being read
    script.grant("ann", "universe:2")
    script.announce()
    await script.answer_all()
    await go_on(gateway)
    assert resyncs(ann) == {"player:ann": 3}
    assert offsets(ann, "player:ann") == [4, 5, 6, 7]
    assert offsets(ann, "universe:1") == []
    assert offsets(ann, "universe:2") == [2, 3]


async def test_grants_are_read_again_once_however_often_the_connection_drains_meanwhile(
    gateway: Gateway,
) -> None:
    script = gateway.script
    ann = await gateway.connected("ann")
    script.commit("player:ann")
    script.lose("player:ann")
    script.commit("player:ann")
    script.announce()
    await script.answer("history")
    assert ann.session is not None
    ann.session.drained()
    await script.answer("history")
    await script.answer_all()
    assert [frame["type"] for frame in ann.frames] == ["reply", "resync"]


async def test_a_connection_that_goes_while_its_grants_are_read_again_leaves_nothing_behind(
    gateway: Gateway,
) -> None:
    script = gateway.script
    ann = await gateway.connected("ann")
    script.commit("player:ann")
    script.lose("player:ann")
    script.commit("player:ann")
    script.announce()
    await script.answer("history")
    assert ann.session is not None
    ann.session.lost(1006)
    await script.answer_all()
    assert gateway.hub._feeds._feeds == {}


async def test_grants_that_cannot_be_read_again_are_asked_for_with_another_hello(gateway: Gateway) -> None:
    script = gateway.script
    ann = await gateway.connected("ann")
    script.commit("player:ann")
    script.lose("player:ann")
    script.commit("player:ann")
    script.announce()
    await script.answer("history")
    (read,) = script.reads
    script.reads.clear()
    read.future.set_exception(RuntimeError("the database is away"))
    await settle()
    assert ann.closed == (1011, "the streams could not be read")


# Hints that were lost


async def test_grants_and_revocations_whose_hints_were_lost_are_found_by_comparing_heads(
    gateway: Gateway,
) -> None:
    script = gateway.script
    script.commit("universe:1")
    ann, other = await gateway.connected("ann"), await gateway.connected("ann;other")
    script.grant("ann", "universe:1")
    script.sign_out("ann", "session of ann")
    script.lose()
    gateway.hub.compare_heads_soon()
    await script.answer_all()
    assert ann.closed == REVOKED
    assert offsets(other, "player:ann") == [1, 2]
    await go_on(gateway)
    assert offsets(other, "universe:1") == [2, 3]


async def test_a_stream_that_was_taken_is_silent_though_the_hint_was_lost(gateway: Gateway) -> None:
    script = gateway.script
    script.commit("universe:1")
    script.grant("ann", "universe:1")
    script.announce()
    ann = await gateway.connected("ann")
    script.take("ann", "universe:1")
    script.lose()
    gateway.hub.compare_heads_soon()
    await script.answer_all()
    await go_on(gateway)
    assert offsets(ann, "universe:1") == []


async def test_a_slow_session_whose_end_another_hello_reads_first_is_closed(gateway: Gateway) -> None:
    script = gateway.script
    slow = await gateway.connected("ann")
    slow.takes = 1
    script.commit("player:ann")
    script.announce()
    script.sign_out("ann", "session of ann")
    await gateway.connected("ann;other")  # its snapshot tells of the event before it is announced
    script.announce()
    await script.answer_all()
    assert slow.closed == REVOKED
