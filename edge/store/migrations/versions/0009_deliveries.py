"""Webhooks and emails on their way out, the secrets that sign the former, and messages by conversation."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

ID = sa.String(36)
TIME = sa.BigInteger


def upgrade() -> None:
    op.create_table(
        "webhook_secrets",
        sa.Column("customer_id", ID, nullable=False),
        sa.Column("secret", sa.Text, nullable=False),
        sa.Column("previous", sa.Text, nullable=False),
        sa.Column("tm_create", TIME, nullable=False),
        sa.PrimaryKeyConstraint("customer_id", name="pk_webhook_secrets"),
        sa.ForeignKeyConstraint(["customer_id"], ["customers.id"], name="fk_webhook_secrets_customer_id"),
    )
    op.create_table(
        "deliveries",
        sa.Column("id", ID, nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("customer_id", ID, nullable=False),
        sa.Column("reference_id", ID, nullable=False),
        sa.Column("resource", sa.Text, nullable=False),
        sa.Column("host", sa.Text, nullable=False),
        sa.Column("target", sa.Text, nullable=False),
        sa.Column("payload", sa.Text, nullable=False),
        sa.Column("state", sa.String(8), nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("due", TIME, nullable=False),
        sa.Column("claimed_by", sa.Text, nullable=False),
        sa.Column("claimed_until", TIME, nullable=False),
        sa.Column("receipt", sa.Text, nullable=False),
        sa.Column("code", sa.Text, nullable=False),
        sa.Column("error", sa.Text, nullable=False),
        sa.Column("tm_create", TIME, nullable=False),
        sa.Column("tm_update", TIME),
        sa.PrimaryKeyConstraint("id", name="pk_deliveries"),
    )
    queued = sa.text("state = 'queued'")
    op.create_index(
        "ix_deliveries_queued", "deliveries", ["tm_create", "id"], sqlite_where=queued, postgresql_where=queued
    )
    op.create_index("ix_deliveries_customer_id_tm_create", "deliveries", ["customer_id", "tm_create"])
    op.create_index("ix_deliveries_tm_create", "deliveries", ["tm_create"])
    op.create_index("ix_messages_conversation_id_tm_create", "messages", ["conversation_id", "tm_create"])


def downgrade() -> None:
    op.drop_index("ix_messages_conversation_id_tm_create", "messages")
    op.drop_table("deliveries")
    op.drop_table("webhook_secrets")
