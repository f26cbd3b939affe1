"""Resume or resync: in every small case a client gets all it has missed, or is told that it cannot."""

import itertools

import pytest

from starwire.stream import Position, Start, start_reading

SMALL = range(6)


def test_in_every_small_case_nothing_is_missed_in_silence() -> None:
    """The model: offsets 1…head were published, 1…pruned are gone, and the client has seen 1…resume."""
    for head, pruned, resume, same_epoch in itertools.product(SMALL, SMALL, range(-2, 8), (True, False)):
        if pruned > head:
            continue
        start = start_reading(Position(head, pruned), resume, same_epoch=same_epoch)
        retained = set(range(pruned + 1, head + 1))
        gets = {offset for offset in retained if offset > start.offset}
        case = f"head {head}, pruned {pruned}, resume {resume}, same epoch {same_epoch}: {start}"
        if not same_epoch or resume < 0 or resume > head:
            assert start == Start(head, recovered=False), case
        elif resume == 0:
            assert start.recovered, case
            assert gets == retained, case
        elif start.recovered:
            missed = set(range(resume + 1, head + 1))
            assert start.offset == resume, case
            assert gets == missed, case
        else:
            assert resume < pruned, f"refused although everything is there: {case}"
            assert start.offset == head, case


def test_all_that_was_pruned_was_seen_is_still_whole() -> None:
    assert start_reading(Position(9, 4), 4, same_epoch=True) == Start(4, recovered=True)
    assert start_reading(Position(9, 4), 3, same_epoch=True) == Start(9, recovered=False)


@pytest.mark.parametrize("same_epoch", [True, False])
def test_who_does_not_resume_begins_at_the_head(same_epoch: bool) -> None:
    assert start_reading(Position(9, 4), None, same_epoch=same_epoch) == Start(9, recovered=True)
