"""Trunks of the file and of SQL in force together, on both databases."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from sqlalchemy import text

from edge.errors import Conflict, Invalid, Unavailable
from edge.metrics import REGISTRY
from edge.store.cache_outbox import CacheWriter
from edge.store.engine import open_engine, writing
from edge.store.notice import Notices
from edge.store.redis import RedisSection, RedisTier
from edge.trunks import roll as module
from edge.trunks.roll import TrunkRoll
from edge.trunks.stored import StoredTrunks
from edge.trunks.trunk import Trunk
from tests.logged import logged
from tests.servers import free_port


def trunk(name: str, *networks: str, **more: Any) -> Trunk:
    return Trunk.model_validate({"name": name, "networks": networks, **more})


FILE = trunk("file", "192.0.2.0/24")


class Edge:
    """One process, as far as trunks go."""

    def __init__(self, roll: TrunkRoll, rows: StoredTrunks) -> None:
        self.roll = roll
        self.rows = rows

    @property
    def names(self) -> list[str]:
        return [one.name for one in self.roll.table]

    async def has(self, *names: str) -> None:
        """Waits until these are in force. Longer than a second it may not take."""
        async with asyncio.timeout(1):
            while self.names != [*names]:
                await asyncio.sleep(0.005)


@asynccontextmanager
async def edge(url: str, *given: Trunk, redis_url: str | None = None) -> AsyncIterator[Edge]:
    notices = Notices()
    engine = await open_engine(url)
    redis = RedisTier(RedisSection(url=redis_url, deadline_ms=1000), notices) if redis_url else None
    if redis is not None:
        await redis.start()
    cache = CacheWriter(engine, redis, notices)
    await cache.start()
    roll = TrunkRoll(given or (FILE,), notices, lambda: redis is not None and redis.tracked)
    rows = StoredTrunks(engine, cache, roll.given)
    await roll.start(rows)
    watching = asyncio.create_task(roll.watch(rows))
    try:
        yield Edge(roll, rows)
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
        await cache.close()
        if redis is not None:
            await redis.close()
        await engine.dispose()


async def test_what_one_edge_writes_is_in_force_on_the_other_by_redis(
    database_url: str, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "POLL_SECONDS", 60.0)
    async with edge(database_url, redis_url=redis_url) as one, edge(database_url, redis_url=redis_url) as other:
        made = await one.rows.create({"name": "a", "networks": ["10.0.0.1"]})
        for each in (one, other):
            await each.has("file", "a")
            found = each.roll.table.named("a")
            assert found is not None
            assert found.id == made.id
        await other.rows.update(made.id, {"name": "b"})
        for each in (one, other):
            await each.has("file", "b")
        await one.rows.delete(made.id)
        for each in (one, other):
            await each.has("file")


async def test_without_redis_the_database_is_asked(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "POLL_SECONDS", 0.02)
    async with edge(database_url) as one, edge(database_url) as other:
        await one.rows.create({"name": "a", "networks": ["10.0.0.1"]})
        await other.has("file", "a")


async def test_a_start_reads_what_is_there(database_url: str) -> None:
    async with edge(database_url) as one:
        await one.rows.create({"name": "a", "networks": ["10.0.0.1"], "auth": {"username": "u", "password": "p"}})
    async with edge(database_url) as again:
        assert again.names == ["file", "a"]
        found = again.roll.table.named("a")
        assert found is not None
        assert found.auth is not None
        assert found.auth.password.get_secret_value() == "p"


async def test_with_the_database_away_the_file_serves_and_the_others_follow(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "POLL_SECONDS", 0.02)
    async with edge(database_url) as one:
        await one.rows.create({"name": "a", "networks": ["10.0.0.1"]})
    away = True
    revision = StoredTrunks.revision

    async def asked(rows: StoredTrunks) -> int:
        if away:
            raise Unavailable("the database is away")
        return await revision(rows)

    monkeypatch.setattr(StoredTrunks, "revision", asked)
    with logged() as lines:
        async with edge(database_url) as one:
            assert one.names == ["file"]
            await asyncio.sleep(0.1)
            away = False
            await one.has("file", "a")
            away = True
            await asyncio.sleep(0.1)
            assert one.names == ["file", "a"]
    assert [line["level"] for line in lines()] == ["warning", "warning"]  # once for each time that it went


async def test_a_file_that_is_read_again_keeps_those_of_sql(database_url: str) -> None:
    async with edge(database_url) as one:
        await one.rows.create({"name": "a", "networks": ["10.0.0.1"]})
        await one.has("file", "a")
        one.roll.reload([trunk("new", "198.51.100.0/24")])
        assert one.names == ["new", "a"]
        with pytest.raises(Invalid) as caught:
            one.roll.reload([trunk("a", "10.0.0.2"), trunk("c", "10.0.0.1", "10.0.0.3")])
        assert list(map(str, caught.value.faults)) == [
            "trunks[0].name: a is the name of a trunk in the database already",
            "trunks[1].networks[0]: 10.0.0.1/32 of trunk c is that of trunk a in the database already",
        ]
        assert one.names == ["new", "a"]
        with pytest.raises(Conflict):
            await one.rows.create({"name": "new", "networks": ["10.0.0.9"]})


async def test_the_file_goes_first_where_both_have_a_network(database_url: str) -> None:
    async with edge(database_url) as one:
        for name, network in (("a", "10.0.0.1"), ("b", "10.0.0.2"), ("c", "10.0.0.3")):
            await one.rows.create({"name": name, "networks": [network]})
    with logged() as lines:
        async with edge(database_url, trunk("mine", "10.0.0.1"), trunk("b", "10.0.0.9")) as other:
            assert other.names == ["mine", "b", "c"]
            assert REGISTRY.get_sample_value("edge_trunks_left_out") == 2
    assert sorted((line["trunk"], line["error"]) for line in lines()) == [
        ("a", "10.0.0.1/32 is that of trunk mine"),
        ("b", "its name is that of one of the file"),
    ]


async def test_what_did_not_change_stays_the_same_object(database_url: str) -> None:
    async with edge(database_url) as one:
        for name, network in (("a", "10.0.0.1"), ("b", "10.0.0.2")):
            made = await one.rows.create({"name": name, "networks": [network]})
        await one.has("file", "a", "b")
        before = list(one.roll.table)
        await one.rows.update(made.id, {"name": "c"})
        await one.has("file", "a", "c")
        assert [new is old for new, old in zip(one.roll.table, before, strict=True)] == [True, True, False]


async def test_two_who_write_at_once_do_not_both_find_room(database_url: str) -> None:
    async with edge(database_url) as one, edge(database_url) as other:
        work = [
            each.rows.create({"name": f"t{i}", "networks": ["10.0.0.1"]}) for i, each in enumerate((one, other) * 3)
        ]
        made = await asyncio.gather(*work, return_exceptions=True)
        assert sorted(type(one).__name__ for one in made) == [*["Invalid"] * 5, "Stored"]


async def test_what_a_newer_edge_wrote_is_no_fault(database_url: str) -> None:
    async with edge(database_url) as one:
        await one.rows.create({"name": "a", "networks": ["10.0.0.1"], "country": "DE"})
        await one.rows.create({"name": "b", "networks": ["10.0.0.2"]})
    engine = await open_engine(database_url)
    newer = {
        "a": '{"networks": ["10.0.0.1"], "country": "DE", "teleport": true}',
        "b": '{"networks": ["10.0.0.2"], "transport": "quic"}',
    }
    async with writing(engine) as connection:
        for name, settings in newer.items():
            statement = text("UPDATE trunks SET settings = :settings WHERE name = :name")
            await connection.execute(statement, {"settings": settings, "name": name})
    await engine.dispose()
    with logged() as lines:
        async with edge(database_url) as other:
            assert other.names == ["file", "a"]
            found = other.roll.table.named("a")
            assert found is not None
            assert found.country == "DE"
    assert [(line["trunk"], line["event"]) for line in lines()] == [("b", "a stored trunk cannot be read")]


async def test_a_database_that_is_not_there_is_no_error_at_the_start() -> None:
    async with edge(f"postgresql://u@127.0.0.1:{free_port()}/d") as one:
        assert one.names == ["file"]
