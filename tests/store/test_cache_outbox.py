"""The cache outbox: what was committed reaches Redis, now or later, and never what was not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from edge.store.cache_outbox import CacheWriter
from edge.store.engine import open_engine, reading
from edge.store.notice import Notices, cache_key
from edge.store.redis import Held, RedisSection, RedisTier
from tests.servers import RedisServer
from tests.store.test_redis import until

KEY = cache_key("t", "a")


class Process:
    """An engine, a Redis connection and a cache writer."""

    def __init__(self, engine: AsyncEngine, redis_url: str | None) -> None:
        self.engine = engine
        self.notices = Notices()
        self.told: list[str | None] = []
        self.notices.listen("t", self.told.append)
        self.redis = RedisTier(RedisSection(url=redis_url, deadline_ms=1000), self.notices) if redis_url else None
        self.now = datetime(2026, 8, 1, tzinfo=UTC)
        self.cache = CacheWriter(engine, self.redis, self.notices, ttl_seconds=600, clock=lambda: self.now)

    async def change(self, version: int, body: bytes | None, key: str = KEY) -> None:
        async with self.cache.change() as change:
            await change.put(key, version, body)

    async def emptied(self) -> None:
        while await self.cache.waiting():
            await asyncio.sleep(0.005)


@asynccontextmanager
async def process(engine: AsyncEngine, redis_url: str | None) -> AsyncIterator[Process]:
    made = Process(engine, redis_url)
    if made.redis is not None:
        await made.redis.start()
    await made.cache.start()
    yield made
    await made.cache.close()
    if made.redis is not None:
        await made.redis.close()


@pytest.fixture
async def engine(database_url: str) -> AsyncIterator[AsyncEngine]:
    engine = await open_engine(database_url)
    yield engine
    await engine.dispose()


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge.store.cache_outbox.RETRY_SECONDS", 0.02)


async def test_redis_has_it_when_the_change_returns_and_the_row_goes(engine: AsyncEngine, redis_url: str) -> None:
    async with process(engine, redis_url) as one:
        await one.change(1, b"one")
        assert one.redis is not None
        assert await one.redis.get(KEY) == Held(1, b"one")
        assert "a" in one.told
        await one.change(2, None)
        assert await one.redis.get(KEY) == Held(2, None)
        await one.emptied()


async def test_what_is_rolled_back_is_told_nobody(engine: AsyncEngine, redis_url: str) -> None:
    async with process(engine, redis_url) as one:
        with pytest.raises(RuntimeError):  # noqa: PT012  # all of it is the transaction
            async with one.cache.change() as change:
                await change.put(KEY, 1, b"one")
                raise RuntimeError
        assert one.redis is not None
        assert await one.redis.get(KEY) is None
        assert one.told == []
        assert await one.cache.waiting() == 0


async def test_a_key_has_one_row_with_its_highest_version(engine: AsyncEngine) -> None:
    async with process(engine, None) as one:
        for version, body in ((2, b"two"), (3, b"three"), (1, b"one")):
            await one.change(version, body)
        assert one.told == ["a"] * 3  # without Redis this process's own memory is told all the same
        async with reading(engine) as connection:
            rows = (await connection.execute(text("SELECT version, body FROM cache_outbox"))).all()
        assert [tuple(row) for row in rows] == [(3, "three")]


async def test_a_redis_that_was_down_is_told_later(engine: AsyncEngine, redis_server: RedisServer) -> None:
    """It even comes back with yesterday's value, which it kept on disk."""
    async with process(engine, redis_server.url) as one:
        await one.change(1, b"yesterday")
        redis_server.say("SAVE")
        redis_server.stop()
        assert one.redis is not None
        redis_server.start()
        assert b"1 yesterday" in redis_server.say(f"GET {KEY}")
        redis_server.stop()
        await until(lambda: one.redis is not None and not one.redis.up)
        await one.change(2, b"today")
        assert await one.cache.waiting() == 1
        redis_server.start()
        await one.emptied()
        assert await one.redis.get(KEY) == Held(2, b"today")


async def test_rows_of_a_process_that_died_are_pushed_at_the_start(engine: AsyncEngine, redis_url: str) -> None:
    async with process(engine, None) as dead, dead.cache.change() as change:
        for n in range(600):  # more than one batch
            await change.put(cache_key("t", str(n)), n + 1, b"x")
    async with process(engine, redis_url) as one:
        await one.emptied()
        assert one.redis is not None
        held = await asyncio.gather(*(one.redis.get(cache_key("t", str(n))) for n in range(600)))
        assert held == [Held(n + 1, b"x") for n in range(600)]


async def test_two_processes_push_the_same_rows_harmlessly(engine: AsyncEngine, redis_url: str) -> None:
    async with process(engine, None) as dead, dead.cache.change() as change:
        for n in range(20):
            await change.put(cache_key("t", str(n)), 7, b"x")
    async with process(engine, redis_url) as one, process(engine, redis_url) as two:
        await asyncio.gather(one.change(8, b"y", cache_key("t", "3")), two.change(9, b"z", cache_key("t", "4")))
        await one.emptied()
        assert two.redis is not None
        held = await asyncio.gather(*(two.redis.get(cache_key("t", str(n))) for n in range(20)))
        assert held == [{3: Held(8, b"y"), 4: Held(9, b"z")}.get(n, Held(7, b"x")) for n in range(20)]


async def test_rows_that_lost_their_point_are_removed(engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge.store.cache_outbox.SWEEP_SECONDS", 0.01)
    async with process(engine, None) as one:
        await one.change(1, b"one")
        assert await one.cache.waiting() == 1
        one.now += timedelta(seconds=1201)
        await one.emptied()
