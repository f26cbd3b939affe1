"""What a game leaves behind: the database as it stands, and what each player sent, was answered and was told.

Plain data, so that the checker can judge it, and its own tests can doctor it.
"""

import json
import shutil
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
Row = dict[str, Any]
Rows = Callable[[str], list[Row]]
"""What answers a query."""


def moment(at: int | str) -> datetime:
    """A time of a table (microseconds since 1970) or of the wire."""
    return EPOCH + timedelta(microseconds=at) if isinstance(at, int) else datetime.fromisoformat(at)


@dataclass
class Event:
    """An entry of a stream."""

    offset: int
    event: str
    at: datetime
    data: Row
    message: str | None


@dataclass
class Process:
    """A row of the live or of the finished processes."""

    id: int
    kind: str
    stream: str | None
    data: Row
    state: str
    started_at: datetime
    due_at: datetime
    run_at: datetime
    finished_at: datetime | None


@dataclass
class Order:
    """A command as a player sent it, maybe several times, and every reply that came to it."""

    id: str
    command: str
    args: Row
    replies: list[Row] = field(default_factory=list)
    sent: int = 0
    put_off: bool = False
    """It was refused with `retry`, and waits to be sent again."""
    lost_its_place: bool = False
    """It was put off once."""

    @property
    def answered(self) -> bool:
        return bool(self.replies)


@dataclass
class Seen:
    """What a player was told of one stream: everything after the offset `after`."""

    after: int
    events: list[Event] = field(default_factory=list)


@dataclass
class Witness:
    """A player, seen from outside. Orders stand in the order in which they were first sent."""

    player: str
    orders: list[Order] = field(default_factory=list)
    seen: dict[str, Seen] = field(default_factory=dict)


@dataclass
class Database:
    """Every table that a claim is made about."""

    heads: dict[str, int]
    events: dict[str, list[Event]]
    live: list[Process]
    finished: list[Process]
    replies: dict[tuple[str, str], Row]
    counters: dict[int, int]
    integrity: list[str]
    universes: list[Row] = field(default_factory=list)
    members: list[Row] = field(default_factory=list)
    planets: list[Row] = field(default_factory=list)
    stars: list[Row] = field(default_factory=list)
    constructions: list[Row] = field(default_factory=list)

    def universe_stream(self, universe: int) -> list[Event]:
        return self.events.get(f"universe:{universe}", [])


@dataclass
class History:
    """What there is to judge.

    `settled_at` is set when a server is up and says that nothing is late: then nothing due before may be
    pending, every command has its reply, and everybody has been told everything.
    """

    database: Database
    witnesses: list[Witness]
    settled_at: datetime | None = None


def read_database(connection: sqlite3.Connection) -> Database:
    """Read everything in one snapshot."""
    rows = rows_of(connection)
    return collect(rows, unsound(rows))


def rows_of(connection: sqlite3.Connection) -> Rows:
    """What answers queries from an SQLite database."""
    connection.row_factory = sqlite3.Row
    cursor = connection.cursor()
    return lambda query: [dict(row) for row in cursor.execute(query)]


def unsound(rows: Rows) -> list[str]:
    """What SQLite itself finds wrong with its file."""
    found = [tuple(row.values()) for row in rows("PRAGMA integrity_check")]
    return [str(*row) for row in found if row != ("ok",)]


def collect(rows: Rows, integrity: list[str]) -> Database:
    """Everything that claims are made about, from whatever answers queries."""
    return replace(
        collect_framework(rows, integrity),
        universes=rows("SELECT * FROM universes"),
        members=rows("SELECT * FROM members"),
        planets=rows("SELECT * FROM planets"),
        stars=rows("SELECT * FROM stars"),
        constructions=rows("SELECT * FROM constructions ORDER BY universe, construction"),
    )


def collect_framework(rows: Rows, integrity: list[str]) -> Database:
    """The framework's tables, of whatever game."""
    events: dict[str, list[Event]] = {}
    for row in rows('SELECT * FROM starwire_event ORDER BY stream, "offset"'):
        event = Event(row["offset"], row["event"], moment(row["at"]), json.loads(row["data"]), row["message"])
        events.setdefault(row["stream"], []).append(event)
    replies = rows("SELECT player, id, frame FROM starwire_reply")
    return Database(
        heads={row["name"]: row["head"] for row in rows("SELECT * FROM starwire_stream")},
        events=events,
        live=[_process(row) for row in rows("SELECT * FROM starwire_process")],
        finished=[_process(row) for row in rows("SELECT * FROM starwire_finished")],
        replies={(row["player"], row["id"]): json.loads(row["frame"]) for row in replies},
        counters={row["id"]: row["last_process"] for row in rows("SELECT * FROM starwire_partition")},
        integrity=integrity,
    )


def _process(row: Row) -> Process:
    return Process(
        id=row["id"],
        kind=row["kind"],
        stream=row["stream"],
        data=json.loads(row["data"]),
        state=row["state"],
        started_at=moment(row["started_at"]),
        due_at=moment(row["due_at"]),
        run_at=moment(row["run_at"]),
        finished_at=moment(row["finished_at"]) if "finished_at" in row else None,
    )


def read_running(path: Path) -> Database:
    """The database of a server that is running, in one snapshot."""
    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True, isolation_level=None)
    try:
        connection.execute("BEGIN")
        return read_database(connection)
    finally:
        connection.close()


def read_at_rest(path: Path, aside: Path) -> Database | None:
    """The database as a killed server left it; None when it was killed before it had made its tables.

    A copy is read: opening the original would do the recovery that is the next server's to do.
    """
    aside.mkdir(exist_ok=True)
    for ending in ("", "-wal"):
        source = path.with_name(path.name + ending)
        if source.exists():
            shutil.copy(source, aside / source.name)
    connection = sqlite3.connect(aside / path.name, isolation_level=None)
    try:
        made = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'starwire_event'").fetchone()
        return read_database(connection) if made else None
    finally:
        connection.close()
        shutil.rmtree(aside)
