"""Flows in SQL and out of the library, on both databases and with a real Redis."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Collection
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from edge.errors import Conflict, Exhausted, Internal, Invalid, NotFound
from edge.flows import limits
from edge.flows.library import Library
from edge.flows.session import Medium
from edge.flows.table import KIND, FlowTable
from edge.store.cache_outbox import CacheWriter
from edge.store.cache_section import CacheSection
from edge.store.engine import StoreSection, open_engine, writing
from edge.store.metadata import NIL, new_id
from edge.store.notice import Notices, cache_key
from edge.store.reader import Reader
from edge.store.redis import RedisSection, RedisTier

OURS, THEIRS = new_id(), new_id()
BEEP: dict[str, Any] = {"name": "beep", "detail": "d", "actions": [{"id": "b", "type": "beep"}]}
BOTH: dict[str, Any] = {"name": "both", "actions": [{"id": "s", "type": "stop"}]}
TEXT: dict[str, Any] = {"name": "text", "actions": [{"id": "r", "type": "reply", "option": {"text": "${x} é"}}]}


class Clock:
    """A second later at each look."""

    def __init__(self) -> None:
        self.now = datetime(2026, 8, 1, 9, tzinfo=UTC)

    def __call__(self) -> datetime:
        self.now += timedelta(seconds=1)
        return self.now


class Shelf:
    """A table and the library over it."""

    def __init__(self, engine: AsyncEngine, reader: Reader, notices: Notices, redis: RedisTier | None = None) -> None:
        self.engine = engine
        self.table = FlowTable(engine, CacheWriter(engine, redis, notices), clock=Clock())
        self.library = Library(CacheSection(), notices, redis, reader)


@pytest.fixture
async def opened(database_url: str) -> AsyncIterator[tuple[AsyncEngine, Reader]]:
    engine = await open_engine(database_url)
    async with writing(engine) as connection:
        for customer in (OURS, THEIRS):
            await connection.execute(
                text(
                    "INSERT INTO customers (id, name, detail, status, version, tm_create)"
                    " VALUES (:id, '', '', 'active', 1, 0)"
                ),
                {"id": customer},
            )
    reader = Reader(StoreSection(url=database_url))
    await reader.start()
    yield engine, reader
    await reader.close()
    await engine.dispose()


@pytest.fixture
def shelf(opened: tuple[AsyncEngine, Reader]) -> Shelf:
    return Shelf(*opened, Notices())


async def test_what_is_created_can_be_read_and_run(shelf: Shelf) -> None:
    stored = await shelf.table.create(OURS, TEXT)
    assert await shelf.table.get(stored.id) == stored
    found = await shelf.library.find(stored.id)
    assert found.source == "sql"
    assert found.value is not None
    assert (found.value.id, found.value.customer_id, found.value.version) == (stored.id, OURS, 1)
    assert found.value.document() == stored.document()
    again = shelf.library.peek(stored.id, time.monotonic())
    assert again is not None
    assert again.value is found.value  # compiled once
    assert stored.public() == {
        "id": stored.id,
        "customer_id": OURS,
        "type": "flow",
        "version": 1,
        "name": "text",
        "detail": "",
        "actions": [{"id": "r", "type": "reply", "option": {"text": "${x} é"}, "next_id": NIL}],
        "on_complete_flow_id": NIL,
        "unavailable": "refuse",
        "tm_create": "2026-08-01T09:00:01.000000Z",
        "tm_update": None,
        "tm_delete": None,
    }


async def test_an_update_is_a_new_version_and_the_old_one_stays(shelf: Shelf) -> None:
    first = await shelf.table.create(OURS, BEEP)
    running = (await shelf.library.find(first.id)).value
    second = await shelf.table.update(first.id, OURS, TEXT)
    assert (second.id, second.version, second.name, second.tm_create) == (first.id, 2, "text", first.tm_create)
    assert second.tm_update == first.tm_create + timedelta(seconds=1)
    assert await shelf.table.get(first.id, OURS) == second
    assert [v.version for v in await shelf.table.versions(first.id, OURS)] == [2, 1]
    assert [v.version for v in await shelf.table.versions(first.id, OURS, below=2)] == [1]
    old = await shelf.table.version(first.id, 1, OURS)
    assert old is not None
    assert (old.document(), old.name) == (first.document(), "beep")
    found = await shelf.library.find(first.id)  # the notice made memory forget
    assert found.value is not None
    assert found.value.version == 2
    assert running is not None
    assert [step.type for step in running.steps] == ["beep"]  # a snapshot


async def test_a_deleted_flow_is_found_by_nobody_but_its_versions_stay(shelf: Shelf) -> None:
    stored = await shelf.table.create(OURS, BEEP)
    await shelf.library.find(stored.id)
    deleted = await shelf.table.delete(stored.id, OURS)
    assert deleted.tm_delete is not None
    assert await shelf.table.get(stored.id) is None
    assert (await shelf.library.find(stored.id)).value is None
    assert (await shelf.table.list(OURS)).items == ()
    assert [v.tm_delete for v in await shelf.table.versions(stored.id)] == [deleted.tm_delete]
    with pytest.raises(NotFound):
        await shelf.table.delete(stored.id, OURS)
    with pytest.raises(NotFound):
        await shelf.table.update(stored.id, OURS, BOTH)


async def test_somebody_elses_flow_does_not_exist(shelf: Shelf) -> None:
    stored = await shelf.table.create(OURS, BEEP)
    assert await shelf.table.get(stored.id, THEIRS) is None
    assert await shelf.table.version(stored.id, 1, THEIRS) is None
    assert await shelf.table.versions(stored.id, THEIRS) == []
    assert (await shelf.table.list(THEIRS)).items == ()
    with pytest.raises(NotFound):
        await shelf.table.update(stored.id, THEIRS, BOTH)
    with pytest.raises(NotFound):
        await shelf.table.delete(stored.id, THEIRS)
    assert await shelf.table.get(stored.id, OURS) == stored


async def test_a_version_cannot_drop_a_medium_in_use(shelf: Shelf) -> None:
    cases: list[tuple[dict[str, Any], set[Medium], str | None]] = [
        (TEXT, {"call"}, "actions[0] (reply, id r) needs a message"),
        (BEEP, {"message", "call"}, "actions[0] (beep, id b) needs a call"),
        (BOTH, {"call", "message"}, None),
        (BEEP, {"call"}, None),
        (TEXT, set(), None),
    ]
    stored = await shelf.table.create(OURS, BOTH)
    for document, in_use, blamed in cases:

        async def asked(answer: set[Medium] = in_use) -> Collection[Medium]:
            return answer

        if blamed is None:
            updated = await shelf.table.update(stored.id, OURS, document, in_use=asked)
            assert updated.version == stored.version + 1
            stored = updated
            continue
        with pytest.raises(Conflict) as raised:
            await shelf.table.update(stored.id, OURS, document, in_use=asked)
        assert blamed in raised.value.message
        assert await shelf.table.get(stored.id) == stored


async def test_updates_at_the_same_time_are_versions_one_after_another(shelf: Shelf) -> None:
    stored = await shelf.table.create(OURS, BOTH)
    updated = await asyncio.gather(*(shelf.table.update(stored.id, OURS, BOTH) for _ in range(4)))
    assert sorted(flow.version for flow in updated) == [2, 3, 4, 5]


async def test_pages(shelf: Shelf) -> None:
    created = [(await shelf.table.create(OURS, {**BOTH, "name": f"f{n}"})).id for n in range(5)]
    await shelf.table.create(THEIRS, BOTH)
    first = await shelf.table.list(OURS, size=3)
    second = await shelf.table.list(OURS, size=3, token=first.next_token)
    assert [flow.id for flow in (*first.items, *second.items)] == created[::-1]
    assert second.next_token == ""
    assert [flow.name for flow in (await shelf.table.list(OURS, name="f2")).items] == ["f2"]
    assert len((await shelf.table.list(None)).items) == 6


async def test_what_cannot_be_stored(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Invalid, match="nothing"):
        await shelf.table.create(OURS, {"actions": [{"type": "nothing"}]})
    with pytest.raises(Invalid) as raised:
        await shelf.table.create(new_id(), BOTH)
    assert raised.value.faults[0].where == "customer_id"
    stored = await shelf.table.create(OURS, BOTH)
    with pytest.raises(Invalid):
        await shelf.table.update(stored.id, OURS, {"actions": []})
    monkeypatch.setattr(limits, "FLOWS_PER_CUSTOMER", 1)
    with pytest.raises(Exhausted):
        await shelf.table.create(OURS, BOTH)
    await shelf.table.delete(stored.id)
    await shelf.table.create(OURS, BOTH)


async def test_a_flow_that_nobody_stored_is_known_to_be_missing(shelf: Shelf) -> None:
    assert (await shelf.library.find(new_id())).value is None


async def test_a_stored_flow_that_this_release_refuses_says_so(shelf: Shelf) -> None:
    stored = await shelf.table.create(OURS, BEEP)
    async with writing(shelf.engine) as connection:
        await connection.execute(text("""UPDATE flow_versions SET actions = '[{"type":"gone"}]'"""))
    with pytest.raises(Internal, match=rf"the stored flow {stored.id} cannot run here: .*'gone'"):
        await shelf.library.find(stored.id)


async def test_through_a_real_redis(opened: tuple[AsyncEngine, Reader], redis_url: str) -> None:
    notices = Notices()
    redis = RedisTier(RedisSection(url=redis_url), notices)
    await redis.start()
    try:
        shelf = Shelf(*opened, notices, redis)
        stored = await shelf.table.create(OURS, TEXT)
        held = await redis.get(cache_key(KIND, stored.id))
        assert held is not None
        assert held.version == 1
        found = await shelf.library.find(stored.id)
        assert found.source == "redis"
        assert found.value is not None
        assert found.value.document() == stored.document()
        await shelf.table.delete(stored.id)
        gone = await shelf.library.find(stored.id)
        assert (gone.value, gone.source) == (None, "redis")
    finally:
        await redis.close()
