"""Opt-outs that were taken back, by when that was: they are purged by it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None

ENDED = sa.text("tm_end IS NOT NULL")


def upgrade() -> None:
    op.create_index("ix_opt_outs_tm_end", "opt_outs", ["tm_end"], sqlite_where=ENDED, postgresql_where=ENDED)


def downgrade() -> None:
    op.drop_index("ix_opt_outs_tm_end", "opt_outs")
