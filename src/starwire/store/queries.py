"""The executor's statements, each on sets: what one transaction reads and what it leaves behind.

A ``Work`` is bound to the connection of one transaction. SQLite and PostgreSQL share every statement; what
differs between them (upserts, lists as one parameter) is decided once, in ``store/dialect.py``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from sqlalchemy import Connection, and_, bindparam, delete, func, insert, select, update

from starwire.process import ProcessRow, State
from starwire.store import tables
from starwire.store.dialect import Dialect

_ROW_FIELDS = tuple(each.name for each in msgspec.structs.fields(ProcessRow))
_process_columns = tuple(tables.process.c[name] for name in _ROW_FIELDS)
_state_at = _ROW_FIELDS.index("state")


@dataclass(frozen=True, slots=True)
class PartitionRow:
    """A partition that this transaction holds."""

    id: int
    clock: int
    last_process: int


@dataclass(frozen=True, slots=True)
class StoredReply:
    """A reply that was given already."""

    player: str
    id: str
    digest: bytes
    frame: bytes


@dataclass(frozen=True, slots=True)
class EventRow:
    """An event with its offset."""

    stream: str
    offset: int
    event: str
    at: int
    data: bytes
    message: str | None


class Work:
    """The statements of one transaction of the executor."""

    def __init__(self, connection: Connection, dialect: Dialect) -> None:
        self.connection = connection
        self._dialect = dialect

    def take_partitions(self, partitions: Sequence[int]) -> list[PartitionRow]:
        """Lock the partitions in order of their numbers and read their clocks."""
        c = tables.partition.c
        statement = (
            select(c.id, c.clock, c.last_process)
            .where(self._dialect.is_any(c.id, "partitions"))
            .order_by(c.id)
            .with_for_update()
        )
        rows = self.connection.execute(statement, {"partitions": self._dialect.array(partitions)})
        return [PartitionRow(*row) for row in rows]

    def answered(self, ids: Sequence[str]) -> list[StoredReply]:
        """Stored replies under these command ids, of any player."""
        c = tables.reply.c
        statement = select(c.player, c.id, c.digest, c.frame).where(self._dialect.is_any(c.id, "ids"))
        return [
            StoredReply(*row) for row in self.connection.execute(statement, {"ids": self._dialect.array(ids)})
        ]

    def due(
        self, partitions: Sequence[int], now: int, limit: int, held: Iterable[str] = ()
    ) -> list[ProcessRow]:
        """What is due by ``now``, in order of (run_at, id), without the keys in ``held``."""
        c = tables.process.c
        statement = select(*_process_columns).where(
            self._dialect.is_any(c.partition, "partitions"),
            c.run_at <= bindparam("now"),
            c.state != State.PAUSED,
        )
        parameters: dict[str, Any] = {
            "partitions": self._dialect.array(partitions),
            "now": now,
            "limit": limit,
        }
        held = list(held)
        if held:
            statement = statement.where(~self._dialect.is_any(c.key, "held"))
            parameters["held"] = self._dialect.array(held)
        statement = statement.order_by(c.run_at, c.id).limit(bindparam("limit"))
        return [_row(each) for each in self.connection.execute(statement, parameters)]

    def due_of_key(self, key: str, now: int, limit: int) -> list[ProcessRow]:
        """What is due of one key, in order of (run_at, id)."""
        c = tables.process.c
        statement = (
            select(*_process_columns)
            .where(c.key == bindparam("key"), c.run_at <= bindparam("now"), c.state != State.PAUSED)
            .order_by(c.run_at, c.id)
            .limit(bindparam("limit"))
        )
        return [
            _row(each)
            for each in self.connection.execute(statement, {"key": key, "now": now, "limit": limit})
        ]

    def next_due(self, partitions: Sequence[int], held: Iterable[str] = ()) -> int | None:
        """When the next live process of these partitions is to run; None when there is none."""
        c = tables.process.c
        statement = select(c.run_at).where(
            self._dialect.is_any(c.partition, "partitions"), c.state != State.PAUSED
        )
        parameters: dict[str, Any] = {"partitions": self._dialect.array(partitions)}
        held = list(held)
        if held:
            statement = statement.where(~self._dialect.is_any(c.key, "held"))
            parameters["held"] = self._dialect.array(held)
        found: int | None = self.connection.scalar(statement.order_by(c.run_at, c.id).limit(1), parameters)
        return found

    def process(self, id: int) -> ProcessRow | None:
        """One live process."""
        statement = select(*_process_columns).where(tables.process.c.id == bindparam("id"))
        row = self.connection.execute(statement, {"id": id}).first()
        return None if row is None else _row(row)

    def unique_process(self, key: str, kind: str, name: str) -> ProcessRow | None:
        """The live process that was started as unique under this name."""
        c = tables.process.c
        statement = select(*_process_columns).where(
            c.key == bindparam("key"), c.kind == bindparam("kind"), c.unique_name == bindparam("name")
        )
        row = self.connection.execute(statement, {"key": key, "kind": kind, "name": name}).first()
        return None if row is None else _row(row)

    def processes_of_key(self, key: str) -> list[ProcessRow]:
        """All live processes of a key, in order of (due_at, id)."""
        c = tables.process.c
        statement = select(*_process_columns).where(c.key == bindparam("key")).order_by(c.due_at, c.id)
        return [_row(each) for each in self.connection.execute(statement, {"key": key})]

    def processes_of_streams(self, streams: Sequence[str]) -> list[ProcessRow]:
        """All live processes whose lifecycle events go to these streams, in order of (due_at, id)."""
        c = tables.process.c
        statement = (
            select(*_process_columns)
            .where(self._dialect.is_any(c.stream, "streams"))
            .order_by(c.due_at, c.id)
        )
        return [
            _row(each)
            for each in self.connection.execute(statement, {"streams": self._dialect.array(streams)})
        ]

    def save_processes(self, rows: Sequence[ProcessRow]) -> None:
        """Insert what is new and update what has changed, in one statement."""
        if rows:
            statement = self._dialect.insert(tables.process)
            changing = ("state", "attempt", "due_at", "run_at", "remaining")
            statement = statement.on_conflict_do_update(
                index_elements=["id"], set_={name: statement.excluded[name] for name in changing}
            )
            self.connection.execute(statement, [msgspec.structs.asdict(row) for row in rows])

    def finish_processes(self, rows: Sequence[tuple[ProcessRow, int, str | None]], *, stored: int) -> None:
        """Move finished processes to the archive: (row, when, traceback or None).

        ``stored`` is how many of them stood in the hot table; another number found there means that somebody
        else has finished one, and the transaction must not commit.

        Raises:
            LostRace: a process that this transaction finishes is no longer live.
        """
        if not rows:
            return
        ids = self._dialect.array([row.id for row, _, _ in rows])
        gone = self.connection.execute(
            delete(tables.process).where(self._dialect.is_any(tables.process.c.id, "ids")), {"ids": ids}
        ).rowcount
        if gone != stored:
            raise LostRace(f"{stored} live processes were to be finished, {gone} were found")
        self.connection.execute(
            insert(tables.finished),
            [{**msgspec.structs.asdict(row), "finished_at": at, "error": error} for row, at, error in rows],
        )

    def advance_heads(self, counts: Mapping[str, int]) -> dict[str, int]:
        """Move the heads of streams by so many events (0 only asks) and return the new heads.

        In order of names, so that two transactions that publish to the same streams cannot block each other.
        """
        statement = self._dialect.insert(tables.stream)
        statement = statement.on_conflict_do_update(
            index_elements=["name"], set_={"head": tables.stream.c.head + statement.excluded.head}
        ).returning(tables.stream.c.name, tables.stream.c.head)
        rows = self.connection.execute(
            statement, [{"name": name, "head": counts[name]} for name in sorted(counts)]
        )
        return {name: head for name, head in rows}

    def add_events(self, rows: Sequence[EventRow]) -> None:
        """Insert events that have their offsets."""
        if rows:
            columns = ("stream", "offset", "event", "at", "data", "message")
            self.connection.execute(
                insert(tables.event), [{name: getattr(row, name) for name in columns} for row in rows]
            )

    def add_subscriptions(self, pairs: Sequence[tuple[str, str]]) -> None:
        """Grant streams to players: (player, stream)."""
        if pairs:
            statement = self._dialect.insert(tables.subscription).on_conflict_do_nothing()
            self.connection.execute(statement, [{"player": p, "stream": s} for p, s in pairs])

    def remove_subscriptions(self, pairs: Sequence[tuple[str, str]]) -> None:
        """Take streams from players: (player, stream)."""
        if pairs:
            c = tables.subscription.c
            statement = delete(tables.subscription).where(
                and_(c.player == bindparam("p"), c.stream == bindparam("s"))
            )
            self.connection.execute(statement, [{"p": p, "s": s} for p, s in pairs])

    def subscriptions(self, player: str) -> list[str]:
        """The streams granted to a player."""
        c = tables.subscription.c
        return list(
            self.connection.scalars(select(c.stream).where(c.player == bindparam("p")), {"p": player})
        )

    def add_replies(self, rows: Sequence[StoredReply], at: int) -> None:
        """Keep replies for the commands' ids."""
        if rows:
            self.connection.execute(
                insert(tables.reply),
                [
                    {"player": row.player, "id": row.id, "digest": row.digest, "frame": row.frame, "at": at}
                    for row in rows
                ],
            )

    def save_partitions(self, rows: Sequence[PartitionRow]) -> None:
        """Leave the partitions' clocks and counters."""
        if rows:
            statement = (
                update(tables.partition)
                .where(tables.partition.c.id == bindparam("p"))
                .values(clock=bindparam("new_clock"), last_process=bindparam("counter"))
            )
            self.connection.execute(
                statement,
                [{"p": row.id, "new_clock": row.clock, "counter": row.last_process} for row in rows],
            )

    def lateness(self, now: int) -> float:
        """Seconds since the due time of the oldest unfinished due process; 0.0 when nothing is late."""
        c = tables.process.c
        oldest = self.connection.scalar(
            select(func.min(c.run_at)).where(c.state != State.PAUSED, c.run_at <= bindparam("now")),
            {"now": now},
        )
        return 0.0 if oldest is None else (now - oldest) / 1e6


class LostRace(Exception):
    """What this transaction has read is no longer so. It must be rolled back and run again."""


def _row(values: Sequence[Any]) -> ProcessRow:
    fields = dict(zip(_ROW_FIELDS, values, strict=True))
    fields["state"] = State(values[_state_at])
    return ProcessRow(**fields)
