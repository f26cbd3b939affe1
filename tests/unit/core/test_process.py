"""The life of a process: the table says what the diagram says; partitions and delays are what they were."""

import itertools
import re

import hypothesis.strategies as st
import pytest
from hypothesis import given

from starwire import process
from starwire.lifecycle import LIVE
from starwire.process import (
    DUE,
    FINISHED,
    TRANSITIONS,
    State,
    TransitionError,
    partition_of,
    require,
    retry_delay,
)

LIVE_OF_THE_DIAGRAM = {State.PENDING, State.RETRYING, State.PAUSED}

# Every arrow of the diagram in process.py. Rescheduling and trying again lead back to where they began.
ARROWS = {
    State.PENDING: set(State),
    State.RETRYING: set(State),
    State.PAUSED: {State.PENDING, State.CANCELLED},
    State.COMPLETED: set(),
    State.CANCELLED: set(),
    State.FAILED: {State.PENDING},
}


@pytest.mark.parametrize(("before", "after"), list(itertools.product(State, State)))
def test_a_state_follows_another_only_where_the_diagram_has_an_arrow(before: State, after: State) -> None:
    if after in ARROWS[before]:
        assert require(before, after) is after
    else:
        with pytest.raises(TransitionError, match=f"{before} cannot become {after}"):
            require(before, after)


def test_the_diagram_names_every_state_and_no_other() -> None:
    diagram = (process.__doc__ or "").partition("::")[2].partition("``pending`` waits")[0]
    words = set(re.findall(r"[a-z]+", diagram))
    prose = {"start", "pause", "raised", "an", "operator", "s", "retry"}
    assert words - prose == {state.value for state in State}


def test_every_state_is_either_live_or_finished() -> None:
    assert set(TRANSITIONS) == set(State)
    assert set(LIVE) == LIVE_OF_THE_DIAGRAM
    assert set(State) == LIVE | FINISHED
    assert not LIVE & FINISHED
    assert LIVE - {State.PAUSED} == DUE


def test_every_state_can_be_reached_and_every_live_one_can_end() -> None:
    reached = {State.PENDING}
    for _ in State:
        reached |= {after for before in reached for after in TRANSITIONS[before]}
    assert reached == set(State)
    assert all(State.CANCELLED in TRANSITIONS[state] for state in LIVE)


@pytest.mark.parametrize(
    ("key", "partition"),
    [("player:42", 12), ("universe:17", 11), ("world", 3), ("", 0), ("univers:é", 14)],
)
def test_a_key_keeps_its_partition_for_ever(key: str, partition: int) -> None:
    assert partition_of(key, 16) == partition, "stored rows have these numbers; changing them loses processes"


@given(st.text(st.characters(exclude_categories=["Cs"])), st.integers(1, 1024))
def test_every_key_has_a_partition(key: str, partitions: int) -> None:
    assert 0 <= partition_of(key, partitions) < partitions


@given(st.integers(1, 10_000), st.floats(0, 1), st.floats(0.001, 100), st.floats(100, 1e5))
def test_a_delay_lies_between_half_and_the_whole_of_what_doubling_gives(
    attempt: int, jitter: float, base: float, cap: float
) -> None:
    delay = retry_delay(attempt, jitter, base=base, cap=cap)
    full = min(cap, base * 2.0 ** min(attempt - 1, 32))
    assert full / 2 <= delay <= full <= cap


def test_delays_double_until_the_cap() -> None:
    assert [retry_delay(n, 0.0, base=1.0, cap=10.0) for n in range(1, 7)] == [1, 2, 4, 8, 10, 10]
    assert [retry_delay(n, 1.0, base=1.0, cap=10.0) for n in range(1, 4)] == [0.5, 1, 2]
