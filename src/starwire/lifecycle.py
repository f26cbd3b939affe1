"""What is told of a process: to handlers, to views, and to everyone by its lifecycle events."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec

from starwire import kinds
from starwire.app import Registry
from starwire.clock import isoformat, to_datetime
from starwire.process import FINISHED, ProcessRow, State
from starwire.protocol import encode

LIVE = frozenset({State.PENDING, State.RETRYING, State.PAUSED})

RESERVED = frozenset(
    {"subscribed", "unsubscribed", "session_revoked"}  # gateways act on these
    | {f"process_{what}" for what in ("started", "rescheduled", "paused", "resumed", *FINISHED)}
)
"""Events that only the framework publishes."""


class Started(msgspec.Struct, frozen=True):
    """What ``tx.start`` returns; a command may return it as its result."""

    process: int
    started_at: datetime
    due_at: datetime


class ProcessInfo(msgspec.Struct, frozen=True):
    """A live process, as handlers and views see it. ``data`` is its decoded struct."""

    id: int
    kind: str
    owner: str | None
    started_at: datetime
    due_at: datetime
    state: State
    attempt: int
    data: Any


class Lifecycle(msgspec.Struct, frozen=True):
    """The data of every lifecycle event: a client can show a countdown from it alone."""

    process: int
    kind: str
    owner: str | None
    started_at: str
    due_at: str
    state: State
    data: msgspec.Raw


@dataclass(slots=True)
class Publication:
    """An event on its way to a stream; its offset is given at the flush."""

    stream: str
    event: str
    at: int
    data: bytes
    message: str | None
    grant_of: str | None = None
    """A stream that this event grants: its data is completed with that stream's offset at the flush."""


def lifecycle(row: ProcessRow, event: str, at: int) -> list[Publication]:
    """The lifecycle event of a process, for the stream that it names; none when it names none."""
    if row.stream is None:
        return []
    return [Publication(row.stream, event, at, encode(lifecycle_data(row)), None)]


def lifecycle_data(row: ProcessRow) -> Lifecycle:
    """What clients are told of a process."""
    return Lifecycle(
        row.id,
        row.kind,
        row.owner,
        isoformat(row.started_at),
        isoformat(row.due_at),
        row.state,
        msgspec.Raw(row.public),
    )


def describe(registry: Registry, row: ProcessRow) -> ProcessInfo:
    """A process with its data decoded; of a kind that this code does not know, ``data`` is None."""
    kind = registry.processes.get(row.kind)
    return info(row, None if kind is None else kind.decode(row.data, row.version))


def info(row: ProcessRow, data: kinds.Process | None) -> ProcessInfo:
    """A process as handlers see it, with its decoded data."""
    return ProcessInfo(
        row.id,
        row.kind,
        row.owner,
        to_datetime(row.started_at),
        to_datetime(row.due_at),
        row.state,
        row.attempt,
        data,
    )


def started(row: ProcessRow) -> Started:
    """What ``tx.start`` tells of a process."""
    return Started(row.id, to_datetime(row.started_at), to_datetime(row.due_at))
