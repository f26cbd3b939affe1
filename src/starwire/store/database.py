"""Opening the database: SQLite in WAL mode with ``synchronous=FULL``, one writer, several readers.

The writer's transactions begin IMMEDIATE, so that what they read cannot change before they write. Readers
are ``query_only`` and see one snapshot for each transaction.
"""

from __future__ import annotations

import secrets
import sqlite3
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, insert, select
from sqlalchemy.pool import QueuePool

from starwire.errors import ConfigurationError
from starwire.store import tables
from starwire.store.dialect import Dialect, Sqlite
from starwire.store.statements import Statements

BUSY_MILLISECONDS = 30_000  # a command-line tool may hold the write lock for a moment


class Database:
    """The write and read connections of one database, and how it differs from others."""

    def __init__(self, write: Engine, read: Engine, dialect: Dialect) -> None:
        self.write = write
        self.read = read
        self.statements = Statements(dialect)

    def close(self) -> None:
        """Close every connection."""
        self.read.dispose()
        self.write.dispose()


def open_sqlite(path: Path, *, readers: int = 4, durable: bool = True) -> Database:
    """Open the SQLite database at ``path``, making the file when it is missing.

    ``durable=False`` leaves out the fsync; only the test kit uses it.
    """
    url = URL.create("sqlite+pysqlite", database=str(path))
    arguments: dict[str, Any] = {"check_same_thread": False, "isolation_level": None}
    write = create_engine(url, connect_args=arguments, poolclass=QueuePool, pool_size=1, max_overflow=0)
    read = create_engine(url, connect_args=arguments, poolclass=QueuePool, pool_size=readers, max_overflow=0)
    synchronous = "FULL" if durable else "OFF"

    @event.listens_for(write, "connect")
    def _writer(connection: sqlite3.Connection, _: object) -> None:
        connection.execute(f"PRAGMA busy_timeout={BUSY_MILLISECONDS}")
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute(f"PRAGMA synchronous={synchronous}")
        connection.execute("PRAGMA foreign_keys=ON")
        connection.execute("PRAGMA temp_store=MEMORY")
        connection.execute("PRAGMA cache_size=-65536")

    @event.listens_for(read, "connect")
    def _reader(connection: sqlite3.Connection, _: object) -> None:
        connection.execute(f"PRAGMA busy_timeout={BUSY_MILLISECONDS}")
        connection.execute("PRAGMA query_only=ON")

    event.listen(write, "begin", _begin_immediate)
    event.listen(read, "begin", _begin_deferred)
    return Database(write, read, Sqlite())


def _begin_immediate(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def _begin_deferred(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN")


class Facts:
    """What was decided when the database was made: its epoch, its seed, its number of partitions."""

    def __init__(self, epoch: str, seed: str, partitions: int) -> None:
        self.epoch = epoch
        self.seed = seed
        self.partitions = partitions


def read_facts(connection: Connection, *, partitions: int, seed: str | None = None) -> Facts:
    """Read the database's facts, making them on first use.

    Raises:
        ConfigurationError: the database was made with another number of partitions.
    """
    found = stored_facts(connection) or {}
    if not found:
        found = {
            "epoch": secrets.token_hex(8),
            "seed": seed or secrets.token_hex(16),
            "partitions": str(partitions),
        }
        connection.execute(insert(tables.meta), [{"name": n, "value": v} for n, v in found.items()])
        connection.execute(
            insert(tables.partition), [{"id": n, "clock": 0, "last_process": 0} for n in range(partitions)]
        )
    if int(found["partitions"]) != partitions:
        raise ConfigurationError(
            f"STARWIRE_PARTITIONS is {partitions}, but this database was made with {found['partitions']};"
            " the number is fixed at creation"
        )
    return Facts(found["epoch"], found["seed"], partitions)


def stored_facts(connection: Connection) -> dict[str, str] | None:
    """The database's facts as they are stored; None before they were made."""
    rows = connection.execute(select(tables.meta.c.name, tables.meta.c.value))
    return {name: value for name, value in rows} or None  # noqa: C416 - rows are no pairs to mypy
