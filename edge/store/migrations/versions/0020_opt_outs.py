"""Who wants no more texts from a number of ours, and conversations by their peer."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

ID = sa.String(36)
TIME = sa.BigInteger


def upgrade() -> None:
    op.create_table(
        "opt_outs",
        sa.Column("id", ID, nullable=False),
        sa.Column("customer_id", ID, nullable=False),
        sa.Column("number_id", ID, nullable=False),
        sa.Column("number", sa.Text, nullable=False),
        sa.Column("peer", sa.Text, nullable=False),
        sa.Column("word", sa.Text, nullable=False),
        sa.Column("message_id", ID, nullable=False),
        sa.Column("begun_by", sa.Text, nullable=False),
        sa.Column("ended_by", sa.Text, nullable=False),
        sa.Column("tm_create", TIME, nullable=False),
        sa.Column("tm_end", TIME),
        sa.Column("tm_update", TIME, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_opt_outs"),
    )
    op.create_index("ix_opt_outs_customer_id_tm_create", "opt_outs", ["customer_id", "tm_create"])
    op.create_index("ix_opt_outs_tm_update", "opt_outs", ["tm_update"])

    op.create_index("ix_conversations_peer", "conversations", ["peer"])


def downgrade() -> None:
    op.drop_index("ix_conversations_peer", "conversations")
    op.drop_table("opt_outs")
