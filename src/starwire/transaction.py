"""What a handler may do: ``tx`` in commands and processes, ``read`` in views.

A ``Transaction`` belongs to one item (a command, or a due process). What it starts, publishes and grants is
encoded at once and noted in its ``Changes``; the executor merges them into the batch when the handler
returns, and drops them when it raises. The handler's own SQL goes straight to the database; when the
handler fails after it has written, the executor undoes that.

No guarantee is made here about order or time: the executor decides which item runs when, and with which
``now``.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol

import msgspec

from starwire import kinds
from starwire.app import Registry
from starwire.clock import MICROSECOND, to_datetime, to_micros
from starwire.errors import NotAllowed, Rejected
from starwire.identity import Identity
from starwire.lifecycle import (
    LIVE,
    RESERVED,
    ProcessInfo,
    Publication,
    Started,
    describe,
    info,
    lifecycle,
    started,
)
from starwire.process import ProcessRow, State, partition_of, require
from starwire.protocol import encode
from starwire.store.handler import HandlerConnection


@dataclass(slots=True)
class Changes:
    """What one item leaves behind if it succeeds."""

    processes: dict[int, ProcessRow] = field(default_factory=dict)
    publications: list[Publication] = field(default_factory=list)
    grants: dict[tuple[str, str], bool] = field(default_factory=dict)


class Scope(Protocol):
    """What the executor's batch gives to the transactions in it."""

    registry: Registry
    real_now: int
    partitions: int
    subscriptions: int
    """How many streams one player may be granted."""
    event_bytes: int
    """How large the data of one event may be, and its sentence."""

    def new_process_id(self, key: str) -> int:
        """The next id of the key's partition."""
        ...

    def live_process(self, id: int) -> ProcessRow | None:
        """A live process as this batch has left it."""
        ...

    def live_processes(self, key: str) -> list[ProcessRow]:
        """All live processes of a key as this batch has left them."""
        ...

    def unique_process(self, key: str, kind: str, name: str) -> ProcessRow | None:
        """The live process with this unique name, as this batch has left it."""
        ...

    def granted(self, player: str) -> set[str]:
        """The streams that were granted to a player, as this batch has left it."""
        ...


