"""The spool: rows outlive their process, a database that is away, and a folder shared with others; up to a bound."""

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from edge.store import spool as module
from edge.store.engine import StoreSection, open_engine, reading, writing
from edge.store.spool import Spool
from edge.store.writer import Row, Writer
from tests.logged import logged as logging

COLUMNS = ("id", "seconds")
BOUND = 1_000_000

Logged = Callable[[str], list[dict[str, Any]]]


@pytest.fixture
def logged() -> Iterator[Logged]:
    """What was logged with these words."""
    with logging() as lines:
        yield lambda words: [line for line in lines() if line["event"] == words]


@pytest.fixture
async def url(sql_url: str) -> str:
    engine = await open_engine(sql_url)
    async with writing(engine) as connection:
        await connection.execute(
            text("CREATE TABLE calls (id TEXT PRIMARY KEY, seconds BIGINT NOT NULL, who TEXT NOT NULL DEFAULT '')")
        )
    await engine.dispose()
    return sql_url


@pytest.fixture
async def writer(url: str) -> AsyncIterator[Writer]:
    writer = Writer(StoreSection(url=url, lazy_ms=60_000, lazy_rows=1000))
    await writer.start()
    yield writer
    await writer.close()


async def found(url: str) -> list[tuple[Any, ...]]:
    engine = await open_engine(url)
    async with reading(engine) as connection:
        rows = [tuple(row) for row in await connection.execute(text("SELECT id, seconds FROM calls ORDER BY id"))]
    await engine.dispose()
    return rows


async def opened(folder: Path, writer: Writer, limit: int = BOUND, columns: Sequence[str] = COLUMNS) -> Spool:
    spool = Spool(folder, limit, "calls", columns, writer)
    await spool.start()
    return spool


async def written(spool: Spool) -> None:
    """Wait until the thread has done what it was given."""
    await spool._do(lambda: None)


def files(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.rows"))


async def die(spool: Spool) -> None:
    """What a kill leaves: the thread gone, its lock free, nothing tidied up."""
    await written(spool)
    os.close(spool._lock)
    spool._lock = -1


async def test_rows_are_in_a_file_before_sql_has_them_and_not_after(tmp_path: Path, url: str, writer: Writer) -> None:
    spool = await opened(tmp_path, writer)
    spool.put(("a", 1))
    spool.put(("b", 2))
    await written(spool)
    (file,) = files(tmp_path)
    assert file.read_text().splitlines()[1:] == ['["a",1]', '["b",2]']
    assert (spool.rows, await found(url)) == (2, [])
    assert await spool.look()
    assert (spool.rows, files(tmp_path), await found(url)) == (0, [], [("a", 1), ("b", 2)])
    spool.put(("c", 3))
    await spool.close()
    assert [*files(tmp_path), *tmp_path.glob("*.lock")] == []
    assert len(await found(url)) == 3


async def test_what_the_dead_left_is_written_once(tmp_path: Path, url: str, writer: Writer) -> None:
    dead = Writer(StoreSection(url=url, lazy_ms=60_000))
    await dead.start()
    before = await opened(tmp_path, dead)
    for n in range(1200):
        before.put((f"{n:04}", n))
    await die(before)
    await writer.put(before._keep, [("0000", 0)])  # it had come that far
    after = await opened(tmp_path, writer)
    await after._do(after._adopt)
    assert await after.look()
    assert await found(url) == [(f"{n:04}", n) for n in range(1200)]
    assert files(tmp_path) == []
    assert [path.stem for path in tmp_path.glob("*.lock")] == [after._name]
    await after.close()
    await dead.close()


async def test_what_the_living_have_is_theirs(tmp_path: Path, writer: Writer) -> None:
    one, two = await opened(tmp_path, writer), await opened(tmp_path, writer)
    one.put(("a", 1))
    await written(one)
    await two._do(two._adopt)
    assert (one.rows, two.rows) == (1, 0)
    await two.close()
    assert len(files(tmp_path)) == 1
    await one.close()


async def test_rows_of_an_older_and_of_a_newer_edge(tmp_path: Path, url: str, writer: Writer) -> None:
    older = await opened(tmp_path, writer, columns=("seconds", "id"))
    older._todo.append((7, "older"))
    newer = await opened(tmp_path, writer, columns=("id", "colour", "seconds"))
    newer._todo.append(("newer", "red", 8))
    for spool in (older, newer):
        await die(spool)
    now = await opened(tmp_path, writer, columns=("id", "seconds", "who"))
    await now._do(now._adopt)
    assert await now.look()
    assert await found(url) == [("newer", 8), ("older", 7)]
    await now.close()


async def test_a_torn_line_costs_itself_only(tmp_path: Path, url: str, writer: Writer, logged: Logged) -> None:
    dead = await opened(tmp_path, writer)
    for row in (("a", 1), ("b", 2), ("c", 3)):
        dead._todo.append(row)
    await die(dead)
    (file,) = files(tmp_path)
    whole = file.read_bytes().replace(b'"b"', b'\0"b')
    file.write_bytes(whole[:-4])
    spool = await opened(tmp_path, writer)
    await spool._do(spool._adopt)
    assert await spool.look()
    assert await found(url) == [("a", 1)]
    assert logged("rows of the spool cannot be read")[0]["rows"] == 2
    await spool.close()


@pytest.fixture
async def locked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[Writer, sqlite3.Connection]]:
    """A writer whose database another process holds: as good as away until it is let go."""
    monkeypatch.setattr("edge.store.writer_sqlite.LOCK_SECONDS", 0.01)
    monkeypatch.setattr("edge.store.writer_sqlite.RETRY_SECONDS", 0.01)
    path = tmp_path / "edge.sqlite3"
    with sqlite3.connect(path, isolation_level=None) as other:
        other.execute("PRAGMA journal_mode=WAL")
        other.execute("CREATE TABLE calls (id TEXT PRIMARY KEY, seconds BIGINT NOT NULL)")
        writer = Writer(StoreSection(url=f"sqlite:///{path}", lazy_ms=1, lazy_rows=10))
        await writer.start()
        other.execute("BEGIN IMMEDIATE")
        yield writer, other
        await writer.close()
    other.close()


