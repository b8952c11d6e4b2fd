"""Conversations: one row for all texts between a number of ours and a peer, made from the texts there are."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

ID = sa.String(36)
TIME = sa.BigInteger
NIL = "00000000-0000-0000-0000-000000000000"

BACKFILL = f"""
WITH ranked AS (
    SELECT conversation_id, customer_id, number, peer, id, direction, tm_create,
           row_number() OVER (PARTITION BY conversation_id ORDER BY tm_create DESC, id DESC) AS newest,
           row_number() OVER (PARTITION BY conversation_id ORDER BY direction, tm_create DESC, id DESC) AS way
    FROM messages
    WHERE direction IN ('inbound', 'outbound') AND conversation_id <> '{NIL}'
)
INSERT INTO conversations (id, customer_id, number, peer, message_id, inbound_id, tm_create, tm_update)
SELECT conversation_id, max(customer_id), max(number), max(peer), max(CASE WHEN newest = 1 THEN id END),
       max(CASE WHEN way = 1 AND direction = 'inbound' THEN id ELSE '{NIL}' END), min(tm_create), max(tm_create)
FROM ranked GROUP BY conversation_id
"""  # noqa: S608 - our own constant


def upgrade() -> None:
    op.create_table(
        "conversations",
        sa.Column("id", ID, nullable=False),
        sa.Column("customer_id", ID, nullable=False),
        sa.Column("number", sa.Text, nullable=False),
        sa.Column("peer", sa.Text, nullable=False),
        sa.Column("message_id", ID, nullable=False),
        sa.Column("inbound_id", ID, nullable=False),
        sa.Column("tm_create", TIME, nullable=False),
        sa.Column("tm_update", TIME, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_conversations"),
    )
    op.execute(BACKFILL)
    op.create_index("ix_conversations_customer_id_tm_update", "conversations", ["customer_id", "tm_update"])


def downgrade() -> None:
    op.drop_table("conversations")
