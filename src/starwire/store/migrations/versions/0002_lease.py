"""Who leads among several schedulers."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "starwire_lease",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("holder", sa.String(), nullable=False),
        sa.Column("term", sa.BigInteger(), nullable=False, comment="grows with every change of holder"),
        sa.Column("expires_at", sa.BigInteger(), nullable=False, comment="in the database's time"),
        sa.PrimaryKeyConstraint("name", name="pk_starwire_lease"),
        comment="who leads among the schedulers",
    )


def downgrade() -> None:
    op.drop_table("starwire_lease")
