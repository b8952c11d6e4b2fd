"""What runs after a flow, and instead of one that failed."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

NIL = "00000000-0000-0000-0000-000000000000"


def upgrade() -> None:
    op.add_column("flow_versions", sa.Column("on_complete_flow_id", sa.String(36), nullable=False, server_default=NIL))
    op.add_column("numbers", sa.Column("fallback_flow_id", sa.String(36), nullable=False, server_default=NIL))
    op.create_index("ix_numbers_fallback_flow_id", "numbers", ["fallback_flow_id"])


def downgrade() -> None:
    op.drop_index("ix_numbers_fallback_flow_id", "numbers")
    op.drop_column("numbers", "fallback_flow_id")
    op.drop_column("flow_versions", "on_complete_flow_id")
