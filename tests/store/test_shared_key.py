"""Keys that processes share, on both databases."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from edge.store.engine import open_engine
from edge.store.shared_key import KEY_BYTES, shared_key


@pytest.fixture
async def engine(database_url: str) -> AsyncIterator[AsyncEngine]:
    engine = await open_engine(database_url)
    yield engine
    await engine.dispose()


async def test_it_is_made_once_whoever_needs_it_first(engine: AsyncEngine) -> None:
    made = await asyncio.gather(*(shared_key(engine, "nonces", 1) for _ in range(5)))
    assert len(set(made)) == 1
    assert len(made[0]) == KEY_BYTES
    assert await shared_key(engine, "nonces", 2) == made[0]
    assert await shared_key(engine, "others", 2) != made[0]
