"""The Redis tier against a real server: batches, versions, notices, and a server that dies, freezes and comes back."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable

import pytest
from pydantic import ValidationError

from edge.errors import Unavailable
from edge.store.notice import Notices
from edge.store.redis import Held, RedisSection, RedisTier, held_bytes, read_held
from tests.logged import logged
from tests.servers import RedisServer, free_port

A = "edge:v1:t:a"


class Ear:
    """Hears the notices of kind `t`."""

    def __init__(self) -> None:
        self.notices = Notices()
        self.heard: list[str | None] = []
        self.notices.listen("t", self.heard.append)

    async def hears(self, key: str | None) -> None:
        await until(lambda: key in self.heard)


async def until(true: Callable[[], bool], seconds: float = 5.0) -> None:
    """Wait for something that happens in a moment, turn by turn of the loop."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it never happened"
        await asyncio.sleep(0.001)


@pytest.fixture
def ear() -> Ear:
    return Ear()


@pytest.fixture
async def tier(redis_url: str, ear: Ear) -> AsyncIterator[RedisTier]:
    tier = RedisTier(RedisSection(url=redis_url, deadline_ms=1000), ear.notices)
    await tier.start()
    assert tier.up
    assert tier.tracked
    yield tier
    await tier.close()


@pytest.fixture
async def other(redis_url: str) -> AsyncIterator[RedisTier]:
    """Another process."""
    tier = RedisTier(RedisSection(url=redis_url, deadline_ms=1000), Notices())
    await tier.start()
    yield tier
    await tier.close()


@pytest.mark.parametrize(
    ("raw", "held"),
    [
        (b'7 {"a": 1}', Held(7, b'{"a": 1}')),
        (b"7 ", Held(7, None)),
        (b"0 ", Held(0, None)),
        (b"12", Held(12, None)),
        (b"", Held(-1, None)),
        (b'{"a": 1}', Held(-1, None)),
        (b"-3 x", Held(-1, None)),
    ],
)
def test_values_as_they_lie_in_redis(raw: bytes, held: Held) -> None:
    assert read_held(raw) == held
    if held.version >= 0 and raw.endswith((b" ", b"}")):
        assert held_bytes(*held) == raw


async def test_a_higher_version_wins_and_nothing_else(tier: RedisTier) -> None:
    assert await tier.get(A) is None
    steps: list[tuple[int, bytes | None, bool, Held]] = [
        (2, b"two", True, Held(2, b"two")),
        (1, b"one", False, Held(2, b"two")),
        (2, b"two again", False, Held(2, b"two")),
        (10, b"ten", True, Held(10, b"ten")),
        (9, None, False, Held(10, b"ten")),
        (11, None, True, Held(11, None)),
        (10, b"ten", False, Held(11, None)),
        (9007199254740993, b"big", True, Held(9007199254740993, b"big")),
    ]
    for version, body, taken, after in steps:
        assert await tier.put_if_newer(A, version, body, 60_000) is taken
        assert await tier.get(A) == after


async def test_a_reader_fills_only_what_is_absent_and_hears_nothing_of_it(
    tier: RedisTier, other: RedisTier, ear: Ear
) -> None:
    tier.fill(A, 1, b"one", 60_000)
    tier.fill(A, 2, b"two", 60_000)
    await tier.ping()
    assert await other.get(A) == Held(1, b"one")
    assert ear.heard == []


async def test_what_cannot_be_read_is_replaced(tier: RedisTier, shared_redis: RedisServer) -> None:
    shared_redis.say(f"SET {A} nonsense")
    assert await tier.get(A) == Held(-1, None)
    tier.replace(A, 1, b"one", 60_000)
    assert await tier.get(A) == Held(1, b"one")
    tier.replace(A, 1, b"same version", 60_000)
    assert await tier.get(A) == Held(1, b"same version")
    tier.replace(A, 0, b"older", 60_000)
    assert await tier.get(A) == Held(1, b"same version")
    shared_redis.say("SCRIPT FLUSH")
    assert await tier.put_if_newer(A, 5, b"five", 60_000)


async def test_values_end(tier: RedisTier, ear: Ear) -> None:
    await tier.put_if_newer(A, 1, b"one", 20)
    deadline = time.monotonic() + 5
    while await tier.get(A) is not None:
        assert time.monotonic() < deadline


async def test_a_number_is_only_ever_raised_whoever_does_it(tier: RedisTier, other: RedisTier, ear: Ear) -> None:
    key = "edge:nonce:a"
    raised = [(tier, 1, True), (other, 1, False), (other, 4294967296, True), (tier, 7, False)]
    for each, number, higher in raised:
        assert await each.count_up(key, number, 60_000) is higher
    assert await tier.count_up("edge:nonce:b", 0, 20)
    async with asyncio.timeout(5):
        while not await tier.count_up("edge:nonce:b", 0, 20):
            pass
    assert ear.heard == []


