"""The demo: what an empty database is furnished with, and that any other is left alone."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from shutil import copy

import pytest

from edge.accounts.key import PREFIX
from edge.config import Config
from edge.demo import NUMBER, PROMPTS, Demo, furnish
from edge.flows.action import ACTIONS
from edge.media.transport.loading import open_prompts
from edge.plugins import load
from edge.store.engine import StoreSection
from edge.stores import Stores, open_stores

load("edge.actions")


@pytest.fixture
def config(migrated_sqlite: Path, tmp_path: Path) -> Config:
    copy(migrated_sqlite, tmp_path / "edge.sqlite3")
    media = Config.model_fields["media"].default.model_copy(update={"prompts": tmp_path / "prompts"})
    return Config(data=tmp_path / "data", store=StoreSection(url=f"sqlite:///{tmp_path}/edge.sqlite3"), media=media)


@pytest.fixture
async def stores(config: Config) -> AsyncIterator[Stores]:
    async with open_stores(config) as opened:
        yield opened


async def _nothing(url: str) -> bytes:
    raise AssertionError(f"the demo fetches {url}")


async def furnished(config: Config, stores: Stores) -> Demo:
    return await furnish(config.data, config.media.prompts, stores.customers, stores.keys, stores.numbers, stores.flows)


async def test_an_empty_database_gets_a_number_that_calls_and_texts_are_served_on(
    config: Config, stores: Stores
) -> None:
    demo = await furnished(config, stores)
    assert demo.number == NUMBER
    found = await stores.routes.number(NUMBER)
    assert found.value is not None
    await stores.routes.account(found.value)
    call = await stores.routes.flow(found.value.call_flow_id, found.value.customer_id)
    message = await stores.routes.flow(found.value.message_flow_id, found.value.customer_id)
    assert "call" in call.media
    assert "message" in message.media
    assert (call.warnings, message.warnings) == ((), ())
    assert {action["type"] for flow in (call, message) for action in flow.actions} <= set(ACTIONS.names())


async def test_its_key_is_its_customer_s_and_kept_for_its_owner_only(config: Config, stores: Stores) -> None:
    demo = await furnished(config, stores)
    assert demo.key is not None
    assert demo.key.startswith(PREFIX)
    identity = await stores.keys.identify(demo.key)
    (customer,) = (await stores.customers.list()).items
    assert identity is not None
    assert (identity.customer_id, identity.admin) == (customer.id, False)
    file = config.data / "demo.key"
    assert file.read_text().strip() == demo.key
    assert file.stat().st_mode & 0o077 == 0


async def test_a_key_left_by_another_database_is_replaced(config: Config, stores: Stores) -> None:
    config.data.mkdir()
    (config.data / "demo.key").write_text("vb_of-a-database-that-is-gone\n")
    (config.data / "demo.key").chmod(0o644)
    demo = await furnished(config, stores)
    assert (config.data / "demo.key").read_text().strip() == demo.key
    assert (config.data / "demo.key").stat().st_mode & 0o077 == 0


async def test_its_prompts_can_be_played(config: Config, stores: Stores) -> None:
    await furnished(config, stores)
    prompts = open_prompts(config.media, _nothing)
    played = {name: await prompts.load(name) for name in PROMPTS}
    assert all(audio.seconds > 1 for audio in played.values())
    flows = (await stores.flows.list(None)).items
    named = {
        name
        for flow in flows
        for action in flow.actions
        if action["type"] == "play"
        for name in action["option"]["stream_urls"]
    }
    assert named == set(PROMPTS)


async def test_a_prompt_that_was_changed_stays(config: Config, stores: Stores) -> None:
    config.media.prompts.mkdir()
    (config.media.prompts / PROMPTS[0]).write_bytes(b"mine")
    await furnished(config, stores)
    assert (config.media.prompts / PROMPTS[0]).read_bytes() == b"mine"
    assert (config.media.prompts / PROMPTS[1]).exists()


async def test_the_second_time_shows_the_same_and_makes_nothing(config: Config, stores: Stores) -> None:
    first = await furnished(config, stores)
    assert await furnished(config, stores) == first
    assert len((await stores.customers.list()).items) == 1


async def test_a_database_with_somebody_in_it_is_left_alone(config: Config, stores: Stores) -> None:
    customer = await stores.customers.create("acme")
    assert await furnished(config, stores) == Demo(None, None)
    assert [one.id for one in (await stores.customers.list()).items] == [customer.id]
    assert not (await stores.flows.list(None)).items
    assert not (config.data / "demo.key").exists()


async def test_a_demo_whose_number_was_released_shows_none(config: Config, stores: Stores) -> None:
    first = await furnished(config, stores)
    number = await stores.numbers.by_e164(NUMBER)
    assert number is not None
    await stores.numbers.release(number.id)
    assert await furnished(config, stores) == Demo(None, first.key)
