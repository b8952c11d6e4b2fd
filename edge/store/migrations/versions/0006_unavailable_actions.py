"""What a flow wants done with actions that are not here."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("flow_versions", sa.Column("unavailable", sa.String(8), nullable=False, server_default="refuse"))


def downgrade() -> None:
    op.drop_column("flow_versions", "unavailable")
