"""Parts of long texts, and how many parts a text came in."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("messages", sa.Column("parts", sa.Integer, nullable=False, server_default="1"))
    op.create_table(
        "text_parts",
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("carrier", sa.String(32), nullable=False),
        sa.Column("carrier_id", sa.Text, nullable=False),
        sa.Column("pair", sa.String(64), nullable=False),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("destination", sa.Text, nullable=False),
        sa.Column("reference", sa.Integer, nullable=False),
        sa.Column("total", sa.Integer, nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("alphabet", sa.String(32), nullable=False),
        sa.Column("payload", sa.LargeBinary, nullable=False),
        sa.Column("country", sa.Text, nullable=False),
        sa.Column("route", sa.Text, nullable=False),
        sa.Column("state", sa.String(8), nullable=False),
        sa.Column("joined", sa.Text, nullable=False),
        sa.Column("tm_create", sa.BigInteger, nullable=False),
        sa.Column("tm_update", sa.BigInteger),
        sa.PrimaryKeyConstraint("id", name="pk_text_parts"),
    )
    is_open, closed = sa.text("state = 'open'"), sa.text("state <> 'open'")
    op.create_index("ix_text_parts_pair", "text_parts", ["pair"], sqlite_where=is_open, postgresql_where=is_open)
    op.create_index("ix_text_parts_open", "text_parts", ["tm_create"], sqlite_where=is_open, postgresql_where=is_open)
    op.create_index("ix_text_parts_joined", "text_parts", ["joined"], sqlite_where=closed, postgresql_where=closed)
    op.create_index("ix_text_parts_state_tm_update", "text_parts", ["state", "tm_update"])


def downgrade() -> None:
    op.drop_table("text_parts")
    op.drop_column("messages", "parts")
