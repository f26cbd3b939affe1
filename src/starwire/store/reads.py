"""What is read outside the executor's transactions: views, and where streams stand. No read takes the writer.

A ``Reads`` is used from several threads at once; each call is one snapshot of its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import structlog
from sqlalchemy import Connection, func, select
from sqlalchemy.exc import DBAPIError

from starwire.app import Registry, ViewKind
from starwire.clock import Clock, isoformat
from starwire.errors import Refused, Rejected, first_line
from starwire.identity import Identity
from starwire.lifecycle import lifecycle_data
from starwire.process import ProcessRow, State
from starwire.protocol import decode_args, encode, error_reply, ok_reply, push_frame
from starwire.store import tables
from starwire.store.database import Database
from starwire.store.handler import HandlerConnection
from starwire.store.queries import Work
from starwire.store.statements import Statements
from starwire.stream import Position
from starwire.transaction import Read

ALL = "all"
log = structlog.get_logger("starwire.engine")


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """An event of the table, encoded as its push."""

    stream: str
    offset: int
    event: str
    frame: bytes


@dataclass(frozen=True, slots=True)
class Question:
    """What somebody at the door has to know: the streams of players, positions of streams, sessions."""

    players: tuple[str, ...] = ()
    streams: tuple[str, ...] = ()
    sessions: tuple[str, ...] = ()

    @property
    def names(self) -> int:
        """How much is asked."""
        return len(self.players) + len(self.streams) + len(self.sessions)


@dataclass(frozen=True, slots=True)
class Answers:
    """What one snapshot says to a set of questions."""

    granted: dict[str, list[str]]
    """player → the streams it hears."""
    positions: dict[str, Position]
    """Of the streams that were asked about, and of those that the players hear."""
    live: frozenset[str]
    """Of the sessions that were asked about those that exist and were not revoked."""


class Snapshot:
    """The framework's tables in one read transaction. Implements ``transaction.Positions``."""

    def __init__(self, connection: Connection, statements: Statements) -> None:
        self.connection = connection
        self._sql = statements
        self._work = Work(connection, statements)

    def head(self, stream: str) -> int:
        """The stream's last offset; 0 when nothing was ever published."""
        return self.connection.scalar(self._sql.head, {"name": stream}) or 0

    def processes_of_key(self, key: str) -> Sequence[ProcessRow]:
        """The live processes of a key."""
        return self._work.processes_of_key(key)

    def subscriptions(self, players: Iterable[str]) -> dict[str, list[str]]:
        """The streams that each player hears, its own and ``all`` first."""
        heard = {player: [f"player:{player}", ALL] for player in players}
        for player, stream in sorted(self._work.subscriptions_of(heard)):
            heard[player].append(stream)
        return heard

    def live_sessions(self, sessions: Iterable[str], now: int) -> frozenset[str]:
        """Those of the login sessions that exist and were not revoked."""
        parameters = {"ids": self._sql.dialect.array(sessions), "now": now}
        return frozenset(self.connection.scalars(self._sql.live_sessions, parameters))

    def positions(self, streams: Iterable[str]) -> dict[str, Position]:
        """Where streams stand, in one statement."""
        names = list(streams)
        rows = self.connection.execute(self._sql.positions, {"names": self._sql.dialect.array(names)})
        found = {name: Position(head, pruned) for name, head, pruned in rows}
        return {name: found.get(name, Position()) for name in names}

    def pages(self, wanted: Sequence[tuple[str, int, int]]) -> list[list[StoredEvent]]:
        """For each (stream, after, limit) what is kept of its next ``limit`` events, in one statement."""
        rows = [
            {"nth": nth, "stream": stream, "after": after, "last": after + limit}
            for nth, (stream, after, limit) in enumerate(wanted)
        ]
        pages: list[list[StoredEvent]] = [[] for _ in wanted]
        if not rows:
            return pages
        found = self.connection.execute(self._sql.events, {"wanted": self._sql.dialect.array(rows)})
        for nth, offset, name, at, data, message in found:
            stream = wanted[nth][0]
            frame = push_frame(stream, offset, name, isoformat(at), data, message=message)
            pages[nth].append(StoredEvent(stream, offset, name, frame))
        return pages

    def processes_of_streams(self, streams: Sequence[str]) -> list[ProcessRow]:
        """The live processes whose lifecycle events go to these streams."""
        return self._work.processes_of_streams(streams)


