"""Migrations: from nothing, twice at once, and equal to the tables in the code."""

from __future__ import annotations

import asyncio
import importlib
import os
import pkgutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

import edge
from edge.errors import Unavailable
from edge.store.engine import open_engine, reading, writing
from edge.store.metadata import NIL, metadata
from edge.store.migrate import current, is_behind, migrate
from tests.servers import free_port

VERSIONS = Path(edge.__file__).parent / "store" / "migrations"
CONVERSATIONS = "edge.store.migrations.versions.0018_conversations"
HEAD = ScriptDirectory(str(VERSIONS)).get_current_head()


def test_the_revisions_are_one_line() -> None:
    script = ScriptDirectory(str(VERSIONS))
    chain = [revision.revision for revision in script.walk_revisions()]
    assert chain == [f"{n:04}" for n in range(len(chain), 0, -1)]


async def test_an_empty_database_is_brought_to_the_newest_revision_once(sql_url: str) -> None:
    assert await current(sql_url) is None
    applied = await migrate(sql_url)
    assert applied[0] == "0001"
    assert applied[-1] == HEAD == await current(sql_url)
    assert await migrate(sql_url) == []


async def test_a_database_is_behind_until_it_has_our_newest_revision(sql_url: str) -> None:
    assert await is_behind(sql_url)
    await migrate(sql_url)
    assert not await is_behind(sql_url)
    engine = await open_engine(sql_url)
    seen = {}
    for revision in ("0001", "9999"):
        async with writing(engine) as connection:
            await connection.execute(text("UPDATE alembic_version SET version_num = :at"), {"at": revision})
        seen[revision] = await is_behind(sql_url)
    await engine.dispose()
    assert seen == {"0001": HEAD != "0001", "9999": False}  # a newer edge may have migrated it


async def test_migrations_and_tables_are_equal(database_url: str) -> None:
    for package in ("accounts", "numbers", "flows", "recordings", "sessions", "trunks"):
        for module in pkgutil.walk_packages(importlib.import_module(f"edge.{package}").__path__, f"edge.{package}."):
            importlib.import_module(module.name)
    importlib.import_module("edge.store.shared_key")

    def differences(connection: Connection) -> list[Any]:
        return list(compare_metadata(MigrationContext.configure(connection, opts={"compare_type": True}), metadata))

    engine = await open_engine(database_url)
    async with reading(engine) as connection:
        assert await connection.run_sync(differences) == []
    await engine.dispose()


@pytest.mark.slow
def test_two_processes_that_start_at_once_do_not_collide(sql_url: str, tmp_path: Path) -> None:
    """Somewhere without the source tree, as from an installed wheel."""
    program = "import asyncio, sys; from edge.store.migrate import migrate; print(asyncio.run(migrate(sys.argv[1])))"
    environment = {**os.environ, "PYTHONPATH": str(Path(edge.__file__).parent.parent)}
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", program, sql_url],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=tmp_path,
            env=environment,
        )
        for _ in range(2)
    ]
    outputs = [process.communicate(timeout=60) for process in processes]
    assert [process.returncode for process in processes] == [0, 0], outputs
    printed = sorted(out.decode().strip() for out, _ in outputs)
    assert printed[1] == "[]"
    assert printed[0].endswith(f"'{HEAD}']")


async def test_two_tasks_that_start_at_once_do_not_collide(sql_url: str) -> None:
    results = await asyncio.gather(migrate(sql_url), migrate(sql_url), migrate(sql_url))
    assert sorted(map(len, results))[:2] == [0, 0]
    assert await current(sql_url) == HEAD


async def test_a_migration_that_fails_leaves_nothing(sql_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import alembic.command

    real = alembic.command.upgrade

    def upgrade_then_fail(config: Any, revision: str) -> None:
        real(config, revision)
        raise RuntimeError("in the last step")

    monkeypatch.setattr("alembic.command.upgrade", upgrade_then_fail)
    with pytest.raises(RuntimeError):
        await migrate(sql_url)
    monkeypatch.undo()
    assert await current(sql_url) is None
    engine = await open_engine(sql_url)
    async with reading(engine) as connection:
        with pytest.raises(Exception, match="numbers"):
            await connection.execute(text("SELECT * FROM numbers"))
    await engine.dispose()
    assert (await migrate(sql_url))[-1] == HEAD


async def test_conversations_are_made_of_the_messages_there_are(sql_url: str) -> None:
    await migrate(sql_url)
    columns = (
        "id, customer_id, number_id, direction, carrier, carrier_id, number, peer, text, route, refusal,"
        " conversation_id, reference_id, lookup_source, flow_id, flow_version, flow_state, attempts, claimed_by,"
        " claimed_until, outcome, error, cut_by, steps, tm_create"
    )
    rows = [
        ("m1", "inbound", "c1", 10),
        ("m2", "inbound", "c1", 20),
        ("m3", "outbound", "c1", 30),
        ("m4", "outbound", "c2", 5),
        ("m5", "timer", "c2", 40),
        ("m6", "inbound", NIL, 50),
    ]
    engine = await open_engine(sql_url)
    async with writing(engine) as connection:
        for id, direction, conversation, when in rows:
            values = f"'{id}', 'a', 'n', '{direction}', 'sip', '{id}', '+1', '+2', 'hi', '', '', '{conversation}',"
            values += f" '', '', '', 0, 'none', 0, '', 0, '', '', '', '[]', {when}"
            await connection.execute(text(f"INSERT INTO messages ({columns}) VALUES ({values})"))
        await connection.execute(text(importlib.import_module(CONVERSATIONS).BACKFILL))
        found = await connection.execute(text("SELECT * FROM conversations ORDER BY id"))
        assert [tuple(row) for row in found] == [
            ("c1", "a", "+1", "+2", "m3", "m2", 10, 30),
            ("c2", "a", "+1", "+2", "m4", NIL, 5, 5),
        ]
    await engine.dispose()


async def test_a_database_that_is_away() -> None:
    with pytest.raises(Unavailable):
        await migrate(f"postgresql://u@127.0.0.1:{free_port()}/d")
