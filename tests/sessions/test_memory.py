"""What is remembered of a person, on both databases, and who gets it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from edge.errors import Invalid, Unavailable
from edge.flows import limits
from edge.flows.flow import compile_flow
from edge.sessions.memory import Memory, MemorySection, peer_of
from edge.sessions.tables import memories
from edge.store.engine import StoreSection, open_engine, reading
from edge.store.reader import Reader
from edge.store.writer import Writer
from tests.logged import logged
from tests.sessions.ground import Clock
from tests.sessions.line import CALLER, Line, exchange
from tests.sip.ladder import invite

NUMBER_ID = "44444444-4444-4444-8444-444444444444"
OTHER_ID = "44444444-4444-4444-8444-444444444445"
PEER = "+14155550199"


class Time(Clock):
    """A clock that can be put forward."""

    def __init__(self) -> None:
        super().__init__()
        self.ahead = timedelta()

    def __call__(self) -> datetime:
        return super().__call__() + self.ahead


class Room:
    """A memory, and all it stands on."""

    engine: AsyncEngine
    memory: Memory
    time: Time

    async def rows(self) -> int:
        async with reading(self.engine) as connection:
            return (await connection.execute(sa.select(sa.func.count()).select_from(memories))).scalar_one()


@pytest.fixture
async def room(database_url: str) -> AsyncIterator[Room]:
    async with AsyncExitStack() as stack:
        section = StoreSection(url=database_url)
        made = Room()
        made.engine = await open_engine(database_url)
        stack.push_async_callback(made.engine.dispose)
        reader, writer = Reader(section), Writer(section)
        await reader.start()
        stack.push_async_callback(reader.close)
        await writer.start()
        stack.push_async_callback(writer.close)
        made.time = Time()
        made.memory = Memory(MemorySection(days=2), made.engine, reader, writer, made.time)
        yield made


async def test_what_is_remembered_is_there_for_the_same_person_at_the_same_number(room: Room) -> None:
    memory = room.memory
    assert await memory.recall(NUMBER_ID, PEER) == {}
    await memory.remember(NUMBER_ID, PEER, "memory.choice", "2#")
    await memory.remember(NUMBER_ID, PEER, "memory.name", "Ann ${x}")
    assert await memory.recall(NUMBER_ID, PEER) == {"memory.choice": "2#", "memory.name": "Ann ${x}"}
    assert await memory.recall(NUMBER_ID, "+14155550198") == {}
    assert await memory.recall(OTHER_ID, PEER) == {}


async def test_a_value_is_replaced_and_an_empty_one_forgotten(room: Room) -> None:
    memory = room.memory
    for value in ("1", "2"):
        await memory.remember(NUMBER_ID, PEER, "memory.choice", value)
    assert await memory.recall(NUMBER_ID, PEER) == {"memory.choice": "2"}
    await memory.remember(NUMBER_ID, PEER, "memory.choice", "")
    assert (await memory.recall(NUMBER_ID, PEER), await room.rows()) == ({}, 0)


async def test_a_value_is_forgotten_when_its_time_is_over(room: Room) -> None:
    memory = room.memory
    await memory.remember(NUMBER_ID, PEER, "memory.old", "1")
    room.time.ahead = timedelta(days=1)
    await memory.remember(NUMBER_ID, PEER, "memory.young", "2")
    room.time.ahead = timedelta(days=2, seconds=1)
    assert await memory.recall(NUMBER_ID, PEER) == {"memory.young": "2"}
    assert await memory.purge(room.time(), 100) == 1
    assert await room.rows() == 1
    assert await memory.purge(room.time(), 100) == 0


async def test_memory_has_an_end(room: Room) -> None:
    memory = room.memory
    for n in range(limits.MEMORIES):
        await memory.remember(NUMBER_ID, PEER, f"memory.{n}", "x")
    with pytest.raises(Invalid, match="at most 32"):
        await memory.remember(NUMBER_ID, PEER, "memory.more", "x")
    await memory.remember(NUMBER_ID, PEER, "memory.0", "y")
    with pytest.raises(Invalid, match="more than 1024 characters"):
        await memory.remember(NUMBER_ID, PEER, "memory.0", "x" * 1025)


@pytest.mark.parametrize("peer", ["", "anonymous", "Anonymous"])
async def test_of_nobody_nothing_is_remembered(room: Room, peer: str) -> None:
    with pytest.raises(Invalid, match="not known by a number"):
        await room.memory.remember(NUMBER_ID, peer, "memory.x", "1")
    assert await room.memory.recall(NUMBER_ID, peer) == {}


@pytest.mark.parametrize(
    ("source", "country", "peer"),
    [
        ("+14155550199", None, PEER),
        ("4155550199", "US", PEER),
        ("tel:+1-415-555-0199", None, PEER),
        ("anonymous", "US", "anonymous"),
        ("ACME", None, "ACME"),
    ],
)
def test_calls_and_texts_name_a_person_alike(source: str, country: str | None, peer: str) -> None:
    assert peer_of(source, country) == peer


SET = {"id": "set", "type": "variable_set", "option": {"key": "memory.seen", "value": "${memory.seen}x"}}
READ = {"id": "read", "type": "branch", "option": {"variable": "memory.seen", "target_ids": {"xx": "away"}}}
AWAY = {"id": "away", "type": "redirect", "option": {"destinations": ["sip:${memory.seen:-nobody}@pbx.example"]}}


@pytest.mark.parametrize(
    ("actions", "recalls"),
    [
        ([SET], True),
        ([READ, AWAY], True),
        ([AWAY], True),
        ([{"type": "fetch_flow", "option": {"flow_id": NUMBER_ID}}], True),
        ([{"type": "beep"}], False),
    ],
)
def test_a_flow_says_whether_it_may_ask(actions: list[dict[str, Any]], recalls: bool) -> None:
    away = [] if AWAY in actions else [AWAY] if READ in actions else []
    assert compile_flow({"actions": [*actions, *away]}).recalls is recalls


@pytest.fixture
async def line(migrated_sqlite: Path, tmp_path: Path) -> AsyncIterator[Line]:
    async with exchange(tmp_path, migrated_sqlite) as opened:
        memory = Memory(MemorySection(), opened.stores.engine, opened.stores.reader, opened.writer, Clock())
        opened.desk = replace(opened.desk, reach=replace(opened.desk.reach, memory=memory))
        opened.rewire()
        yield opened


async def test_the_second_call_of_a_person_knows_what_the_first_left(line: Line) -> None:
    await line.number(SET, AWAY)
    for n, user in ((1, "x"), (2, "xx")):
        line >> invite(call_id=f"call-{n}", branch=f"branch-{n}") << 100
        await line.comes(302)
        assert line.header("contact").startswith(f"<sip:{user}@pbx.example")
        await line.over()
    found = await line.desk.reach.memory.recall((await line.records())[0]["number_id"], CALLER)
    assert found == {"memory.seen": "xx"}


async def test_a_call_goes_on_without_memory_while_sql_is_away(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    async def away(*_: Any) -> dict[str, str]:
        raise Unavailable("the database is away")

    monkeypatch.setattr(line.desk.reach.memory, "recall", away)
    await line.number(AWAY)
    with logged() as lines:
        line >> invite() << 100
        await line.comes(302)
        await line.over()
    assert line.header("contact").startswith("<sip:nobody@pbx.example")
    assert "nothing is remembered for now" in [said["event"] for said in lines()]
