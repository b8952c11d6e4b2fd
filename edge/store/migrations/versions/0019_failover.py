"""Texts that carriers passed on to others."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("outbox", sa.Column("passed", sa.Text, nullable=False, server_default=""))
    op.add_column("outbox", sa.Column("tm_passed", sa.BigInteger, nullable=False, server_default="0"))


def downgrade() -> None:
    op.drop_column("outbox", "tm_passed")
    op.drop_column("outbox", "passed")
