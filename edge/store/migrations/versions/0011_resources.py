"""Calendars, and lists of callers."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

ID = sa.String(36)
TIME = sa.BigInteger


def upgrade() -> None:
    op.create_table(
        "resources",
        sa.Column("id", ID, nullable=False),
        sa.Column("customer_id", ID, nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("detail", sa.Text, nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("content", sa.Text, nullable=False),
        sa.Column("tm_create", TIME, nullable=False),
        sa.Column("tm_update", TIME),
        sa.Column("tm_delete", TIME),
        sa.PrimaryKeyConstraint("id", name="pk_resources"),
        sa.ForeignKeyConstraint(["customer_id"], ["customers.id"], name="fk_resources_customer_id"),
    )
    live = sa.text("tm_delete IS NULL")
    op.create_index(
        "ux_resources_live",
        "resources",
        ["customer_id", "kind", "name"],
        unique=True,
        sqlite_where=live,
        postgresql_where=live,
    )
    op.create_index("ix_resources_customer_id_tm_create", "resources", ["customer_id", "kind", "tm_create", "id"])
    op.create_index("ix_resources_tm_create", "resources", ["kind", "tm_create", "id"])


def downgrade() -> None:
    op.drop_table("resources")
