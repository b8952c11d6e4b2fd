"""Leases, and an index of the texts that nobody has taken to send."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "leases",
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("holder", sa.Text, nullable=False),
        sa.Column("until", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_leases"),
    )
    unclaimed = sa.text("state = 'queued' AND claimed_until = 0")
    op.create_index(
        "ix_outbox_unclaimed",
        "outbox",
        ["carrier", "tm_create", "id"],
        sqlite_where=unclaimed,
        postgresql_where=unclaimed,
    )


def downgrade() -> None:
    op.drop_index("ix_outbox_unclaimed", "outbox")
    op.drop_table("leases")
