"""Where an account's events are told, and the events."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

QUEUED = {"ix_events_queued": ["customer_id", "due", "seq"], "ix_events_tm_queued": ["tm_queued"]}


def upgrade() -> None:
    op.add_column("customers", sa.Column("webhook_uri", sa.Text, nullable=False, server_default=""))
    op.add_column("customers", sa.Column("webhook_method", sa.String(8), nullable=False, server_default="POST"))
    op.add_column("customers", sa.Column("webhook_events", sa.Text, nullable=False, server_default="[]"))
    op.add_column("customers", sa.Column("tm_webhook_gone", sa.BigInteger))
    op.create_table(
        "events",
        sa.Column("seq", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True),
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("customer_id", sa.String(36), nullable=False),
        sa.Column("type", sa.String(32), nullable=False),
        sa.Column("resource_id", sa.String(36), nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("state", sa.String(8), nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("due", sa.BigInteger, nullable=False),
        sa.Column("claimed_by", sa.Text, nullable=False),
        sa.Column("claimed_until", sa.BigInteger, nullable=False),
        sa.Column("code", sa.Text, nullable=False),
        sa.Column("error", sa.Text, nullable=False),
        sa.Column("tm_create", sa.BigInteger, nullable=False),
        sa.Column("tm_queued", sa.BigInteger, nullable=False),
        sa.Column("tm_update", sa.BigInteger),
        sa.UniqueConstraint("id", name="uq_events_id"),
    )
    for name, columns in QUEUED.items():
        op.create_index(
            name,
            "events",
            columns,
            sqlite_where=sa.text("state = 'queued'"),
            postgresql_where=sa.text("state = 'queued'"),
        )
    op.create_index("ix_events_resource_id", "events", ["resource_id", "seq"])
    op.create_index("ix_events_customer_id_tm_create", "events", ["customer_id", "tm_create"])
    op.create_index("ix_events_tm_create", "events", ["tm_create"])


def downgrade() -> None:
    op.drop_table("events")
    for name in ("tm_webhook_gone", "webhook_events", "webhook_method", "webhook_uri"):
        op.drop_column("customers", name)
