"""Streams: resume or resync.

A stream is an ordered, durable list of events with offsets 1, 2, 3…. Of its history the newest part is
retained: the events after ``pruned`` up to ``head``. A client that comes back tells the last offset it has
seen. It gets everything after it, or it is told ``resync``; never a part.

No I/O here: the hub asks, and the store holds the events.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Position:
    """What is known of a stream: ``head`` is its last offset, ``pruned`` the last one no longer kept."""

    head: int = 0
    pruned: int = 0


@dataclass(frozen=True, slots=True)
class Start:
    """Where a connection begins to read: after ``offset``; ``recovered`` says that nothing is missing."""

    offset: int
    recovered: bool


def start_reading(position: Position, resume: int | None, *, same_epoch: bool) -> Start:
    """Decide where a connection begins to read a stream.

    Args:
        position: the stream as it stands.
        resume: the last offset that the client has seen; 0: all that is kept; None: the head.
        same_epoch: whether the client knows this database (its epoch is ours).
    """
    if resume is None:
        return Start(position.head, recovered=True)
    if not same_epoch or resume < 0 or resume > position.head:
        return Start(position.head, recovered=False)
    if resume == 0:
        return Start(position.pruned, recovered=True)
    if resume < position.pruned:
        return Start(position.head, recovered=False)
    return Start(resume, recovered=True)
