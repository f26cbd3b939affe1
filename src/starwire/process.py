"""The life of a process: its states, and which may follow which.

::

    (start) ──→ pending ──→ completed
                 │  ↑ ↑ ╲
           pause │  │ │  ╲──→ failed ──→ (an operator's retry: pending)
                 ↓  │ │       ↑
               paused │       │
                      │       │
          raised ──→ retrying ┘          pending, retrying, paused ──→ cancelled

``pending`` waits for its due time, ``retrying`` has raised and waits for another try, ``paused`` waits
for nobody; these are *live* and stand in the hot table. ``completed``, ``cancelled`` and ``failed`` are
*finished* and stand in the archive. A change that the table below does not allow is a bug, and raises.

No I/O here: the executor carries the changes out.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from enum import StrEnum

import msgspec


class State(StrEnum):
    """Where a process stands."""

    PENDING = "pending"
    RETRYING = "retrying"
    PAUSED = "paused"
    COMPLETED = "completed"
    CANCELLED = "cancelled"
    FAILED = "failed"


TRANSITIONS: Mapping[State, frozenset[State]] = {
    State.PENDING: frozenset(
        {State.PENDING, State.RETRYING, State.PAUSED, State.COMPLETED, State.CANCELLED, State.FAILED}
    ),
    State.RETRYING: frozenset(
        {State.PENDING, State.RETRYING, State.PAUSED, State.COMPLETED, State.CANCELLED, State.FAILED}
    ),
    State.PAUSED: frozenset({State.PENDING, State.CANCELLED}),
    State.COMPLETED: frozenset(),
    State.CANCELLED: frozenset(),
    State.FAILED: frozenset({State.PENDING}),
}

FINISHED = frozenset({State.COMPLETED, State.CANCELLED, State.FAILED})
DUE = frozenset({State.PENDING, State.RETRYING})


class TransitionError(Exception):
    """A change of state that the table does not allow."""


def require(before: State, after: State) -> State:
    """Return ``after`` when it may follow ``before``.

    Raises:
        TransitionError: it may not.
    """
    if after not in TRANSITIONS[before]:
        raise TransitionError(f"a process that is {before} cannot become {after}")
    return after


class ProcessRow(msgspec.Struct, frozen=True, kw_only=True):
    """A process as its table holds it; times are microseconds since 1970. ``replace`` makes a changed one."""

    id: int
    kind: str
    version: int
    key: str
    partition: int
    owner: str | None
    stream: str | None
    """Where its lifecycle events go; None: nowhere."""
    data: bytes
    """The struct as JSON."""
    public: bytes
    """Its public fields as JSON, so that a server without this kind can still show and cancel it."""
    unique_name: str | None
    state: State
    attempt: int
    """How many runs have raised."""
    started_at: int
    due_at: int
    run_at: int
    """When to run it next: the due time, or that of the next try."""
    remaining: int | None
    """While paused: how much time was left."""


def partition_of(key: str, partitions: int) -> int:
    """The partition of a key: crc32 of its UTF-8 bytes, modulo the number of partitions."""
    return zlib.crc32(key.encode()) % partitions


def retry_delay(attempt: int, jitter: float, *, base: float, cap: float) -> float:
    """Seconds until the next try after ``attempt`` tries (1 or more) have raised.

    Doubles from ``base`` up to ``cap``; ``jitter`` from 0 to 1 takes up to half of it away, so that
    what failed together does not come back together.
    """
    full: float = min(cap, base * 2.0 ** min(attempt - 1, 32))
    return full * (1 - jitter / 2)
