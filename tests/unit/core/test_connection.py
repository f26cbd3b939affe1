"""A connection takes any text at any time: it raises nothing, keeps its bounds, and keeps their order."""

import json
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from starwire.errors import CLOSE_CODES, ERROR_CODES
from starwire.gateway.connection import (
    Action,
    Close,
    Connection,
    Echo,
    Forward,
    Greet,
    Phase,
    Renew,
    Send,
)
from starwire.limits import Limits

LIMITS = Limits(
    commands_burst=8,
    commands_per_second=2.0,
    commands_in_flight=3,
    pending_commands=3,
    abuse_strikes=4,
    abuse_seconds=10.0,
    resume_streams=2,
)


def frame(command: str, id: str | None = None, **args: Any) -> str:
    return json.dumps({"id": id, "command": command, "args": args})


HELLO = frame("hello", "h", token="t")


def opened(limits: Limits = LIMITS, now: float = 0.0) -> Connection:
    connection = Connection(limits, now)
    assert [type(action) for action in connection.receive(HELLO, now)] == [Greet]
    assert connection.welcome(now) == []
    return connection


def error(action: Action) -> Any:
    assert isinstance(action, Send), action
    return json.loads(action.frame)["error"]


def kinds(actions: list[Action]) -> list[str]:
    """What happens, shortly: forwarded commands by name, errors by code, the others by their class."""
    said = []
    for action in actions:
        if isinstance(action, Forward):
            said.append(action.frame.command)
        elif isinstance(action, Send):
            said.append(error(action)["code"])
        elif isinstance(action, Close):
            said.append(str(action.code))
        else:
            said.append(type(action).__name__)
    return said


# What a client may send


texts = st.one_of(
    st.text(max_size=20),
    st.sampled_from(
        [
            HELLO,
            frame("hello"),
            frame("hello", "h", token=1),
            frame("hello", "h", token="t", resume={"a": 1, "b": 2, "c": 3}),
            frame("hello", "h", token="t", resume={"a": -1}, epoch="x"),
            frame("ping", "p", t=[1, {"x": None}]),
            frame("ping"),
            frame("refresh", "r", token="t"),
            frame("refresh", "r"),
            frame("processes", "v"),
            frame("plant", "c", seconds=1),
            '{"command":"plant","args":[]}',
            '{"command":7}',
            "{}",
            "nonsense",
            "[" * 3_000,
        ]
    ),
)


class AnyClient(RuleBasedStateMachine):
    """Any frames in any order at any times, with the holder doing its part at any moment."""

    @initialize()
    def begin(self) -> None:
        self.now = 100.0
        self.connection = Connection(LIMITS, self.now)
        self.greets = 0
        self.forwarded = 0
        self.closes: list[int] = []

    def carry_out(self, actions: list[Action]) -> None:
        for action in actions:
            if isinstance(action, Greet):
                self.greets += 1
                assert not self.closes
            elif isinstance(action, Forward):
                self.forwarded += 1
                assert self.connection.phase is not Phase.FRESH
            elif isinstance(action, Send):
                assert error(action)["code"] in ERROR_CODES
            elif isinstance(action, Close):
                self.closes.append(action.code)
            else:
                assert isinstance(action, Echo | Renew)
                assert self.greets == 1

    @rule(text=texts)
    def text(self, text: str) -> None:
        was_closed = self.connection.phase is Phase.CLOSED
        actions = self.connection.receive(text, self.now)
        assert not (was_closed and actions), "a closed connection still acts"
        self.carry_out(actions)

    @rule()
    def binary(self) -> None:
        self.carry_out(self.connection.receive_binary(self.now))

    @rule(seconds=st.floats(0, 20))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @rule()
    def welcome(self) -> None:
        waiting = self.connection.phase is Phase.GREETING
        actions = self.connection.welcome(self.now)
        assert waiting or not actions
        self.carry_out(actions)

    @precondition(lambda self: self.connection.in_flight > 0)
    @rule()
    def answered(self) -> None:
        self.connection.answered()

    @rule()
    def closed(self) -> None:
        self.connection.closed()

    @invariant()
    def bounds_hold(self) -> None:
        assert self.greets <= 1, "hello was said twice"
        assert len(self.closes) <= 1, "closed twice"
        assert set(self.closes) <= set(CLOSE_CODES)
        assert 0 <= self.connection.in_flight <= LIMITS.commands_in_flight


AnyClient.TestCase.settings = settings(max_examples=80, stateful_step_count=40)
TestAnyClient = AnyClient.TestCase


# Hello


@pytest.mark.parametrize("command", ["plant", "processes", "ping", "refresh"])
def test_nothing_is_heard_before_hello(command: str) -> None:
    connection = Connection(LIMITS, 0.0)
    assert kinds(connection.receive(frame(command, token="t"), 0.0)) == ["unauthorized"]
    assert connection.phase is Phase.FRESH


