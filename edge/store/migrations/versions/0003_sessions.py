"""Calls, messages, and the outbox."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

ID = sa.String(36)
TIME = sa.BigInteger


def upgrade() -> None:
    op.create_table(
        "calls",
        sa.Column("id", ID, nullable=False),
        sa.Column("customer_id", ID, nullable=False),
        sa.Column("number_id", ID, nullable=False),
        sa.Column("number", sa.Text, nullable=False),
        sa.Column("flow_id", ID, nullable=False),
        sa.Column("flow_version", sa.Integer, nullable=False),
        sa.Column("call_id", sa.Text, nullable=False),
        sa.Column("trunk", sa.Text, nullable=False),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("source_name", sa.Text, nullable=False),
        sa.Column("dialed", sa.Text, nullable=False),
        sa.Column("destination", sa.Text, nullable=False),
        sa.Column("direction", sa.String(16), nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("hangup_by", sa.String(16), nullable=False),
        sa.Column("hangup_reason", sa.Text, nullable=False),
        sa.Column("sip_code", sa.Integer, nullable=False),
        sa.Column("lookup_source", sa.String(16), nullable=False),
        sa.Column("outcome", sa.String(16), nullable=False),
        sa.Column("error", sa.Text, nullable=False),
        sa.Column("cut_by", sa.String(16), nullable=False),
        sa.Column("steps", sa.Text, nullable=False),
        sa.Column("codec", sa.String(16), nullable=False),
        sa.Column("rtp_sent", sa.BigInteger, nullable=False),
        sa.Column("rtp_received", sa.BigInteger, nullable=False),
        sa.Column("rtp_lost", sa.BigInteger, nullable=False),
        sa.Column("jitter_ms", sa.Double, nullable=False),
        sa.Column("remote", sa.Text, nullable=False),
        sa.Column("tm_ringing", TIME),
        sa.Column("tm_progressing", TIME),
        sa.Column("tm_hangup", TIME),
        sa.Column("tm_create", TIME, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_calls"),
    )
    op.create_index("ix_calls_customer_id_tm_create", "calls", ["customer_id", "tm_create"])
    op.create_index("ix_calls_number_tm_create", "calls", ["number", "tm_create"])
    op.create_index("ix_calls_tm_create", "calls", ["tm_create"])
    op.create_index("ix_calls_call_id", "calls", ["call_id"], postgresql_using="hash")

    op.create_table(
        "messages",
        sa.Column("id", ID, nullable=False),
        sa.Column("customer_id", ID, nullable=False),
        sa.Column("number_id", ID, nullable=False),
        sa.Column("direction", sa.String(8), nullable=False),
        sa.Column("carrier", sa.String(32), nullable=False),
        sa.Column("carrier_id", sa.Text, nullable=False),
        sa.Column("number", sa.Text, nullable=False),
        sa.Column("peer", sa.Text, nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("route", sa.Text, nullable=False),
        sa.Column("refusal", sa.String(32), nullable=False),
        sa.Column("conversation_id", ID, nullable=False),
        sa.Column("reference_id", ID, nullable=False),
        sa.Column("lookup_source", sa.String(16), nullable=False),
        sa.Column("flow_id", ID, nullable=False),
        sa.Column("flow_version", sa.Integer, nullable=False),
        sa.Column("flow_state", sa.String(8), nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("claimed_by", sa.Text, nullable=False),
        sa.Column("claimed_until", TIME, nullable=False),
        sa.Column("outcome", sa.String(16), nullable=False),
        sa.Column("error", sa.Text, nullable=False),
        sa.Column("cut_by", sa.String(16), nullable=False),
        sa.Column("steps", sa.Text, nullable=False),
        sa.Column("tm_create", TIME, nullable=False),
        sa.Column("tm_update", TIME),
        sa.PrimaryKeyConstraint("id", name="pk_messages"),
    )
    inbound = sa.text("direction = 'inbound'")
    op.create_index(
        "uq_messages_carrier_carrier_id",
        "messages",
        ["carrier", "carrier_id"],
        unique=True,
        sqlite_where=inbound,
        postgresql_where=inbound,
    )
    pending = sa.text("flow_state = 'pending'")
    op.create_index(
        "ix_messages_pending", "messages", ["tm_create", "id"], sqlite_where=pending, postgresql_where=pending
    )
    op.create_index("ix_messages_customer_id_tm_create", "messages", ["customer_id", "tm_create"])
    op.create_index("ix_messages_number_tm_create", "messages", ["number", "tm_create"])
    op.create_index("ix_messages_tm_create", "messages", ["tm_create"])

    op.create_table(
        "outbox",
        sa.Column("id", ID, nullable=False),
        sa.Column("carrier", sa.String(32), nullable=False),
        sa.Column("state", sa.String(8), nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("due", TIME, nullable=False),
        sa.Column("claimed_by", sa.Text, nullable=False),
        sa.Column("claimed_until", TIME, nullable=False),
        sa.Column("carrier_id", sa.Text, nullable=False),
        sa.Column("code", sa.Text, nullable=False),
        sa.Column("error", sa.Text, nullable=False),
        sa.Column("tm_create", TIME, nullable=False),
        sa.Column("tm_update", TIME),
        sa.PrimaryKeyConstraint("id", name="pk_outbox"),
    )
    queued = sa.text("state = 'queued'")
    op.create_index("ix_outbox_queued", "outbox", ["tm_create", "id"], sqlite_where=queued, postgresql_where=queued)
    op.create_index("ix_outbox_tm_create", "outbox", ["tm_create"])


def downgrade() -> None:
    op.drop_table("outbox")
    op.drop_table("messages")
    op.drop_table("calls")
