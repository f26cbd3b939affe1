"""The executor's statements, each on sets: what one transaction reads and what it leaves behind.

A ``Work`` is bound to the connection of one transaction; ``statements.py`` holds the SQL, built once.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from sqlalchemy import Connection, Select

from starwire.process import ProcessRow, State
from starwire.store.dialect import DEFERRED
from starwire.store.statements import ROW_FIELDS, Statements

_state_at = ROW_FIELDS.index("state")


@dataclass(frozen=True, slots=True)
class PartitionRow:
    """A partition that this transaction holds."""

    id: int
    clock: int
    last_process: int
    now: int | None = None
    """The database's clock when it was read; None where that is this OS process's."""


class StoredReply(msgspec.Struct, frozen=True):
    """A reply that was given already."""

    player: str
    id: str
    digest: bytes
    frame: bytes


class EventRow(msgspec.Struct, frozen=True):
    """An event with its offset."""

    stream: str
    offset: int
    event: str
    at: int
    data: bytes
    message: str | None


class Work:
    """The statements of one transaction of the executor."""

    def __init__(self, connection: Connection, statements: Statements) -> None:
        self.connection = connection
        self._sql = statements
        self._array = statements.dialect.array
        self._set = statements.dialect.rows

    def send(self, statement: str) -> None:
        """Run a statement that has no result; an error of it may come with a later one."""
        self.connection.exec_driver_sql(statement, execution_options={DEFERRED: True})

    def take_partitions(self, partitions: Sequence[int], *, wait: bool = True) -> list[PartitionRow]:
        """Lock the partitions in order of their numbers and read their clocks.

        Without ``wait``, a partition that somebody else holds raises the driver's OperationalError at once.
        """
        statement = self._sql.take_partitions if wait else self._sql.take_free_partitions
        rows = self.connection.execute(statement, {"partitions": self._array(partitions)})
        return [PartitionRow(*row) for row in rows]

    def answered(self, ids: Sequence[str]) -> list[StoredReply]:
        """Stored replies under these command ids, of any player."""
        return [
            StoredReply(*row)
            for row in self.connection.execute(self._sql.answered, {"ids": self._array(ids)})
        ]

    def due(
        self, partitions: Sequence[int], now: int, limit: int, held: Collection[str] = ()
    ) -> list[ProcessRow]:
        """What is due by ``now``, in order of (run_at, id), without the keys in ``held``."""
        parameters: dict[str, Any] = {"partitions": self._array(partitions), "now": now, "limit": limit}
        if not held:
            return self._rows(self._sql.due, parameters)
        return self._rows(self._sql.due_not_held, {**parameters, "held": self._array(held)})

    def due_of_key(self, key: str, now: int, limit: int) -> list[ProcessRow]:
        """What is due of one key, in order of (run_at, id)."""
        return self._rows(self._sql.due_of_key, {"key": key, "now": now, "limit": limit})

    def next_due(self, partitions: Sequence[int], held: Collection[str] = ()) -> tuple[int, int] | None:
        """When the next live process of these partitions is to run, and its id; None when there is none."""
        parameters: dict[str, Any] = {"partitions": self._array(partitions)}
        statement = self._sql.next_due_not_held if held else self._sql.next_due
        if held:
            parameters["held"] = self._array(held)
        row = self.connection.execute(statement, parameters).first()
        return None if row is None else (row.run_at, row.id)

    def process(self, id: int) -> ProcessRow | None:
        """One live process."""
        return next(iter(self._rows(self._sql.process, {"id": id})), None)

    def unique_process(self, key: str, kind: str, name: str) -> ProcessRow | None:
        """The live process that was started as unique under this name."""
        return next(
            iter(self._rows(self._sql.unique_process, {"key": key, "kind": kind, "name": name})), None
        )

    def processes_of_key(self, key: str) -> list[ProcessRow]:
        """All live processes of a key, in order of (due_at, id)."""
        return self._rows(self._sql.processes_of_key, {"key": key})

    def processes_of_streams(self, streams: Sequence[str]) -> list[ProcessRow]:
        """All live processes whose lifecycle events go to these streams, in order of (due_at, id)."""
        return self._rows(self._sql.processes_of_streams, {"streams": self._array(streams)})

    def save_processes(self, rows: Sequence[ProcessRow]) -> None:
        """Insert what is new and update what has changed, in one statement."""
        if rows:
            self.connection.execute(self._sql.save_processes, self._set(rows))

    def finish_processes(self, rows: Sequence[tuple[ProcessRow, int, str | None]], *, stored: int) -> None:
        """Move finished processes to the archive: (row, when, traceback or None).

        ``stored`` is how many of them stood in the hot table; another number found there means that somebody
        else has finished one, and the transaction must not commit.

        Raises:
            LostRace: a process that this transaction finishes is no longer live.
        """
        if not rows:
            return
        ids = self._array([row.id for row, _, _ in rows])
        gone = self.connection.execute(self._sql.remove_processes, {"ids": ids}).rowcount
        if gone != stored:
            raise LostRace(f"{stored} live processes were to be finished, {gone} were found")
        self.connection.execute(
            self._sql.archive,
            self._set(
                [
                    {**msgspec.structs.asdict(row), "finished_at": at, "error": error}
                    for row, at, error in rows
                ]
            ),
        )

    def advance_heads(self, counts: Mapping[str, int]) -> dict[str, int]:
        """Move the heads of streams by so many events (0 only asks) and return the new heads.

        In order of names, so that two transactions that publish to the same streams cannot block each other.
        """
        rows = self.connection.execute(
            self._sql.advance_heads,
            self._set([{"name": name, "head": counts[name]} for name in sorted(counts)]),
        )
        heads: dict[str, int] = {name: head for name, head in rows}  # noqa: C416 - rows are no pairs to mypy
        return heads

    def add_events(self, rows: Sequence[EventRow]) -> None:
        """Insert events that have their offsets."""
        if rows:
            self.connection.execute(self._sql.add_events, self._set(rows))

    def add_subscriptions(self, pairs: Sequence[tuple[str, str]]) -> None:
        """Grant streams to players: (player, stream)."""
        if pairs:
            self.connection.execute(
                self._sql.add_subscriptions, self._set([{"player": p, "stream": s} for p, s in pairs])
            )

    def remove_subscriptions(self, pairs: Sequence[tuple[str, str]]) -> None:
        """Take streams from players: (player, stream)."""
        if pairs:
            self.connection.execute(self._sql.remove_subscriptions, [{"p": p, "s": s} for p, s in pairs])

    def subscriptions(self, player: str) -> list[str]:
        """The streams granted to a player."""
        return list(self.connection.scalars(self._sql.subscriptions, {"p": player}))

    def subscriptions_of(self, players: Iterable[str]) -> list[tuple[str, str]]:
        """What is granted to these players: (player, stream), in one statement."""
        rows = self.connection.execute(self._sql.subscriptions_of, {"players": self._array(players)})
        return [(player, stream) for player, stream in rows]

    def add_replies(self, rows: Sequence[StoredReply], at: int) -> None:
        """Keep replies for the commands' ids."""
        if rows:
            self.connection.execute(
                self._sql.add_replies, self._set([{**msgspec.structs.asdict(row), "at": at} for row in rows])
            )

    def save_partitions(self, rows: Sequence[PartitionRow]) -> None:
        """Leave the partitions' clocks and counters."""
        if rows:
            self.connection.execute(
                self._sql.save_partitions,
                self._set([{"id": r.id, "clock": r.clock, "last_process": r.last_process} for r in rows]),
            )

    def _rows(self, statement: Select[Any], parameters: Mapping[str, Any]) -> list[ProcessRow]:
        return [_row(each) for each in self.connection.execute(statement, parameters)]


class LostRace(Exception):
    """What this transaction has read is no longer so. It must be rolled back and run again."""


def _row(values: Sequence[Any]) -> ProcessRow:
    fields = dict(zip(ROW_FIELDS, values, strict=True))
    fields["state"] = State(values[_state_at])
    return ProcessRow(**fields)
