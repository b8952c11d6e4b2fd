"""Access keys, on both databases."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import event, text
from sqlalchemy.ext.asyncio import AsyncEngine

from edge.accounts.customer import Customer, CustomerTable
from edge.accounts.key import BELIEVED_SECONDS, Identity, KeyTable
from edge.errors import Invalid, NotFound
from edge.store.cache_outbox import CacheWriter
from edge.store.engine import open_engine, reading
from edge.store.metadata import new_id
from edge.store.notice import Notices


class Clock:
    def __init__(self) -> None:
        self.now = datetime(2026, 8, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


@pytest.fixture
async def engine(database_url: str) -> AsyncIterator[AsyncEngine]:
    engine = await open_engine(database_url)
    yield engine
    await engine.dispose()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def keys(engine: AsyncEngine, clock: Clock) -> KeyTable:
    return KeyTable(engine, clock=clock)


@pytest.fixture
async def customer(engine: AsyncEngine) -> Customer:
    return await CustomerTable(engine, CacheWriter(engine, None, Notices())).create("acme")


async def test_a_token_stands_for_its_customer_and_only_its_hash_is_kept(
    keys: KeyTable, customer: Customer, engine: AsyncEngine
) -> None:
    key, token = await keys.create(customer.id, name="ci")
    assert re.fullmatch(r"vb_[A-Za-z0-9_-]{43}", token)
    assert await keys.identify(token) == Identity(customer.id, False, key.id)
    assert await keys.identify(token) == Identity(customer.id, False, key.id)
    async with reading(engine) as connection:
        [row] = (await connection.execute(text("SELECT * FROM access_keys"))).all()
    assert token not in str(row)
    assert token[3:] not in str(row)
    assert key.public()["hint"] == token[:7]
    assert {"hash", "token"} & set(key.public()) == set()


async def test_an_admins_key(keys: KeyTable) -> None:
    key, token = await keys.create(None, admin=True)
    assert await keys.identify(token) == Identity(None, True, key.id)


@pytest.mark.parametrize("token", ["", "vb_", "vb_wrong", "Bearer", "vb_\ud800", "x" * 10_000, "vb_" + "x" * 10_000])
async def test_what_is_no_key_is_nobody(keys: KeyTable, token: str) -> None:
    assert await keys.identify(token) is None


async def test_a_key_is_a_customers_or_an_admins(keys: KeyTable, customer: Customer) -> None:
    for customer_id, admin in ((None, False), (customer.id, True), (new_id(), False)):
        with pytest.raises(Invalid):
            await keys.create(customer_id, admin=admin)


async def test_a_token_known_beforehand(keys: KeyTable, customer: Customer) -> None:
    token = "vb_" + "d" * 40
    assert await keys.identify(token) is None
    key, given = await keys.create(customer.id, token=token)
    assert given == token
    assert await keys.identify(token) == Identity(customer.id, False, key.id)
    for bad in ("vb_short", "xx_" + "d" * 40, token):
        with pytest.raises(Invalid):
            await keys.create(customer.id, token=bad)


async def test_a_key_expires(keys: KeyTable, customer: Customer, clock: Clock) -> None:
    _, token = await keys.create(customer.id, expires=clock.now + timedelta(seconds=2))
    assert await keys.identify(token) is not None
    clock.advance(1.9)
    assert await keys.identify(token) is not None
    clock.advance(0.1)
    assert await keys.identify(token) is None


async def test_a_revoked_key_is_nobody_here_at_once_and_elsewhere_soon(
    keys: KeyTable, customer: Customer, engine: AsyncEngine, clock: Clock
) -> None:
    elsewhere = KeyTable(engine, clock=clock)
    key, token = await keys.create(customer.id)
    assert await elsewhere.identify(token) is not None
    with pytest.raises(NotFound):
        await keys.revoke(key.id, new_id())
    revoked = await keys.revoke(key.id, customer.id)
    assert revoked.tm_delete == clock.now
    assert await keys.identify(token) is None
    assert await elsewhere.identify(token) is not None
    clock.advance(BELIEVED_SECONDS)
    assert await elsewhere.identify(token) is None
    with pytest.raises(NotFound):
        await keys.revoke(key.id)
    assert await keys.get(key.id) is None


async def test_many_who_ask_at_once_are_one_question(
    keys: KeyTable, customer: Customer, engine: AsyncEngine, clock: Clock
) -> None:
    key, token = await keys.create(customer.id)
    asked: list[str] = []
    event.listen(engine.sync_engine, "before_cursor_execute", lambda *about: asked.append(about[2]))
    for questions in (1, 2):
        found = await asyncio.gather(*(keys.identify(token) for _ in range(20)))
        assert found == [Identity(customer.id, False, key.id)] * 20
        assert sum("FROM access_keys" in question for question in asked) == questions
        clock.advance(BELIEVED_SECONDS)


async def test_who_stops_waiting_takes_the_answer_from_nobody(keys: KeyTable, customer: Customer) -> None:
    key, token = await keys.create(customer.id)
    first, second = (asyncio.create_task(keys.identify(token)) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    assert await second == Identity(customer.id, False, key.id)


async def test_a_key_that_is_revoked_while_it_is_asked_about_is_nobody(keys: KeyTable, customer: Customer) -> None:
    key, token = await keys.create(customer.id)
    asked = asyncio.create_task(keys.identify(token))
    await asyncio.sleep(0)
    await keys.revoke(key.id)
    await asked
    assert await keys.identify(token) is None


async def test_lists_are_of_a_customer_or_of_all(keys: KeyTable, customer: Customer, clock: Clock) -> None:
    made = []
    for n in range(3):
        clock.advance(1)
        made.append((await keys.create(customer.id, name=str(n)))[0])
    await keys.create(None, admin=True)
    await keys.revoke(made[1].id)
    assert [key.name for key in (await keys.list(customer.id)).items] == ["2", "0"]
    first = await keys.list(None, size=2)
    rest = await keys.list(None, size=2, token=first.next_token)
    assert len(first.items + rest.items) == 3
    assert await keys.get(made[0].id, customer.id) == made[0]
    assert await keys.get(made[0].id, new_id()) is None
