"""What players can look at, and what they see."""

from __future__ import annotations

from datetime import datetime

import msgspec

import starwire
from herebedragons.rules import Pace
from herebedragons.wire import Dragons, Id, Member, Planet, Probe, Shield, Star


class Universes(starwire.View, frozen=True):
    """The universes of which one is a member, oldest first."""


class Universe(starwire.View, frozen=True):
    """Everything about one universe, for its members."""

    universe: Id


class UniverseSummary(msgspec.Struct, frozen=True):
    """A universe in a list."""

    universe: int
    name: str
    pace: Pace
    members: int
    created_at: datetime


class UniverseList(msgspec.Struct, frozen=True):
    """The result of the view universes."""

    universes: list[UniverseSummary]


class Map(msgspec.Struct, frozen=True):
    """What the chart needs to know of its own size, in map units."""

    radius: float


class Underway(msgspec.Struct, frozen=True):
    """A live process, as the lifecycle events tell of it: `data` are its public fields."""

    process: int
    kind: str
    started_at: datetime
    due_at: datetime
    data: dict[str, int | str]


class Chart(msgspec.Struct, frozen=True):
    """A universe as its members see it. What has not been discovered is not in it."""

    universe: int
    name: str
    pace: Pace
    created_at: datetime
    map: Map
    members: list[Member]
    planets: list[Planet]
    stars: list[Star]
    probes: list[Probe]
    processes: list[Underway]
    dragons: Dragons | None
    shield: Shield
