"""Hellos that wait at the same moment are read together; each is told what its own read would have told."""

from __future__ import annotations

import asyncio
import itertools
import random

import pytest
from sqlalchemy.exc import OperationalError

from starwire import Identity
from starwire.limits import Limits
from tests.support.script import (
    Gateway,
    GatheredScript,
    Memory,
    assert_whole,
    go_on,
    head_at_hello,
    scripted_gateway,
    settle,
)

LIMITS = Limits(recent_events=4, catch_up_events=3, retained_events=3)
ENDED = {(4403, "The session was signed out."), (4403, "the session was revoked")}
PLAYERS = ["ann", "bob", "cid", "dan"]


@pytest.fixture
def script() -> GatheredScript:
    return GatheredScript()


@pytest.fixture
async def gateway(script: GatheredScript) -> Gateway:
    return scripted_gateway(LIMITS, script=script)


@pytest.fixture
async def door(script: GatheredScript) -> Gateway:
    """A gateway whose sessions can end."""
    return scripted_gateway(LIMITS, script=script, logins=True)


def welcomed(memory: Memory) -> bool:
    return bool(memory.frames) and memory.frames[0]["ok"] is True


async def test_a_hello_alone_is_read_at_once(script: GatheredScript) -> None:
    asking = asyncio.ensure_future(script.streams_of("ann"))
    await asyncio.sleep(0)  # one turn: the task has begun
    assert [read.what for read in script.reads] == ["set"]
    await script.answer_all()
    assert set(await asking) == {"player:ann", "all"}


async def test_what_gathers_while_a_read_is_running_is_one_read_and_each_is_told_its_own(
    script: GatheredScript, gateway: Gateway
) -> None:
    for player in PLAYERS:
        script.granted[player] = [f"universe:{player}"]
        script.commit(f"universe:{player}")
    script.announce()
    came = {player: gateway.hello(player) for player in PLAYERS}
    await script.answer("set")  # Ann's; the three others have come meanwhile
    assert len(script.reads) == 1
    assert [question.players for question in script.sets[-1]] == [("bob",), ("cid",), ("dan",)]
    await script.answer_all()
    assert len(script.sets) <= 5, "one for Ann alone, one for the others, and positions after each"
    for player, memory in came.items():
        streams = memory.frames[0]["result"]["streams"]
        assert set(streams) == {f"player:{player}", "all", f"universe:{player}"}
        assert head_at_hello(memory, f"universe:{player}") == 1
    await go_on(gateway)
    for player, memory in came.items():
        assert_whole(gateway, memory, f"universe:{player}")


async def test_nobody_is_told_of_a_time_before_it_asked(script: GatheredScript) -> None:
    early = asyncio.ensure_future(script.positions(["all"]))
    await settle()  # the snapshot is of offset 0
    script.commit("all")
    late = asyncio.ensure_future(script.positions(["all"]))
    await script.answer_all()
    assert [(await asking)["all"].head for asking in (early, late)] == [0, 1]


@pytest.mark.parametrize("most", [1, 3, 4])
async def test_a_set_holds_no_more_names_than_the_limit_and_keeps_the_order(most: int) -> None:
    script = GatheredScript(most=most)
    wide = [f"s{number}" for number in range(5)]
    asking = [asyncio.ensure_future(script.streams_of(player)) for player in ("first", *PLAYERS)]
    asking.append(asyncio.ensure_future(script.positions(wide)))  # more than the limit: alone
    asking += [asyncio.ensure_future(script.streams_of(player)) for player in PLAYERS]
    await script.answer_all()
    await asyncio.gather(*asking)
    asked = [question for each in script.sets for question in each]
    assert [question.players or question.streams for question in asked] == [
        ("first",),
        *((player,) for player in PLAYERS),
        tuple(wide),
        *((player,) for player in PLAYERS),
    ]
    sizes = [sum(question.names for question in each) for each in script.sets]
    assert all(size <= most or size == len(wide) for size in sizes), sizes


async def test_a_hello_that_cannot_be_read_fails_alone(script: GatheredScript, gateway: Gateway) -> None:
    script.unreadable = {"cid"}
    script.commit("all")
    came = {player: gateway.hello(player) for player in PLAYERS}
    await script.answer_all()
    assert {player for player, memory in came.items() if welcomed(memory)} == {"ann", "bob", "dan"}
    assert came["cid"].frames[0]["error"]["code"] == "unavailable"
    assert came["cid"].closed == (1011, "the streams could not be read")
    assert "player:cid" not in gateway.hub._feeds._feeds
    await go_on(gateway)
    for player in ("ann", "bob", "dan"):
        assert_whole(gateway, came[player], "all")


