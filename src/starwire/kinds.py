"""What a game author declares: the base structs of commands, processes, events, views and effects.

Each is a msgspec struct whose *wire name* is its class name in snake case (``BuildMine`` is
``build_mine``) unless the class sets ``wire_name``. Declaring a class registers nothing; an ``App`` or
a ``Module`` does that when it meets the handler.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, TypeVar

import msgspec

Upgrade = Callable[[dict[str, Any]], dict[str, Any]]
U = TypeVar("U", bound=Upgrade)

_BOUNDARY = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


def wire_name(kind: type[Kind]) -> str:
    """The name of a kind on the wire and in the tables."""
    return kind.wire_name or _BOUNDARY.sub("_", kind.__name__).lower()


class Kind(msgspec.Struct, frozen=True):
    """What all declared structs share."""

    wire_name: ClassVar[str | None] = None


class Command(Kind, frozen=True, forbid_unknown_fields=True):
    """A typed request from a client, answered by exactly one reply.

    Override ``key`` to say what the command acts on; commands and processes of one key run one at a time.
    """

    def key(self, player: str) -> str:
        """What this command acts on; ``player:<player>`` unless overridden. Must not do any I/O."""
        return f"player:{player}"


class View(Kind, frozen=True, forbid_unknown_fields=True):
    """A typed question that changes nothing; answered by one reply, never stored."""


class Event(Kind, frozen=True):
    """One entry of a stream. Events carry absolute values, so that seeing one twice does no harm."""

    def message(self) -> str | None:
        """A sentence for people, or None; ``tx.publish(…, message=…)`` overrides it."""
        return None


class Process(Kind, frozen=True):
    """A durable piece of work with a due time.

    ``public`` names the fields that lifecycle events carry; the others stay on the server. ``version``
    counts changes of shape that defaults and aliases cannot express; ``upgrade`` brings old data up.
    """

    version: ClassVar[int] = 1
    public: ClassVar[tuple[str, ...]] = ()
    upgrades: ClassVar[Mapping[int, Upgrade]] = {}

    @classmethod
    def upgrade(cls, version: int) -> Callable[[U], U]:
        """Decorate the function that turns the mapping of ``version`` into that of the next."""

        def register(function: U) -> U:
            cls.upgrades = {**cls.upgrades, version: function}
            return function

        return register
