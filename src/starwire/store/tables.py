"""The framework's tables. Times are BigInteger microseconds since 1970, UTC; JSON is bytes as encoded.

The migrations in ``migrations/`` build the same; a test compares the two.

``process`` is hot and small: it holds live processes only. What is finished moves to ``finished``, so that
no query on due work ever meets it.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    String,
    Table,
    literal_column,
    text,
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

meta = Table(
    "starwire_meta",
    metadata,
    Column("name", String, primary_key=True),
    Column("value", String, nullable=False),
    comment="epoch, seed and the number of partitions, made once",
)

partition = Table(
    "starwire_partition",
    metadata,
    Column("id", SmallInteger, primary_key=True, autoincrement=False),
    Column("clock", BigInteger, nullable=False, comment="no transaction of this partition is earlier"),
    Column("last_process", BigInteger, nullable=False, comment="counter for process ids"),
    comment="one row a partition; who holds it runs the partition's keys",
)


lease = Table(
    "starwire_lease",
    metadata,
    Column("name", String, primary_key=True),
    Column("holder", String, nullable=False),
    Column("term", BigInteger, nullable=False, comment="grows with every change of holder"),
    Column("expires_at", BigInteger, nullable=False, comment="in the database's time"),
    comment="who leads among the schedulers",
)


def _process_columns() -> list[Column[object]]:
    return [
        Column("id", BigInteger, primary_key=True, autoincrement=False),
        Column("kind", String, nullable=False),
        Column("version", Integer, nullable=False),
        Column("key", String, nullable=False),
        Column("partition", SmallInteger, nullable=False),
        Column("owner", String),
        Column("stream", String),
        Column("data", LargeBinary, nullable=False),
        Column("public", LargeBinary, nullable=False),
        Column("unique_name", String),
        Column("state", String, nullable=False),
        Column("attempt", Integer, nullable=False),
        Column("started_at", BigInteger, nullable=False),
        Column("due_at", BigInteger, nullable=False),
        Column("run_at", BigInteger, nullable=False),
        Column("remaining", BigInteger),
    ]


process = Table(
    "starwire_process",
    metadata,
    *_process_columns(),
    Index("ix_starwire_process_key", "key", "run_at"),
    Index("ix_starwire_process_stream", "stream"),
    comment="live processes",
)
awake = process.c.state != literal_column("'paused'")
"""The condition of the index on what is due, as a query must repeat it to use that index: as a literal. Once
PostgreSQL plans a statement for any parameters, it cannot know that a parameter would fit."""

Index(
    "ix_starwire_process_due",
    process.c.run_at,
    process.c.id,
    sqlite_where=text("state <> 'paused'"),
    postgresql_where=text("state <> 'paused'"),
)
Index(
    "uq_starwire_process_unique",
    process.c.key,
    process.c.kind,
    process.c.unique_name,
    unique=True,
    sqlite_where=text("unique_name IS NOT NULL"),
    postgresql_where=text("unique_name IS NOT NULL"),
)

finished = Table(
    "starwire_finished",
    metadata,
    *_process_columns(),
    Column("finished_at", BigInteger, nullable=False),
    Column("error", String, comment="the traceback of a failed process"),
    Index("ix_starwire_finished_finished_at", "finished_at"),
    comment="the archive: completed, cancelled and failed processes, pruned by age",
)

stream = Table(
    "starwire_stream",
    metadata,
    Column("name", String, primary_key=True),
    Column("head", BigInteger, nullable=False, comment="the last offset"),
    Column(
        "pruned", BigInteger, nullable=False, server_default=text("0"), comment="the last offset not kept"
    ),
)

event = Table(
    "starwire_event",
    metadata,
    Column("stream", String, primary_key=True),
    Column("offset", BigInteger, primary_key=True, autoincrement=False),
    Column("event", String, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("data", LargeBinary, nullable=False),
    Column("message", String),
    Index("ix_starwire_event_at", "at"),
    sqlite_with_rowid=False,
)

reply = Table(
    "starwire_reply",
    metadata,
    Column("id", String, primary_key=True),
    Column("player", String, primary_key=True),
    Column("digest", LargeBinary, nullable=False, comment="of command and arguments"),
    Column("frame", LargeBinary, nullable=False, comment="the reply as it was sent"),
    Column("at", BigInteger, nullable=False),
    Index("ix_starwire_reply_at", "at"),
    sqlite_with_rowid=False,
    comment="replies by command id, kept for 24 hours",
)

subscription = Table(
    "starwire_subscription",
    metadata,
    Column("player", String, primary_key=True),
    Column("stream", String, primary_key=True),
    sqlite_with_rowid=False,
    comment="the streams that a player hears beside `player:<player>` and `all`",
)

account = Table(
    "starwire_account",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("name", String, nullable=False, comment="as written"),
    Column("login", String, unique=True, comment="the name folded for comparison; NULL for guests"),
    Column("password", String, comment="an argon2 hash; NULL for guests"),
    Column("operator", SmallInteger, nullable=False, server_default=text("0")),
    Column("created_at", BigInteger, nullable=False),
    sqlite_autoincrement=True,
)

session = Table(
    "starwire_session",
    metadata,
    Column("id", String, primary_key=True),
    Column("account", Integer, nullable=False, index=True),
    Column("refresh", LargeBinary, nullable=False, unique=True, comment="sha256 of the refresh token"),
    Column("previous", LargeBinary, index=True, comment="the one before: its use again revokes the session"),
    Column("rotated_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False, index=True),
    comment="a login on one device",
)
