"""Trunks made over the API, and on which of them a number answers."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None

SOME = sa.text("trunk_ids <> '[]'")


def upgrade() -> None:
    op.create_table(
        "trunks",
        sa.Column("id", sa.String(36), primary_key=True),
        sa.Column("name", sa.String(63), nullable=False),
        sa.Column("settings", sa.Text, nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("tm_create", sa.BigInteger, nullable=False),
        sa.Column("tm_update", sa.BigInteger),
        sa.UniqueConstraint("name", name="uq_trunks_name"),
    )
    op.create_table(
        "trunk_revisions",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("revision", sa.BigInteger, nullable=False),
    )
    op.add_column("numbers", sa.Column("trunk_ids", sa.Text, nullable=False, server_default="[]"))
    op.create_index("ix_numbers_trunk_ids", "numbers", ["number"], sqlite_where=SOME, postgresql_where=SOME)


def downgrade() -> None:
    op.drop_index("ix_numbers_trunk_ids", "numbers")
    op.drop_column("numbers", "trunk_ids")
    op.drop_table("trunk_revisions")
    op.drop_table("trunks")
