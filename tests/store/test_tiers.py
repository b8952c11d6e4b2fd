"""The tiers: the order in which they are asked, what is remembered, what is served when they fail."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

import pytest

from edge.errors import Unavailable
from edge.flows.eager import start
from edge.metrics import REGISTRY
from edge.store.cache_section import CacheSection
from edge.store.notice import Notices, cache_key
from edge.store.redis import Held, RedisSection, RedisTier
from edge.store.tiers import Found, Tiers, Versioned
from tests.servers import RedisServer
from tests.store.test_redis import until

SECTION = CacheSection(
    entries=1000, memory_seconds=60, untracked_seconds=0.5, negative_seconds=5, stale_seconds=3600, sql_seconds=2
)


class Sql:
    """The third tier: a dict that counts how often it is asked, and can be away."""

    def __init__(self) -> None:
        self.rows: dict[str, Versioned[str]] = {}
        self.asked: list[str] = []
        self.error: Exception | None = None
        self.gate: asyncio.Event | None = None

    def put(self, key: str, version: int, value: str | None) -> None:
        self.rows[key] = Versioned(version, value)

    async def load(self, key: str) -> Versioned[str]:
        self.asked.append(key)
        answer = self.rows.get(key, Versioned(0, None))
        if self.gate is not None:
            await self.gate.wait()
        if self.error is not None:
            raise self.error
        return answer


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Process:
    """One process: its memory, its clock, its connection to Redis; SQL may be shared."""

    def __init__(self, redis_url: str | None, sql: Sql, section: CacheSection = SECTION) -> None:
        self.notices = Notices()
        self.redis = RedisTier(RedisSection(url=redis_url, deadline_ms=1000), self.notices) if redis_url else None
        self.sql = sql
        self.clock = Clock()
        self.tiers: Tiers[str] = Tiers(
            "t",
            section=section,
            notices=self.notices,
            redis=self.redis,
            load=sql.load,
            encode=lambda value: json.dumps(value).encode(),
            decode=json.loads,
            clock=self.clock,
        )

    async def __aenter__(self) -> Process:
        if self.redis is not None:
            await self.redis.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        if self.redis is not None:
            await self.redis.close()

    def peek(self, key: str) -> Found[str] | None:
        return self.tiers.peek(key, self.clock())


@pytest.fixture
def sql() -> Sql:
    return Sql()


@pytest.fixture
async def alone(sql: Sql) -> AsyncIterator[Process]:
    """A process without Redis."""
    async with Process(None, sql) as process:
        yield process


@pytest.fixture
async def one(redis_url: str, sql: Sql) -> AsyncIterator[Process]:
    async with Process(redis_url, sql) as process:
        yield process


@pytest.fixture
async def two(redis_url: str, sql: Sql) -> AsyncIterator[Process]:
    async with Process(redis_url, sql) as process:
        yield process


async def test_memory_then_redis_then_sql(one: Process, two: Process, sql: Sql) -> None:
    sql.put("a", 3, "x")
    assert one.peek("a") is None
    assert await one.tiers.find("a") == Found("x", "sql")
    assert one.peek("a") == Found("x", "memory")
    assert await one.tiers.find("a") == Found("x", "memory")
    assert one.redis is not None
    await one.redis.ping()  # the fill was sent before it
    assert await two.tiers.find("a") == Found("x", "redis")
    assert await two.tiers.find("a") == Found("x", "memory")
    assert sql.asked == ["a"]


async def test_misses_are_remembered_in_memory_and_in_redis(one: Process, two: Process, sql: Sql) -> None:
    assert await one.tiers.find("a") == Found(None, "sql")
    assert one.peek("a") == Found(None, "memory")
    assert one.redis is not None
    assert await one.redis.get(cache_key("t", "a")) == Held(0, None)
    assert await two.tiers.find("a") == Found(None, "redis")
    one.clock.now += SECTION.negative_seconds
    assert one.peek("a") is None
    assert sql.asked == ["a"]


async def test_what_is_gone_keeps_its_version(one: Process, sql: Sql) -> None:
    sql.put("a", 7, None)
    assert await one.tiers.find("a") == Found(None, "sql")
    assert one.redis is not None
    assert await one.redis.get(cache_key("t", "a")) == Held(7, None)


async def test_a_hundred_at_once_are_one_look_up(alone: Process, sql: Sql) -> None:
    sql.put("a", 1, "x")
    sql.gate = asyncio.Event()
    waiting = [asyncio.ensure_future(alone.tiers.find("a")) for _ in range(100)]
    await until(lambda: sql.asked == ["a"])
    sql.gate.set()
    assert await asyncio.gather(*waiting) == [Found("x", "sql")] * 100
    assert sql.asked == ["a"]


async def test_who_looks_need_not_be_a_task(alone: Process, sql: Sql) -> None:
    sql.put("a", 1, "x")
    found: list[Found[str]] = []

    async def look() -> None:
        found.append(await alone.tiers.find("a"))

    task = start(look())
    assert task is not None
    await task
    assert found == [Found("x", "sql")]


async def test_a_look_up_that_is_closed_leaves_nobody_waiting(alone: Process, sql: Sql) -> None:
    sql.put("a", 1, "x")
    sql.gate = asyncio.Event()
    closed = alone.tiers.find("a")
    closed.send(None)
    closed.close()
    sql.gate.set()
    async with asyncio.timeout(5):
        assert await alone.tiers.find("a") == Found("x", "sql")


async def test_one_who_gives_up_takes_nobody_with_it(alone: Process, sql: Sql) -> None:
    sql.put("a", 1, "x")
    sql.gate = asyncio.Event()
    waiting = [asyncio.ensure_future(alone.tiers.find("a")) for _ in range(3)]
    await until(lambda: sql.asked == ["a"])
    waiting[0].cancel()
    await until(lambda: sql.asked == ["a", "a"])  # the others go on without it
    sql.gate.set()
    assert await asyncio.gather(*waiting[1:]) == [Found("x", "sql")] * 2
    assert sql.asked == ["a", "a"]


async def test_without_redis_entries_are_believed_for_a_moment(alone: Process, sql: Sql) -> None:
    sql.put("a", 1, "x")
    await alone.tiers.find("a")
    sql.put("a", 2, "y")
    alone.clock.now += SECTION.untracked_seconds - 0.01
    assert await alone.tiers.find("a") == Found("x", "memory")
    alone.clock.now += 0.02
    assert await alone.tiers.find("a") == Found("y", "sql")


async def test_with_redis_they_are_believed_for_long(one: Process, sql: Sql) -> None:
    sql.put("a", 1, "x")
    await one.tiers.find("a")
    one.clock.now += SECTION.memory_seconds - 0.01
    assert one.peek("a") == Found("x", "memory")
    one.clock.now += 0.02
    assert await one.tiers.find("a") == Found("x", "redis")


@pytest.mark.parametrize("error", [Unavailable("away"), TimeoutError(), ConnectionRefusedError()])
async def test_with_sql_away_what_was_known_is_served_and_what_was_not_is_unavailable(
    alone: Process, sql: Sql, error: Exception
) -> None:
    sql.put("a", 1, "x")
    await alone.tiers.find("a")
    await alone.tiers.find("missing")
    sql.error = error
    alone.clock.now += 100
    assert await alone.tiers.find("a") == Found("x", "stale")
    for key in ("missing", "never seen"):  # a miss that has grown old is not known any more
        with pytest.raises(Unavailable):
            await alone.tiers.find(key)
    alone.clock.now += SECTION.stale_seconds
    with pytest.raises(Unavailable):
        await alone.tiers.find("a")


async def test_a_number_that_was_looked_up_stays_known_when_redis_and_sql_both_fail(
    redis_server: RedisServer, sql: Sql
) -> None:
    async with Process(redis_server.url, sql) as process:
        sql.put("a", 1, "x")
        await process.tiers.find("a")
        redis_server.stop()
        assert process.redis is not None
        await until(lambda: process.redis is not None and not process.redis.up)
        assert process.peek("a") is None  # notices may be missed from now on
        sql.error = Unavailable("away")
        assert await process.tiers.find("a") == Found("x", "stale")
        sql.error = None
        process.clock.now += 10
        assert await process.tiers.find("a") == Found("x", "sql")
        assert process.peek("a") == Found("x", "memory")


async def test_sql_that_failed_often_is_left_alone_for_a_while(alone: Process, sql: Sql) -> None:
    sql.error = Unavailable("away")
    for _ in range(10):
        with pytest.raises(Unavailable):
            await alone.tiers.find("a")
    assert len(sql.asked) == 3
    alone.clock.now += 1.0
    sql.error = None
    sql.put("a", 1, "x")
    assert await alone.tiers.find("a") == Found("x", "sql")
    assert await alone.tiers.find("b") == Found(None, "sql")


async def test_sql_that_hangs_is_given_up(sql: Sql) -> None:
    async with Process(None, sql, SECTION.model_copy(update={"sql_seconds": 0.01})) as process:
        sql.gate = asyncio.Event()
        with pytest.raises(Unavailable):
            await process.tiers.find("a")


async def test_a_fault_of_ours_is_not_an_outage(alone: Process, sql: Sql) -> None:
    sql.error = KeyError("a bug")
    results = await asyncio.gather(*(alone.tiers.find("a") for _ in range(3)), return_exceptions=True)
    assert [type(result) for result in results] == [KeyError] * 3
    sql.error = None
    assert await alone.tiers.find("a") == Found(None, "sql")


async def test_a_change_is_known_everywhere_within_a_second(one: Process, two: Process, sql: Sql) -> None:
    sql.put("a", 1, "x")
    await one.tiers.find("a")
    await two.tiers.find("a")
    sql.put("a", 2, "y")
    assert one.redis is not None
    await one.redis.put_if_newer(cache_key("t", "a"), 2, b'"y"', 60_000)
    await until(lambda: one.peek("a") is None and two.peek("a") is None, seconds=1.0)
    assert await two.tiers.find("a") == Found("y", "redis")
    assert await one.tiers.find("a") == Found("y", "redis")


async def test_a_miss_ends_when_the_number_is_made(one: Process, two: Process, sql: Sql) -> None:
    await two.tiers.find("a")
    sql.put("a", 1, "x")
    assert one.redis is not None
    await one.redis.put_if_newer(cache_key("t", "a"), 1, b'"x"', 60_000)
    await until(lambda: two.peek("a") is None, seconds=1.0)
    assert await two.tiers.find("a") == Found("x", "redis")


async def test_an_older_version_never_replaces_a_newer_one(one: Process, sql: Sql) -> None:
    assert one.redis is not None
    sql.put("a", 5, "new")
    await one.tiers.find("a")
    one.tiers.forget("a")
    await one.redis._command("FLUSHALL")
    await one.redis.put_if_newer(cache_key("t", "a"), 4, b'"yesterday"', 60_000)
    await until(lambda: one.peek("a") is None)
    assert await one.tiers.find("a") == Found("new", "sql")  # Redis' answer was passed over
    await one.redis.ping()
    assert await one.redis.get(cache_key("t", "a")) == Held(5, b'"new"')  # and put right


async def test_sql_behind_what_is_known_does_not_replace_it(alone: Process, sql: Sql) -> None:
    """A replica that lags."""
    sql.put("a", 5, "new")
    await alone.tiers.find("a")
    sql.put("a", 4, "old")
    alone.clock.now += 10
    await alone.tiers.find("a")
    sql.error = Unavailable("away")
    assert await alone.tiers.find("a") == Found("new", "stale")


async def test_what_cannot_be_decoded_is_replaced(one: Process, sql: Sql) -> None:
    assert one.redis is not None
    sql.put("a", 3, "x")
    for raw in (b"{broken", None):
        if raw is None:
            await one.redis._command("SET", cache_key("t", "a"), "nonsense")
        else:
            await one.redis.put_if_newer(cache_key("t", "a"), 3, raw, 60_000)
        await until(lambda: one.peek("a") is None)
        assert await one.tiers.find("a") == Found("x", "sql")
        await one.redis.ping()
        assert await one.redis.get(cache_key("t", "a")) == Held(3, b'"x"')


async def test_an_answer_that_a_notice_overtook_is_given_but_not_kept(alone: Process, sql: Sql) -> None:
    for notice in ("a", None):
        sql.put("a", 1, "x")
        sql.gate = asyncio.Event()
        waiting = asyncio.ensure_future(alone.tiers.find("a"))
        await until(lambda: len(sql.asked) > 0)
        alone.tiers.forget(notice)
        sql.gate.set()
        assert await waiting == Found("x", "sql")
        assert alone.peek("a") is None
        sql.asked.clear()


async def test_memory_is_bounded_and_keeps_what_is_used(sql: Sql) -> None:
    section = SECTION.model_copy(update={"entries": 100, "untracked_seconds": 3600})
    async with Process(None, sql, section) as process:
        for n in range(1000):
            await process.tiers.find(f"n{n}")
            if n >= 10:
                await process.tiers.find("n5")
        assert len(process.tiers) <= 100
        assert process.peek("n999") is not None
        assert process.peek("n5") is not None
        assert sql.asked.count("n5") == 1
        assert process.peek("n100") is None


def counted(source: str, outcome: str) -> float:
    labels = {"kind": "t", "source": source, "outcome": outcome}
    return REGISTRY.get_sample_value("edge_lookups_total", labels) or 0.0


async def test_look_ups_are_counted_by_source_and_outcome(alone: Process, sql: Sql) -> None:
    sql.put("a", 1, "x")
    for source in ("sql", "memory", "stale"):
        if source == "stale":
            sql.error = Unavailable("away")
            alone.tiers.forget("a")
        before = counted(source, "found")
        await alone.tiers.find("a")
        assert counted(source, "found") == before + 1
    before = counted("none", "unavailable")
    with pytest.raises(Unavailable):
        await alone.tiers.find("b")
    assert counted("none", "unavailable") == before + 1
