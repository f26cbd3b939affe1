"""One stream that somebody hears at this gateway, and those of its events that act on who reads them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
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


class Recent:
    """The newest events of a stream without a gap, so many and of so many bytes together at most."""

    def __init__(self, events: int, size: int) -> None:
        self._entries: deque[Entry] = deque()
        self._events = events
        self._most = size
        self._bytes = 0

    def __bool__(self) -> bool:
        return bool(self._entries)

    def __iter__(self) -> Iterator[Entry]:
        return iter(self._entries)

    @property
    def first(self) -> int:
        """The offset of the oldest; there must be one."""
        return self._entries[0].offset

    def append(self, entry: Entry) -> None:
        """The next one; as many of the oldest go as are too much."""
        self._entries.append(entry)
        self._bytes += len(entry.framed)
        while len(self._entries) > self._events or self._bytes > self._most:
            self._bytes -= len(self._entries.popleft().framed)

    def clear(self) -> None:
        """Nothing is kept."""
        self._entries.clear()
        self._bytes = 0


@dataclass(slots=True)
class Feed:
    """One stream that somebody hears at this gateway."""

    name: str
    head: int
    recent: Recent
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
