"""Bring a database to the newest revision, from wherever the package is installed; no `alembic.ini` is needed.

Everything happens in one transaction, taken before the first look: on SQLite the write lock, on PostgreSQL an
advisory lock. So any number of processes may start at once; the first migrates, the others find it done.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

from edge.store.engine import is_sqlite, open_engine, reading, writing

ADVISORY_LOCK = 0x65646765  # "edge"


async def migrate(url: str) -> list[str]:
    """Apply what is missing; returns the revisions applied, oldest first.

    Raises Unavailable when the database is away.
    """
    engine = await open_engine(url, pool=1, foreign_keys=False)  # a batch migration drops tables that others refer to
    try:
        async with writing(engine) as connection:
            if not is_sqlite(url):
                await connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": ADVISORY_LOCK})
            return await connection.run_sync(_upgrade)
    finally:
        await engine.dispose()


async def current(url: str) -> str | None:
    """The revision the database is at, None when it is empty."""
    engine = await open_engine(url, pool=1)
    try:
        async with reading(engine) as connection:
            return await connection.run_sync(lambda sync: MigrationContext.configure(sync).get_current_revision())
    finally:
        await engine.dispose()


async def is_behind(url: str) -> bool:
    """Whether the database lacks a revision of ours; one that we do not know is a newer edge's, and no fault.

    Raises Unavailable when the database is away.
    """
    script = ScriptDirectory.from_config(_config())
    known = {revision.revision for revision in script.walk_revisions()}
    at = await current(url)
    return at is None or (at in known and at != script.get_current_head())


def _upgrade(connection: Connection) -> list[str]:
    applied: list[str] = []

    def note(*, step: Any, **_: Any) -> None:
        applied.append(step.up_revision_id)

    config = _config()
    config.attributes["connection"] = connection
    config.attributes["on_version_apply"] = note
    command.upgrade(config, "head")
    return applied


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    return config
