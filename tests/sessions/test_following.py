"""What runs when a flow is over: the number's fallback, and what a flow names for its completion."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from edge.flows import limits
from edge.numbers.number import Number
from edge.sessions.following import FOLLOWING, completion_id
from edge.sessions.memory import Memory, MemorySection
from tests.logged import logged
from tests.sessions.ground import Clock
from tests.sessions.line import NUMBER, Line, exchange
from tests.sip.ladder import invite, request

ANSWER = {"id": "up", "type": "answer"}
STOP = {"id": "s", "type": "stop"}
BUSY = {"id": "busy", "type": "hangup", "option": {"reason": "busy"}}
FAIL = {"id": "fail", "type": "branch", "option": {"variable": "nothing", "target_ids": {}}}
ELSEWHERE = {"id": "away", "type": "redirect", "option": {"destinations": ["sip:desk@pbx.example"]}}
WHY = "branch (id fail): no target for the value of nothing, and no default"


@pytest.fixture
async def line(migrated_sqlite: Path, tmp_path: Path) -> AsyncIterator[Line]:
    async with exchange(tmp_path, migrated_sqlite) as opened:
        memory = Memory(MemorySection(), opened.stores.engine, opened.stores.reader, opened.writer, Clock())
        opened.desk = replace(opened.desk, reach=replace(opened.desk.reach, memory=memory))
        opened.rewire()
        yield opened


async def with_fallback(line: Line, flow: list[dict[str, Any]], fallback: list[dict[str, Any]]) -> Number:
    number = await line.number(*flow)
    changes = {"fallback_flow_id": await line.flow(fallback, number.customer_id)}
    return await line.stores.numbers.update(number.id, None, changes)


def text(body: str) -> dict[str, Any]:
    option = {"source": NUMBER, "destinations": ["+14155550122"], "text": body}
    return {"id": "tell", "type": "message_send", "option": option}


async def test_the_fallback_takes_an_unanswered_call_that_its_flow_dropped(line: Line) -> None:
    number = await with_fallback(line, [FAIL], [ELSEWHERE])
    counted = FOLLOWING.labels("fallback").value
    line >> invite() << 100
    await line.comes(302)
    record = await line.over()
    assert (record["outcome"], record["sip_code"], record["error"]) == ("redirected", 302, WHY)
    assert (record["flow_id"], record["flow_version"]) == (number.call_flow_id, 1)
    assert [(step["step"], step["type"], step["outcome"]) for step in record["steps"]] == [
        ("fail", "branch", "fatal"),
        ("", "fallback", "done"),
        ("away", "redirect", "ended"),
    ]
    assert record["steps"][1]["note"] == f"flow {number.fallback_flow_id} version 1"
    assert FOLLOWING.labels("fallback").value == counted + 1


async def test_the_fallback_goes_on_with_an_answered_call_and_knows_why(line: Line) -> None:
    await with_fallback(line, [ANSWER, FAIL], [text("${edge.flow.error}")])
    line >> invite() << 100
    await line.comes(200)
    line.ack()
    await line.comes("BYE")
    record = await line.over()
    assert (record["outcome"], record["hangup_reason"], record["error"]) == ("answered", "normal", WHY)
    assert line.sent == [(NUMBER, "+14155550122", WHY)]


async def test_a_fallback_that_fails_too_leaves_the_first_reason(line: Line) -> None:
    await with_fallback(line, [FAIL], [{**FAIL, "id": "second"}])
    line >> invite() << 100
    await line.comes(500)
    record = await line.over()
    assert (record["outcome"], record["error"]) == ("failed", WHY)
    assert [step["step"] for step in record["steps"]] == ["fail", "", "second"]


async def test_a_flow_that_is_not_there_has_its_fallback_at_once(line: Line) -> None:
    number = await with_fallback(line, [BUSY], [ELSEWHERE])
    stranger = await line.number(BUSY, number="+14155550101")
    await line.stores.numbers.update(number.id, None, {"call_flow_id": stranger.call_flow_id})
    line >> invite() << 100
    await line.comes(302)
    record = await line.over()
    assert record["error"] == f"the flow {stranger.call_flow_id} is not there"


@pytest.mark.parametrize(
    "fallback", [[{"id": "r", "type": "reply", "option": {"text": "x"}}], None], ids=["of texts", "gone"]
)
async def test_a_fallback_that_cannot_run_changes_nothing(line: Line, fallback: list[dict[str, Any]] | None) -> None:
    number = await with_fallback(line, [FAIL], fallback or [STOP])
    if fallback is None:
        await line.stores.flows.delete(number.fallback_flow_id)
    with logged() as lines:
        line >> invite() << 100
        await line.comes(500)
        record = await line.over()
    assert (record["error"], record["steps"][1]["outcome"]) == (WHY, "failed")
    assert record["steps"][1]["note"] in (
        "the flow cannot run for a call: actions[0] (reply, id r) needs a message",
        f"there is no flow {number.fallback_flow_id}",
    )
    assert [said["event"] for said in lines() if said["event"] == "fallback not run"] == ["fallback not run"]


async def test_a_flow_that_is_well_has_no_fallback(line: Line) -> None:
    await with_fallback(line, [BUSY], [ELSEWHERE])
    line >> invite() << 100
    await line.comes(486)
    assert [step["step"] for step in (await line.over())["steps"]] == ["busy"]


async def completed(line: Line, flow: list[dict[str, Any]], *following: list[dict[str, Any]]) -> Number:
    """A number whose flow has these others run after it, in their order."""
    number = await line.number()
    last = ""
    for actions in reversed(following):
        last = await line.flow(actions, number.customer_id, last)
    flow_id = await line.flow(flow, number.customer_id, last)
    return await line.stores.numbers.update(number.id, None, {"call_flow_id": flow_id})


SET = {"id": "set", "type": "variable_set", "option": {"key": "note", "value": "kept"}}
TELL = text("${note} ${voipbin.activeflow.complete_count} ${voipbin.activeflow.reference_activeflow_id}")


@pytest.mark.parametrize(("flow", "status"), [([SET, BUSY], 486), ([SET, FAIL], 500)], ids=["well", "failed"])
async def test_completions_run_after_the_call_with_its_variables(line: Line, flow: Any, status: int) -> None:
    await completed(line, flow, [TELL], [TELL])
    line >> invite() << 100
    await line.comes(status)
    record = await line.over()
    assert [step["step"] for step in record["steps"]] == ["set", flow[1]["id"]]
    bodies = [body for _, _, body in line.sent]
    assert bodies == [f"kept 1 {record['id']}", f"kept 2 {completion_id(record['id'])}"]


async def test_a_completion_runs_when_the_caller_hung_up_too(line: Line) -> None:
    await completed(line, [ANSWER, {"id": "w", "type": "sleep", "option": {"duration": 60_000}}], [text("over")])
    line >> invite() << 100
    await line.comes(200)
    line.ack().bye() << 200
    await line.over()
    assert [body for _, _, body in line.sent] == ["over"]


async def test_completions_come_to_an_end(line: Line) -> None:
    number = await completed(line, [BUSY], [text("again")])
    first = await line.stores.flows.get(number.call_flow_id)
    assert first is not None
    following = first.on_complete_flow_id
    document = {"name": "ring", "actions": [text("again")], "on_complete_flow_id": following}
    await line.stores.flows.update(following, None, document)
    with logged() as lines:
        line >> invite() << 100
        await line.comes(486)
        await line.over()
    assert len(line.sent) == limits.COMPLETIONS
    assert "completions cut" in [said["event"] for said in lines()]


async def test_a_completion_that_needs_the_call_is_not_run(line: Line) -> None:
    await completed(line, [BUSY], [ANSWER, text("never")])
    line >> invite() << 100
    await line.comes(486)
    await line.over()
    assert line.sent == []


async def test_a_caller_who_gives_up_before_any_flow_has_no_completion(line: Line) -> None:
    await completed(line, [BUSY], [text("never")])
    line >> invite() << 100
    line >> request("CANCEL", branch="one") << 200 << 487
    await line.over()
    await asyncio.sleep(0)
    assert line.sent == []


async def test_a_completion_enters_no_flow_that_needs_the_call(line: Line) -> None:
    number = await line.number()
    playing = await line.flow([ANSWER], number.customer_id)
    enter = {"id": "enter", "type": "fetch_flow", "option": {"flow_id": playing}, "failure_id": "tell"}
    last = await line.flow([enter, STOP, text("${edge.flow.error}")], number.customer_id)
    flow = await line.flow([BUSY], number.customer_id, last)
    await line.stores.numbers.update(number.id, None, {"call_flow_id": flow})
    line >> invite() << 100
    await line.comes(486)
    await line.over()
    (said,) = [body for _, _, body in line.sent]
    assert said.startswith("the flow cannot run for a message: actions[0] (answer")
