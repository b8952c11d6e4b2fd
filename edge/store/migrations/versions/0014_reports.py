"""What carriers tell of texts that were sent; dead letters; messages that were deleted."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

NIL = "00000000-0000-0000-0000-000000000000"
DEAD = "direction = 'inbound' AND (flow_state = 'failed' OR outcome = 'failed' OR outcome = 'cut')"


def upgrade() -> None:
    with op.batch_alter_table("outbox") as outbox:
        outbox.alter_column("state", existing_type=sa.String(8), type_=sa.String(16), existing_nullable=False)
        outbox.add_column(sa.Column("customer_id", sa.String(36), nullable=False, server_default=NIL))
        outbox.add_column(sa.Column("tm_queued", sa.BigInteger, nullable=False, server_default="0"))
        outbox.add_column(sa.Column("revision", sa.Integer, nullable=False, server_default="0"))
        outbox.add_column(sa.Column("history", sa.Text, nullable=False, server_default="[]"))
    op.execute("UPDATE outbox SET tm_queued = tm_create")
    op.execute(
        "UPDATE outbox SET customer_id = m.customer_id FROM messages m WHERE m.id = outbox.id"  # SQLite from 3.33 on
    )
    op.create_index("ix_outbox_state_tm_create_id", "outbox", ["state", "tm_create", "id"])
    op.create_index("ix_outbox_customer_id_state_tm_create_id", "outbox", ["customer_id", "state", "tm_create", "id"])
    op.add_column("messages", sa.Column("tm_delete", sa.BigInteger))
    op.add_column("messages", sa.Column("history", sa.Text, nullable=False, server_default="[]"))
    op.create_index("ix_messages_carrier_tm_create", "messages", ["carrier", "tm_create"])
    for name, where in (("ix_messages_refused", "refusal <> ''"), ("ix_messages_dead", DEAD)):
        only = sa.text(where)
        op.create_index(name, "messages", ["tm_create", "id"], sqlite_where=only, postgresql_where=only)
    op.create_table(
        "sent_parts",
        sa.Column("message_id", sa.String(36), nullable=False),
        sa.Column("place", sa.Integer, nullable=False),
        sa.Column("carrier", sa.String(32), nullable=False),
        sa.Column("carrier_id", sa.Text, nullable=False),
        sa.Column("folded", sa.Text, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("code", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("tm_create", sa.BigInteger, nullable=False),
        sa.Column("tm_update", sa.BigInteger),
        sa.PrimaryKeyConstraint("message_id", "place", name="pk_sent_parts"),
    )
    op.create_index("ix_sent_parts_carrier_folded_tm_create", "sent_parts", ["carrier", "folded", "tm_create"])
    op.create_table(
        "early_reports",
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("carrier", sa.String(32), nullable=False),
        *(sa.Column(name, sa.Text, nullable=False) for name in ("carrier_id", "folded", "as_hex", "as_decimal")),
        sa.Column("message_id", sa.String(36), nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        *(sa.Column(name, sa.Text, nullable=False) for name in ("code", "reason", "source", "destination")),
        sa.Column("customer_id", sa.String(36), nullable=False),
        sa.Column("tm_create", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_early_reports"),
    )
    op.create_index("ix_early_reports_carrier_folded", "early_reports", ["carrier", "folded"])
    op.create_index("ix_early_reports_message_id", "early_reports", ["message_id"])
    op.create_index("ix_early_reports_tm_create", "early_reports", ["tm_create"])


def downgrade() -> None:
    op.drop_table("early_reports")
    op.drop_table("sent_parts")
    for name in ("ix_messages_dead", "ix_messages_refused", "ix_messages_carrier_tm_create"):
        op.drop_index(name, "messages")
    op.drop_column("messages", "history")
    op.drop_column("messages", "tm_delete")
    for name in ("ix_outbox_customer_id_state_tm_create_id", "ix_outbox_state_tm_create_id"):
        op.drop_index(name, "outbox")
    op.execute("UPDATE outbox SET state = 'sent' WHERE state = 'delivered'")
    with op.batch_alter_table("outbox") as outbox:
        for name in ("history", "revision", "tm_queued", "customer_id"):
            outbox.drop_column(name)
        outbox.alter_column("state", existing_type=sa.String(16), type_=sa.String(8), existing_nullable=False)
