"""Run by Alembic for each command: migrate over the connection that `store.migrate` hands in, in its transaction."""

from __future__ import annotations

from alembic import context

from edge.store.metadata import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,  # SQLite alters a table by copying it
    transactional_ddl=True,
    on_version_apply=context.config.attributes["on_version_apply"],
)
with context.begin_transaction():
    context.run_migrations()
