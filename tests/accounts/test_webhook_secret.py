"""The secrets of webhooks, on both databases."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from edge.accounts.customer import CustomerTable
from edge.accounts.webhook_secret import OVERLAP, WebhookSecretTable, key_of
from edge.errors import NotFound
from edge.store.cache_outbox import CacheWriter
from edge.store.engine import open_engine
from edge.store.metadata import new_id
from edge.store.notice import Notices

NOW = datetime(2026, 8, 1, tzinfo=UTC)


@pytest.fixture
async def engine(database_url: str) -> AsyncIterator[AsyncEngine]:
    engine = await open_engine(database_url)
    yield engine
    await engine.dispose()


@pytest.fixture
async def customer(engine: AsyncEngine) -> str:
    return (await CustomerTable(engine, CacheWriter(engine, None, Notices())).create("acme")).id


async def test_it_is_made_once_when_it_is_first_needed(engine: AsyncEngine, customer: str) -> None:
    secrets = WebhookSecretTable(engine, clock=lambda: NOW)
    made = await asyncio.gather(*(secrets.get(customer) for _ in range(5)))
    assert len({one.secret for one in made}) == 1
    (secret, *_) = made
    assert secret.secret.startswith("whsec_")
    assert key_of(secret.secret) == base64.b64decode(secret.secret[6:])
    assert len(key_of(secret.secret)) == 32
    assert (secret.previous, secret.tm_create, secret.in_force(NOW)) == ("", NOW, [secret.secret])


async def test_after_a_change_both_are_in_force_for_a_day(engine: AsyncEngine, customer: str) -> None:
    now = NOW
    secrets = WebhookSecretTable(engine, clock=lambda: now)
    first = await secrets.get(customer)
    now += timedelta(days=7)
    second = await secrets.rotate(customer)
    assert second == await secrets.get(customer)
    assert second.in_force(now + OVERLAP - timedelta(seconds=1)) == [second.secret, first.secret]
    assert second.in_force(now + OVERLAP) == [second.secret]
    third = await secrets.rotate(customer)
    assert third.in_force(now) == [third.secret, second.secret]
    assert len({first.secret, second.secret, third.secret}) == 3


async def test_a_change_before_the_first_need(engine: AsyncEngine, customer: str) -> None:
    secrets = WebhookSecretTable(engine)
    changed = await secrets.rotate(customer)
    assert changed.previous
    assert await secrets.get(customer) == changed


async def test_nobody_has_none(engine: AsyncEngine) -> None:
    secrets = WebhookSecretTable(engine)
    for ask in (secrets.get, secrets.rotate):
        with pytest.raises(NotFound):
            await ask(new_id())
