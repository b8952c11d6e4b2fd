"""How often steps ran, summed up from real records on both databases."""

from __future__ import annotations

from typing import Any

import pytest

from edge.flows.flow import Flow, compile_flow
from edge.flows.graph import Counts, Ran
from edge.plugins import load
from edge.sessions import step_counts
from edge.sessions.calls.record import CallRecords
from edge.sessions.step_counts import StepCounts
from edge.sessions.texts.incoming import DONE, KEEP, Incoming
from edge.store.metadata import json_text, new_id
from tests.sessions.calls.test_record import OWNER, STRANGER, attempt
from tests.sessions.ground import Ground

load("edge.actions")

ID = "33333333-3333-4333-8333-333333333333"


def flow(version: int = 2) -> Flow:
    steps = [{"id": "hi", "type": "variable_set", "option": {"key": "x"}}, {"id": "end", "type": "stop"}]
    return compile_flow({"actions": steps}, id=ID, customer_id=OWNER, version=version)


def log(*steps: str) -> str:
    entries = [step.split(":") for step in steps]
    return json_text([{"step": id, "type": type_, "outcome": "done", "note": ""} for id, type_ in entries])


def call(minute: int, *steps: str, **more: Any) -> Any:
    given = {"customer_id": OWNER, "flow_id": ID, "flow_version": 2, "steps": log(*steps), **more}
    return attempt(minute, **given)


def incoming(number: int) -> Incoming:
    return Incoming(
        id=new_id(),
        carrier="loopback",
        carrier_id=str(number),
        number="+14155550100",
        peer="+14155550199",
        text="hi",
        route="",
        tm_create=1 + number,
        customer_id=OWNER,
        flow_id=ID,
    )


async def counted(ground: Ground, version: int = 2) -> Counts:
    await ground.writer.flush()
    return await StepCounts(ground.engine).of(flow(version))


async def test_steps_of_calls_are_summed_up_by_version(ground: Ground) -> None:
    records = CallRecords(ground.writer)
    hi, end = "hi:variable_set", "end:stop"
    records.keep(call(1, hi, hi, end))
    records.keep(call(2, hi))
    records.keep(call(3))
    records.keep(call(4, hi, end, flow_version=1))
    records.keep(call(5, hi, flow_id=new_id()))
    records.keep(call(6, hi, customer_id=STRANGER))
    assert await counted(ground) == Counts(3, {"hi": Ran(3, 2), "end": Ran(1, 1)})
    assert await counted(ground, 1) == Counts(1, {"hi": Ran(1, 1), "end": Ran(1, 1)})
    assert await counted(ground, 3) == Counts(0, {})


async def test_steps_of_another_flow_that_was_entered_are_not_taken_for_its_own(ground: Ground) -> None:
    CallRecords(ground.writer).keep(call(1, "hi:variable_set", "end:beep", "other:stop"))
    assert await counted(ground) == Counts(1, {"hi": Ran(1, 1)})


async def test_texts_count_too(ground: Ground) -> None:
    CallRecords(ground.writer).keep(call(1, "hi:variable_set"))
    for number, steps in enumerate((("hi:variable_set", "end:stop"), ("hi:variable_set",))):
        text = incoming(number)
        await ground.writer.put(KEEP, [text.row("me", 0)])
        outcome = "parked" if number else "stopped"  # it goes on with a later text, whose record will tell these steps
        await ground.writer.put(DONE, [("done", outcome, "", "", log(*steps), 2, 2, text.id)])
    assert await counted(ground) == Counts(2, {"hi": Ran(2, 2), "end": Ran(1, 1)})


async def test_only_the_newest_records_of_the_account_are_looked_at(
    ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(step_counts, "NEWEST", 2)
    records = CallRecords(ground.writer)
    for minute in range(4):
        records.keep(call(minute, "hi:variable_set", flow_version=2 if minute < 3 else 1))
    assert (await counted(ground)).runs == 1
