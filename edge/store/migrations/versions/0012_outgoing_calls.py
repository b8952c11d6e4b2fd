"""Where an account may call, and the call that an outgoing one belongs to."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

NIL = "00000000-0000-0000-0000-000000000000"


def upgrade() -> None:
    op.add_column("customers", sa.Column("destinations", sa.Text, nullable=False, server_default="[]"))
    op.add_column("calls", sa.Column("master_call_id", sa.String(36), nullable=False, server_default=NIL))


def downgrade() -> None:
    op.drop_column("calls", "master_call_id")
    op.drop_column("customers", "destinations")
