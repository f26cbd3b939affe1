"""The framework's own commands and processes. They travel the same path as a game's.

``announce`` reaches every open page; ``revoke_session`` closes a session's sockets; ``beat`` proves that
timers fire and pushes arrive. What ``requires`` ``INTERNAL`` is submitted by the server only: a gateway
answers ``unknown_command`` to a client that names it.
"""

from __future__ import annotations

from datetime import timedelta

import msgspec

from starwire import kinds
from starwire.app import Module
from starwire.batch import Command
from starwire.errors import Rejected
from starwire.identity import Identity
from starwire.process import partition_of
from starwire.protocol import encode
from starwire.transaction import Transaction

INTERNAL = "starwire:internal"


class Announce(kinds.Command, frozen=True):
    """Tell every open page a sentence. Operators only."""

    text: str

    def key(self, player: str) -> str:
        """All announcements are of one key."""
        return "starwire:announcements"


class Announcement(kinds.Event, frozen=True):
    """A sentence for everyone."""

    text: str

    def message(self) -> str:
        """The sentence itself."""
        return self.text


class RevokeSession(kinds.Command, frozen=True):
    """Close every socket of a session."""

    session: str


class SessionRevoked(kinds.Event, frozen=True):
    """A session is over; gateways close its connections when they read this."""

    session: str


class Heartbeat(kinds.Command, frozen=True):
    """Start a process that is due at once on a stream that one gateway hears."""

    gateway: str

    def key(self, player: str) -> str:
        """Each gateway beats for itself."""
        return f"beat:{self.gateway}"


class Beat(kinds.Process, frozen=True):
    """Completes at once; its ``process_completed`` is what the gateway waits for."""

    public = ("number",)

    number: int


class Nothing(msgspec.Struct, frozen=True):
    """The result of a command that has nothing to say."""


module = Module("starwire")
module.event(Announcement)
module.event(SessionRevoked)


@module.command(requires="operator")
def announce(tx: Transaction, player: str, order: Announce) -> Nothing:
    """Publish the sentence to everyone."""
    text = order.text.strip()
    if not text:
        raise Rejected("empty", "An announcement needs a text.")
    tx.publish("all", Announcement(text))
    return Nothing()


@module.command(requires=INTERNAL)
def revoke_session(tx: Transaction, player: str, order: RevokeSession) -> Nothing:
    """Tell the player's stream, so that the revocation survives a lost hint."""
    tx.publish(f"player:{player}", SessionRevoked(order.session))
    return Nothing()


@module.command(requires=INTERNAL)
def heartbeat(tx: Transaction, player: str, order: Heartbeat) -> Nothing:
    """Start a beat that is due at once."""
    number = tx.now.timestamp()
    tx.start(Beat(int(number)), due=timedelta(0), stream=f"beat:{order.gateway}", unique="beat")
    return Nothing()


@module.process
def beat(tx: Transaction, job: Beat) -> None:
    """Nothing to do: completing is the proof."""


def internal(order: kinds.Command, *, player: str, partitions: int) -> Command:
    """A command of the server's own, ready to be submitted; nothing is stored of its reply."""
    key = order.key(player)
    return Command(
        player=player,
        id=None,
        name=kinds.wire_name(type(order)),
        args=encode(order),
        digest=b"",
        key=key,
        partition=partition_of(key, partitions),
        identity=Identity(player, claims={INTERNAL: True}),
    )
