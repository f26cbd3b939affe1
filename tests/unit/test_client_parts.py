"""The parts of the Python client that do no I/O: cursors, the clock, the outbox, and who hears a push."""

import asyncio
import random
from datetime import UTC, datetime
from typing import Any

import hypothesis.strategies as st
import msgspec
import pytest
from hypothesis import given

from starwire.client.clock import ServerClock
from starwire.client.cursors import Cursors, Verdict
from starwire.client.errors import CommandError, Lagged
from starwire.client.frames import Push, backoff
from starwire.client.link import socket_url
from starwire.client.listeners import Listener, Listeners
from starwire.client.outbox import CAPACITY, Outbox
from starwire.errors import ConfigurationError

START = {"player": "1", "epoch": "e", "streams": {"player:1": {"offset": 5, "recovered": True}}}


def hello(**streams: tuple[int, bool]) -> dict[str, Any]:
    given = {
        name: {"offset": offset, "recovered": recovered} for name, (offset, recovered) in streams.items()
    }
    return {**START, "streams": given}


def push(offset: int, *, event: str = "ripe", stream: str = "player:1", **data: Any) -> Push:
    return Push(stream, offset, event, datetime(2030, 1, 1, tzinfo=UTC), data)


# Cursors


def test_the_next_push_is_delivered_and_an_old_one_is_not() -> None:
    cursors = Cursors()
    assert cursors.welcome(START)[0] is False
    assert [cursors.take("player:1", offset) for offset in (6, 6, 5, 7)] == ["next", "old", "old", "next"]
    assert cursors.take("other", 1) is Verdict.UNKNOWN
    assert cursors.resume() == {"resume": {"player:1": 7}, "epoch": "e"}


def test_a_gap_is_asked_for_once_and_is_lost_the_second_time() -> None:
    cursors = Cursors()
    cursors.welcome(START)
    assert cursors.take("player:1", 8) is Verdict.GAP
    cursors.welcome(START)
    assert cursors.take("player:1", 8) is Verdict.LOST
    assert cursors.resync("player:1", 7)
    assert cursors.take("player:1", 8) is Verdict.NEXT


def test_from_the_start_whatever_is_retained_is_the_next() -> None:
    cursors = Cursors(None, {"a": 0})
    cursors.welcome(hello(a=(0, True)))
    assert [cursors.take("a", offset) for offset in (40, 41)] == ["next", "next"]


def test_another_epoch_resets_everything() -> None:
    cursors = Cursors("e", {"a": 7})
    reset, jumps = cursors.welcome({**hello(a=(2, True)), "epoch": "f"})
    assert reset
    assert [(jump.stream, jump.offset, jump.lost) for jump in jumps] == [("a", 2, True)]


def test_a_resync_that_hello_has_announced_says_nothing_new() -> None:
    cursors = Cursors("e", {"a": 7})
    cursors.welcome(hello(a=(90, False)))
    assert not cursors.resync("a", 90)
    assert cursors.resync("a", 95)


def test_no_more_streams_are_resumed_than_the_server_takes_and_the_others_are_told_as_lost() -> None:
    starts = {f"s{number}": (5, True) for number in range(300)}
    cursors = Cursors("e", dict.fromkeys(starts, 5))
    assert len(cursors.resume()["resume"]) == 256
    _, jumps = cursors.welcome({**hello(**starts), "limits": {"resume_streams": 8}})
    assert [jump.lost for jump in jumps] == [True] * 44
    assert len(cursors.resume()["resume"]) == 8


def test_a_grant_begins_a_stream_and_its_end_ends_it() -> None:
    cursors = Cursors()
    cursors.welcome(hello(**{"player:1": (5, True)}))
    event = Push("player:1", 6, "subscribed", datetime.now(UTC), {"stream": "a", "offset": 3})
    assert cursors.grant(event) == ("a", 3)
    assert cursors.take("a", 4) is Verdict.NEXT
    assert cursors.grant(event) is None
    over = Push("player:1", 7, "unsubscribed", datetime.now(UTC), {"stream": "a"})
    assert cursors.grant(over) == ("a", None)
    assert cursors.take("a", 5) is Verdict.UNKNOWN


def test_a_grant_replayed_after_a_reconnect_is_older_than_the_list_of_streams() -> None:
    cursors = Cursors("e", {"player:1": 2, "a": 9})
    cursors.welcome(hello(**{"player:1": (5, True), "a": (9, True)}))
    event = Push("player:1", 3, "subscribed", datetime.now(UTC), {"stream": "a", "offset": 30})
    assert cursors.grant(event) is None
    assert cursors.offsets["a"] == 9


