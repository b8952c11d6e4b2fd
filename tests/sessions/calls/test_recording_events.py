"""The event of a recording: written with its end, as the API shows it then."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from edge.api.forms import recording_form
from edge.recordings.table import Recording, RecordingTable, public
from edge.sessions.calls.recording_events import RecordingEvents
from edge.sessions.events.journal import Journal
from edge.sessions.tables import events
from edge.store.engine import StoreSection, open_engine, reading
from edge.store.metadata import NIL, new_id
from edge.store.writer import Writer

ANN, CALL = "11111111-1111-4111-8111-111111111111", "22222222-2222-4222-8222-222222222222"
NOW = datetime(2026, 8, 1, 9, tzinfo=UTC)
LATER = NOW + timedelta(seconds=5)


class Listener:
    def __init__(self) -> None:
        self.wants = True
        self.told: list[str] = []

    async def hears(self, customer_id: str, type: str) -> bool:
        assert (customer_id, type) == (ANN, "recording_finished")
        return self.wants

    def written(self, customer_id: str) -> None:
        self.told.append(customer_id)


@pytest.fixture
async def engine(database_url: str) -> AsyncIterator[AsyncEngine]:
    engine = await open_engine(database_url)
    yield engine
    await engine.dispose()


@pytest.fixture
async def writer(database_url: str) -> AsyncIterator[Writer]:
    writer = Writer(StoreSection(url=database_url))
    await writer.start()
    yield writer
    await writer.close()


async def bodies(engine: AsyncEngine) -> list[dict[str, Any]]:
    async with reading(engine) as connection:
        return [json.loads(body) for body in (await connection.execute(sa.select(events.c.body))).scalars()]


async def test_it_is_told_once_it_is_where_it_stays(engine: AsyncEngine, writer: Writer) -> None:
    listener = Listener()
    told = RecordingEvents(cast("Journal", listener), recording_form, lambda: LATER)
    table = RecordingTable(engine, writer, told)
    stored, empty, unheard = (
        Recording.begun(new_id(), ANN, CALL, "wav", NOW, node="one", on_end_flow_id=NIL) for _ in range(3)
    )
    for one in (stored, empty, unheard):
        await table.begin(one)
    await table.end(stored, "waiting", "hangup", "", 8000, LATER)
    assert await bodies(engine) == []
    over = replace(stored, state="stored", ending="hangup", frames=8000, place="directory", bytes=9, tm_end=LATER)
    await table.over(over, LATER)
    await table.over(over, LATER)  # a second time, after a crash
    await table.end(empty, "failed", "hangup", "nothing was recorded", 0, LATER)
    listener.wants = False
    await table.end(unheard, "failed", "hangup", "nothing was recorded", 0, LATER)
    events = await bodies(engine)
    assert [event["type"] for event in events] == ["recording_finished"] * 2
    assert listener.told == [ANN, ANN]
    for event, recording in zip(events, (stored, empty), strict=True):
        kept = await table.get(recording.id)
        assert kept is not None
        assert event["data"] == recording_form(public(kept))
