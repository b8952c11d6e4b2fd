"""Flows and their versions."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

ID = sa.String(36)
TIME = sa.BigInteger


def upgrade() -> None:
    op.create_table(
        "flows",
        sa.Column("id", ID, nullable=False),
        sa.Column("customer_id", ID, nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("tm_create", TIME, nullable=False),
        sa.Column("tm_update", TIME),
        sa.Column("tm_delete", TIME),
        sa.PrimaryKeyConstraint("id", name="pk_flows"),
        sa.ForeignKeyConstraint(["customer_id"], ["customers.id"], name="fk_flows_customer_id"),
    )
    op.create_index("ix_flows_customer_id_tm_create", "flows", ["customer_id", "tm_create", "id"])
    op.create_index("ix_flows_tm_create", "flows", ["tm_create", "id"])

    op.create_table(
        "flow_versions",
        sa.Column("flow_id", ID, nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("detail", sa.Text, nullable=False),
        sa.Column("actions", sa.Text, nullable=False),
        sa.Column("tm_create", TIME, nullable=False),
        sa.PrimaryKeyConstraint("flow_id", "version", name="pk_flow_versions"),
        sa.ForeignKeyConstraint(["flow_id"], ["flows.id"], name="fk_flow_versions_flow_id"),
    )


def downgrade() -> None:
    op.drop_table("flow_versions")
    op.drop_table("flows")