async def test_sql_away_loses_nothing_though_the_writer_has_no_room(
    tmp_path: Path, locked: tuple[Writer, sqlite3.Connection], monkeypatch: pytest.MonkeyPatch, logged: Logged
) -> None:
    monkeypatch.setattr(module, "REPLAY_ROWS", 10)
    writer, other = locked
    spool = await opened(tmp_path / "spool", writer)
    for n in range(95):
        spool.put((f"{n:02}", n))
    assert not await spool.look()
    assert not await spool.look()
    assert (spool.rows, len(logged("rows wait in the spool"))) == (95, 1)
    other.execute("COMMIT")
    async with asyncio.timeout(5):
        while not await spool.look() or spool.rows:
            pass
    assert [row[0] for row in other.execute("SELECT seconds FROM calls ORDER BY id")] == list(range(95))
    await spool.close()


async def test_at_its_end_with_sql_away_the_rows_stay_for_the_next(
    tmp_path: Path, locked: tuple[Writer, sqlite3.Connection], logged: Logged
) -> None:
    writer, other = locked
    first = await opened(tmp_path / "spool", writer)
    first.put(("a", 1))
    await first.close()
    assert logged("rows stay in the spool")
    other.execute("COMMIT")
    await writer.close()
    assert not logged("rows lost")
    other.execute("DELETE FROM calls")
    again = Writer(StoreSection(url=f"sqlite:///{tmp_path}/edge.sqlite3"))
    await again.start()
    second = await opened(tmp_path / "spool", again)
    await second._do(second._adopt)
    assert await second.look()
    assert list(other.execute("SELECT * FROM calls")) == [("a", 1)]
    await second.close()
    await again.close()


async def test_beyond_the_bound_the_oldest_go(
    tmp_path: Path, locked: tuple[Writer, sqlite3.Connection], monkeypatch: pytest.MonkeyPatch, logged: Logged
) -> None:
    monkeypatch.setattr(module, "SEGMENT_BYTES", 1000)
    writer, _ = locked
    spool = await opened(tmp_path / "spool", writer, limit=5000)
    for n in range(1000):
        spool.put((f"{n:04}", n))
        if n % 50 == 0:
            await written(spool)
    await written(spool)
    size = sum(file.stat().st_size for file in files(tmp_path / "spool"))
    assert 2000 < size < 7000
    assert sum(entry["rows"] for entry in logged("the spool is full, its oldest rows go")) == 1000 - spool.rows
    assert any('"0999"' in file.read_text() for file in files(tmp_path / "spool"))


async def test_a_disk_that_takes_nothing(tmp_path: Path, url: str, writer: Writer, logged: Logged) -> None:
    spool = await opened(tmp_path / "spool", writer)
    (tmp_path / "spool").rename(tmp_path / "moved")
    spool.put(("a", 1))
    await written(spool)
    spool.put(("b", 2))
    await written(spool)
    assert len(logged("rows cannot be spooled")) == 1
    await writer.flush()
    assert len(await found(url)) == 2


async def test_a_row_that_cannot_be_written_down_harms_no_other(tmp_path: Path, writer: Writer, logged: Logged) -> None:
    spool = await opened(tmp_path, writer)
    spool._todo.append(("a", 2**80))
    await written(spool)
    spool.put(("b", 1))
    await written(spool)
    assert (spool.rows, len(logged("rows cannot be spooled"))) == (1, 1)
    await spool.close()


async def test_who_listens_gets_the_rows_and_harms_nobody(tmp_path: Path, writer: Writer, logged: Logged) -> None:
    heard: list[Row] = []

    def listen(rows: Sequence[Row]) -> None:
        heard.extend(rows)
        raise RuntimeError("no")

    spool = Spool(tmp_path, BOUND, "calls", COLUMNS, writer, listen)
    await spool.start()
    spool.put(("a", 1))
    await written(spool)
    spool.put(("\udcff", 2))
    await written(spool)
    assert [row[1] for row in heard] == [1, 2]
    assert len(logged("rows not passed on")) == 2
    assert spool.rows == 2
    await spool.close()