class Reads:
    """Opens snapshots for views, hello and history."""

    def __init__(
        self, registry: Registry, database: Database, clock: Clock, *, epoch: str, result_bytes: int
    ) -> None:
        self.epoch = epoch
        self._registry = registry
        self._database = database
        self._clock = clock
        self._result_bytes = result_bytes

    def answer(self, kind: ViewKind | None, identity: Identity, id: str | None, args: bytes) -> bytes:
        """The reply frame of a view, or of the built-in ``processes`` (None), errors included."""
        name = "processes" if kind is None else kind.name
        try:
            return self.processes(identity, id) if kind is None else self.view(kind, identity, id, args)
        except (Refused, Rejected) as refusal:
            return error_reply(id, name, refusal)
        except Exception as error:
            if isinstance(error, DBAPIError) and self._database.statements.dialect.is_away(error):
                log.warning("database_is_away", view=name, error=first_line(error))
                return error_reply(id, name, Refused("unavailable", "The database is away for a moment."))
            log.exception("view_failed", view=name, player=identity.sub)
            return error_reply(id, name, Refused("internal", "The view failed on the server."))

    def view(self, kind: ViewKind, identity: Identity, id: str | None, args: bytes) -> bytes:
        """Answer a view: its reply frame, with the positions it asked for.

        Raises:
            Refused: the arguments or the size of the result are wrong.
            Rejected: the handler refuses.
        """
        ask = decode_args(kind.decoder, args)
        with self._database.read.begin() as connection:
            snapshot = Snapshot(connection, self._database.statements)
            db = HandlerConnection(connection, None)
            read = Read(db, now=self._clock.now(), registry=self._registry, positions=snapshot)
            result = encode(kind.handler(read, identity.sub, ask))
        if len(result) > self._result_bytes:
            raise Refused(
                "too_large", f"The result has {len(result)} bytes; the limit is {self._result_bytes}."
            )
        return ok_reply(id, kind.name, result, read.positions)

    def processes(self, identity: Identity, id: str | None) -> bytes:
        """The built-in view ``processes``: what is live on the streams that a player hears."""
        with self._database.read.begin() as connection:
            snapshot = Snapshot(connection, self._database.statements)
            streams = snapshot.subscriptions([identity.sub])[identity.sub]
            positions = snapshot.positions(streams)
            rows = snapshot.processes_of_streams(streams)
        result = encode({"processes": [lifecycle_data(row) for row in rows]})
        return ok_reply(
            id, "processes", result, {name: position.head for name, position in positions.items()}
        )

    def answers(self, questions: Sequence[Question]) -> Answers:
        """What one snapshot says to all of these, in at most three statements."""
        players = dict.fromkeys(name for question in questions for name in question.players)
        streams = dict.fromkeys(name for question in questions for name in question.streams)
        sessions = dict.fromkeys(name for question in questions for name in question.sessions)
        with self._database.read.begin() as connection:
            snapshot = Snapshot(connection, self._database.statements)
            granted = snapshot.subscriptions(players) if players else {}
            streams.update(dict.fromkeys(name for heard in granted.values() for name in heard))
            positions = snapshot.positions(streams) if streams else {}
            live = snapshot.live_sessions(sessions, self._clock.now()) if sessions else frozenset()
        return Answers(granted, positions, live)

    def history(self, wanted: Sequence[tuple[str, int, int]]) -> list[list[StoredEvent]]:
        """For each (stream, after, limit) its events, all in one statement."""
        with self._database.read.begin() as connection:
            return Snapshot(connection, self._database.statements).pages(wanted)

    def pending_by_kind(self) -> dict[tuple[str, State], int]:
        """How many live processes there are of each kind and state."""
        c = tables.process.c
        with self._database.read.begin() as connection:
            rows = connection.execute(select(c.kind, c.state, func.count()).group_by(c.kind, c.state))
            return {(kind, State(state)): count for kind, state, count in rows}