class Transaction:
    """What a command's or a process's handler may do. It lives as long as the handler's call."""

    def __init__(
        self,
        scope: Scope,
        db: HandlerConnection,
        *,
        key: str,
        now: int,
        seed: str,
        identity: Identity | None,
        current: ProcessRow | None,
        data: kinds.Process | None = None,
    ) -> None:
        self.db = db
        self.key = key
        self.identity = identity
        self.changes = Changes()
        self._scope = scope
        self._now = now
        self._seed = seed
        self._random: random.Random | None = None
        self._current = current
        self._data = data

    @property
    def now(self) -> datetime:
        """The item's time, UTC: when a command executes; when a process was due, however late it runs."""
        return to_datetime(self._now)

    @property
    def random(self) -> random.Random:
        """Randomness seeded by the item, so that running it again gives the same."""
        if self._random is None:
            self._random = random.Random(self._seed)
        return self._random

    @property
    def process(self) -> ProcessInfo:
        """The process being completed.

        Raises:
            NotAllowed: the handler is that of a command.
        """
        if self._current is None:
            raise NotAllowed("tx.process: this is a command; only a process's handler has one")
        return info(self._current, self._data)

    def start(
        self,
        process: kinds.Process,
        *,
        due: timedelta | datetime,
        key: str | None = None,
        owner: str | None = None,
        stream: str | None = "",
        unique: str | None = None,
    ) -> Started:
        """Start a process that completes at ``due``.

        Args:
            process: its struct, encoded now.
            due: after ``tx.now``, or at a moment. What lies in the past runs at once, in order.
            key: what it acts on; this transaction's key unless named. Sent to another key, it is due no
                earlier than the real time.
            owner: the player whose it is, if any.
            stream: where its lifecycle events go: the owner's unless named; None: nowhere.
            unique: a name; while a process of this key, kind and name is live, starting it again
                returns that one.

        Raises:
            NotAllowed: the kind has no handler in this app, or what is public of it exceeds ``event_bytes``.
            ValueError: ``due`` has no time zone.
        """
        kind = self._scope.registry.process_names.get(type(process))
        if kind is None:
            raise NotAllowed(f"tx.start: {type(process).__name__} has no handler; it needs an @app.process")
        target = self.key if key is None else key
        if unique is not None:
            existing = self._unique(target, kind, unique)
            if existing is not None:
                return started(existing)
        due_at = self._moment(due)
        if target != self.key:
            due_at = max(due_at, self._scope.real_now)
        heard = (None if owner is None else f"player:{owner}") if stream == "" else stream
        _check_texts(target, owner, heard, unique)
        data = encode(process)
        row = ProcessRow(
            id=self._scope.new_process_id(self.key),
            kind=kind,
            version=type(process).version,
            key=target,
            partition=partition_of(target, self._scope.partitions),
            owner=owner,
            stream=heard,
            data=data,
            public=self._public(kind, process, data),
            unique_name=unique,
            state=State.PENDING,
            attempt=0,
            started_at=self._now,
            due_at=due_at,
            run_at=due_at,
            remaining=None,
        )
        self._change(row, "process_started")
        return started(row)

    def cancel(self, id: int) -> bool:
        """Cancel a live process of this key; False when there is none of this id."""
        row = self._live(id)
        if row is None:
            return False
        self._change(_with(row, State.CANCELLED), "process_cancelled")
        return True

    def reschedule(self, id: int, due: timedelta | datetime) -> bool:
        """Give a live process of this key another due time.

        False when there is none of this id, or it is paused.
        """
        row = self._live(id)
        if row is None or row.state is State.PAUSED:
            return False
        due_at = self._moment(due)
        self._change(_with(row, State.PENDING, due_at=due_at, run_at=due_at), "process_rescheduled")
        return True

    def pause(self, id: int) -> bool:
        """Stop a live process's time; False when there is none of this id, or it is paused already."""
        row = self._live(id)
        if row is None or row.state is State.PAUSED:
            return False
        remaining = max(0, row.due_at - self._now)
        self._change(_with(row, State.PAUSED, remaining=remaining), "process_paused")
        return True

    def resume(self, id: int) -> bool:
        """Let a paused process's time go on: it is due after what remained; False when none is paused."""
        row = self._live(id)
        if row is None or row.state is not State.PAUSED:
            return False
        due_at = self._now + (row.remaining or 0)
        self._change(
            _with(row, State.PENDING, due_at=due_at, run_at=due_at, remaining=None), "process_resumed"
        )
        return True

    def processes(self, kind: type[kinds.Process] | None = None) -> list[ProcessInfo]:
        """The live processes of this key, in order of their due times, without the one being completed."""
        rows = {row.id: row for row in self._scope.live_processes(self.key)}
        rows.update((row.id, row) for row in self.changes.processes.values() if row.key == self.key)
        name = None if kind is None else self._scope.registry.process_names.get(kind)
        current = None if self._current is None else self._current.id
        return [
            describe(self._scope.registry, row)
            for row in sorted(rows.values(), key=lambda row: (row.due_at, row.id))
            if row.state in LIVE and row.id != current and (kind is None or row.kind == name)
        ]

    def publish(self, stream: str, event: kinds.Event, *, message: str | None = None) -> None:
        """Append an event to a stream. Everyone who hears it is told after the commit.

        ``message`` is a sentence for people; without it the event's own ``message()`` is used.

        Raises:
            NotAllowed: the stream has no name, the event's name is one of the framework's own, or the event
                exceeds the limit ``event_bytes``.
        """
        name = kinds.wire_name(type(event))
        if name in RESERVED and type(event).__module__ != "starwire.system":
            raise NotAllowed(f"tx.publish: {name!r} is an event of the framework; set another wire_name")
        if not stream:
            raise NotAllowed(f"tx.publish: a stream has a name, not {stream!r}")
        sentence = event.message() if message is None else message
        _check_texts(stream, sentence)
        data = encode(event)
        self._check_size(name, len(data) + len((sentence or "").encode()))
        self.changes.publications.append(Publication(stream, name, self._now, data, sentence))

    def subscribe(self, player: str, stream: str) -> None:
        """Grant a stream to a player, from here on; takes effect on open connections at once.

        Raises:
            Rejected: ``too_many_streams``; the limit is ``subscriptions``.
        """
        hears = self._granted(player)
        if stream in hears:
            return
        if len(hears) >= self._scope.subscriptions:
            most = self._scope.subscriptions
            raise Rejected("too_many_streams", f"A player hears at most {most} streams.", most=most)
        _check_texts(player, stream)
        self.changes.grants[(player, stream)] = True
        self.changes.publications.append(
            Publication(f"player:{player}", "subscribed", self._now, b"", None, grant_of=stream)
        )

    def unsubscribe(self, player: str, stream: str) -> None:
        """Take a stream from a player; takes effect on open connections at once."""
        if stream not in self._granted(player):
            return
        self.changes.grants[(player, stream)] = False
        data = encode({"stream": stream})
        self.changes.publications.append(
            Publication(f"player:{player}", "unsubscribed", self._now, data, None)
        )

    def _granted(self, player: str) -> set[str]:
        streams = self._scope.granted(player)
        for (whose, stream), granted in self.changes.grants.items():
            if whose == player:
                (streams.add if granted else streams.discard)(stream)
        return streams

    def _moment(self, due: timedelta | datetime) -> int:
        micros = self._now + due // MICROSECOND if isinstance(due, timedelta) else to_micros(due)
        to_datetime(micros)  # what no calendar has raises here, and not when everything is written
        return micros

    def _unique(self, key: str, kind: str, name: str) -> ProcessRow | None:
        mine = {
            row.id: row
            for row in self.changes.processes.values()
            if (row.key, row.kind, row.unique_name) == (key, kind, name)
        }
        for row in mine.values():
            if row.state in LIVE:
                return row
        stored = self._scope.unique_process(key, kind, name)
        current = None if self._current is None else self._current.id
        return None if stored is None or stored.id in mine or stored.id == current else stored

    def _live(self, id: int) -> ProcessRow | None:
        row = self.changes.processes.get(id) or self._scope.live_process(id)
        if row is None or row.state not in LIVE or row.key != self.key:
            return None
        if self._current is not None and id == self._current.id:
            raise NotAllowed("a process's handler completes it; it cannot change the process itself")
        return row

    def _change(self, row: ProcessRow, event: str) -> None:
        self.changes.processes[row.id] = row
        self.changes.publications += lifecycle(row, event, self._now)

    def _public(self, kind: str, process: kinds.Process, data: bytes) -> bytes:
        """What everyone may know of a process; its lifecycle events carry it."""
        public = _public(process, data)
        self._check_size(f"process_started of {kind}", len(public))
        return public

    def _check_size(self, event: str, size: int) -> None:
        if size > self._scope.event_bytes:
            most = self._scope.event_bytes
            raise NotAllowed(f"the event {event} has {size} bytes; the limit event_bytes is {most}")


