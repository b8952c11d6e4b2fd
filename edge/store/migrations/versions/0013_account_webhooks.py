"""Where an account's events are told."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("customers", sa.Column("webhook_uri", sa.Text, nullable=False, server_default=""))
    op.add_column("customers", sa.Column("webhook_method", sa.String(8), nullable=False, server_default="POST"))
    op.add_column("customers", sa.Column("webhook_events", sa.Text, nullable=False, server_default="[]"))
    op.add_column("customers", sa.Column("tm_webhook_gone", sa.BigInteger))


def downgrade() -> None:
    for name in ("tm_webhook_gone", "webhook_events", "webhook_method", "webhook_uri"):
        op.drop_column("customers", name)
