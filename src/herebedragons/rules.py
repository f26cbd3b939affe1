"""What things cost, how long they take, what they give, and who wins: pure functions and numbers.

No clock, no database, no socket. Durations and rates are in GAME time, that is at pace 1; `real` turns a
duration into real time. Where the stars are and what probes find is in `sky`; how it is said, in `words`.

The numbers are made for somebody with a full-time job at pace 1: the first mine before the tea is cold, the
first observatory in the first sitting, shields before the first dragons, and later levels overnight.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Literal, NamedTuple

# ---------------------------------------------------------------------------------------------------- limits

UNIVERSES_PER_PLAYER = 20
"""Each costs its dragons' processes for as long as it is played; nobody plays more than a few at once."""

MEMBERS_PER_UNIVERSE = 8
"""A crew, not a crowd: every member multiplies the pushes of every event."""

QUEUE_PER_PLANET = 5
"""A night and a working day can be planned with five; more would play the game for its player."""

MAX_LEVEL = 25
"""At level 25 a mine takes almost two months to build; beyond lie only large numbers."""

NAME_LENGTH = 40
"""Fits on one line of the chart."""

QUIET_VISITS = 5
"""So often dragons return to a universe where nobody gives orders. Then they wait for the next order: an
abandoned universe must not cost work for ever."""

# ------------------------------------------------------------------------------------------------------ time

Pace = Literal[1, 60, 3600]

MINUTE = 60
HOUR = 60 * MINUTE
DAY = 24 * HOUR

FIRST_SIGHTING_SECONDS = 10 * MINUTE
WARNING_SECONDS = 25 * HOUR
SIGHTING_AFTER_SECONDS = (2 * DAY, 4 * DAY)
"""Between a visit of the dragons and the next sighting: at least, at most."""


def real(seconds: float, pace: int) -> timedelta:
    """How long `seconds` of game time take in reality."""
    return timedelta(seconds=seconds / pace)


# ------------------------------------------------------------------------------------------------ structures


class Structure(StrEnum):
    """What can be built, in the order in which a newcomer meets it."""

    METAL_MINE = "metal_mine"
    CRYSTAL_MINE = "crystal_mine"
    STOREHOUSE = "storehouse"
    OBSERVATORY = "observatory"
    SHIELD = "shield"


Levels = Mapping[Structure, int]


class Price(NamedTuple):
    """What something costs, or gives back: whole units of metal and crystal, never negative."""

    metal: int
    crystal: int


class _Base(NamedTuple):
    """A structure's first level; later ones follow from it."""

    metal: int
    crystal: int
    seconds: int
    needs: tuple[Structure, int] | None


_BASE: dict[Structure, _Base] = {
    Structure.METAL_MINE: _Base(60, 15, 10 * MINUTE, None),
    Structure.CRYSTAL_MINE: _Base(48, 24, 15 * MINUTE, None),
    Structure.STOREHOUSE: _Base(100, 0, 20 * MINUTE, None),
    Structure.OBSERVATORY: _Base(120, 60, 30 * MINUTE, (Structure.CRYSTAL_MINE, 1)),
    Structure.SHIELD: _Base(150, 100, 60 * MINUTE, (Structure.OBSERVATORY, 1)),
}

_COST_GROWTH = 1.6
_TIME_GROWTH = 1.5

START = Price(300, 150)
"""Pays for a metal mine, a crystal mine and an observatory, with something left over."""


def cost(structure: Structure, level: int) -> Price:
    """What `level` (1, 2, …) of a structure costs."""
    base, growth = _BASE[structure], _COST_GROWTH ** (level - 1)
    return Price(round(base.metal * growth), round(base.crystal * growth))


def build_seconds(structure: Structure, level: int) -> int:
    """How long `level` of a structure takes, in game seconds."""
    return round(_BASE[structure].seconds * _TIME_GROWTH ** (level - 1))


def missing_need(structure: Structure, levels: Levels) -> tuple[Structure, int] | None:
    """What must stand (structure, level) before this one can be built, or None when nothing is missing."""
    needs = _BASE[structure].needs
    return needs if needs is not None and levels.get(needs[0], 0) < needs[1] else None


def with_queue(levels: Levels, queue: Sequence[Structure]) -> dict[Structure, int]:
    """The levels there will be when the whole queue is built."""
    planned = {structure: levels.get(structure, 0) for structure in Structure}
    for structure in queue:
        planned[structure] += 1
    return planned


def first_unbuildable(levels: Levels, queue: Sequence[Structure]) -> int | None:
    """The first place in the queue whose needs nothing built or queued before it meets."""
    for place, structure in enumerate(queue):
        if missing_need(structure, with_queue(levels, queue[:place])) is not None:
            return place
    return None


# ------------------------------------------------------------------------------------------------- resources


