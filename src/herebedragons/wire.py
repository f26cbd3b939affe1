"""The shapes that replies and events share. Times are UTC, resources are functions of time.

Whoever draws these needs no rule of the game: prices, durations and needs come along.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import msgspec

from herebedragons.rules import Structure

Id = Annotated[int, msgspec.Meta(ge=0, le=2**53 - 1)]
"""A number that JavaScript and both databases can hold. Whether there is such a thing is another question."""

Text = Annotated[str, msgspec.Meta(max_length=200)]
"""A name as it is typed; `rules.clean_name` decides what is kept of it."""


class Nothing(msgspec.Struct, frozen=True):
    """The result of what has none: `{}`."""


class Amount(msgspec.Struct, frozen=True):
    """A price, a refund, a loss: whole units."""

    metal: int
    crystal: int


class Resources(msgspec.Struct, frozen=True):
    """At time t there is `min(capacity, value + rate * (t - at))` of each; what is above capacity stays."""

    metal: float
    crystal: float
    metal_per_hour: float
    """Per real hour: the pace is in it."""
    crystal_per_hour: float
    capacity: float
    at: datetime


class Construction(msgspec.Struct, frozen=True):
    """One place in a planet's queue. Position 0 is being built and has its process and times."""

    construction: int
    structure: Structure
    level: int
    position: int
    seconds: float
    """Real seconds from beginning to end."""
    started_at: datetime | None
    due_at: datetime | None
    process: int | None
    cost: Amount


class Offer(msgspec.Struct, frozen=True):
    """What one more level of a structure would cost, behind all that is queued already."""

    structure: Structure
    level: int
    metal: int
    crystal: int
    seconds: float
    unlocked: bool
    needs: str | None
    """What is missing, for people: `an observatory`."""


class Star(msgspec.Struct, frozen=True):
    """A discovered star. Home is in the middle; the map's radius is 100."""

    star: int
    name: str
    x: float
    y: float
    magnitude: float
    home: bool
    probed: bool
    planets: int
    note: str | None


class Probe(msgspec.Struct, frozen=True):
    """A probe on its way."""

    star: int
    process: int
    from_star: int
    started_at: datetime
    due_at: datetime


class Planet(msgspec.Struct, frozen=True):
    """A planet of the crew's, with what stands on it, what is going up, and what could."""

    planet: int
    name: str
    star: int
    resources: Resources
    structures: dict[Structure, int]
    offers: list[Offer]
    queue: list[Construction]


class Member(msgspec.Struct, frozen=True):
    """One of the crew."""

    player: str
    name: str


class Dragons(msgspec.Struct, frozen=True):
    """Dragons that have been sighted and not yet arrived."""

    arrives_at: datetime
    strength: int
    process: int


class Shield(msgspec.Struct, frozen=True):
    """The home planet's shield: dragons up to this strength are repelled."""

    level: int
    power: int
