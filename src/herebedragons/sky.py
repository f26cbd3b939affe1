"""The star field, how far observatories see, how probes travel and what they find: pure functions.

A field follows from its seed alone. It is kept in a table from the first day all the same, so that a later
version of this file moves no star that somebody has looked at.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from random import Random
from typing import NamedTuple, Protocol, TypeVar

from herebedragons import names, words
from herebedragons.rules import HOUR, Price

STARS = 128
"""Enough for weeks of surveys, few enough to draw as one chart and to send as one reply (about 20 kB)."""

RADIUS = 100.0
"""Map units from home to the edge."""

HOME = 0
"""The number of the star in the middle."""

HOME_NOTE = "Home. Mostly known."

_NAMED = 90
"""So many of the brightest have a name of their own; the others are listed by letter and constellation."""

_APART = 5.0
"""Map units that stars keep from each other where the dice allow it: labels have to fit between them."""

_TRIES = 12

_GOLDEN_ANGLE = math.pi * (3 - math.sqrt(5))


@dataclass(frozen=True, slots=True)
class Star:
    """A star as the field has it, discovered or not. Home is number 0 at (0, 0)."""

    star: int
    name: str
    x: float
    y: float
    magnitude: float
    """From 0, the brightest, to 6."""
    planets: int


class Placed(Protocol):
    """What has a number and a place on the map."""

    @property
    def star(self) -> int:
        """Its number."""

    @property
    def x(self) -> float:
        """Map units east of home."""

    @property
    def y(self) -> float:
        """Map units north of home."""


PlacedT = TypeVar("PlacedT", bound=Placed)


def field(seed: int) -> list[Star]:
    """All stars of a universe, home first, then outwards."""
    random = Random(seed)
    places = _places(random)
    magnitudes = [0.5] + [round(6 * math.sqrt(random.random()), 1) for _ in places[1:]]
    titles = _titles(random, magnitudes)
    return [
        Star(
            star,
            titles[star],
            x,
            y,
            magnitudes[star],
            random.randint(3, 8) if star == HOME else random.randint(0, 8),
        )
        for star, (x, y) in enumerate(places)
    ]


def home_world(seed: int) -> str:
    """What the home planet of this universe is called until somebody knows better."""
    return Random(f"{seed}/home").choice(names.HOME_WORLDS)


def _places(random: Random) -> list[tuple[float, float]]:
    """Rings of equal area, one star each, turned by the golden angle and shaken: even, but not orderly.

    That every ring has its star is what lets a first observatory find something in every universe.
    """
    turn = random.random() * math.tau
    places = [(0.0, 0.0)]
    for ring in range(1, STARS):
        best, widest = (0.0, 0.0), -1.0
        for _ in range(_TRIES):
            distance = RADIUS * math.sqrt((ring - random.random() * 0.999) / (STARS - 1))
            angle = turn + ring * _GOLDEN_ANGLE + random.uniform(-0.8, 0.8)
            place = (round(distance * math.cos(angle), 2), round(distance * math.sin(angle), 2))
            apart = min(math.dist(place, other) for other in places)
            if apart > widest:
                best, widest = place, apart
            if widest >= _APART:
                break
        places.append(best)
    return places


def _titles(random: Random, magnitudes: list[float]) -> list[str]:
    proper = random.sample(names.STARS, _NAMED)
    letters = [f"{letter} {of}" for of in names.LOST_CONSTELLATIONS for letter in names.GREEK]
    listed = random.sample(letters, len(magnitudes) - _NAMED)
    brightest_first = sorted(range(len(magnitudes)), key=lambda star: (star != HOME, magnitudes[star], star))
    titles = [""] * len(magnitudes)
    for star, title in zip(brightest_first, proper + listed, strict=True):
        titles[star] = title
    return titles


# --------------------------------------------------------------------------------------------------- surveys

SURVEY_SECONDS = 3 * HOUR


def reach(level: int) -> float:
    """How far, in map units, an observatory of this level sees."""
    return min(RADIUS, 15.0 + 12.0 * level) if level > 0 else 0.0


def finds(level: int) -> int:
    """How many stars one survey adds to the chart, at most."""
    return 2 + level


def distance(a: Placed, b: Placed) -> float:
    """Map units from one to the other."""
    return math.hypot(a.x - b.x, a.y - b.y)


def survey(level: int, undiscovered: Iterable[PlacedT], home: Placed) -> list[PlacedT]:
    """What a survey of this level discovers: the nearest stars in reach."""
    near = sorted(undiscovered, key=lambda star: (distance(star, home), star.star))
    return [star for star in near if distance(star, home) <= reach(level)][: finds(level)]


# ---------------------------------------------------------------------------------------------------- probes

PROBE_PRICE = Price(0, 40)


def probe_seconds(far: float) -> int:
    """Game seconds to a star so many map units away: an hour to get going, then seven minutes a unit."""
    return round(HOUR + far * 420)


class Finding(NamedTuple):
    """What a probe learns (`note`) and sends home (`haul`)."""

    note: str
    haul: Price

    @property
    def found(self) -> str:
        """The report: the note, and what came of it."""
        return f"{self.note} Sent home: {words.amount(self.haul)}." if any(self.haul) else self.note


_WRECKS = (
    "A freighter, adrift for centuries, its manifest a love letter.",
    "Half a shipyard. Somebody left in a hurry and took the other half.",
    "The hull of something large, opened from the outside, with care.",
    "A ring of scrap around the third orbit. It was once a moon, or a bank.",
    "An army of machines, rusted to attention.",
    "A lighthouse, still warm; its keeper left the kettle on.",
)

_SEAMS = (
    "A comet's heart, split open along a seam of blue.",
    "Crystals as tall as steeples, singing when the wind is in the north.",
    "A geode the size of a county, and nobody home.",
    "A glacier of glass, retreating a finger's breadth every thousand years.",
    "A cavern where the light takes the long way round.",
    "Salt flats that turn out, on inspection, not to be salt.",
)

_HOARDS = (
    "A dragon's bed, cold and unguarded. One does not count the bones.",
    "A hoard under a collapsed arch; its owner is out, and large.",
    "Claw marks, scorched basalt, and treasure sorted neatly by colour.",
)

_WORLDS = (
    "Seas without shores, and a single very confident bird.",
    "Forests that lean politely away from the probe.",
    "A ruined city whose streets spell something, seen from above.",
    "Deserts, excellent sunsets, and no one to sell postcards.",
    "Something waved. It may have been kelp.",
    "Rings so fine that they ring.",
    "Two moons that have not spoken for a million years.",
    "Weather. A great deal of weather.",
)

_VOIDS = (
    "No worlds at all: a star, keeping itself to itself.",
    "Nothing in orbit but an old survey marker, and it is not ours.",
    "An empty system, tidied by somebody. The mapmaker leaves it blank.",
)


def finding(seed: int, star: Placed, planets: int, far: float) -> Finding:
    """What waits at a star. It was there all along: it follows from the universe's seed, not from the hour.

    The farther the star, the larger the haul; every fifth or so has none, and something to read instead.
    """
    random = Random(f"{seed}/{star.star}")
    size = 50 + 2 * far
    luck, share = random.random(), random.uniform(0.6, 1.4)
    if luck < 0.35 and (planets or luck < 0.15):
        return Finding(_text(_WRECKS, seed, star), Price(round(size * share), 0))
    if planets == 0:
        return Finding(_text(_VOIDS, seed, star), Price(0, 0))
    if luck < 0.65:
        return Finding(_text(_SEAMS, seed, star), Price(0, round(0.6 * size * share)))
    if luck < 0.8:
        return Finding(
            _text(_HOARDS, seed, star), Price(round(0.7 * size * share), round(0.5 * size * share))
        )
    return Finding(_text(_WORLDS, seed, star), Price(0, 0))


def _text(texts: tuple[str, ...], seed: int, star: Placed) -> str:
    """Each text in turn, outwards from home: neighbours do not tell the same story."""
    return texts[(seed + star.star) % len(texts)]
