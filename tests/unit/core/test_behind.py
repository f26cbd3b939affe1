"""Pages of history for everyone who is behind: shared, bounded, and nobody is forgotten."""

from __future__ import annotations

import random

import pytest

from starwire.gateway.behind import EVENTS_AT_ONCE, Behind, Pages

PAGE = 256


def waiting(*readers: tuple[str, int, str]) -> Behind[str]:
    behind: Behind[str] = Behind(PAGE)
    for stream, cursor, session in readers:
        behind.add(stream, [(cursor, session)])
    return behind


def far(_: str) -> int:
    return 1_000_000


def test_who_stands_within_a_page_shares_it() -> None:
    pages = waiting(("all", 10, "a"), ("all", 300, "d"), ("all", 265, "b"), ("all", 266, "c")).take(far)
    assert pages == {("all", 10): [(10, "a"), (265, "b")], ("all", 266): [(266, "c"), (300, "d")]}


def test_one_read_holds_so_many_events_and_other_streams_come_first_then() -> None:
    behind = waiting(*[("all", 1000 * n, f"s{n}") for n in range(17)], ("own", 0, "last"))
    assert len(behind.take(far)) == EVENTS_AT_ONCE // PAGE
    assert list(behind.take(far)) == [("own", 0), ("all", 16_000)]
    assert not behind


def test_short_histories_fit_in_one_read_by_the_thousand() -> None:
    behind = waiting(*[(f"player:{n}", 7, "s") for n in range(1000)])
    assert len(behind.take(lambda _: 10)) == 1000
    assert not behind


@pytest.mark.parametrize("seed", range(20))
def test_everyone_is_served_once_by_a_page_that_holds_its_next_event(seed: int) -> None:
    play = random.Random(seed)
    readers = [(play.choice("abc"), play.randrange(3000), f"s{n}") for n in range(300)]
    behind = waiting(*readers)
    served: list[tuple[str, int, str]] = []
    reads: list[Pages[str]] = []
    while behind:
        reads.append(behind.take(lambda _: 3000))
        for (stream, after), group in reads[-1].items():
            assert all(after <= cursor < after + PAGE for cursor, _ in group)
            served += [(stream, cursor, session) for cursor, session in group]
    assert sorted(served) == sorted(readers)
    assert sum(len(pages) for pages in reads) <= 3 * (3000 // PAGE + 1)
