"""What flows remember of a person."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "memories",
        sa.Column("number_id", sa.String(36), nullable=False),
        sa.Column("peer", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("value", sa.Text, nullable=False),
        sa.Column("tm_expire", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("number_id", "peer", "name", name="pk_memories"),
    )
    op.create_index("ix_memories_tm_expire", "memories", ["tm_expire"])


def downgrade() -> None:
    op.drop_table("memories")
