"""One stream that somebody hears at this gateway, and those of its events that act on who reads them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

import msgspec

from starwire.batch import Event
from starwire.gateway.session import Session

CONTROL = frozenset({"subscribed", "unsubscribed", "session_revoked"})
Listener = Callable[[Event], None]


class Entry(NamedTuple):
    """An event as it waits in memory: framed once for everybody."""

    offset: int
    framed: bytes
    control: tuple[str, bytes] | None
    """Event name and frame, of those that act on the session."""


@dataclass(slots=True)
class Feed:
    """One stream that somebody hears at this gateway."""

    name: str
    head: int
    recent: deque[Entry]
    sessions: set[Session] = field(default_factory=set)
    listeners: list[Listener] = field(default_factory=list)
    held: int = 0
    """Sessions that are about to join."""


class Control(msgspec.Struct):
    """What a grant or a revocation says."""

    stream: str = ""
    offset: int = 0
    session: str = ""


class _Push(msgspec.Struct):
    data: Control


_push = msgspec.json.Decoder(_Push)


def read_control(frame: bytes) -> Control:
    """What an event of ``CONTROL`` says, from its push."""
    return _push.decode(frame).data
