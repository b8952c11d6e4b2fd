"""Versions of flows that numbers are bound to, and how the flow of a call came out."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("numbers", sa.Column("call_flow_release", sa.Text))
    op.add_column("numbers", sa.Column("message_flow_release", sa.Text))
    released = sa.text("call_flow_release IS NOT NULL OR message_flow_release IS NOT NULL")
    op.create_index("ix_numbers_released", "numbers", ["number"], sqlite_where=released, postgresql_where=released)
    op.add_column("calls", sa.Column("flow_outcome", sa.String(16), nullable=False, server_default=""))


def downgrade() -> None:
    op.drop_column("calls", "flow_outcome")
    op.drop_index("ix_numbers_released", "numbers")
    op.drop_column("numbers", "message_flow_release")
    op.drop_column("numbers", "call_flow_release")
