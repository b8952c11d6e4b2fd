"""The number table and the directory, on both databases."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import insert, update
from sqlalchemy.exc import IntegrityError

from edge.accounts.customer import Customer, CustomerTable
from edge.errors import Conflict, Invalid, NotFound
from edge.numbers.directory import Directory
from edge.numbers.number import Number, draft
from edge.numbers.table import NumberTable, numbers
from edge.store.cache_outbox import CacheWriter
from edge.store.cache_section import CacheSection
from edge.store.engine import StoreSection, open_engine, writing
from edge.store.metadata import NIL, new_id
from edge.store.notice import Notices
from edge.store.reader import Reader
from edge.store.redis import RedisSection, RedisTier
from edge.store.tiers import Found

E164 = "+14155550100"
FLOW = "0190f3c0-0000-7000-8000-00000000000a"
OTHER_FLOW = "0190f3c0-0000-7000-8000-00000000000b"


class Process:
    """One process of the edge, as far as numbers go. Its wall clock advances by a microsecond a look."""

    def __init__(self, url: str, redis_url: str | None) -> None:
        self.url = url
        self.redis_url = redis_url
        self.now = datetime(2026, 8, 1, tzinfo=UTC)
        self.step = timedelta(microseconds=1)

    def clock(self) -> datetime:
        self.now += self.step
        return self.now

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Process]:
        notices = Notices()
        self.engine = await open_engine(self.url)
        redis = RedisTier(RedisSection(url=self.redis_url, deadline_ms=1000), notices) if self.redis_url else None
        if redis is not None:
            await redis.start()
        reader = Reader(StoreSection(url=self.url, read_seconds=5))
        await reader.start()
        self.cache = CacheWriter(self.engine, redis, notices, clock=self.clock)
        await self.cache.start()
        self.customers = CustomerTable(self.engine, self.cache, clock=self.clock)
        self.numbers = NumberTable(self.engine, self.cache, clock=self.clock)
        self.directory = Directory(CacheSection(untracked_seconds=60, sql_seconds=5), notices, redis, reader)
        yield self
        await self.cache.close()
        await reader.close()
        if redis is not None:
            await redis.close()
        await self.engine.dispose()

    def peek(self, e164: str) -> Found[Number] | None:
        return self.directory.peek(e164, time.monotonic())


@pytest.fixture
async def edge(database_url: str) -> AsyncIterator[Process]:
    async with Process(database_url, None).running() as process:
        yield process


@pytest.fixture
async def customer(edge: Process) -> Customer:
    return await edge.customers.create("acme")


@pytest.fixture
async def number(edge: Process, customer: Customer) -> Number:
    return await edge.numbers.create(draft(customer_id=customer.id, number=E164, call_flow_id=FLOW, name="main"))


async def test_what_was_created_is_read_back_from_every_door(edge: Process, customer: Customer, number: Number) -> None:
    assert number.version == 1
    assert number.status == "active"
    assert await edge.numbers.get(number.id) == number
    assert await edge.numbers.get(number.id, customer.id) == number
    assert await edge.numbers.get(number.id, new_id()) is None
    assert await edge.numbers.get(new_id()) is None
    assert await edge.numbers.by_e164(E164) == number
    assert await edge.directory.find(E164) == Found(number, "sql")
    assert await edge.directory.find("+14155550101") == Found(None, "sql")
    assert await edge.numbers.taken([E164, "+14155550101"]) == {E164}


async def test_a_number_lives_once(edge: Process, customer: Customer, number: Number) -> None:
    with pytest.raises(Conflict) as caught:
        await edge.numbers.create(draft(customer_id=customer.id, number=E164))
    assert caught.value.reason == "NUMBER_EXISTS"
    results = await asyncio.gather(
        *(edge.numbers.create(draft(customer_id=customer.id, number="+14155550101")) for _ in range(8)),
        return_exceptions=True,
    )
    assert sorted(type(result).__name__ for result in results) == ["Conflict"] * 7 + ["Number"]


async def test_an_unknown_customer_is_a_fault_of_the_draft(edge: Process) -> None:
    with pytest.raises(Invalid) as caught:
        await edge.numbers.create(draft(customer_id=new_id(), number=E164))
    assert [fault.where for fault in caught.value.faults] == ["customer_id"]


@pytest.mark.parametrize(
    "values",
    [
        {"status": "deleted"},
        {"status": "released"},
        {"tm_delete": datetime(2026, 8, 1, tzinfo=UTC)},
        {"type": "odd"},
        {"number": "14155550100"},
        {"number": "+1415"},
        {"customer_id": NIL},
    ],
)
async def test_the_database_itself_refuses_what_must_not_be(
    edge: Process, number: Number, values: dict[str, Any]
) -> None:
    with pytest.raises(IntegrityError):
        async with writing(edge.engine) as connection:
            await connection.execute(update(numbers).where(numbers.c.id == number.id).values(**values))


async def test_a_change(edge: Process, customer: Customer, number: Number) -> None:
    await edge.directory.find(E164)
    changed = await edge.numbers.update(
        number.id,
        customer.id,
        {"message_flow_id": OTHER_FLOW, "name": "", "metadata": {"rtp_debug": True}, "status": "suspended"},
        expected_version=1,
    )
    assert changed == await edge.numbers.get(number.id)
    assert (changed.version, changed.message_flow_id, changed.call_flow_id) == (2, OTHER_FLOW, FLOW)
    assert changed.metadata.rtp_debug
    assert changed.tm_update is not None
    assert edge.peek(E164) is None  # its own process knows at once
    assert await edge.directory.find(E164) == Found(changed, "sql")
    assert (await edge.numbers.update(number.id, None, {"call_flow_id": ""})).call_flow_id == NIL


@pytest.mark.parametrize(
    ("changes", "where"),
    [
        ({"number": "+14155550199"}, "number"),
        ({"customer_id": NIL, "id": NIL}, "customer_id"),
        ({"call_flow_id": "flow"}, "call_flow_id"),
        ({"status": "released"}, "status"),
        ({"status": "deleted"}, "status"),
        ({"metadata": {"x": 1}}, "metadata.x"),
    ],
)
async def test_a_change_that_is_not_possible(
    edge: Process, number: Number, changes: dict[str, Any], where: str
) -> None:
    with pytest.raises(Invalid) as caught:
        await edge.numbers.update(number.id, None, changes)
    assert where in [fault.where for fault in caught.value.faults]
    assert await edge.numbers.get(number.id) == number


async def test_a_change_of_what_changed_meanwhile(edge: Process, number: Number) -> None:
    await edge.numbers.update(number.id, None, {"name": "a"}, expected_version=1)
    with pytest.raises(Conflict):
        await edge.numbers.update(number.id, None, {"name": "b"}, expected_version=1)


async def test_nobody_changes_what_is_not_theirs(edge: Process, number: Number) -> None:
    for attempt in (
        edge.numbers.update(number.id, new_id(), {"name": "x"}),
        edge.numbers.release(number.id, new_id()),
        edge.numbers.release(new_id()),
    ):
        with pytest.raises(NotFound) as caught:
            await attempt
        assert caught.value.reason == "NUMBER_NOT_FOUND"


async def test_changes_at_the_same_time_are_all_made(edge: Process, number: Number) -> None:
    await asyncio.gather(*(edge.numbers.update(number.id, None, {"name": str(n)}) for n in range(10)))
    changed = await edge.numbers.get(number.id)
    assert changed is not None
    assert changed.version == 11


async def test_a_released_number_is_known_as_such_until_it_is_created_again(
    edge: Process, customer: Customer, number: Number
) -> None:
    await edge.directory.find(E164)
    released = await edge.numbers.release(number.id, customer.id)
    assert (released.status, released.version) == ("released", 2)
    assert released.tm_delete is not None
    assert await edge.directory.find(E164) == Found(released, "sql")
    assert await edge.numbers.by_e164(E164) == released
    assert await edge.numbers.get(number.id) is None
    assert (await edge.numbers.list(customer.id)).items == ()
    assert await edge.numbers.taken([E164]) == set()
    with pytest.raises(NotFound):
        await edge.numbers.release(number.id)
    with pytest.raises(NotFound):
        await edge.numbers.update(number.id, None, {"name": "x"})
    again = await edge.numbers.create(draft(customer_id=customer.id, number=E164))
    assert again.version == 3
    assert await edge.directory.find(E164) == Found(again, "sql")
    last = await edge.numbers.release(again.id)
    assert await edge.directory.find(E164) == Found(last, "sql")


async def test_a_deleted_flow_is_taken_off_its_numbers(
    edge: Process, customer: Customer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edge.numbers.table.UNBIND_ROWS", 2)
    slots = [{"call_flow_id": FLOW}, {"message_flow_id": FLOW}, {"call_flow_id": FLOW, "message_flow_id": FLOW},
             {"call_flow_id": OTHER_FLOW, "message_flow_id": FLOW}, {"call_flow_id": OTHER_FLOW}]  # fmt: skip
    made = [
        await edge.numbers.create(draft(customer_id=customer.id, number=f"+1415555010{n}", **slot))
        for n, slot in enumerate(slots)
    ]
    await edge.directory.find("+14155550100")
    gone = await edge.numbers.create(draft(customer_id=customer.id, number="+14155550109", call_flow_id=FLOW))
    await edge.numbers.release(gone.id)
    assert [found.number for found in await edge.numbers.bound(FLOW)] == [f"+1415555010{n}" for n in range(4)]
    changed = await edge.numbers.unbind_flow(FLOW)
    assert [found.number for found in changed] == [f"+1415555010{n}" for n in range(4)]
    after = [await edge.numbers.get(found.id) for found in made]
    assert [(found.call_flow_id, found.message_flow_id) for found in after if found] == [
        (NIL, NIL),
        (NIL, NIL),
        (NIL, NIL),
        (OTHER_FLOW, NIL),
        (OTHER_FLOW, NIL),
    ]
    assert (await edge.directory.find("+14155550100")).value == changed[0]
    assert await edge.numbers.unbind_flow(FLOW) == []
    assert await edge.numbers.unbind_flow(NIL) == []


async def test_pages_are_exact_even_when_all_was_created_at_once(edge: Process, customer: Customer) -> None:
    edge.step = timedelta()
    stranger = await edge.customers.create("other")
    made = [await edge.numbers.create(draft(customer_id=customer.id, number=f"+1415555{n:04}")) for n in range(7)]
    await edge.numbers.create(draft(customer_id=stranger.id, number="+14155559999"))
    for size in (1, 3, 7, 100):
        seen: list[str] = []
        token = ""
        for _ in range(8):
            page = await edge.numbers.list(customer.id, token=token, size=size)
            seen += [found.id for found in page.items]
            token = page.next_token
            if not token:
                break
        assert sorted(seen, reverse=True) == seen == sorted((found.id for found in made), reverse=True)
    assert len((await edge.numbers.list(None)).items) == 8


async def test_the_platforms_own_token_is_a_time(edge: Process, customer: Customer) -> None:
    made = [await edge.numbers.create(draft(customer_id=customer.id, number=f"+1415555{n:04}")) for n in range(3)]
    page = await edge.numbers.list(customer.id, token=made[1].public()["tm_create"])
    assert page.items == (made[0],)


async def test_lists_are_filtered(edge: Process, customer: Customer, number: Number) -> None:
    virtual = await edge.numbers.create(
        draft(customer_id=customer.id, number="+899123456789", type="virtual", message_flow_id=FLOW)
    )
    cases: list[tuple[dict[str, str], list[Number]]] = [
        ({}, [virtual, number]),
        ({"number": E164}, [number]),
        ({"type": "virtual"}, [virtual]),
        ({"call_flow_id": FLOW}, [number]),
        ({"message_flow_id": FLOW}, [virtual]),
        ({"call_flow_id": NIL}, [virtual]),
        ({"type": "normal", "message_flow_id": FLOW}, []),
    ]
    for wanted, found in cases:
        assert list((await edge.numbers.list(customer.id, **wanted)).items) == found, wanted  # type: ignore[arg-type]


async def test_a_change_is_in_force_in_another_process_within_a_second(database_url: str, redis_url: str) -> None:
    async with Process(database_url, redis_url).running() as one, Process(database_url, redis_url).running() as two:
        customer = await one.customers.create("acme")
        assert (await two.directory.find(E164)).value is None
        number = await one.numbers.create(draft(customer_id=customer.id, number=E164))
        steps = [
            lambda: one.numbers.update(number.id, None, {"call_flow_id": FLOW}),
            lambda: one.numbers.release(number.id),
        ]
        expected = number
        for step in [None, *steps]:
            if step is not None:
                expected = await step()
            started = time.monotonic()
            while (await two.directory.find(E164)).value != expected:
                await asyncio.sleep(0.001)
                assert time.monotonic() - started < 1.0
            assert (await two.directory.find(E164)).source in ("memory", "redis")


async def test_a_hundred_unknown_numbers_are_one_query(edge: Process) -> None:
    asked: list[int] = []
    backend: Any = edge.directory._reader._backend
    send = backend.send

    def counted(batch: Any) -> None:
        asked.append(len(batch.waiting))
        send(batch)

    backend.send = counted
    found = await asyncio.gather(*(edge.directory.find(f"+1415555{n % 100:04}") for n in range(300)))
    assert found == [Found(None, "sql")] * 300
    assert asked == [100]


async def test_rows_written_past_the_table_are_still_refused_twice(edge: Process, number: Number) -> None:
    with pytest.raises(IntegrityError):
        async with writing(edge.engine) as connection:
            await connection.execute(insert(numbers), {**number.columns(), "id": new_id(), "version": 99})
