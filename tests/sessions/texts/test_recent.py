from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from edge.sessions.texts.incoming import KEEP, Incoming
from edge.sessions.texts.parts import KEEP as KEEP_PART
from edge.sessions.texts.parts import row_of
from edge.sessions.texts.recent import Recent
from edge.sms.part import Part
from edge.store.metadata import micros, new_id
from tests.sessions.ground import Clock, Ground

TEXT = Incoming("", "acme", "", "+14155550100", "+14155550111", "hello", "", 0)


@pytest.fixture
def recent(ground: Ground) -> Recent:
    return Recent(ground.engine)


async def keep(ground: Ground, clock: Clock, carrier_id: str, **change: Any) -> None:
    text = replace(TEXT, id=new_id(), carrier_id=carrier_id, tm_create=micros(clock()), **change)
    await ground.writer.put(KEEP, [text.row("", 0)])


async def test_what_was_kept_of_a_carrier_lately(ground: Ground, recent: Recent) -> None:
    clock = Clock()
    await keep(ground, clock, "old")
    clock.move(300)
    for carrier_id, change in (("1", {}), ("2", {"carrier": "other"}), ("3", {}), ("4", {"direction": "timer"})):
        clock.move(1)
        await keep(ground, clock, carrier_id, **change)
    since = clock() - timedelta(seconds=300)
    assert [*await recent.ids("acme", since, 10)] == ["3", "1"]
    assert [*await recent.ids("acme", since, 1)] == ["3"]
    assert [*await recent.ids("nobody", since, 10)] == []


async def test_parts_are_among_it(ground: Ground, recent: Recent) -> None:
    clock = Clock()
    await keep(ground, clock, "1")
    clock.move(1)
    part = Part("acme", "2", "+14155550111", "+14155550100", 7, 2, 1, "gsm", b"hi", clock())
    await ground.writer.put(KEEP_PART, [row_of(part), row_of(replace(part, id="3", carrier="other"))])
    clock.move(1)
    await keep(ground, clock, "4")
    assert [*await recent.ids("acme", clock() - timedelta(seconds=2), 10)] == ["4", "2", "1"]
    assert [*await recent.ids("acme", clock() - timedelta(seconds=1), 10)] == ["4", "2"]
    assert [*await recent.ids("acme", clock() - timedelta(seconds=2), 2)] == ["4", "2"]
