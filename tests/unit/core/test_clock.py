"""Time as it is given in: whole microseconds, UTC, never back."""

from datetime import UTC, datetime, timedelta, timezone

import hypothesis.strategies as st
import pytest
from hypothesis import given

from starwire.clock import ManualClock, SystemClock, isoformat, to_datetime, to_micros

moments = st.datetimes(timezones=st.timezones() | st.just(UTC))


@given(st.datetimes(timezones=st.just(UTC)))
def test_a_moment_survives_the_way_to_microseconds_and_back(moment: datetime) -> None:
    assert to_datetime(to_micros(moment)) == moment


@given(st.integers(-(10**15), 10**17))
def test_microseconds_survive_the_way_to_the_wire_and_back(micros: int) -> None:
    assert to_micros(datetime.fromisoformat(isoformat(micros))) == micros


def test_the_wire_has_microseconds_and_a_z() -> None:
    assert isoformat(0) == "1970-01-01T00:00:00.000000Z"
    assert isoformat(to_micros(datetime(2030, 1, 1, tzinfo=UTC)) + 1) == "2030-01-01T00:00:00.000001Z"


def test_another_time_zone_is_the_same_moment() -> None:
    there = datetime(2030, 1, 1, 3, tzinfo=timezone(timedelta(hours=3)))
    assert to_micros(there) == to_micros(datetime(2030, 1, 1, tzinfo=UTC))


def test_a_moment_without_a_time_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="has no time zone"):
        to_micros(datetime(2030, 1, 1))  # noqa: DTZ001 - what is tested


def test_a_manual_clock_stands_still_until_it_is_moved_and_never_goes_back() -> None:
    clock = ManualClock()
    begin = clock.now()
    assert (clock.now(), clock.monotonic()) == (begin, 0.0)
    clock.set(begin + 2_500_000)
    assert (clock.now(), clock.monotonic()) == (begin + 2_500_000, 2.5)
    with pytest.raises(ValueError, match="does not go back"):
        clock.set(begin)


def test_the_system_clock_tells_the_time_of_this_machine() -> None:
    clock = SystemClock()
    before, after = datetime.now(UTC), datetime.now(UTC) + timedelta(minutes=1)
    assert before - timedelta(seconds=1) <= to_datetime(clock.now()) <= after
    assert clock.monotonic() <= clock.monotonic()
