"""What happens by itself, hours or days later. Only the fields named in `public` are told to players.

`construct` is a building going up, `survey` an observatory looking, `probe` one travelling, `sighting` the
secret moment at which dragons will be seen, `dragons` their approach, which everybody can count down.
"""

from __future__ import annotations

from typing import ClassVar

import starwire
from herebedragons.rules import Structure


class Construct(starwire.Process, frozen=True):
    """The first in a planet's queue, going up."""

    public: ClassVar[tuple[str, ...]] = ("planet", "structure", "level", "construction")
    universe: int
    planet: int
    structure: Structure
    level: int
    construction: int


class Survey(starwire.Process, frozen=True):
    """An observatory looking at the sky; it sees as far as its level at the beginning."""

    public: ClassVar[tuple[str, ...]] = ("planet", "level")
    universe: int
    planet: int
    level: int


class Probe(starwire.Process, frozen=True):
    """A probe from a planet to a star."""

    public: ClassVar[tuple[str, ...]] = ("star",)
    universe: int
    planet: int
    star: int


class Sighting(starwire.Process, frozen=True):
    """The secret wait for the next dragons; it has no stream."""

    universe: int


class Dragons(starwire.Process, frozen=True):
    """Dragons that have been seen, on their way."""

    public: ClassVar[tuple[str, ...]] = ("strength",)
    universe: int
    strength: int
