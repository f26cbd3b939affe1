"""How the game speaks."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from herebedragons import words
from herebedragons.rules import Price, Structure

SECONDS = {"second": 1, "minute": 60, "hour": 3600, "day": 86_400}


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0, "less than a second"),
        (0.4, "less than a second"),
        (1, "1 second"),
        (25, "25 seconds"),
        (59.4, "59 seconds"),
        (59.6, "1 minute"),
        (60, "1 minute"),
        (61, "1 minute and 1 second"),
        (90, "1 minute and 30 seconds"),
        (25 * 60, "25 minutes"),
        (3599, "1 hour"),
        (3600, "1 hour"),
        (5400, "1 hour and 30 minutes"),
        (5 * 3600 + 59 * 60 + 40, "6 hours"),
        (25 * 3600, "25 hours"),
        (25 * 3600 - 10, "25 hours"),
        (47 * 3600 + 3599, "2 days"),
        (48 * 3600, "2 days"),
        (49 * 3600, "2 days and 1 hour"),
        (10 * 86_400, "10 days"),
        (2000 * 86_400, "2,000 days"),
    ],
)
def test_a_duration_is_told_as_people_tell_it(seconds: float, said: str) -> None:
    assert words.duration(seconds) == said


@given(st.floats(0.6, 1e9))
def test_a_duration_is_true_to_a_tenth_and_right_in_number(seconds: float) -> None:
    total = 0
    for number, noun, plural in re.findall(
        r"([0-9,]+) (second|minute|hour|day)(s?)", words.duration(seconds)
    ):
        assert (number != "1") == bool(plural)
        total += int(number.replace(",", "")) * SECONDS[noun]
    assert abs(total - seconds) <= max(0.5, seconds / 10)


def test_what_is_very_near_is_in_a_moment() -> None:
    assert words.when(0.2) == "in a moment"
    assert words.when(90_000) == "in 25 hours"


@pytest.mark.parametrize(
    ("names", "said"),
    [
        ([], ""),
        (["Alcor"], "Alcor"),
        (["Alcor", "Mizar"], "Alcor and Mizar"),
        (["Alcor", "Mizar", "Thuban"], "Alcor, Mizar and Thuban"),
    ],
)
def test_names_are_listed(names: list[str], said: str) -> None:
    assert words.listing(names) == said


@pytest.mark.parametrize(
    ("price", "said"),
    [
        (Price(60, 15), "60 metal and 15 crystal"),
        (Price(0, 40), "40 crystal"),
        (Price(1200, 0), "1,200 metal"),
        (Price(0, 0), "nothing"),
    ],
)
def test_amounts_leave_out_what_is_zero(price: Price, said: str) -> None:
    assert words.amount(price) == said


@pytest.mark.parametrize("structure", Structure)
def test_every_structure_has_words_with_the_right_article(structure: Structure) -> None:
    phrase = words.a_structure(structure)
    assert phrase.startswith("an " if words.structure(structure)[0] in "aeiou" else "a ")
    assert words.a_structure(structure, 3) == f"{phrase} of level 3"


def test_a_sentence_begins_large_and_keeps_names() -> None:
    assert words.sentence("a probe has left for Alcor.") == "A probe has left for Alcor."
