"""What players are told, on `universe:<id>` unless it says otherwise. All values are absolute.

Sentences for people are given where an event is published: they need names and paces that it does not carry.
"""

from __future__ import annotations

from datetime import datetime

import starwire
from herebedragons.rules import Pace, Structure
from herebedragons.wire import Amount, Construction, Probe, Resources, Star


class UniverseOpened(starwire.Event, frozen=True):
    """On `player:<id>`: this player has created or joined a universe, perhaps in another tab."""

    universe: int
    name: str
    pace: Pace


class UniverseClosed(starwire.Event, frozen=True):
    """On `player:<id>`: this player is no longer in a universe."""

    universe: int


class UniverseCreated(starwire.Event, frozen=True):
    """The first event of every universe."""

    name: str
    pace: Pace


class MemberJoined(starwire.Event, frozen=True):
    """Somebody has accepted the invitation."""

    player: str
    name: str


class MemberLeft(starwire.Event, frozen=True):
    """One of the crew has left for good."""

    player: str
    name: str


class ConstructionQueued(starwire.Event, frozen=True):
    """Something was ordered and paid for. At position 0 `construction_begun` follows."""

    planet: int
    construction: Construction
    resources: Resources
    queue: list[Construction]


class ConstructionBegun(starwire.Event, frozen=True):
    """The first in the queue is being built."""

    planet: int
    construction: Construction
    queue: list[Construction]


class ConstructionComplete(starwire.Event, frozen=True):
    """A structure has reached a level. `queue` is what remains."""

    planet: int
    structure: Structure
    level: int
    resources: Resources
    queue: list[Construction]


class ConstructionCancelled(starwire.Event, frozen=True):
    """An order was taken back. Later levels of the same structure have moved down in `queue`."""

    planet: int
    construction: int
    structure: Structure
    level: int
    resources: Resources
    queue: list[Construction]


class StarsDiscovered(starwire.Event, frozen=True):
    """A survey is complete."""

    stars: list[Star]


class ProbeSent(starwire.Event, frozen=True):
    """A probe has left `planet`, whose resources are given."""

    planet: int
    star: int
    probe: Probe
    resources: Resources


class ProbeArrived(starwire.Event, frozen=True):
    """A probe has arrived; what it found and sent home is in the resources of `planet`."""

    planet: int
    star: Star
    found: str
    resources: Resources


class DragonsInbound(starwire.Event, frozen=True):
    """Dragons have been sighted."""

    arrives_at: datetime
    strength: int
    process: int


class DragonsRepelled(starwire.Event, frozen=True):
    """The dragons came, and the shield held."""

    planet: int
    strength: int
    shield: int
    resources: Resources


class DragonsRaided(starwire.Event, frozen=True):
    """The dragons came, and took `lost` from `planet`."""

    planet: int
    strength: int
    shield: int
    lost: Amount
    resources: Resources


class PlanetRenamed(starwire.Event, frozen=True):
    """A planet has another name."""

    planet: int
    name: str