@given(st.lists(st.integers(1, 12), max_size=60))
def test_whatever_arrives_each_offset_is_delivered_once_and_in_order(offsets: list[int]) -> None:
    cursors = Cursors()
    cursors.welcome(hello(a=(3, True)))
    delivered = [offset for offset in offsets if cursors.take("a", offset) is Verdict.NEXT]
    assert delivered == list(range(4, 4 + len(delivered)))


# The clock and the backoff


def test_the_shortest_round_trip_tells_the_time() -> None:
    clock = ServerClock(lambda: 100.0)
    server = datetime.fromtimestamp(160, UTC).isoformat()
    clock.sample(98.0, 102.0, server)
    assert clock.offset == 60
    clock.sample(100.0, 100.2, datetime.fromtimestamp(160.5, UTC).isoformat())
    assert clock.now() == pytest.approx(160.4)


def test_a_clock_that_was_moved_forgets_what_it_knew() -> None:
    clock = ServerClock(lambda: 0.0)
    clock.sample(0, 0.1, datetime.fromtimestamp(60, UTC).isoformat())
    clock.sample(1000, 1000.4, datetime.fromtimestamp(60, UTC).isoformat())
    assert clock.offset == pytest.approx(-940.2)


def test_backoff_is_jittered_from_the_first_attempt_and_bounded() -> None:
    source = random.Random(1)
    assert all(0 <= backoff(0, source) <= 0.5 for _ in range(50))
    assert all(backoff(99, source) <= 30 for _ in range(50))
    assert max(backoff(6, source) for _ in range(50)) > 15


@pytest.mark.parametrize(
    ("url", "socket"),
    [
        ("http://127.0.0.1:8000", "ws://127.0.0.1:8000/ws"),
        ("https://game.example/", "wss://game.example/ws"),
        ("wss://game.example/socket", "wss://game.example/socket"),
    ],
)
def test_a_server_is_named_by_its_page_or_by_its_socket(url: str, socket: str) -> None:
    assert socket_url(url) == socket


def test_what_is_no_address_is_refused_with_an_example() -> None:
    with pytest.raises(ConfigurationError, match=r"like http://127\.0\.0\.1:8000"):
        socket_url("game.example")


# The outbox


class Wire:
    """What an outbox has sent, and its wall clock."""

    def __init__(self) -> None:
        self.up = True
        self.time = 0.0
        self.sent: list[dict[str, Any]] = []
        ids = iter(range(1, 10_000))
        self.outbox = Outbox(self._send, lambda: f"p-{next(ids)}", random.Random(1), lambda: self.time)

    def _send(self, text: str) -> bool:
        if self.up:
            self.sent.append(msgspec.json.decode(text))
        return self.up

    @property
    def ids(self) -> list[str]:
        return [frame["id"] for frame in self.sent]

    def ask(self, command: str = "pick", seconds: float | None = 5.0) -> "asyncio.Task[dict[str, Any]]":
        return asyncio.ensure_future(self.outbox.ask(command, {}, seconds))

    def reply(self, id: str, **frame: Any) -> bool:
        return self.outbox.reply({"type": "reply", "id": id, "ok": True, "result": id, **frame})


async def turn() -> None:
    """Let what is ready run."""
    for _ in range(5):
        await asyncio.sleep(0)


async def test_what_is_unanswered_is_sent_again_under_the_same_id_in_order() -> None:
    wire = Wire()
    asked = [wire.ask() for _ in range(3)]
    await turn()
    assert wire.sent == []
    wire.outbox.opened({})
    assert wire.ids == ["p-1", "p-2", "p-3"]
    assert wire.reply("p-2")
    wire.outbox.lost()
    wire.outbox.opened({})
    assert wire.ids == ["p-1", "p-2", "p-3", "p-1", "p-3"]
    assert wire.reply("p-1")
    assert wire.reply("p-3")
    assert [(await each)["result"] for each in asked] == ["p-1", "p-2", "p-3"]
    assert not wire.reply("p-1")


async def test_only_so_many_are_under_way_at_once() -> None:
    wire = Wire()
    asked = [wire.ask() for _ in range(5)]
    await turn()
    wire.outbox.opened({"commands_in_flight": 2})
    assert wire.ids == ["p-1", "p-2"]
    wire.reply("p-1")
    assert wire.ids == ["p-1", "p-2", "p-3"]
    wire.outbox.closed("over")
    results = await asyncio.gather(*asked, return_exceptions=True)
    assert [each.code for each in results if isinstance(each, CommandError)] == ["closed"] * 4


async def test_after_goodbye_nothing_new_is_sent() -> None:
    wire = Wire()
    wire.outbox.opened({})
    wire.outbox.hold()
    asked = wire.ask()
    await turn()
    assert wire.sent == []
    wire.outbox.opened({})
    wire.reply("p-1")
    await asked


