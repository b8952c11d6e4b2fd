"""Keys that the processes on one database share."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "shared_keys",
        sa.Column("name", sa.String(32), nullable=False),
        sa.Column("secret", sa.String(64), nullable=False),
        sa.Column("tm_create", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_shared_keys"),
    )


def downgrade() -> None:
    op.drop_table("shared_keys")
