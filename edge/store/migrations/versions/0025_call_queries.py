"""Calls by who called, by what refused them, and by the call that they were made for."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None

REFUSED = sa.text("reason <> ''")
FAILED = sa.text("sip_code >= 400")
MADE_FOR_ANOTHER = sa.text("master_call_id <> '00000000-0000-0000-0000-000000000000'")


def upgrade() -> None:
    op.create_index("ix_calls_source_tm_create", "calls", ["source", "tm_create"])
    for name, columns, where in (
        ("ix_calls_reason_tm_create", ["reason", "tm_create"], REFUSED),
        ("ix_calls_sip_code_tm_create", ["sip_code", "tm_create"], FAILED),
        ("ix_calls_master_call_id", ["master_call_id"], MADE_FOR_ANOTHER),
    ):
        op.create_index(name, "calls", columns, sqlite_where=where, postgresql_where=where)


def downgrade() -> None:
    for name in (
        "ix_calls_master_call_id",
        "ix_calls_sip_code_tm_create",
        "ix_calls_reason_tm_create",
        "ix_calls_source_tm_create",
    ):
        op.drop_index(name, "calls")