async def test_a_refusal_that_allows_it_is_tried_again_and_another_is_not() -> None:
    wire = Wire()
    wire.outbox.opened({})
    asked = wire.ask()
    await turn()
    error = {"code": "overloaded", "message": "full", "retry": True, "retry_after": 0.0}
    wire.reply("p-1", ok=False, error=error)
    while len(wire.sent) == 1:
        await turn()
    assert wire.ids == ["p-1", "p-1"]
    wire.reply("p-1", ok=False, error={"code": "rejected", "message": "no", "retry": False, "reason": "no"})
    with pytest.raises(CommandError, match="pick: no: no"):
        await asked


async def test_a_frame_longer_than_the_server_takes_is_not_sent() -> None:
    wire = Wire()
    wire.outbox.opened({"frame_bytes": 100})
    with pytest.raises(CommandError, match="too_large"):
        await wire.outbox.ask("say", {"text": "x" * 100}, 5.0)
    assert wire.sent == []


async def test_more_than_fits_is_refused() -> None:
    wire = Wire()
    asked = [wire.ask() for _ in range(CAPACITY)]
    await turn()
    with pytest.raises(CommandError, match="queue_full"):
        await wire.outbox.ask("pick", {}, 5.0)
    wire.outbox.closed("over")
    await asyncio.gather(*asked, return_exceptions=True)


async def test_without_an_answer_in_time_the_caller_is_told_whether_it_may_have_happened() -> None:
    wire = Wire()
    with pytest.raises(CommandError, match=r"timeout.*not sent") as never:
        await wire.outbox.ask("pick", {}, 0.01)
    assert not never.value.sent
    wire.outbox.opened({})
    with pytest.raises(CommandError, match=r"timeout.*not known") as unknown:
        await wire.outbox.ask("pick", {}, 0.01)
    assert unknown.value.sent
    assert len(wire.outbox) == 0


async def test_a_refusal_that_allows_another_try_speaks_of_that_sending_only() -> None:
    wire = Wire()
    wire.outbox.opened({})
    plain, doubtful = wire.ask("plain"), wire.ask("doubtful")
    await turn()
    error = {"code": "overloaded", "message": "full", "retry": True, "retry_after": 60.0}
    wire.reply("p-1", ok=False, error=error)
    wire.outbox.lost()
    wire.outbox.opened({})
    wire.reply("p-2", ok=False, error=error)
    wire.outbox.closed("over")
    refused = await asyncio.gather(plain, doubtful, return_exceptions=True)
    assert [each.sent for each in refused if isinstance(each, CommandError)] == [False, True]


async def test_a_machine_that_slept_past_a_commands_time_does_not_send_it_again_on_waking_up() -> None:
    wire = Wire()
    wire.outbox.opened({})
    late, patient, third = wire.ask("late", 60.0), wire.ask("patient", None), wire.ask("third", None)
    await turn()
    wire.outbox.lost()
    wire.time = 3600.0
    wire.sent.clear()
    wire.outbox.opened({})
    assert wire.ids == ["p-2", "p-3"]
    with pytest.raises(CommandError, match=r"timeout.*not known"):
        await late
    wire.reply("p-3")
    await third
    wire.outbox.lost()
    wire.time = 24 * 3600.0
    wire.sent.clear()
    wire.outbox.opened({})
    assert wire.sent == [], "the server has forgotten the replies by now: it would happen again"
    with pytest.raises(CommandError, match="timeout"):
        await patient


# Listeners


def call(listener: Listener, heard: Push) -> None:
    listener(heard)


async def test_a_reader_that_is_too_slow_is_told_so_after_what_it_has() -> None:
    listeners = Listeners(call, queued=2)
    reader = listeners.read()
    for offset in range(1, 5):
        listeners.deliver(push(offset))
    assert [(await anext(reader)).offset for _ in range(2)] == [1, 2]
    with pytest.raises(Lagged):
        await anext(reader)


async def test_each_push_is_waited_for_once_also_when_it_came_before() -> None:
    listeners = Listeners(call)
    listeners.deliver(push(1))
    listeners.deliver(push(2))
    assert (await listeners.wait("ripe", lambda each: each.offset == 2, 1)).offset == 2
    assert (await listeners.wait("*", None, 1)).offset == 1
    waiting = asyncio.ensure_future(listeners.wait("ripe", None, 1))
    await turn()
    listeners.deliver(push(3, event="rot"))
    listeners.deliver(push(4))
    assert (await waiting).offset == 4


async def test_the_end_ends_readers_and_those_who_wait() -> None:
    listeners = Listeners(call)
    reader = listeners.read()
    waiting = asyncio.ensure_future(listeners.wait("ripe", None, 1))
    await turn()
    listeners.end("over")
    assert [each async for each in reader] == []
    with pytest.raises(CommandError, match="closed"):
        await waiting
