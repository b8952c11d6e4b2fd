"""Flows that wait for the next text of a person."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "parked_runs",
        sa.Column("number_id", sa.String(36), nullable=False),
        sa.Column("peer", sa.Text, nullable=False),
        sa.Column("message_id", sa.String(36), nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("performed", sa.Text, nullable=False),
        sa.Column("timer", sa.Text, nullable=False),
        sa.Column("due", sa.BigInteger, nullable=False),
        sa.Column("tm_update", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("number_id", "peer", name="pk_parked_runs"),
    )
    due = sa.text("due > 0")
    op.create_index("ix_parked_runs_due", "parked_runs", ["due"], sqlite_where=due, postgresql_where=due)
    op.create_index("ix_parked_runs_tm_update", "parked_runs", ["tm_update"])


def downgrade() -> None:
    op.drop_table("parked_runs")