def metal_per_hour(level: int) -> float:
    """What a planet yields per game hour; a little even without a mine, so that nobody is ever stuck.

    In step with the level: prices grow by 1.6, times by 1.5, so builders and treasury stay in balance. When
    yields grew by a tenth more each level, a player of one week waited for nothing but builders.
    """
    return 20.0 + 60.0 * level


def crystal_per_hour(level: int) -> float:
    """As `metal_per_hour`, and scarcer."""
    return 10.0 + 35.0 * level


def capacity(level: int) -> int:
    """How much of each resource a planet keeps growing to. Always more than the next storehouse costs."""
    return round(1000 * 1.8**level)


def grown(value: float, per_hour: float, cap: float, hours: float) -> float:
    """A value after some hours of growth that stops at `cap`. What is above already stays, and does not grow.

    In closed form: two steps give what one step over both times gives.
    """
    if value >= cap or hours <= 0:
        return value
    return min(cap, value + per_hour * hours)


@dataclass(frozen=True, slots=True)
class Stock:
    """A planet's resources at a moment. They are a function of time: nothing has to tick."""

    metal: float
    crystal: float
    at: datetime

    def until(self, now: datetime, levels: Levels, pace: int) -> Stock:
        """The stock at `now`, grown at these levels. An earlier `now` changes nothing."""
        hours = (now - self.at).total_seconds() / HOUR * pace
        if hours <= 0:
            return self
        cap = capacity(levels.get(Structure.STOREHOUSE, 0))
        return Stock(
            grown(self.metal, metal_per_hour(levels.get(Structure.METAL_MINE, 0)), cap, hours),
            grown(self.crystal, crystal_per_hour(levels.get(Structure.CRYSTAL_MINE, 0)), cap, hours),
            now,
        )

    def affords(self, price: Price) -> bool:
        """Whether there is enough of both."""
        return self.metal >= price.metal and self.crystal >= price.crystal

    def minus(self, price: Price) -> Stock:
        """The stock after paying; a price it does not afford is the caller's mistake."""
        if not self.affords(price):
            raise ValueError(f"{price} is more than {self}")
        return Stock(self.metal - price.metal, self.crystal - price.crystal, self.at)

    def plus(self, gift: Price) -> Stock:
        """The stock with a refund or a find, which may go beyond what the storehouse grows to."""
        return Stock(self.metal + gift.metal, self.crystal + gift.crystal, self.at)

    def seconds_until(self, price: Price, levels: Levels) -> float | None:
        """Game seconds until the price is affordable; None when the storehouse is too small for it."""
        cap = capacity(levels.get(Structure.STOREHOUSE, 0))
        longest = 0.0
        for have, need, per_hour in (
            (self.metal, price.metal, metal_per_hour(levels.get(Structure.METAL_MINE, 0))),
            (self.crystal, price.crystal, crystal_per_hour(levels.get(Structure.CRYSTAL_MINE, 0))),
        ):
            if have >= need:
                continue
            if need > cap:
                return None
            longest = max(longest, (need - have) / per_hour * HOUR)
        return longest


# --------------------------------------------------------------------------------------------------- dragons


def dragon_strength(visit: int) -> int:
    """How strong the dragons of the first, second, … visit are. They remember, and bring friends."""
    return round(10 * math.pow(visit, 1.4))


def shield_power(level: int) -> int:
    """What a shield withstands. The first level is enough for the first dragons, and for no others.

    It grows slowly: who builds a little of everything keeps ahead of the dragons for a month or two.
    """
    return round(12 * 1.35 ** (level - 1)) if level > 0 else 0


def repels(level: int, strength: int) -> bool:
    """Whether a shield of this level sends these dragons home hungry."""
    return shield_power(level) >= strength


def raided(stock: Stock) -> tuple[Stock, Price]:
    """What a raid leaves, and what it takes: half of everything, in whole units, rounded down."""
    lost = Price(int(stock.metal // 2), int(stock.crystal // 2))
    return stock.minus(lost), lost


# ----------------------------------------------------------------------------------------------------- names

_UNSEEN = {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}
"""Control and format characters (right-to-left overrides among them), surrogates, line breaks."""

_JOINERS = {"\u200c", "\u200d"}
"""Format characters that Persian, Hindi and some emoji are spelled with."""

_VISIBLE = {"L", "N", "P", "S"}


def clean_name(text: str) -> str | None:
    """A name as it is kept: normalised, trimmed, with single spaces; None when it cannot be one.

    1 to 40 characters, no control or invisible ones, and something to see.
    """
    name = re.sub(" +", " ", unicodedata.normalize("NFC", text).strip())
    categories = {unicodedata.category(character) for character in name if character not in _JOINERS}
    if len(name) > NAME_LENGTH or categories & _UNSEEN:
        return None
    return name if any(category[0] in _VISIBLE for category in categories) else None
