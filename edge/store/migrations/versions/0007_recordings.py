"""Recordings."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

ID = sa.String(36)
TIME = sa.BigInteger


def upgrade() -> None:
    op.create_table(
        "recordings",
        sa.Column("id", ID, nullable=False),
        sa.Column("customer_id", ID, nullable=False),
        sa.Column("reference_type", sa.String(16), nullable=False),
        sa.Column("reference_id", ID, nullable=False),
        sa.Column("format", sa.String(8), nullable=False),
        sa.Column("recording_name", sa.Text, nullable=False),
        sa.Column("filename", sa.Text, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("ending", sa.String(16), nullable=False),
        sa.Column("error", sa.Text, nullable=False),
        sa.Column("on_end_flow_id", ID, nullable=False),
        sa.Column("on_end", sa.String(8), nullable=False),
        sa.Column("node", sa.Text, nullable=False),
        sa.Column("place", sa.String(16), nullable=False),
        sa.Column("frames", sa.BigInteger, nullable=False),
        sa.Column("bytes", sa.BigInteger, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("due", TIME, nullable=False),
        sa.Column("tm_start", TIME, nullable=False),
        sa.Column("tm_end", TIME),
        sa.Column("tm_create", TIME, nullable=False),
        sa.Column("tm_update", TIME),
        sa.PrimaryKeyConstraint("id", name="pk_recordings"),
    )
    op.create_index("ix_recordings_customer_id_tm_create", "recordings", ["customer_id", "tm_create"])
    op.create_index("ix_recordings_reference_id", "recordings", ["reference_id"])
    op.create_index("ix_recordings_tm_create", "recordings", ["tm_create"])
    pending = sa.text("on_end = 'pending'")
    op.create_index("ix_recordings_pending", "recordings", ["node"], sqlite_where=pending, postgresql_where=pending)
    is_open = sa.text("state IN ('recording', 'waiting')")
    op.create_index("ix_recordings_open", "recordings", ["node", "due"], sqlite_where=is_open, postgresql_where=is_open)


def downgrade() -> None:
    op.drop_table("recordings")