def test_hello_is_said_once() -> None:
    connection = opened()
    (again,) = connection.receive(HELLO, 0.0)
    assert error(again)["code"] == "invalid_args"
    assert "refresh" in error(again)["message"]


def test_a_second_hello_that_waits_for_the_first_is_refused_too() -> None:
    connection = Connection(LIMITS, 0.0)
    connection.receive(HELLO, 0.0)
    assert connection.receive(HELLO, 0.0) == []
    assert kinds(connection.welcome(0.0)) == ["invalid_args"]


def test_a_hello_that_is_refused_in_form_may_be_said_again() -> None:
    connection = Connection(LIMITS, 0.0)
    assert kinds(connection.receive(frame("hello", "h"), 0.0)) == ["invalid_args"]
    assert kinds(connection.receive(HELLO, 0.0)) == ["Greet"]


def test_a_hello_may_resume_so_many_streams_and_no_more() -> None:
    most = frame("hello", token="t", resume={"a": 1, "b": 2})
    more = frame("hello", token="t", resume={"a": 1, "b": 2, "c": 3})
    assert kinds(Connection(LIMITS, 0.0).receive(most, 0.0)) == ["Greet"]
    assert kinds(Connection(LIMITS, 0.0).receive(more, 0.0)) == ["too_large"]


def test_frames_that_come_while_the_token_is_checked_wait_and_keep_their_order() -> None:
    connection = Connection(Limits(), 0.0)
    connection.receive(HELLO, 0.0)
    for text in (frame("first"), "nonsense", frame("ping"), frame("second")):
        assert connection.receive(text, 0.0) == []
    waited = kinds(connection.welcome(0.0))
    after = kinds(connection.receive(frame("third"), 0.0))
    assert waited + after == ["first", "malformed", "Echo", "second", "third"]


def test_a_frame_too_many_while_the_token_is_checked_is_refused_and_those_before_it_are_kept() -> None:
    connection = Connection(LIMITS, 0.0)
    connection.receive(HELLO, 0.0)
    for _ in range(LIMITS.commands_in_flight):
        assert connection.receive(frame("plant"), 0.0) == []
    (refused,) = connection.receive(frame("plant", "late"), 0.0)
    assert (error(refused)["code"], error(refused)["retry"]) == ("rate_limited", True)
    assert error(refused)["retry_after"] == LIMITS.overloaded_seconds
    assert isinstance(refused, Send)
    assert json.loads(refused.frame)["id"] == "late"
    assert refused.strike is None
    assert kinds(connection.welcome(0.0)) == ["plant"] * LIMITS.commands_in_flight


def test_nonsense_past_what_may_wait_counts_as_abuse_at_once() -> None:
    connection = Connection(LIMITS, 0.0)
    connection.receive(HELLO, 0.0)
    for _ in range(LIMITS.commands_in_flight):
        connection.receive(frame("plant"), 0.0)
    said = [kinds(connection.receive("nonsense", 0.0)) for _ in range(LIMITS.abuse_strikes + 1)]
    assert said[-1] == ["malformed", "4400"]
    assert connection.welcome(0.0) == []


@pytest.mark.parametrize(("over", "kept"), [(0, 2), (1, 1)])
def test_what_waits_while_the_token_is_checked_is_bounded_by_bytes(over: int, kept: int) -> None:
    one = frame("plant", mark="\U0001f334")
    connection = Connection(Limits(greeting_bytes=2 * len(one.encode()) - over), 0.0)
    connection.receive(HELLO, 0.0)
    assert [kinds(connection.receive(one, 0.0)) for _ in range(3)] == [[]] * kept + [["rate_limited"]] * (
        3 - kept
    )
    assert kinds(connection.welcome(0.0)) == ["plant"] * kept


def test_one_frame_waits_however_large_it_is() -> None:
    connection = Connection(Limits(greeting_bytes=1), 0.0)
    connection.receive(HELLO, 0.0)
    assert connection.receive(frame("plant"), 0.0) == []
    assert kinds(connection.welcome(0.0)) == ["plant"]


def test_after_goodbye_nothing_more_is_taken_and_pings_are_answered() -> None:
    connection = opened()
    assert kinds(connection.receive(frame("plant"), 0.0)) == ["plant"]
    connection.leaving = True
    (refused,) = connection.receive(frame("plant", "late"), 0.0)
    assert (error(refused)["code"], error(refused)["retry"]) == ("unavailable", True)
    assert kinds(connection.receive(frame("ping"), 0.0)) == ["Echo"]
    assert connection.in_flight == 1


# Rates


def test_a_burst_is_let_through_and_the_next_is_told_when_to_come_again() -> None:
    connection = opened()
    burst = [kinds(connection.receive(frame("ping"), 0.0)) for _ in range(LIMITS.commands_burst - 1)]
    assert burst == [["Echo"]] * (LIMITS.commands_burst - 1), "hello was the first of the burst"
    (refused,) = connection.receive(frame("ping", "p"), 0.0)
    assert error(refused) == {
        "code": "rate_limited",
        "message": "Too many commands.",
        "retry": True,
        "retry_after": 0.5,
    }


