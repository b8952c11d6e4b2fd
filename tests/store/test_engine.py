"""Opening databases, and telling an outage from a mistake."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path

import pytest
from pydantic import ValidationError
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, IntegrityError

from edge.errors import Invalid, Unavailable
from edge.store.engine import StoreSection, is_sqlite, open_engine, reading, writing
from tests.servers import free_port


@pytest.mark.parametrize("url", ["mysql://h/d", "nonsense", "sqlite://", "sqlite:///:memory:", ""])
def test_other_databases_are_refused(url: str) -> None:
    with pytest.raises(Invalid):
        is_sqlite(url)
    with pytest.raises(ValidationError):
        StoreSection(url=url)


async def test_sqlite_is_durable_and_checks_references(tmp_path: Path) -> None:
    engine = await open_engine(f"sqlite:///{tmp_path}/new/folder/edge.sqlite3")
    async with reading(engine) as connection:
        pragmas = {name: (await connection.execute(text(f"PRAGMA {name}"))).scalar() for name in
                   ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")}  # fmt: skip
    assert pragmas == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "busy_timeout": 5000}
    await engine.dispose()


async def test_who_opens_a_new_file_waits_for_another_that_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite itself does not wait here, whatever its timeout."""
    other = sqlite3.connect(tmp_path / "edge.sqlite3", isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    monkeypatch.setattr("edge.store.engine.time.sleep", lambda _: other.commit())
    engine = await open_engine(f"sqlite:///{tmp_path}/edge.sqlite3")
    async with writing(engine) as connection:
        assert (await connection.execute(text("PRAGMA journal_mode"))).scalar() == "wal"
    await engine.dispose()


async def test_who_opens_a_new_file_does_not_wait_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge.store.engine.BUSY_SECONDS", 0.05)
    other = sqlite3.connect(tmp_path / "edge.sqlite3", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(Unavailable, match=r"edge\.sqlite3: database is locked"):
        await open_engine(f"sqlite:///{tmp_path}/edge.sqlite3")


async def test_a_file_of_another_kind_is_named(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("not a database at all\n" * 100)
    with pytest.raises(Invalid, match=r"notes\.txt: file is not a database") as caught:
        await open_engine(f"sqlite:///{path}")
    assert [fault.where for fault in caught.value.faults] == ["store.url"]


async def test_what_was_written_is_read_and_what_failed_is_not(sql_url: str) -> None:
    engine = await open_engine(sql_url)
    async with writing(engine) as connection:
        await connection.execute(text("CREATE TABLE t (a INTEGER PRIMARY KEY)"))
        await connection.execute(text("INSERT INTO t VALUES (1)"))
    with pytest.raises(IntegrityError):  # noqa: PT012  # all of it is the transaction
        async with writing(engine) as connection:
            await connection.execute(text("INSERT INTO t VALUES (2)"))
            await connection.execute(text("INSERT INTO t VALUES (1)"))
    with pytest.raises(DBAPIError):
        async with writing(engine) as connection:
            await connection.execute(text("SELECT nothing FROM nowhere"))
    async with reading(engine) as connection:
        assert list((await connection.execute(text("SELECT a FROM t"))).scalars()) == [1]
    await engine.dispose()


async def test_two_writers_who_both_read_first_do_not_collide(sql_url: str) -> None:
    engine = await open_engine(sql_url)
    async with writing(engine) as connection:
        await connection.execute(text("CREATE TABLE t (a INTEGER)"))
        await connection.execute(text("INSERT INTO t VALUES (0)"))

    async def count_up() -> None:
        for _ in range(10):
            async with writing(engine) as connection:
                await connection.execute(text("SELECT a FROM t"))
                await connection.execute(text("UPDATE t SET a = a + 1"))

    await asyncio.gather(*(count_up() for _ in range(4)))
    async with reading(engine) as connection:
        assert (await connection.execute(text("SELECT a FROM t"))).scalar() == 40
    await engine.dispose()


@pytest.mark.parametrize("url", ["postgresql://u:secret@127.0.0.1:{port}/d", "sqlite:////proc/nowhere/x.sqlite3"])
async def test_a_database_that_is_not_there_is_unavailable(url: str) -> None:
    with pytest.raises(Unavailable) as caught:  # noqa: PT012  # SQLite fails at once, PostgreSQL when asked
        engine = await open_engine(url.format(port=free_port()))
        async with reading(engine):
            pass
    assert "secret" not in str(caught.value)


async def test_a_locked_sqlite_is_unavailable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge.store.engine.BUSY_SECONDS", 0.05)
    first = await open_engine(f"sqlite:///{tmp_path}/edge.sqlite3")
    second = await open_engine(f"sqlite:///{tmp_path}/edge.sqlite3")
    async with writing(first):
        with pytest.raises(Unavailable):
            async with writing(second):
                pass
    await first.dispose()
    await second.dispose()


async def test_a_new_file_and_its_log_are_nobody_else_s_to_read(tmp_path: Path) -> None:
    engine = await open_engine(f"sqlite:///{tmp_path}/edge.sqlite3")
    async with writing(engine) as connection:
        await connection.execute(text("CREATE TABLE t (a INTEGER)"))
        modes = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()}
    await engine.dispose()
    assert modes["edge.sqlite3-wal"] == 0o600
    assert set(modes.values()) == {0o600}
