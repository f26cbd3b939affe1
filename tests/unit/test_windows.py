"""Sliding windows let through what they should, say how long to wait, and keep their memory bounded."""

import hypothesis.strategies as st
import pytest
from hypothesis import given

from starwire.gateway.windows import SlidingWindow, address_key


def test_the_limit_is_reached_and_the_advised_wait_is_enough() -> None:
    window = SlidingWindow(3)
    assert [window.take("a", 100.0) for _ in range(3)] == [0.0, 0.0, 0.0]
    wait = window.take("a", 100.0)
    assert 0 < wait < 120
    assert window.take("a", 100.0 + wait + 0.001) == 0.0


def test_one_key_does_not_wait_for_another() -> None:
    window = SlidingWindow(1)
    window.take("a", 0.0)
    assert window.take("b", 0.0) == 0.0


def test_a_key_that_was_quiet_for_two_windows_starts_anew() -> None:
    window = SlidingWindow(2)
    for _ in range(2):
        window.take("a", 10.0)
    assert [window.take("a", 200.0) for _ in range(2)] == [0.0, 0.0]


def test_the_least_recently_seen_keys_are_forgotten() -> None:
    window = SlidingWindow(1, keys=10)
    for number in range(1000):
        window.take(str(number), 0.0)
    assert len(window) == 10
    assert window.take("999", 0.0) > 0


@given(st.integers(1, 20), st.lists(st.floats(0, 30), min_size=1, max_size=80))
def test_whoever_waits_as_advised_is_let_through(limit: int, pauses: list[float]) -> None:
    window, now = SlidingWindow(limit), 1_000.0
    for pause in pauses:
        now += pause
        if wait := window.take("a", now):
            now += wait + 1e-6
            assert window.take("a", now) == 0.0


@given(st.integers(1, 20), st.lists(st.floats(0, 10), max_size=200))
def test_no_minute_has_more_than_twice_the_limit(limit: int, pauses: list[float]) -> None:
    window, now, taken = SlidingWindow(limit), 0.0, []
    for pause in pauses:
        now += pause
        if not window.take("a", now):
            taken.append(now)
    assert all(sum(start <= each < start + 60 for each in taken) <= 2 * limit for start in taken)


@pytest.mark.parametrize(
    ("address", "key"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        (None, "unknown"),
        ("x" * 1000, "x" * 64),
    ],
)
def test_addresses_are_grouped_by_who_has_them(address: str | None, key: str) -> None:
    assert address_key(address) == key
