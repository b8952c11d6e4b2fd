"""Why calls ended, in the words of Q.850."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("calls", sa.Column("hangup_cause", sa.Integer, nullable=False, server_default="0"))


def downgrade() -> None:
    op.drop_column("calls", "hangup_cause")