async def test_a_player_whose_name_no_database_keeps_is_refused_before_anything_is_read(
    script: GatheredScript, gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def strange(_token: str) -> Identity:
        return Identity("a\0b")

    monkeypatch.setattr(gateway.hub, "_authenticate", strange)
    memory = gateway.hello("ann")
    await settle()
    assert memory.closed == (4403, "the player's name holds U+0000")
    assert script.sets == []


async def test_without_a_database_all_of_a_set_are_unavailable_after_one_read(
    script: GatheredScript, gateway: Gateway
) -> None:
    script.away = OperationalError("SELECT", {}, Exception("the server closed the connection"))
    came = [gateway.hello(player) for player in PLAYERS]
    await script.answer_all()
    assert [len(each) for each in script.sets] == [1, 3]
    assert [memory.frames[0]["error"]["code"] for memory in came] == ["unavailable"] * 4
    script.away = None
    again = [gateway.hello(player) for player in PLAYERS]
    await script.answer_all()
    assert all(welcomed(memory) for memory in again)


async def test_a_read_that_cannot_begin_fails_those_who_asked_and_nobody_after_them(
    script: GatheredScript, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(*_: object) -> None:
        raise RuntimeError("cannot schedule new futures after shutdown")

    with monkeypatch.context() as patch:
        patch.setattr(script, "begin", stopped)
        with pytest.raises(RuntimeError, match="after shutdown"):
            await script.streams_of("ann")
    asking = asyncio.ensure_future(script.streams_of("ann"))
    await script.answer_all()
    assert "all" in await asking


async def test_one_who_has_left_while_a_set_was_read_takes_nothing_from_the_others(
    script: GatheredScript, gateway: Gateway
) -> None:
    came = [gateway.hello(player) for player in PLAYERS]
    await script.answer("set")
    session = came[2].session
    assert session is not None
    session.lost(1006)
    await script.answer_all()
    assert [welcomed(memory) for memory in came] == [True, True, False, True]
    assert "player:cid" not in gateway.hub._feeds._feeds


async def test_one_who_no_longer_waits_for_its_answer_takes_nothing_from_the_others(
    script: GatheredScript,
) -> None:
    asking = [asyncio.ensure_future(script.streams_of(player)) for player in PLAYERS]
    await settle()
    asking[0].cancel()
    asking[2].cancel()
    await script.answer_all()
    told = await asyncio.gather(*asking, return_exceptions=True)
    assert [isinstance(each, asyncio.CancelledError) for each in told] == [True, False, True, False]


@pytest.mark.parametrize("reads", range(6))
async def test_of_a_set_of_hellos_the_one_that_is_signed_out_meanwhile_is_closed(
    script: GatheredScript, door: Gateway, reads: int
) -> None:
    """After any number of reads: while tokens, streams, sessions or positions are read."""
    came = {player: door.hello(player) for player in PLAYERS}
    await script.answer("token")
    for _ in range(3):
        await script.answer("token")
    for _ in range(reads):
        if script.reads:
            await script.answer()
    script.sign_out("cid", "session of cid")  # the reads under way do not see it
    script.announce()
    await script.answer_all()
    assert came["cid"].closed in ENDED
    for player in ("ann", "bob", "dan"):
        assert welcomed(came[player])
        assert came[player].closed is None


def change(play: random.Random, script: GatheredScript) -> None:
    """Something is committed, or some of what was is announced."""
    player = play.choice(["ann", "bob"])
    what = play.randrange(4)
    if what == 0:
        count = play.randint(0, len(script.announcements))
        said, script.announcements = script.announcements[:count], script.announcements[count:]
        script.broker.publish(said)
    elif what == 1:
        script.commit(play.choice(["universe:1", "all", f"player:{player}"]))
    elif "universe:1" in script.granted[player]:
        script.take(player, "universe:1")
    else:
        script.grant(player, "universe:1")


def heard_up_to(memory: Memory, player: str) -> int | None:
    """Where a client stands in ``universe:1``, as it has been told; None when it is not granted."""
    welcome = memory.frames[0]["result"]["streams"]
    cursor: int | None = welcome["universe:1"]["offset"] if "universe:1" in welcome else None
    for frame in memory.frames[1:]:
        if frame["stream"] == "universe:1":
            assert cursor is not None, f"{player} heard {frame}, and was not granted it"
            assert frame["offset"] == cursor + 1
            cursor = frame["offset"]
        elif frame["event"] == "subscribed" and cursor is None:
            cursor = frame["data"]["offset"]
        elif frame["event"] == "unsubscribed":
            cursor = None
    return cursor


@pytest.mark.parametrize("seed", range(40))
async def test_whatever_the_order_of_sets_grants_ends_and_announcements(seed: int) -> None:
    """A random play: at the end whoever is in hears what is granted, all of it, and nobody else is in."""
    play, script = random.Random(seed), GatheredScript(most=random.Random(seed).choice([1, 3, 256]))
    gateway = scripted_gateway(LIMITS, script=script, logins=True)
    names = itertools.cycle(["ann", "bob"])
    came: list[tuple[str, str, Memory]] = []
    for player in ("ann", "bob"):
        script.granted[player] = []
    for _ in range(80):
        step = play.randrange(9)
        if step in (0, 1) and len(came) < 10:
            player, session = next(names), f"s{len(came)}"
            came.append((player, session, gateway.hello(f"{player};{session}")))
        elif step == 2 and came:
            player, session, _memory = play.choice(came)
            if session not in script.over and play.random() < 0.3:
                script.sign_out(player, session)
        elif step < 5:
            change(play, script)
        else:
            await settle()
            if script.reads:
                script.reads.pop(play.randrange(len(script.reads))).answer()
                await settle()
    script.announce()
    await script.answer_all()
    script.commit("universe:1")
    await go_on(gateway)
    head = len(script.table["universe:1"])
    for player, session, memory in came:
        if session in script.over:
            assert memory.closed in ENDED, f"seed {seed}: {session} of {player} was signed out"
            continue
        assert memory.closed is None
        if f"player:{player}" in script.table:
            assert_whole(gateway, memory, f"player:{player}")
        granted = "universe:1" in script.granted[player]
        assert heard_up_to(memory, player) == (head if granted else None), f"seed {seed}: {player}"
