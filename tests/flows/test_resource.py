"""Calendars and lists of callers in SQL and out of their libraries, on both databases and with a real Redis."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from edge.errors import Conflict, Exhausted, Invalid, NotFound
from edge.flows import limits
from edge.flows.calendar import Calendar
from edge.flows.caller_list import Caller, Callers
from edge.flows.resource import CALENDARS, CALLER_LISTS, AccountResources, Resources, ResourceTable
from edge.store.cache_outbox import CacheWriter
from edge.store.cache_section import CacheSection
from edge.store.engine import StoreSection, open_engine, writing
from edge.store.metadata import new_id
from edge.store.notice import Notices
from edge.store.reader import Reader
from edge.store.redis import RedisSection, RedisTier

OURS, THEIRS = new_id(), new_id()
NOON = datetime(2026, 8, 5, 12, 0, tzinfo=UTC)
ALL_DAY: dict[str, Any] = {"hours": [{"weekdays": [0, 1, 2, 3, 4, 5, 6], "from": "00:00", "to": "24:00"}]}
NEVER: dict[str, Any] = {"hours": []}
BOB: dict[str, Any] = {"entries": [{"match": "+1 415 555 0199", "label": "bob"}]}


class Office:
    """The tables and the libraries over them."""

    def __init__(self, engine: AsyncEngine, reader: Reader, notices: Notices, redis: RedisTier | None = None) -> None:
        self.engine = engine
        cache = CacheWriter(engine, redis, notices)
        self.calendars: ResourceTable[Calendar] = ResourceTable(CALENDARS, engine, cache)
        self.caller_lists: ResourceTable[Callers] = ResourceTable(CALLER_LISTS, engine, cache)
        self.resources = Resources.open(CacheSection(), notices, redis, reader)
        self.ours = AccountResources(self.resources, OURS)
        self.theirs = AccountResources(self.resources, THEIRS)

    async def is_open(self, reference: str) -> bool:
        return (await self.ours.calendar(reference)).at(NOON).open


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
def office(opened: tuple[AsyncEngine, Reader]) -> Office:
    return Office(*opened, Notices())


async def test_one_is_found_by_its_id_and_by_its_name(office: Office) -> None:
    made = await office.calendars.create(OURS, "Büro & Lager", "d", ALL_DAY)
    assert await office.calendars.get(made.id) == made
    assert made.content == {"timezone": "UTC", "hours": ALL_DAY["hours"], "holidays": []}  # all of it, in one form
    for reference in (made.id, made.id.upper(), "Büro & Lager"):
        assert await office.is_open(reference)
    assert office.resources.calendars.peek(OURS, made.name, time.monotonic()) is not None
    for reference in ("büro & lager", "", "%", made.id + "x"):
        with pytest.raises(NotFound):
            await office.ours.calendar(reference)


async def test_another_account_does_not_find_it_nor_another_kind(office: Office) -> None:
    made = await office.calendars.create(OURS, "office", "", ALL_DAY)
    for reference in (made.id, "office"):
        with pytest.raises(NotFound) as raised:
            await office.theirs.calendar(reference)
        assert raised.value.reason == "CALENDAR_NOT_FOUND"
        with pytest.raises(NotFound):
            await office.ours.caller_list(reference)
    assert await office.calendars.get(made.id, THEIRS) is None
    assert await office.caller_lists.get(made.id) is None
    for call in (office.calendars.update(made.id, THEIRS, {"name": "x"}), office.calendars.delete(made.id, THEIRS)):
        with pytest.raises(NotFound):
            await call


async def test_a_change_counts_at_once(office: Office) -> None:
    made = await office.calendars.create(OURS, "office", "", ALL_DAY)
    assert await office.is_open("office")
    assert await office.is_open(made.id)
    changed = await office.calendars.update(made.id, OURS, {"holidays": ["2026-08-05"]})
    assert changed.version > made.version
    assert changed.content == {"timezone": "UTC", "hours": ALL_DAY["hours"], "holidays": [HOLIDAY]}
    assert not await office.is_open("office")
    assert not await office.is_open(made.id)


HOLIDAY = {"date": "2026-08-05", "name": "", "hours": []}


async def test_a_new_name_takes_the_old_ones_place(office: Office) -> None:
    made = await office.calendars.create(OURS, "office", "", ALL_DAY)
    assert await office.is_open("office")
    await office.calendars.update(made.id, OURS, {"name": "shop"})
    assert await office.is_open("shop")
    with pytest.raises(NotFound):
        await office.is_open("office")
    await office.calendars.create(OURS, "office", "", NEVER)
    assert not await office.is_open("office")


async def test_a_name_is_free_again_once_its_calendar_is_deleted(office: Office) -> None:
    made = await office.calendars.create(OURS, "office", "", ALL_DAY)
    assert await office.is_open("office")
    await office.calendars.delete(made.id, OURS)
    for reference in ("office", made.id):
        with pytest.raises(NotFound):
            await office.is_open(reference)
    again = await office.calendars.create(OURS, "office", "", NEVER)
    assert again.version > made.version
    assert not await office.is_open("office")


async def test_a_name_belongs_to_one(office: Office) -> None:
    made = await office.calendars.create(OURS, "office", "", ALL_DAY)
    other = await office.calendars.create(OURS, "shop", "", ALL_DAY)
    with pytest.raises(Conflict) as raised:
        await office.calendars.create(OURS, "office", "", ALL_DAY)
    assert raised.value.reason == "NAME_TAKEN"
    with pytest.raises(Conflict):
        await office.calendars.update(other.id, OURS, {"name": "office"})
    await office.calendars.create(THEIRS, "office", "", ALL_DAY)
    await office.caller_lists.create(OURS, "office", "", BOB)
    assert (await office.calendars.update(made.id, OURS, {"name": "office"})).name == "office"


async def test_whoever_races_for_a_name_one_gets_it(office: Office) -> None:
    tries = [office.calendars.create(OURS, "office", "", ALL_DAY) for _ in range(5)]
    outcomes = await asyncio.gather(*tries, return_exceptions=True)
    assert sum(isinstance(outcome, Conflict) for outcome in outcomes) == 4


async def test_a_change_of_an_older_version_is_refused(office: Office) -> None:
    made = await office.calendars.create(OURS, "office", "", ALL_DAY)
    changed = await office.calendars.update(made.id, OURS, {"detail": "d"}, made.version)
    for call in (
        office.calendars.update(made.id, OURS, {"detail": "e"}, made.version),
        office.calendars.delete(made.id, OURS, made.version),
    ):
        with pytest.raises(Conflict) as raised:
            await call
        assert raised.value.reason == "VERSION_MISMATCH"
    assert await office.calendars.get(made.id) == changed


@pytest.mark.parametrize(
    ("name", "content", "where"),
    [
        ("", ALL_DAY, "name"),
        ("  ", ALL_DAY, "name"),
        ("a\nb", ALL_DAY, "name"),
        ("x" * 256, ALL_DAY, "name"),
        ("01910000-0000-7000-8000-00000000ABCD", ALL_DAY, "name"),  # it would be taken for an id
        ("office", {"hours": [{"weekdays": [7], "from": "00:00", "to": "24:00"}]}, "hours[0].weekdays[0]"),
        ("office", {"holidays": ["13-01"]}, "holidays[0].date"),
        ("office", {"opens": 9}, "opens"),
    ],
)
async def test_what_cannot_be_stored(office: Office, name: str, content: dict[str, Any], where: str) -> None:
    with pytest.raises(Invalid) as raised:
        await office.calendars.create(OURS, name, "", content)
    assert [fault.where for fault in raised.value.faults] == [where]


async def test_for_an_account_that_there_is(office: Office) -> None:
    with pytest.raises(Invalid) as raised:
        await office.calendars.create(new_id(), "office", "", ALL_DAY)
    assert raised.value.faults[0].where == "customer_id"


async def test_an_account_has_so_many(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "RESOURCES_PER_CUSTOMER", 2)
    for name in ("a", "b"):
        await office.calendars.create(OURS, name, "", ALL_DAY)
    with pytest.raises(Exhausted):
        await office.calendars.create(OURS, "c", "", ALL_DAY)
    await office.caller_lists.create(OURS, "a", "", BOB)


async def test_lists_are_paged_and_without_contents(office: Office) -> None:
    made = [await office.calendars.create(OURS, f"c{number}", "", ALL_DAY) for number in range(5)]
    await office.calendars.delete(made[2].id)
    await office.calendars.create(THEIRS, "theirs", "", ALL_DAY)
    page = await office.calendars.list(OURS, size=3)
    rest = await office.calendars.list(OURS, size=3, token=page.next_token)
    names = [one.name for one in (*page.items, *rest.items)]
    assert names == ["c4", "c3", "c1", "c0"]
    assert {one.content for one in page.items} == {None}
    assert [one.name for one in (await office.calendars.list(None, name="theirs")).items] == ["theirs"]


async def test_callers_are_listed(office: Office) -> None:
    made = await office.caller_lists.create(OURS, "vip", "", BOB)
    assert made.content == {"entries": [{"match": "+14155550199", "label": "bob"}]}
    callers = await office.ours.caller_list("vip")
    found = callers.find(Caller("+14155550199"))
    assert found is not None
    assert found.label == "bob"


@pytest.mark.parametrize(
    ("kind", "content"),
    [(CALENDARS, {**ALL_DAY, "holidays": ["12-25"]}), (CALLER_LISTS, BOB)],
    ids=["calendar", "list"],
)
def test_what_is_ready_can_be_written_down_again(kind: Any, content: dict[str, Any]) -> None:
    stored = kind.model.model_validate(content).model_dump(mode="json", by_alias=True)
    assert json.loads(kind.written(kind.ready(stored))) == stored


@pytest.mark.server
async def test_a_change_reaches_another_edge_in_no_time(database_url: str, redis_url: str) -> None:
    """Two processes' worth of it over one Redis: the second has the calendar in memory when the first changes it."""
    engine = await open_engine(database_url)
    async with writing(engine) as connection:
        await connection.execute(
            text(
                "INSERT INTO customers (id, name, detail, status, version, tm_create)"
                " VALUES (:id, '', '', 'active', 1, 0)"
            ),
            {"id": OURS},
        )
    reader = Reader(StoreSection(url=database_url))
    await reader.start()
    here, there = Notices(), Notices()
    tiers = [RedisTier(RedisSection(url=redis_url), notices) for notices in (here, there)]
    for tier in tiers:
        await tier.start()
    try:
        first, second = Office(engine, reader, here, tiers[0]), Office(engine, reader, there, tiers[1])
        made = await first.calendars.create(OURS, "office", "", ALL_DAY)
        assert await second.is_open("office")
        await first.calendars.update(made.id, OURS, {"holidays": ["2026-08-05"]})
        async with asyncio.timeout(1):
            while await second.is_open("office"):
                await asyncio.sleep(0.005)
        await first.calendars.delete(made.id, OURS)
        async with asyncio.timeout(1):
            while True:
                try:
                    await second.is_open("office")
                except NotFound:
                    break
                await asyncio.sleep(0.005)
    finally:
        for tier in tiers:
            await tier.close()
        await reader.close()
        await engine.dispose()
