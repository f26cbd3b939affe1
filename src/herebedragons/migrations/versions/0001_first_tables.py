"""The first tables: universes, their crews, planets, stars and building queues."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def _universe() -> sa.Column[int]:
    return sa.Column(
        "universe", sa.BigInteger(), sa.ForeignKey("universes.id"), primary_key=True, autoincrement=False
    )


def _number(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.Integer(), primary_key=True, autoincrement=False)


def upgrade() -> None:
    op.create_table(
        "universes",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), primary_key=True),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("pace", sa.Integer(), nullable=False),
        sa.Column("seed", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("invitation", sa.String()),
        sa.Column("orders", sa.Integer(), nullable=False),
        sa.Column("visits", sa.Integer(), nullable=False),
        sa.Column("quiet_visits", sa.Integer(), nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "members",
        _universe(),
        sa.Column("player", sa.String(), primary_key=True),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("joined_at", sa.BigInteger(), nullable=False),
    )
    op.create_index("members_by_player", "members", ["player"])
    op.create_table(
        "planets",
        _universe(),
        _number("planet"),
        sa.Column("star", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("metal", sa.Float(53), nullable=False),
        sa.Column("crystal", sa.Float(53), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("metal_mine", sa.Integer(), nullable=False),
        sa.Column("crystal_mine", sa.Integer(), nullable=False),
        sa.Column("storehouse", sa.Integer(), nullable=False),
        sa.Column("observatory", sa.Integer(), nullable=False),
        sa.Column("shield", sa.Integer(), nullable=False),
    )
    op.create_table(
        "stars",
        _universe(),
        _number("star"),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("x", sa.Float(53), nullable=False),
        sa.Column("y", sa.Float(53), nullable=False),
        sa.Column("magnitude", sa.Float(53), nullable=False),
        sa.Column("planets", sa.Integer(), nullable=False),
        sa.Column("discovered_at", sa.BigInteger()),
        sa.Column("probed_at", sa.BigInteger()),
        sa.Column("note", sa.String()),
    )
    op.create_table(
        "constructions",
        _universe(),
        _number("construction"),
        sa.Column("planet", sa.Integer(), nullable=False),
        sa.Column("player", sa.String(), nullable=False),
        sa.Column("structure", sa.String(), nullable=False),
        sa.Column("level", sa.Integer(), nullable=False),
        sa.Column("metal", sa.Integer(), nullable=False),
        sa.Column("crystal", sa.Integer(), nullable=False),
        sa.Column("seconds", sa.Integer(), nullable=False),
        sa.Column("process", sa.BigInteger()),
    )


def downgrade() -> None:
    for table in ("constructions", "stars", "planets", "members", "universes"):
        op.drop_table(table)