def test_who_comes_back_as_advised_is_let_through_and_a_moment_earlier_is_not() -> None:
    connection = opened()
    for _ in range(LIMITS.commands_burst - 1):
        connection.receive(frame("ping"), 0.0)
    assert kinds(connection.receive(frame("ping"), 0.499)) == ["rate_limited"]
    assert kinds(connection.receive(frame("ping"), 0.5)) == ["Echo"]
    assert kinds(connection.receive(frame("ping"), 0.5)) == ["rate_limited"]


def test_the_allowance_never_grows_past_the_burst() -> None:
    connection = opened()
    sent = [kinds(connection.receive(frame("ping"), 1_000_000.0))[0] for _ in range(20)]
    assert sent == ["Echo"] * 8 + ["rate_limited"] * 12


@given(st.lists(st.floats(0, 3), min_size=1, max_size=60))
def test_over_any_time_no_more_gets_through_than_burst_and_rate_allow(pauses: list[float]) -> None:
    connection = opened()
    now, through = 0.0, 1
    for pause in pauses:
        now += pause
        through += kinds(connection.receive(frame("ping"), now)) == ["Echo"]
        assert through <= LIMITS.commands_burst + now * LIMITS.commands_per_second + 1e-6


def test_a_frame_over_the_rate_is_refused_and_not_counted_as_abuse() -> None:
    connection = opened()
    for _ in range(100):
        connection.receive(frame("ping"), 0.0)
    assert connection.phase is Phase.OPEN


# In flight


def test_so_many_commands_may_wait_for_their_replies_and_no_more() -> None:
    connection = opened()
    assert [kinds(connection.receive(frame(f"c{n}"), 0.0)) for n in range(3)] == [["c0"], ["c1"], ["c2"]]
    (refused,) = connection.receive(frame("c3", "k3"), 0.0)
    assert (error(refused)["code"], error(refused)["retry"]) == ("rate_limited", True)
    assert error(refused)["retry_after"] > 0
    connection.answered()
    assert kinds(connection.receive(frame("c4"), 0.0)) == ["c4"]


def test_pings_and_refreshes_are_answered_though_many_commands_wait() -> None:
    connection = opened()
    for _ in range(LIMITS.commands_in_flight):
        connection.receive(frame("plant"), 0.0)
    assert kinds(connection.receive(frame("ping"), 0.0)) == ["Echo"]
    assert kinds(connection.receive(frame("refresh", token="t"), 0.0)) == ["Renew"]


# Abuse


def test_bad_frames_are_answered_until_there_are_too_many() -> None:
    connection = opened()
    answers = [kinds(connection.receive("nonsense", 0.0)) for _ in range(5)]
    assert answers == [["malformed"]] * 4 + [["malformed", "4400"]]
    assert connection.receive(frame("ping"), 0.0) == []


def test_bad_frames_are_forgotten_after_a_while() -> None:
    connection = opened()
    for second in range(100):
        said = kinds(connection.receive("nonsense", second * 2.6))
        assert said == ["malformed"], f"closed after {second} bad frames, four in each ten seconds"


def test_bad_frames_count_before_hello_too() -> None:
    connection = Connection(LIMITS, 0.0)
    for _ in range(LIMITS.abuse_strikes):
        connection.receive("nonsense", 0.0)
    assert kinds(connection.receive_binary(0.0)) == ["malformed", "4400"]


def test_a_bad_frame_says_why_for_the_log() -> None:
    (bad,) = opened().receive("nonsense", 0.0)
    assert isinstance(bad, Send)
    assert bad.strike == "malformed"


def test_a_binary_frame_is_answered_with_the_words_of_the_sketch() -> None:
    (answer,) = opened().receive_binary(0.0)
    assert error(answer)["code"] == "malformed"
    assert "JSON. JSON please" in error(answer)["message"]


def test_what_waited_stops_at_the_frame_that_is_too_much() -> None:
    limits = Limits(abuse_strikes=1, commands_in_flight=64)
    connection = Connection(limits, 0.0)
    connection.receive(HELLO, 0.0)
    for text in (frame("first"), "bad", "bad", frame("second")):
        connection.receive(text, 0.0)
    assert kinds(connection.welcome(0.0)) == ["first", "malformed", "malformed", "4400"]


def test_what_the_token_and_the_resume_say_travels_to_the_greeting() -> None:
    connection = Connection(LIMITS, 0.0)
    (greet,) = connection.receive(frame("hello", "h", token="t", epoch="e", resume={"all": 3}), 0.0)
    assert isinstance(greet, Greet)
    assert (greet.id, greet.hello.token, greet.hello.epoch, greet.hello.resume) == ("h", "t", "e", {"all": 3})