async def test_the_gets_of_one_turn_are_one_command(tier: RedisTier, shared_redis: RedisServer) -> None:
    for n in range(600):
        tier.fill(f"edge:v1:t:{n}", n, b"x", 60_000)
    before = shared_redis.say("INFO commandstats")
    found = await asyncio.gather(*(tier.get(f"edge:v1:t:{n}") for n in range(601)))
    assert found == [Held(n, b"x") for n in range(600)] + [None]
    calls = [
        int(text.split(b"cmdstat_mget:calls=")[1].split(b",")[0]) if b"cmdstat_mget" in text else 0
        for text in (before, shared_redis.say("INFO commandstats"))
    ]
    assert calls[1] - calls[0] == 3  # 256 keys each


async def test_notices_come_from_other_processes_and_their_own_writes(
    tier: RedisTier, other: RedisTier, ear: Ear, shared_redis: RedisServer
) -> None:
    await other.put_if_newer(A, 1, b"one", 60_000)
    await ear.hears("a")
    ear.heard.clear()
    await tier.put_if_newer(A, 2, None, 60_000)
    await ear.hears("a")
    ear.heard.clear()
    shared_redis.say("SET edge:v1:t:foreign 1")
    shared_redis.say("SET unrelated 1")
    await ear.hears("foreign")
    assert ear.heard == ["foreign"]
    shared_redis.say("FLUSHALL")
    await ear.hears(None)


async def test_thousands_of_notices_at_once(tier: RedisTier, other: RedisTier, ear: Ear) -> None:
    await asyncio.gather(*(other.put_if_newer(f"edge:v1:t:{n}", 1, b"x", 60_000) for n in range(3000)))
    await tier.ping()
    await until(lambda: len(ear.heard) == 3000)


async def test_a_server_that_is_down_from_the_start_costs_nothing(ear: Ear, caplog: pytest.LogCaptureFixture) -> None:
    tier = RedisTier(RedisSection(url=f"redis://:secret@127.0.0.1:{free_port()}/0"), ear.notices)
    await tier.start()
    started = time.perf_counter()
    for _ in range(100):
        with pytest.raises(Unavailable):
            await tier.get(A)
    assert time.perf_counter() - started < 0.5
    with pytest.raises(Unavailable):
        await tier.put_if_newer(A, 1, None, 1000)
    tier.fill(A, 1, None, 1000)
    await tier.close()


async def test_an_address_whose_options_nobody_knows_is_a_server_that_is_down(ear: Ear) -> None:
    tier = RedisTier(RedisSection(url="redis://127.0.0.1:1/0?odd=1"), ear.notices)
    await tier.start()
    assert not tier.up
    await tier.close()


async def test_it_dies_and_comes_back(redis_server: RedisServer, ear: Ear) -> None:
    with logged() as lines:
        tier = RedisTier(RedisSection(url=redis_server.url, deadline_ms=1000), ear.notices)
        await tier.start()
        assert await tier.put_if_newer(A, 1, b"one", 60_000)
        ear.heard.clear()
        redis_server.stop()
        await ear.hears(None)
        assert not tier.up
        assert not tier.tracked
        with pytest.raises(Unavailable):
            await tier.get(A)
        redis_server.start()
        await until(lambda: tier.up)
        assert await tier.get(A) is None
        assert await tier.put_if_newer(A, 1, b"one", 60_000)
        events = [line["event"].partition(":")[0] for line in lines()]
        assert events == ["redis is down", "redis is back"]
        await tier.close()


async def test_it_freezes_and_thaws(redis_server: RedisServer, ear: Ear) -> None:
    tier = RedisTier(RedisSection(url=redis_server.url, deadline_ms=30, connect_ms=100), ear.notices)
    await tier.start()
    redis_server.freeze()
    ear.heard.clear()
    for _ in range(3):
        started = time.perf_counter()
        with pytest.raises(Unavailable, match="30 ms"):
            await tier.get(A)
        assert time.perf_counter() - started < 0.5
    await ear.hears(None)  # three in a row: the breaker is open
    assert not tier.up
    redis_server.thaw()
    await until(lambda: tier.up)
    assert await tier.put_if_newer(A, 1, b"one", 60_000)
    await tier.close()


async def test_a_quiet_connection_that_froze_is_noticed(redis_server: RedisServer, ear: Ear) -> None:
    section = RedisSection(url=redis_server.url, deadline_ms=20, connect_ms=50, heartbeat_ms=20)
    tier = RedisTier(section, ear.notices)
    await tier.start()
    redis_server.freeze()
    await ear.hears(None)
    assert not tier.tracked
    redis_server.thaw()
    await until(lambda: tier.tracked)
    await tier.close()


async def test_closing_fails_who_waits(redis_server: RedisServer, ear: Ear) -> None:
    tier = RedisTier(RedisSection(url=redis_server.url, deadline_ms=5000), ear.notices)
    await tier.start()
    redis_server.freeze()
    waiting = asyncio.ensure_future(tier.get(A))
    await asyncio.sleep(0)
    await tier.close()
    with pytest.raises(Unavailable):
        await waiting
    redis_server.thaw()


def test_an_address_that_is_none_is_a_fault_of_the_configuration() -> None:
    with pytest.raises(ValidationError):
        RedisSection(url="http://127.0.0.1")
