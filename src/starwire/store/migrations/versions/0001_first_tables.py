"""The first tables: what `store/tables.py` had when there was no database yet."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

NOT_PAUSED = sa.text("state <> 'paused'")
UNIQUE = sa.text("unique_name IS NOT NULL")


def upgrade() -> None:
    _framework()
    _processes()
    _streams()
    _replies()
    _accounts()


def downgrade() -> None:
    processes = ("process", "finished", "partition", "meta")
    streams = ("event", "stream", "subscription")
    for table in ("session", "account", "reply", *streams, *processes):
        op.drop_table(f"starwire_{table}")


def _framework() -> None:
    op.create_table(
        "starwire_meta",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("value", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_starwire_meta"),
        comment="epoch, seed and the number of partitions, made once",
    )
    op.create_table(
        "starwire_partition",
        sa.Column("id", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column(
            "clock", sa.BigInteger(), nullable=False, comment="no transaction of this partition is earlier"
        ),
        sa.Column("last_process", sa.BigInteger(), nullable=False, comment="counter for process ids"),
        sa.PrimaryKeyConstraint("id", name="pk_starwire_partition"),
        comment="one row a partition; who holds it runs the partition's keys",
    )


def _process_columns() -> list[sa.Column[object]]:
    return [
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("partition", sa.SmallInteger(), nullable=False),
        sa.Column("owner", sa.String()),
        sa.Column("stream", sa.String()),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.Column("public", sa.LargeBinary(), nullable=False),
        sa.Column("unique_name", sa.String()),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=False),
        sa.Column("run_at", sa.BigInteger(), nullable=False),
        sa.Column("remaining", sa.BigInteger()),
    ]


def _processes() -> None:
    op.create_table(
        "starwire_process",
        *_process_columns(),
        sa.PrimaryKeyConstraint("id", name="pk_starwire_process"),
        comment="live processes",
    )
    op.create_index("ix_starwire_process_key", "starwire_process", ["key", "run_at"])
    op.create_index("ix_starwire_process_stream", "starwire_process", ["stream"])
    op.create_index(
        "ix_starwire_process_due",
        "starwire_process",
        ["run_at", "id"],
        sqlite_where=NOT_PAUSED,
        postgresql_where=NOT_PAUSED,
    )
    op.create_index(
        "uq_starwire_process_unique",
        "starwire_process",
        ["key", "kind", "unique_name"],
        unique=True,
        sqlite_where=UNIQUE,
        postgresql_where=UNIQUE,
    )
    op.create_table(
        "starwire_finished",
        *_process_columns(),
        sa.Column("finished_at", sa.BigInteger(), nullable=False),
        sa.Column("error", sa.String(), comment="the traceback of a failed process"),
        sa.PrimaryKeyConstraint("id", name="pk_starwire_finished"),
        comment="the archive: completed, cancelled and failed processes, pruned by age",
    )
    op.create_index("ix_starwire_finished_finished_at", "starwire_finished", ["finished_at"])


def _streams() -> None:
    op.create_table(
        "starwire_stream",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("head", sa.BigInteger(), nullable=False, comment="the last offset"),
        sa.Column(
            "pruned",
            sa.BigInteger(),
            server_default=sa.text("0"),
            nullable=False,
            comment="the last offset not kept",
        ),
        sa.PrimaryKeyConstraint("name", name="pk_starwire_stream"),
    )
    op.create_table(
        "starwire_event",
        sa.Column("stream", sa.String(), nullable=False),
        sa.Column("offset", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("event", sa.String(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.Column("message", sa.String()),
        sa.PrimaryKeyConstraint("stream", "offset", name="pk_starwire_event"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_starwire_event_at", "starwire_event", ["at"])
    op.create_table(
        "starwire_subscription",
        sa.Column("player", sa.String(), nullable=False),
        sa.Column("stream", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("player", "stream", name="pk_starwire_subscription"),
        comment="the streams that a player hears beside `player:<player>` and `all`",
        sqlite_with_rowid=False,
    )


def _replies() -> None:
    op.create_table(
        "starwire_reply",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("player", sa.String(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False, comment="of command and arguments"),
        sa.Column("frame", sa.LargeBinary(), nullable=False, comment="the reply as it was sent"),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", "player", name="pk_starwire_reply"),
        comment="replies by command id, kept for 24 hours",
        sqlite_with_rowid=False,
    )
    op.create_index("ix_starwire_reply_at", "starwire_reply", ["at"])


def _accounts() -> None:
    op.create_table(
        "starwire_account",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("name", sa.String(), nullable=False, comment="as written"),
        sa.Column("login", sa.String(), comment="the name folded for comparison; NULL for guests"),
        sa.Column("password", sa.String(), comment="an argon2 hash; NULL for guests"),
        sa.Column("operator", sa.SmallInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_starwire_account"),
        sa.UniqueConstraint("login", name="uq_starwire_account_login"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "starwire_session",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("account", sa.Integer(), nullable=False),
        sa.Column("refresh", sa.LargeBinary(), nullable=False, comment="sha256 of the refresh token"),
        sa.Column("previous", sa.LargeBinary(), comment="the one before: its use again revokes the session"),
        sa.Column("rotated_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_starwire_session"),
        sa.UniqueConstraint("refresh", name="uq_starwire_session_refresh"),
        comment="a login on one device",
    )
    for column in ("account", "expires_at", "previous"):
        op.create_index(f"ix_starwire_session_{column}", "starwire_session", [column])
