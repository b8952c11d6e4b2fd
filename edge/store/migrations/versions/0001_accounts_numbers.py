"""Customers, access keys, numbers, and the cache outbox."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

ID = sa.String(36)
TIME = sa.BigInteger


def upgrade() -> None:
    op.create_table(
        "customers",
        sa.Column("id", ID, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("detail", sa.Text, nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("tm_create", TIME, nullable=False),
        sa.Column("tm_update", TIME),
        sa.PrimaryKeyConstraint("id", name="pk_customers"),
        sa.CheckConstraint("status IN ('active', 'suspended')", name=op.f("ck_customers_status")),
    )
    op.create_index("ix_customers_tm_create", "customers", ["tm_create", "id"])

    op.create_table(
        "access_keys",
        sa.Column("id", ID, nullable=False),
        sa.Column("customer_id", ID),
        sa.Column("admin", sa.Boolean, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("hash", sa.String(64), nullable=False),
        sa.Column("hint", sa.String(16), nullable=False),
        sa.Column("tm_expire", TIME),
        sa.Column("tm_create", TIME, nullable=False),
        sa.Column("tm_delete", TIME),
        sa.PrimaryKeyConstraint("id", name="pk_access_keys"),
        sa.ForeignKeyConstraint(["customer_id"], ["customers.id"], name="fk_access_keys_customer_id"),
        sa.CheckConstraint("admin = (customer_id IS NULL)", name=op.f("ck_access_keys_scope")),
    )
    op.create_index("ux_access_keys_hash", "access_keys", ["hash"], unique=True)
    op.create_index("ix_access_keys_customer_id_tm_create", "access_keys", ["customer_id", "tm_create"])

    op.create_table(
        "numbers",
        sa.Column("id", ID, nullable=False),
        sa.Column("customer_id", ID, nullable=False),
        sa.Column("number", sa.String(16), nullable=False),
        sa.Column("type", sa.String(16), nullable=False),
        sa.Column("call_flow_id", ID, nullable=False),
        sa.Column("message_flow_id", ID, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("detail", sa.Text, nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("t38_enabled", sa.Boolean, nullable=False),
        sa.Column("emergency_enabled", sa.Boolean, nullable=False),
        sa.Column("metadata", sa.Text, nullable=False),
        sa.Column("provider_name", sa.Text, nullable=False),
        sa.Column("provider_reference_id", sa.Text, nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("tm_purchase", TIME),
        sa.Column("tm_renew", TIME),
        sa.Column("tm_create", TIME, nullable=False),
        sa.Column("tm_update", TIME),
        sa.Column("tm_delete", TIME),
        sa.PrimaryKeyConstraint("id", name="pk_numbers"),
        sa.ForeignKeyConstraint(["customer_id"], ["customers.id"], name="fk_numbers_customer_id"),
        sa.CheckConstraint("number LIKE '+%' AND length(number) BETWEEN 8 AND 16", name=op.f("ck_numbers_number")),
        sa.CheckConstraint("type IN ('normal', 'virtual')", name=op.f("ck_numbers_type")),
        sa.CheckConstraint(
            "status IN ('pending', 'active', 'suspended', 'failed', 'released')", name=op.f("ck_numbers_status")
        ),
        sa.CheckConstraint("(status = 'released') = (tm_delete IS NOT NULL)", name=op.f("ck_numbers_released")),
    )
    live = sa.text("tm_delete IS NULL")
    op.create_index("ux_numbers_live", "numbers", ["number"], unique=True, sqlite_where=live, postgresql_where=live)
    op.create_index("ux_numbers_number_version", "numbers", ["number", "version"], unique=True)
    op.create_index("ix_numbers_customer_id_tm_create", "numbers", ["customer_id", "tm_create", "id"])
    op.create_index("ix_numbers_tm_create", "numbers", ["tm_create", "id"])
    op.create_index("ix_numbers_call_flow_id", "numbers", ["call_flow_id"])
    op.create_index("ix_numbers_message_flow_id", "numbers", ["message_flow_id"])
    op.create_table(
        "number_versions",
        sa.Column("number", sa.String(16), nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_number_versions"),
    )

    op.create_table(
        "cache_outbox",
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("body", sa.Text),
        sa.Column("tm_create", TIME, nullable=False),
        sa.PrimaryKeyConstraint("key", name="pk_cache_outbox"),
    )
    op.create_index("ix_cache_outbox_tm_create", "cache_outbox", ["tm_create"])


def downgrade() -> None:
    for table in ("cache_outbox", "number_versions", "numbers", "access_keys", "customers"):
        op.drop_table(table)
