"""The economy: prices, durations, growth and capacity, dragons, names."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from herebedragons import rules
from herebedragons.rules import START, Price, Stock, Structure

NOW = datetime(2030, 1, 1, tzinfo=UTC)
LEVELS = range(1, rules.MAX_LEVEL + 1)

levels = st.fixed_dictionaries({structure: st.integers(0, rules.MAX_LEVEL) for structure in Structure})
values = st.floats(0, 1e9)
spans = st.timedeltas(timedelta(0), timedelta(days=400))
paces = st.sampled_from([1, 60, 3600])


def stock(metal: float, crystal: float) -> Stock:
    return Stock(metal, crystal, NOW)


# -------------------------------------------------------------------------------------- prices and durations


@pytest.mark.parametrize("structure", Structure)
def test_every_level_costs_more_and_takes_longer_than_the_one_before(structure: Structure) -> None:
    for level in LEVELS[1:]:
        before, after = rules.cost(structure, level - 1), rules.cost(structure, level)
        assert after.metal > before.metal
        assert after.crystal >= before.crystal
        assert rules.build_seconds(structure, level) > rules.build_seconds(structure, level - 1)


def test_the_first_metal_mine_takes_ten_minutes_and_costs_60_metal() -> None:
    assert rules.build_seconds(Structure.METAL_MINE, 1) == 600
    assert rules.cost(Structure.METAL_MINE, 1) == Price(60, 15)
    assert rules.cost(Structure.METAL_MINE, 2) == Price(96, 24)
    assert rules.build_seconds(Structure.METAL_MINE, 2) == 900


def test_the_start_pays_for_two_mines_and_an_observatory() -> None:
    left = stock(*START)
    for structure in (Structure.METAL_MINE, Structure.CRYSTAL_MINE, Structure.OBSERVATORY):
        left = left.minus(rules.cost(structure, 1))
    assert left.metal > 0
    assert left.crystal > 0


def test_the_first_shield_can_stand_before_the_first_dragons_arrive() -> None:
    first = (Structure.METAL_MINE, Structure.CRYSTAL_MINE, Structure.OBSERVATORY)
    left, built = stock(*START), dict.fromkeys(first, 1)
    for structure in first:
        left = left.minus(rules.cost(structure, 1))
    seconds = sum(rules.build_seconds(structure, 1) for structure in first)
    wait = left.seconds_until(rules.cost(Structure.SHIELD, 1), built)
    assert wait is not None
    total = seconds + wait + rules.build_seconds(Structure.SHIELD, 1)
    assert total < 8 * rules.HOUR < rules.FIRST_SIGHTING_SECONDS + rules.WARNING_SECONDS


@pytest.mark.parametrize(("pace", "seconds"), [(1, 90_000.0), (60, 1500.0), (3600, 25.0)])
def test_real_durations_are_divided_by_the_pace(pace: int, seconds: float) -> None:
    assert rules.real(rules.WARNING_SECONDS, pace) == timedelta(seconds=seconds)


# ------------------------------------------------------------------------------------- what needs what first


def test_an_observatory_needs_a_crystal_mine_and_a_shield_needs_an_observatory() -> None:
    assert rules.missing_need(Structure.METAL_MINE, {}) is None
    assert rules.missing_need(Structure.OBSERVATORY, {}) == (Structure.CRYSTAL_MINE, 1)
    assert rules.missing_need(Structure.OBSERVATORY, {Structure.CRYSTAL_MINE: 1}) is None
    assert rules.missing_need(Structure.SHIELD, {Structure.CRYSTAL_MINE: 4}) == (Structure.OBSERVATORY, 1)


def test_a_need_is_met_by_what_is_queued_before_but_not_behind() -> None:
    crystal, observatory = Structure.CRYSTAL_MINE, Structure.OBSERVATORY
    assert rules.first_unbuildable({}, [crystal, observatory]) is None
    assert rules.first_unbuildable({}, [Structure.METAL_MINE, observatory, crystal]) == 1
    assert rules.first_unbuildable({crystal: 1}, [observatory]) is None


@given(levels, st.lists(st.sampled_from(Structure), max_size=5))
def test_a_queue_adds_its_structures_to_the_levels(
    built: dict[Structure, int], queue: list[Structure]
) -> None:
    planned = rules.with_queue(built, queue)
    assert planned == {structure: built[structure] + queue.count(structure) for structure in Structure}


# ---------------------------------------------------------------------------------------------------- growth


@pytest.mark.parametrize("level", range(rules.MAX_LEVEL))
def test_the_next_storehouse_always_fits_into_the_present_one(level: int) -> None:
    assert rules.cost(Structure.STOREHOUSE, level + 1).metal < rules.capacity(level)


@pytest.mark.parametrize("structure", Structure)
@pytest.mark.parametrize("level", LEVELS)
def test_nothing_is_beyond_the_largest_storehouse(structure: Structure, level: int) -> None:
    price = rules.cost(structure, level)
    assert max(price) < rules.capacity(rules.MAX_LEVEL)


def test_mines_give_more_with_every_level_and_something_without_any() -> None:
    for rate in (rules.metal_per_hour, rules.crystal_per_hour):
        rates = [rate(level) for level in range(rules.MAX_LEVEL + 1)]
        assert rates[0] > 0
        assert rates == sorted(set(rates))


@given(values, values, levels, spans, paces)
def test_growth_is_never_negative_and_stops_at_the_capacity(
    metal: float, crystal: float, built: dict[Structure, int], span: timedelta, pace: int
) -> None:
    before = stock(metal, crystal)
    after = before.until(NOW + span, built, pace)
    cap = rules.capacity(built[Structure.STOREHOUSE])
    for old, new in ((before.metal, after.metal), (before.crystal, after.crystal)):
        assert new >= old
        assert new <= max(old, cap)


@given(values, levels, spans, spans, paces)
def test_growing_twice_is_growing_once_over_both_spans(
    metal: float, built: dict[Structure, int], first: timedelta, second: timedelta, pace: int
) -> None:
    piecewise = stock(metal, 0).until(NOW + first, built, pace).until(NOW + first + second, built, pace)
    at_once = stock(metal, 0).until(NOW + first + second, built, pace)
    assert piecewise.metal == pytest.approx(at_once.metal, rel=1e-12)
    assert piecewise.crystal == pytest.approx(at_once.crystal, rel=1e-12)


@given(values, levels, spans, paces)
def test_pace_is_the_same_as_that_much_more_time(
    metal: float, built: dict[Structure, int], span: timedelta, pace: int
) -> None:
    assume(span * pace < timedelta(days=100_000))
    fast = stock(metal, 0).until(NOW + span, built, pace)
    slow = stock(metal, 0).until(NOW + span * pace, built, 1)
    assert fast.metal == pytest.approx(slow.metal, rel=1e-9)


def test_what_is_above_the_capacity_stays_and_does_not_grow() -> None:
    after = stock(5000, 0).until(NOW + timedelta(hours=10), {}, 1)
    assert after.metal == 5000
    assert after.crystal == 100


def test_an_earlier_moment_changes_nothing() -> None:
    before = stock(10, 10)
    assert before.until(NOW - timedelta(hours=1), {}, 1) is before


def test_an_hour_of_a_first_metal_mine_gives_80() -> None:
    assert stock(0, 0).until(NOW + timedelta(hours=1), {Structure.METAL_MINE: 1}, 1).metal == 80


# ---------------------------------------------------------------------------------------- paying and waiting


def test_a_price_is_affordable_to_the_last_unit() -> None:
    assert stock(60, 15).affords(Price(60, 15))
    assert not stock(59.999, 15).affords(Price(60, 15))
    assert not stock(60, 14.999).affords(Price(60, 15))


def test_paying_more_than_there_is_is_an_error() -> None:
    with pytest.raises(ValueError, match="more than"):
        stock(59, 100).minus(Price(60, 0))


@given(st.integers(0, 10**9), st.integers(0, 10**9), st.sampled_from(Structure), st.sampled_from(LEVELS))
def test_a_refund_restores_what_was_paid(metal: int, crystal: int, structure: Structure, level: int) -> None:
    before, price = stock(metal, crystal), rules.cost(structure, level)
    assume(before.affords(price))
    assert before.minus(price).plus(price) == before


@given(st.floats(0, 900), st.floats(0, 900), levels)
def test_after_the_told_wait_there_is_enough_and_shortly_before_there_is_not(
    metal: float, crystal: float, built: dict[Structure, int]
) -> None:
    before, price = stock(metal, crystal), Price(800, 700)
    wait = before.seconds_until(price, built)
    assert wait is not None
    later = NOW + timedelta(seconds=wait)
    assert before.until(later + timedelta(milliseconds=1), built, 1).affords(price)
    if wait > 1:
        assert not before.until(later - timedelta(seconds=1), built, 1).affords(price)


def test_a_price_beyond_the_capacity_is_never_affordable_by_waiting() -> None:
    assert stock(0, 0).seconds_until(Price(1001, 0), {}) is None
    assert stock(1001, 0).seconds_until(Price(1001, 0), {}) == 0


# --------------------------------------------------------------------------------------------------- dragons


def test_dragons_are_stronger_every_time() -> None:
    strengths = [rules.dragon_strength(visit) for visit in range(1, 200)]
    assert strengths == sorted(set(strengths))


def test_a_first_shield_repels_the_first_dragons_and_none_repels_no_dragons() -> None:
    first, second = rules.dragon_strength(1), rules.dragon_strength(2)
    assert not rules.repels(0, first)
    assert rules.repels(1, first)
    assert not rules.repels(1, second)
    assert not rules.repels(3, second)
    assert rules.repels(4, second)


def test_a_shield_gains_power_with_every_level() -> None:
    powers = [rules.shield_power(level) for level in range(rules.MAX_LEVEL + 1)]
    assert powers[0] == 0
    assert powers == sorted(set(powers))


@given(values, values)
def test_a_raid_takes_half_in_whole_units_and_what_it_takes_and_leaves_adds_up(
    metal: float, crystal: float
) -> None:
    before = stock(metal, crystal)
    after, lost = rules.raided(before)
    assert after.metal >= lost.metal >= 0
    assert after.crystal >= lost.crystal >= 0
    assert after.metal + lost.metal == pytest.approx(metal)
    assert after.metal - lost.metal < 2 + 1e-6
    assert after.crystal - lost.crystal < 2 + 1e-6


# ----------------------------------------------------------------------------------------------------- names


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("Arda", "Arda"),
        ("  Arda  ", "Arda"),
        ("Here   be dragons", "Here be dragons"),
        ("\u00c5ngstr\u00f6m", "Ångström"),
        ("A\u030angstrom", "Ångstrom"),
        ("\u0646\u0648\u0631", "\u0646\u0648\u0631"),
        ("竜の星", "竜の星"),
        ("🐉", "🐉"),
        ("x" * 40, "x" * 40),
        (" " * 100 + "x" + " " * 100, "x"),
        ("\u0645\u06cc\u200c\u062e\u0648", "\u0645\u06cc\u200c\u062e\u0648"),
    ],
)
def test_a_name_is_trimmed_and_normalised(typed: str, kept: str) -> None:
    assert rules.clean_name(typed) == kept


@pytest.mark.parametrize(
    "typed",
    [
        "",
        "   ",
        "x" * 41,
        "two\nlines",
        "tab\tbed",
        "nul\0",
        "evil\u202etxt",
        "\u200b",
        "\u200d",
        "\u2028",
        "\ud800",
    ],
)
def test_what_cannot_be_seen_or_drawn_is_no_name(typed: str) -> None:
    assert rules.clean_name(typed) is None


@given(st.text(max_size=60))
def test_cleaning_a_clean_name_changes_nothing(typed: str) -> None:
    name = rules.clean_name(typed)
    assume(name is not None)
    assert name is not None
    assert 1 <= len(name) <= rules.NAME_LENGTH
    assert rules.clean_name(name) == name
