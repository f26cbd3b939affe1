"""The star field, surveys and probes."""

import itertools
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from herebedragons import names, rules, sky
from herebedragons.sky import Star

seeds = st.integers(0, 2**62)
some = settings(max_examples=25)


@some
@given(seeds)
def test_a_field_follows_from_its_seed(seed: int) -> None:
    assert sky.field(seed) == sky.field(seed)
    assert sky.home_world(seed) == sky.home_world(seed)


def test_another_seed_gives_another_field() -> None:
    assert sky.field(1) != sky.field(2)


@some
@given(seeds)
def test_a_field_is_a_chart_that_can_be_drawn(seed: int) -> None:
    field = sky.field(seed)
    assert [star.star for star in field] == list(range(sky.STARS))
    assert (field[sky.HOME].x, field[sky.HOME].y) == (0, 0)
    assert len({star.name for star in field}) == sky.STARS
    assert all(star.name for star in field)
    assert all(math.hypot(star.x, star.y) <= sky.RADIUS + 0.01 for star in field)
    assert all(0 <= star.magnitude <= 6 for star in field)
    assert all(0 <= star.planets <= 8 for star in field)
    assert field[sky.HOME].planets >= 1
    nearest = min(math.dist((a.x, a.y), (b.x, b.y)) for a in field for b in field if a.star < b.star)
    assert nearest > 2


@some
@given(seeds)
def test_bright_stars_have_names_of_their_own(seed: int) -> None:
    brightest = sorted(sky.field(seed)[1:], key=lambda star: star.magnitude)[:50]
    assert all(star.name in names.STARS for star in brightest)


def test_lists_of_names_hold_none_twice() -> None:
    for listed in (names.STARS, names.GREEK, names.LOST_CONSTELLATIONS, names.HOME_WORLDS):
        assert len(set(listed)) == len(listed)
    assert all(rules.clean_name(name) == name for name in (*names.STARS, *names.HOME_WORLDS))


# --------------------------------------------------------------------------------------------------- surveys


@some
@given(seeds)
def test_a_first_observatory_finds_something_in_every_universe(seed: int) -> None:
    home, *rest = sky.field(seed)
    found = sky.survey(1, rest, home)
    assert len(found) == sky.finds(1) == 3


@some
@given(seeds, st.integers(1, rules.MAX_LEVEL))
def test_surveys_find_the_nearest_first_and_end(seed: int, level: int) -> None:
    home, *left = sky.field(seed)
    farthest = 0.0
    rounds = 0
    while found := sky.survey(level, left, home):
        assert len(found) <= sky.finds(level)
        for star in found:
            assert farthest <= sky.distance(star, home) <= sky.reach(level)
            farthest = sky.distance(star, home)
        left = [star for star in left if star not in found]
        rounds += 1
        assert rounds <= sky.STARS
    assert all(sky.distance(star, home) > sky.reach(level) for star in left)


def test_an_observatory_sees_farther_with_every_level_up_to_the_edge() -> None:
    assert sky.reach(0) == 0
    assert [sky.reach(level) for level in (1, 2, 3)] == [27, 39, 51]
    assert sky.reach(8) == sky.reach(rules.MAX_LEVEL) == sky.RADIUS


def test_without_an_observatory_nothing_is_found() -> None:
    home, *rest = sky.field(3)
    assert sky.survey(0, rest, home) == []


# ---------------------------------------------------------------------------------------------------- probes


def test_a_probe_takes_longer_the_farther_it_goes() -> None:
    assert sky.probe_seconds(0) == 3600
    assert sky.probe_seconds(10) < sky.probe_seconds(11) < sky.probe_seconds(100) < 13 * 3600


@some
@given(seeds)
def test_what_waits_at_a_star_was_always_there_and_is_never_negative(seed: int) -> None:
    home, *rest = sky.field(seed)
    for star in rest:
        far = sky.distance(star, home)
        finding = sky.finding(seed, star, star.planets, far)
        assert finding == sky.finding(seed, star, star.planets, far)
        assert min(finding.haul) >= 0
        assert finding.found.startswith(finding.note)
        assert finding.found.endswith(".")
        assert ("Sent home" in finding.found) == any(finding.haul)


def test_probes_are_worth_their_price_on_the_whole_but_not_always() -> None:
    hauls = []
    for seed in range(20):
        home, *rest = sky.field(seed)
        hauls += [sky.finding(seed, star, star.planets, sky.distance(star, home)).haul for star in rest]
    assert 0.1 < sum(not any(haul) for haul in hauls) / len(hauls) < 0.4
    assert sum(haul.crystal for haul in hauls) / len(hauls) > sky.PROBE_PRICE.crystal


def test_neighbouring_stars_do_not_tell_the_same_story() -> None:
    void = [Star(number, "", 0, 0, 6, 0) for number in range(1, 60)]
    notes = [sky.finding(5, star, 0, 10).note for star in void]
    assert all(one != other for one, other in itertools.pairwise(notes))


def test_every_story_is_a_sentence() -> None:
    stories = {
        sky.finding(seed, star, star.planets, 50).note for seed in range(30) for star in sky.field(seed)[1:]
    }
    assert len(stories) > 20
    for story in stories:
        assert story[0].isupper()
        assert story[-1] in ".?"
        assert "  " not in story


@pytest.mark.parametrize("level", [1, 5])
def test_finds_grow_with_the_level(level: int) -> None:
    assert sky.finds(level + 1) == sky.finds(level) + 1
