"""The writer, on both databases: group commits, duplicates, lazy rows, outages."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
import threading
import time
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import text

from edge.errors import Internal, Unavailable
from edge.store import writer_sqlite
from edge.store.engine import StoreSection, open_engine, reading, writing
from edge.store.statement import Statement, insert
from edge.store.writer import Job, Outcome, Writer
from edge.store.writer_sqlite import SqliteWriter
from tests.servers import PostgresServer

TEXTS = insert("text.insert", "texts", ["carrier", "id", "body"], "ON CONFLICT (carrier, id) DO NOTHING")
CALLS = insert("call.insert", "calls", ["id", "seconds"])
DONE = Statement.of("text.done", "UPDATE texts SET body = ? WHERE id = ?")


@pytest.fixture
async def url(sql_url: str) -> str:
    engine = await open_engine(sql_url)
    async with writing(engine) as connection:
        await connection.execute(
            text("CREATE TABLE texts (carrier TEXT, id TEXT, body TEXT, PRIMARY KEY (carrier, id))")
        )
        await connection.execute(text("CREATE TABLE calls (id TEXT PRIMARY KEY, seconds BIGINT NOT NULL)"))
    await engine.dispose()
    return sql_url


@pytest.fixture
async def writer(url: str) -> AsyncIterator[Writer]:
    writer = Writer(StoreSection(url=url, lazy_ms=20, lazy_rows=1000))
    await writer.start()
    yield writer
    await writer.close()


async def rows(url: str, query: str) -> list[tuple[Any, ...]]:
    engine = await open_engine(url)
    async with reading(engine) as connection:
        found = [tuple(row) for row in await connection.execute(text(query))]
    await engine.dispose()
    return found


async def test_a_row_is_durable_when_put_returns_and_a_duplicate_is_known(url: str, writer: Writer) -> None:
    assert await writer.put(TEXTS, [("sip", "1", "hello")]) == 1
    assert await rows(url, "SELECT * FROM texts") == [("sip", "1", "hello")]
    assert await writer.put(TEXTS, [("sip", "1", "again")]) == 0
    assert await writer.put_each(TEXTS, [("sip", "2", "a"), ("sip", "1", "b"), ("x", "1", "c")]) == [True, False, True]
    assert await writer.put_each(TEXTS, [("sip", "3", "a"), ("sip", "3", "b")]) == [True, False]
    assert await writer.put(DONE, [("done", "1")]) == 1
    assert await rows(url, "SELECT body FROM texts WHERE id = '1' ORDER BY carrier") == [("done",), ("done",)]
    assert await writer.put(TEXTS, []) == 0


async def test_what_belongs_to_a_row_is_written_with_it_and_only_if_it_is_new(url: str, writer: Writer) -> None:
    def also(call: str) -> list[tuple[Statement, tuple[Any, ...]]]:
        return [(CALLS, (call, 1)), (DONE, ("seen", "1"))]

    texts = [("sip", str(n % 3), "x") for n in range(6)]
    news = await asyncio.gather(*(writer.put_with(TEXTS, row, also(f"c{n}")) for n, row in enumerate(texts)))
    assert news == [True] * 3 + [False] * 3
    assert await rows(url, "SELECT id FROM calls ORDER BY id") == [("c0",), ("c1",), ("c2",)]
    assert await rows(url, "SELECT body FROM texts WHERE id = '1'") == [("seen",)]
    assert not await writer.put_with(DONE, ("x", "none"), also("c9"))
    assert await rows(url, "SELECT count(*) FROM calls") == [(3,)]


async def test_a_row_falls_with_what_belongs_to_it(url: str, writer: Writer) -> None:
    outcomes = await asyncio.gather(
        writer.put_with(TEXTS, ("sip", "1", "x"), [(CALLS, ("a", None))]),
        writer.put_with(TEXTS, ("sip", "2", "x"), [(CALLS, ("b", 1))]),
        return_exceptions=True,
    )
    assert isinstance(outcomes[0], Internal)
    assert outcomes[1] is True
    assert await rows(url, "SELECT id FROM texts") == [("2",)]
    assert await rows(url, "SELECT id FROM calls") == [("b",)]


async def test_many_who_wait_share_commits_and_each_hears_of_its_own_row(url: str, writer: Writer) -> None:
    results = await asyncio.gather(*(writer.put(TEXTS, [("sip", str(n % 150), "x")]) for n in range(300)))
    assert sorted(results) == [0] * 150 + [1] * 150
    assert await rows(url, "SELECT count(*) FROM texts") == [(150,)]


async def test_lazy_rows_come_by_themselves_and_with_the_next_urgent_one(url: str, writer: Writer) -> None:
    for n in range(250):
        writer.put_later(CALLS, [(f"a{n}", n)])
    assert await writer.put(TEXTS, [("sip", "1", "x")]) == 1
    assert await rows(url, "SELECT count(*), sum(seconds) FROM calls") == [(250, sum(range(250)))]
    writer.put_later(CALLS, [("b", 1)])
    for _ in range(200):
        if (await rows(url, "SELECT count(*) FROM calls"))[0] == (251,):
            break
    else:
        pytest.fail("the lazy row was never written")


async def test_flush_and_close_write_all_that_waits(url: str, writer: Writer) -> None:
    writer.put_later(CALLS, [("a", 1)])
    await writer.flush()
    assert await rows(url, "SELECT count(*) FROM calls") == [(1,)]
    writer.put_later(CALLS, [("b", 1)])
    await writer.close()
    assert await rows(url, "SELECT count(*) FROM calls") == [(2,)]
    with pytest.raises(Unavailable):
        await writer.put(TEXTS, [("sip", "1", "x")])


async def test_rows_are_written_in_order(url: str, writer: Writer) -> None:
    writer.put_later(TEXTS, [("sip", "1", "first")])
    assert await writer.put(DONE, [("then", "1")]) == 1
    assert await rows(url, "SELECT body FROM texts") == [("then",)]


async def test_a_refused_row_fails_alone(url: str, writer: Writer) -> None:
    results = await asyncio.gather(
        writer.put(CALLS, [("a", 1)]),
        writer.put(CALLS, [("b", 1), ("c", None)]),  # NOT NULL: neither of the two is written
        writer.put(CALLS, [("a", 2)]),  # the primary key, without ON CONFLICT
        writer.put(CALLS, [("d", 1)]),
        return_exceptions=True,
    )
    assert [type(result) for result in results] == [int, Internal, Internal, int]
    assert await rows(url, "SELECT id FROM calls ORDER BY id") == [("a",), ("d",)]


async def test_a_value_of_the_wrong_type_fails_alone(url: str, writer: Writer) -> None:
    results = await asyncio.gather(
        writer.put(CALLS, [("a", 1)]), writer.put(CALLS, [("b", object())]), return_exceptions=True
    )
    assert [type(result) for result in results] == [int, Internal]
    assert await writer.put(CALLS, [("c", 1)]) == 1


async def test_a_refused_lazy_row_takes_no_other_with_it(url: str, writer: Writer) -> None:
    writer.put_later(CALLS, [("a", 1), ("a", 2), ("b", 1)])
    await writer.flush()
    assert await rows(url, "SELECT id, seconds FROM calls ORDER BY id") == [("a", 1), ("b", 1)]
    for n in range(1000):  # the refused row was counted out: the bound is free again
        writer.put_later(CALLS, [(f"n{n}", n)])
    await writer.flush()
    assert await rows(url, "SELECT count(*) FROM calls") == [(1002,)]


async def test_over_the_bound_lazy_rows_are_dropped(url: str, writer: Writer) -> None:
    for n in range(1200):
        writer.put_later(CALLS, [(f"n{n}", n)])
    await writer.flush()
    assert await rows(url, "SELECT count(*), max(seconds) FROM calls") == [(1000, 999)]


async def test_a_cancelled_waiter_harms_nobody(url: str, writer: Writer) -> None:
    given_up = asyncio.ensure_future(writer.put(TEXTS, [("sip", "1", "x")]))
    kept = asyncio.ensure_future(writer.put(TEXTS, [("sip", "2", "x")]))
    await asyncio.sleep(0)
    given_up.cancel()
    assert await kept == 1
    assert await rows(url, "SELECT count(*) FROM texts") == [(2,)]  # its row was on its way


async def test_what_comes_soon_after_a_commit_shares_the_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paused, go_on = threading.Event(), threading.Event()

    def pause(seconds: float) -> None:
        assert seconds == pytest.approx(writer_sqlite.PACE_SECONDS)
        paused.set()
        assert go_on.wait(10)

    def write(self: SqliteWriter, batch: list[Job]) -> Outcome:
        groups.append(len(batch))
        return group(self, batch)

    groups: list[int] = []
    group = SqliteWriter._group
    monkeypatch.setattr(SqliteWriter, "_group", write)
    clock = SimpleNamespace(monotonic=lambda: 100.0, sleep=pause, perf_counter=time.perf_counter)
    monkeypatch.setattr(writer_sqlite, "time", clock)
    url = f"sqlite:///{tmp_path}/db.sqlite3"
    writer = Writer(StoreSection(url=url))
    await writer.start()
    await writer.put(Statement.of("make", "CREATE TABLE calls (id TEXT PRIMARY KEY, seconds BIGINT)"), [()])
    assert not paused.is_set()  # the first waits for nothing
    one = asyncio.create_task(writer.put(CALLS, [("a", 1)]))
    assert await asyncio.to_thread(paused.wait, 10)
    other = asyncio.create_task(writer.put(CALLS, [("b", 1)]))
    await asyncio.sleep(0)
    assert await rows(url, "SELECT count(*) FROM calls") == [(0,)]
    go_on.set()
    assert (await one, await other) == (1, 1)
    await writer.close()
    assert groups == [1, 2]


async def test_sqlite_locked_by_another_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge.store.writer_sqlite.LOCK_SECONDS", 0.03)
    monkeypatch.setattr("edge.store.writer_sqlite.RETRY_SECONDS", 0.02)
    path = tmp_path / "edge.sqlite3"
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("PRAGMA journal_mode=WAL")
    other.execute("CREATE TABLE calls (id TEXT PRIMARY KEY, seconds BIGINT NOT NULL)")
    writer = Writer(StoreSection(url=f"sqlite:///{path}", lazy_ms=1))
    await writer.start()
    other.execute("BEGIN IMMEDIATE")
    writer.put_later(CALLS, [("lazy", 1)])
    with pytest.raises(Unavailable):
        await writer.put(CALLS, [("urgent", 1)])
    with pytest.raises(Unavailable):
        await writer.flush()
    other.execute("COMMIT")
    await writer.flush()
    assert await rows(f"sqlite:///{path}", "SELECT id FROM calls") == [("lazy",)]
    assert await writer.put(CALLS, [("urgent", 1)]) == 1
    await writer.close()
    other.close()


async def test_a_full_disk(tmp_path: Path) -> None:
    """`max_page_count` makes SQLite say what it says on a full disk."""
    path = tmp_path / "edge.sqlite3"
    with sqlite3.connect(path) as setup:
        setup.execute("CREATE TABLE calls (id TEXT PRIMARY KEY, seconds BIGINT NOT NULL)")
    writer = Writer(StoreSection(url=f"sqlite:///{path}", lazy_ms=1))
    await writer.start()
    connection: sqlite3.Connection = writer._backend._connection  # type: ignore[attr-defined]
    connection.execute("PRAGMA max_page_count=8")
    with pytest.raises(Unavailable, match="full"):
        await writer.put(CALLS, [("x" * 100_000, 1)])
    assert await writer.put(CALLS, [("small", 1)]) == 1  # on a new connection, without that limit
    await writer.close()
    assert await rows(f"sqlite:///{path}", "SELECT id FROM calls") == [("small",)]


async def test_postgres_that_goes_and_comes_back(postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge.store.writer_postgres.RETRY_SECONDS", 0.02)
    url = postgres.create()
    engine = await open_engine(url)
    async with writing(engine) as connection:
        await connection.execute(text("CREATE TABLE calls (id TEXT PRIMARY KEY, seconds BIGINT NOT NULL)"))
    writer = Writer(StoreSection(url=url, lazy_ms=1))
    await writer.start()
    name = url.rpartition("/")[2]
    admin = await open_engine(postgres.url("postgres"))

    async def let_in(allowed: str) -> None:
        async with writing(admin) as connection:
            await connection.execute(text(f"ALTER DATABASE {name} ALLOW_CONNECTIONS {allowed}"))
            await connection.execute(
                text(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")
            )

    await let_in("false")
    writer.put_later(CALLS, [("lazy", 1)])
    with pytest.raises(Unavailable):
        await writer.put(CALLS, [("urgent", 1)])
    await let_in("true")
    await writer.flush()
    assert await writer.put(CALLS, [("urgent", 1)]) == 1
    await writer.close()
    assert await rows(url, "SELECT id FROM calls ORDER BY id") == [("lazy",), ("urgent",)]
    await engine.dispose()
    await admin.dispose()


async def test_a_database_that_cannot_be_opened(tmp_path: Path) -> None:
    folder = tmp_path / "gone"
    folder.mkdir()
    shutil.rmtree(folder)
    with pytest.raises(Unavailable):
        await Writer(StoreSection(url=f"sqlite:///{folder}/edge.sqlite3")).start()
