"""What a text brought beside its words: the URLs of pictures and other media."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("messages", sa.Column("media", sa.Text, nullable=False, server_default="[]"))


def downgrade() -> None:
    op.drop_column("messages", "media")
