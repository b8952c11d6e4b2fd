"""Customers, on both databases."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from edge.accounts.customer import Customer, CustomerDirectory, CustomerTable
from edge.errors import Conflict, Invalid, NotFound
from edge.store.cache_outbox import CacheWriter
from edge.store.cache_section import CacheSection
from edge.store.engine import StoreSection, open_engine
from edge.store.metadata import new_id
from edge.store.notice import Notices
from edge.store.reader import Reader
from edge.store.tiers import Found

NOW = datetime(2026, 8, 1, tzinfo=UTC)


@pytest.fixture
async def engine(database_url: str) -> AsyncIterator[AsyncEngine]:
    engine = await open_engine(database_url)
    yield engine
    await engine.dispose()


@pytest.fixture
def notices() -> Notices:
    return Notices()


@pytest.fixture
def customers(engine: AsyncEngine, notices: Notices) -> CustomerTable:
    return CustomerTable(engine, CacheWriter(engine, None, notices), clock=lambda: NOW)


async def test_what_was_created_is_read_back(customers: CustomerTable) -> None:
    customer = await customers.create("acme", detail="first")
    assert customer.status == "active"
    assert await customers.get(customer.id) == customer
    assert await customers.get(new_id()) is None
    assert customer.public() == {
        "id": customer.id,
        "name": "acme",
        "detail": "first",
        "status": "active",
        "destinations": [],
        "webhook_uri": "",
        "webhook_method": "POST",
        "webhook_events": [],
        "tm_webhook_gone": None,
        "tm_create": "2026-08-01T00:00:00.000000Z",
        "tm_update": None,
    }
    assert Customer.from_json(customer.to_json()) == customer
    with pytest.raises(Conflict):
        await customers.create("again", customer_id=customer.id)
    with pytest.raises(Invalid):
        await customers.create("x" * 300)


async def test_a_change_is_seen_by_the_directory(customers: CustomerTable, notices: Notices, database_url: str) -> None:
    reader = Reader(StoreSection(url=database_url, read_seconds=5))
    await reader.start()
    directory = CustomerDirectory(CacheSection(untracked_seconds=60, sql_seconds=5), notices, None, reader)
    customer = await customers.create("acme")
    assert await directory.find(customer.id) == Found(customer, "sql")
    assert directory.peek(customer.id, time.monotonic()) == Found(customer, "memory")
    changed = await customers.update(customer.id, {"status": "suspended"})
    assert (changed.status, changed.version, changed.tm_update) == ("suspended", 2, NOW)
    assert directory.peek(customer.id, time.monotonic()) is None
    assert await directory.find(customer.id) == Found(changed, "sql")
    assert (await directory.find(new_id())).value is None
    await reader.close()


@pytest.mark.parametrize("changes", [{"status": "gone"}, {"id": new_id()}, {"name": None}])
async def test_a_change_that_is_not_possible(customers: CustomerTable, changes: dict[str, Any]) -> None:
    customer = await customers.create("acme")
    with pytest.raises(Invalid) as caught:
        await customers.update(customer.id, changes)
    assert [fault.where for fault in caught.value.faults] == list(changes)
    with pytest.raises(NotFound):
        await customers.update(new_id(), {"name": "x"})


async def test_pages(engine: AsyncEngine) -> None:
    times = iter(NOW + timedelta(seconds=n // 2) for n in range(100))
    customers = CustomerTable(
        engine, CacheWriter(engine, None, Notices(), clock=lambda: NOW), clock=lambda: next(times)
    )
    made = [await customers.create(str(n)) for n in range(5)]
    first = await customers.list(size=3)
    rest = await customers.list(size=3, token=first.next_token)
    assert [customer.name for customer in first.items + rest.items] == ["4", "3", "2", "1", "0"]
    assert rest.next_token == ""
    assert set(first.items + rest.items) == set(made)


async def test_events_are_heard_of_until_the_server_is_gone(customers: CustomerTable) -> None:
    customer = await customers.create("acme")
    assert not customer.hears("call_hangup")
    uri = "https://example.com/events"
    customer = await customers.update(customer.id, {"webhook_uri": uri})
    assert customer.hears("call_hangup")
    customer = await customers.update(customer.id, {"webhook_events": ["message_created"]})
    assert (customer.hears("message_created"), customer.hears("call_hangup")) == (True, False)
    await customers.webhook_gone(customer.id, "https://example.com/before")
    assert await customers.get(customer.id) == customer
    await customers.webhook_gone(customer.id, uri)
    gone = await customers.get(customer.id)
    assert gone is not None
    assert (gone.tm_webhook_gone, gone.version, gone.hears("message_created")) == (NOW, customer.version + 1, False)
    assert Customer.from_json(gone.to_json()) == gone
    again = await customers.update(customer.id, {"webhook_uri": uri})
    assert again.hears("message_created")
    with pytest.raises(NotFound):
        await customers.webhook_gone(new_id(), uri)
