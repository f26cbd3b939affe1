"""What players can ask for: one struct a command, and the result of each."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated

import msgspec

import starwire
from herebedragons.rules import Pace, Structure
from herebedragons.wire import Amount, Id, Text

_INVITATION = re.compile(r"([1-9][0-9]{0,14})-[A-Za-z0-9]{1,40}")


def universe_key(universe: int) -> str:
    """The key and the stream of a universe: its commands, processes and events have one order."""
    return f"universe:{universe}"


def invited_to(invitation: str) -> int | None:
    """The universe that an invitation code names, or None when it is not such a code."""
    code = _INVITATION.fullmatch(invitation.strip())
    return int(code[1]) if code else None


class CreateUniverse(starwire.Command, frozen=True):
    """Start a universe of one's own."""

    name: Text
    pace: Pace = 1


class Join(starwire.Command, frozen=True):
    """Enter another's universe, with the code they sent."""

    invitation: Annotated[str, msgspec.Meta(max_length=100)]

    def key(self, player: str) -> str:
        """The universe that the code names; a code that names none concerns nobody else."""
        universe = invited_to(self.invitation)
        return f"player:{player}" if universe is None else universe_key(universe)


class InUniverse(starwire.Command, frozen=True):
    """What concerns one universe, and is for its members only."""

    universe: Id

    def key(self, player: str) -> str:
        """The universe: its commands and processes happen one after another."""
        return universe_key(self.universe)


class Invite(InUniverse, frozen=True):
    """Ask for the invitation code. It stays the same until it is renewed; then the old one is void."""

    renew: bool = False


class Leave(InUniverse, frozen=True):
    """Leave the crew for good. The universe goes on without, also when nobody is left in it."""


class Build(InUniverse, frozen=True):
    """Order one more level of a structure; it is paid now and waits its turn."""

    planet: Id
    structure: Structure


class CancelConstruction(InUniverse, frozen=True):
    """Take back an order that is not complete, for a full refund."""

    construction: Id


class SendProbe(InUniverse, frozen=True):
    """Send a probe from the home planet to a discovered star."""

    star: Id


class RenamePlanet(InUniverse, frozen=True):
    """Give a planet another name."""

    planet: Id
    name: Text


class UniverseEntered(msgspec.Struct, frozen=True):
    """The result of create_universe and join."""

    universe: int


class Invitation(msgspec.Struct, frozen=True):
    """The result of invite: what a friend needs to join."""

    invitation: str


class Ordered(msgspec.Struct, frozen=True):
    """The result of build. Position 0 is being built, with process and due time; else so many come first."""

    construction: int
    process: int | None
    due_at: datetime | None
    position: int


class Refunded(msgspec.Struct, frozen=True):
    """The result of cancel_construction: what came back."""

    refund: Amount


class ProbeSent(msgspec.Struct, frozen=True):
    """The result of send_probe."""

    process: int
    due_at: datetime
