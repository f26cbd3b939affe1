"""How the game speaks: durations, lists, amounts and the names of structures. Pure.

Durations here are REAL seconds: what a person would have to wait.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from herebedragons.rules import Price, Structure


class _Unit(NamedTuple):
    name: str
    seconds: int
    used_from: int
    """The shortest time told in this unit: 25 hours are told in hours, two days in days."""
    finer: tuple[str, int]


_UNITS = (
    _Unit("day", 86_400, 2 * 86_400, ("hour", 3600)),
    _Unit("hour", 3600, 3600, ("minute", 60)),
    _Unit("minute", 60, 60, ("second", 1)),
    _Unit("second", 1, 1, ("second", 1)),
)

_EXACT_BELOW = 6
"""Below six of a unit the next finer one is told too: "1 hour and 30 minutes", but "25 hours"."""


def count(number: int, noun: str) -> str:
    """`1 hour`, `25 hours`."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def duration(seconds: float) -> str:
    """A real duration as people say it: `25 hours`, `1 hour and 30 minutes`, `less than a second`."""
    whole = round(seconds)
    if whole < 1:
        return "less than a second"
    unit = next(unit for unit in _UNITS if whole >= unit.used_from)
    finer_name, finer = unit.finer if whole < _EXACT_BELOW * unit.seconds else (unit.name, unit.seconds)
    rounded = round(whole / finer) * finer
    if rounded != whole:
        return duration(rounded)  # 59 minutes and 50 seconds became an hour: perhaps another unit's business
    units, rest = divmod(whole, unit.seconds)
    return count(units, unit.name) + (f" and {count(rest // finer, finer_name)}" if rest else "")


def when(seconds: float) -> str:
    """`in 25 hours`; what is less than a second away is `in a moment`."""
    return f"in {duration(seconds)}" if round(seconds) >= 1 else "in a moment"


def listing(names: Sequence[str]) -> str:
    """`Alcor`, `Alcor and Mizar`, `Alcor, Mizar and Thuban`."""
    if len(names) < 2:
        return "".join(names)
    return f"{', '.join(names[:-1])} and {names[-1]}"


def amount(price: Price) -> str:
    """`60 metal and 15 crystal`; what is zero is left out; nothing at all is `nothing`."""
    parts = [f"{n:,} {noun}" for n, noun in ((price.metal, "metal"), (price.crystal, "crystal")) if n]
    return listing(parts) or "nothing"


_STRUCTURES = {
    Structure.METAL_MINE: "metal mine",
    Structure.CRYSTAL_MINE: "crystal mine",
    Structure.STOREHOUSE: "storehouse",
    Structure.OBSERVATORY: "observatory",
    Structure.SHIELD: "shield",
}


def structure(kind: Structure) -> str:
    """`metal mine`."""
    return _STRUCTURES[kind]


def a_structure(kind: Structure, level: int = 1) -> str:
    """`a metal mine`, `an observatory`, `a shield of level 3`."""
    noun = _STRUCTURES[kind]
    article = "an" if noun[0] in "aeiou" else "a"
    return f"{article} {noun}" + (f" of level {level}" if level > 1 else "")


def sentence(text: str) -> str:
    """The text with its first letter large, as a sentence begins; names inside keep theirs."""
    return text[:1].upper() + text[1:]