class Read:
    """What a view's handler may do: read one snapshot of the database."""

    def __init__(self, db: HandlerConnection, *, now: int, registry: Registry, positions: Positions) -> None:
        self.db = db
        self.positions: dict[str, int] = {}
        self._now = now
        self._registry = registry
        self._store = positions

    @property
    def now(self) -> datetime:
        """The time of the snapshot, UTC."""
        return to_datetime(self._now)

    def position(self, stream: str) -> int:
        """The stream's offset in this snapshot; it travels with the reply. Call it before reading data."""
        offset = self._store.head(stream)
        self.positions[stream] = offset
        return offset

    def processes(self, key: str) -> list[ProcessInfo]:
        """The live processes of a key, in order of their due times."""
        return [describe(self._registry, row) for row in self._store.processes_of_key(key)]


class Positions(Protocol):
    """What a view reads of the framework's own tables."""

    def head(self, stream: str) -> int:
        """The stream's last offset."""
        ...

    def processes_of_key(self, key: str) -> Sequence[ProcessRow]:
        """The live processes of a key."""
        ...


def _check_texts(*texts: str | None) -> None:
    """Raise now, in the handler, for what the database would refuse when the whole batch is written."""
    for text in texts:
        if text is not None:
            text.encode()


def _with(row: ProcessRow, state: State, **changes: Any) -> ProcessRow:
    return msgspec.structs.replace(row, state=require(row.state, state), **changes)


def _public(process: kinds.Process, data: bytes) -> bytes:
    names = process.public
    if not names:
        return b"{}"
    fields = msgspec.json.decode(data, type=dict[str, msgspec.Raw])
    return encode({name: fields[name] for name in names if name in fields})
