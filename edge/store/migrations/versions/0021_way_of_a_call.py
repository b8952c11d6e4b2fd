"""What a call's record says of its way: trunk, transport, proof, headers and rules, who vouched, what decided."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None

ID = sa.String(36)
NIL = "00000000-0000-0000-0000-000000000000"


def columns() -> list[sa.Column[Any]]:
    return [
        sa.Column("trunk_id", ID, nullable=False, server_default=NIL),
        sa.Column("transport", sa.String(8), nullable=False, server_default=""),
        sa.Column("local", sa.Text, nullable=False, server_default=""),
        sa.Column("proxy", sa.Text, nullable=False, server_default=""),
        sa.Column("auth", sa.Text, nullable=False, server_default=""),
        sa.Column("dialed_from", sa.String(32), nullable=False, server_default=""),
        sa.Column("dialed_rewritten", sa.Text, nullable=False, server_default=""),
        sa.Column("source_from", sa.String(32), nullable=False, server_default=""),
        sa.Column("source_raw", sa.Text, nullable=False, server_default=""),
        sa.Column("diversion", sa.Text, nullable=False, server_default=""),
        sa.Column("privacy", sa.Text, nullable=False, server_default=""),
        sa.Column("verstat", sa.String(64), nullable=False, server_default=""),
        sa.Column("attestation", sa.String(8), nullable=False, server_default=""),
        sa.Column("origination_id", sa.Text, nullable=False, server_default=""),
        sa.Column("reason", sa.String(64), nullable=False, server_default=""),
        sa.Column("nearest", sa.Text, nullable=False, server_default=""),
        sa.Column("security", sa.String(64), nullable=False, server_default=""),
    ]


def upgrade() -> None:
    for column in columns():
        op.add_column("calls", column)


def downgrade() -> None:
    with op.batch_alter_table("calls") as batch:
        for column in reversed(columns()):
            batch.drop_column(column.name)
