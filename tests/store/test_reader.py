"""Keyed look-ups past SQLAlchemy, on both databases."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy import text

from edge.errors import Unavailable
from edge.store.engine import StoreSection, open_engine, writing
from edge.store.reader import Lookup, Reader

BY_KEY = Lookup(
    "t.by_key",
    "SELECT key, value FROM t WHERE key IN (SELECT value FROM json_each(?)) ORDER BY value",
    "SELECT key, value FROM t WHERE key = ANY($1::text[]) ORDER BY value",
)
WRONG = Lookup("t.wrong", "SELECT missing FROM nowhere WHERE ?", "SELECT missing FROM nowhere WHERE $1")


@pytest.fixture
async def reader(sql_url: str) -> AsyncIterator[Reader]:
    engine = await open_engine(sql_url)
    async with writing(engine) as connection:
        await connection.execute(text("CREATE TABLE t (key TEXT, value BIGINT)"))
        await connection.execute(text("INSERT INTO t VALUES ('a', 2), ('a', 1), ('b''?', 3)"))
    await engine.dispose()
    reader = Reader(StoreSection(url=sql_url, read_seconds=5))
    await reader.start()
    yield reader
    await reader.close()


async def test_each_key_gets_its_rows(reader: Reader) -> None:
    keys = ["a", "b'?", "c", "a", "é"]
    assert await asyncio.gather(*(reader.get(BY_KEY, key) for key in keys)) == [
        [("a", 1), ("a", 2)],
        [("b'?", 3)],
        [],
        [("a", 1), ("a", 2)],
        [],
    ]


async def test_a_turn_of_the_loop_is_one_query(reader: Reader) -> None:
    sent: list[int] = []
    backend: Any = reader._backend
    send = backend.send

    def counted(batch: Any) -> None:
        sent.append(len(batch.waiting))
        send(batch)

    backend.send = counted
    await asyncio.gather(*(reader.get(BY_KEY, str(n)) for n in range(1200)))
    assert sent == [500, 500, 200]


async def test_a_wrong_statement_is_not_an_outage(reader: Reader) -> None:
    with pytest.raises(Exception, match="nowhere") as caught:
        await reader.get(WRONG, "a")
    assert not isinstance(caught.value, Unavailable)
    assert await reader.get(BY_KEY, "b'?") == [("b'?", 3)]


async def test_who_gives_up_harms_nobody(reader: Reader) -> None:
    given_up, kept = reader.get(BY_KEY, "a"), reader.get(BY_KEY, "a")
    given_up.cancel()
    assert len(await kept) == 2


@pytest.mark.parametrize("sql_url", ["postgresql"], indirect=True)
async def test_a_lost_connection_is_made_anew_without_a_look_up_lost(reader: Reader) -> None:
    backend: Any = reader._backend
    backend._connection.terminate()
    assert len(await reader.get(BY_KEY, "a")) == 2


async def test_too_slow_is_unavailable(sql_url: str) -> None:
    slow = Lookup(
        "slow",
        "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 300000) "
        "SELECT 'a', count(*) FROM n WHERE ? <> ''",
        "SELECT 'a', pg_sleep(0.3) FROM unnest($1::text[])",
    )
    reader = Reader(StoreSection(url=sql_url, read_seconds=0.02))
    await reader.start()
    with pytest.raises(Unavailable, match="did not answer"):
        await reader.get(slow, "a")
    await reader.close()
