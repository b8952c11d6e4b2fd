"""A simulation as a whole: what fits, what it says of each action, and that it is the same each time."""

from __future__ import annotations

from typing import Any

import pytest

from edge.errors import Invalid
from edge.flows.action import ACTION_RUNS, ACTIONS, Action
from edge.flows.executor import FLOW_RUNS
from edge.flows.flow import compile_flow
from edge.flows.variables import has_variables
from tests.sessions.simulation.trying import AT, attempt, told

STOP = {"id": "end", "type": "stop"}
REPLY = {"id": "r", "type": "reply", "option": {"text": "x"}}


@pytest.mark.parametrize(
    ("actions", "script", "where"),
    [
        ([REPLY], {}, "texts"),
        ([REPLY], {"texts": ["a"], "digits": "1"}, "digits"),
        ([REPLY], {"medium": "call"}, "medium"),
        ([{"id": "a", "type": "answer"}], {"texts": ["a"]}, "texts"),
        ([{"id": "a", "type": "answer"}], {"medium": "message", "texts": ["a"]}, "medium"),
    ],
)
async def test_a_script_that_does_not_fit(actions: list[dict[str, Any]], script: dict[str, Any], where: str) -> None:
    with pytest.raises(Invalid) as caught:
        await attempt(*actions, **script)
    assert [fault.where for fault in caught.value.faults] == [where]


async def test_a_flow_for_both_runs_for_what_the_script_has() -> None:
    assert (await attempt(STOP)).medium == "call"
    assert (await attempt(STOP, texts=["a"])).medium == "message"
    assert (await attempt(STOP, medium="message", texts=["a"])).medium == "message"


async def test_the_clock_is_the_scripts() -> None:
    open_ = {
        "id": "open",
        "type": "condition_datetime",
        "option": {"timezone": "Europe/Berlin", "from": "09:00", "to": "17:30", "false_target_id": "end"},
    }
    found = await attempt(open_, {"id": "in", "type": "stop"}, STOP, at="2026-12-25T17:30 Europe/Berlin")
    assert told(found)[0] == (
        "0.0 open: from 09:00 to 17:30 → does not hold: Fri 2026-12-25 17:30 Europe/Berlin; to end"
    )
    assert found.never_reached == ("in",)


async def test_a_time_without_a_zone_is_utc_and_says_so() -> None:
    found = await attempt(STOP, at="2026-12-25T09:00")
    assert found.at.isoformat() == "2026-12-25T09:00:00+00:00"
    assert found.assumed == ("the time it begins is in UTC: it has no zone",)
    assert (await attempt(STOP, at=AT)).assumed == ()


async def test_an_hour_is_an_hour_when_the_clocks_change() -> None:
    wait = {"id": "w", "type": "sleep", "option": {"duration": 3_600_000}}
    late = {"id": "c", "type": "condition_datetime", "option": {"timezone": "Europe/Berlin", "hour": 3, "minute": 30}}
    found = await attempt(wait, late, STOP, at="2026-03-29T01:30 Europe/Berlin", patience=4000)
    assert told(found)[1] == "3600.0 c: hour 3 minute 30 == now → holds: Sun 2026-03-29 03:30 Europe/Berlin"
    assert found.at.isoformat() == "2026-03-29T01:30:00+01:00"


async def test_a_flow_that_waits_for_texts_for_ever_is_ended() -> None:
    wait = {"id": "w", "type": "text_receive", "option": {"duration": 1000, "timeout_target_id": "w"}}
    found = await attempt(wait, texts=["a"])
    assert found.assumed == ("nothing new comes of waiting on for texts: the simulation ends while it does",)


async def test_the_call_is_over_for_what_runs_on_completion() -> None:
    id = "01910000-0000-7000-8000-000000000001"
    look = {"id": "s", "type": "variable_set", "option": {"key": "how", "value": "${edge.call.status}"}}
    after = compile_flow({"actions": [look]}, id=id)
    assert (await attempt(STOP, others={id: after}, on_complete=id)).variables == {"how": "hangup"}


async def test_metrics_hear_nothing_of_it() -> None:
    counts = FLOW_RUNS.labels("stopped"), ACTION_RUNS.labels("stop", "done")
    before = [count.value for count in counts]
    await attempt(STOP)
    assert [count.value for count in counts] == before


async def test_another_flow_is_entered_and_its_steps_are_not_of_this_one() -> None:
    other = compile_flow({"name": "other", "actions": [{"id": "end", "type": "variable_set", "option": {"key": "x"}}]})
    id = "01910000-0000-7000-8000-000000000001"
    enter = {"id": "in", "type": "fetch_flow", "option": {"flow_id": id}}
    found = await attempt(enter, {"id": "over", "type": "stop"}, STOP, others={id: other})
    assert told(found)[:2] == ["0.0 in: asks for the flow other", '0.0 end: x is "" from now on']
    assert (found.reached, found.never_reached) == (("in", "over"), ("end",))
    failed = await attempt(enter, STOP)
    assert failed.runs[0].error is not None
    assert "there is no flow" in failed.runs[0].error


async def test_what_follows_a_flow_runs_too() -> None:
    id = "01910000-0000-7000-8000-00000000000"
    fail = {"id": "b", "type": "branch", "option": {"target_ids": {"1": "end"}}}
    rescue = compile_flow({"name": "rescue", "actions": [{"id": "sorry", "type": "answer"}]}, id=f"{id}1")
    after = {"id": "note", "type": "variable_set", "option": {"key": "why", "value": "${edge.flow.error}"}}
    others = {f"{id}1": rescue, f"{id}2": compile_flow({"name": "after", "actions": [after]}, id=f"{id}2")}
    found = await attempt(fail, STOP, others=others, fallback_flow_id=f"{id}1", on_complete=f"{id}2")
    assert [(run.kind, run.outcome) for run in found.runs] == [("session", "finished"), ("completion", "finished")]
    assert [line.partition(": ")[2] for line in told(found)][1:] == [
        "asks for the flow rescue",
        f"fallback: flow {id}1 version 0",
        "answers the call",
        "hangs up: BYE, cause 16",
    ]
    assert "branch (id b)" in found.variables["why"]
    assert found.never_reached == ("end",)
    alone = await attempt(STOP, on_complete=f"{id}2")
    assert told(alone, 1) == [f"0.0 : asks for another flow: there is no flow {id}2"]


async def test_a_url_is_answered_by_the_script() -> None:
    fetch = {"id": "ask", "type": "fetch", "option": {"event_url": "https://example.com/steps"}}
    answers = {"https://example.com/steps": {"body": '[{"id": "in", "type": "stop"}]'}}
    found = await attempt(fetch, STOP, answers=answers)
    assert told(found)[0].startswith("0.0 ask: asks GET https://example.com/steps?")
    assert told(found)[1:3] == [
        "0.0 ask: it answers 200, 30 bytes of application/json",
        "0.0 in: done",
    ]
    unasked = await attempt(fetch, STOP)
    assert told(unasked)[1] == "0.0 ask: assumed: it is not asked; it answers 200 and []"
    down = await attempt(fetch, STOP, answers={"https://example.com/steps": {"status": 503}})
    assert down.runs[0].outcome == "failed"


async def test_what_is_sent_outside_is_told_and_not_sent() -> None:
    url = "https://example.com/calls"
    tell: dict[str, Any] = {"type": "webhook_send", "option": {"uri": url, "data": {"a": 1}}}
    mail = {"type": "email_send", "option": {"destinations": ["ann@example.com"], "subject": "hi", "content": "ho"}}
    go_on = {"type": "conversation_send", "option": {"conversation_id": "c1", "text": "hello"}}
    ask = {"id": "ask", "type": "webhook_send", "option": {"uri": url, "sync": True}}
    keep = {"id": "k", "type": "variable_set", "option": {"key": "said", "value": "${edge.webhook.json.name}"}}
    steps: list[dict[str, Any]] = [
        {**tell, "id": "tell"},
        {**mail, "id": "mail"},
        {**go_on, "id": "on"},
        ask,
        keep,
        STOP,
    ]
    found = await attempt(*steps, answers={url: {"body": '{"name": "Ann"}'}})
    assert [line for line in told(found) if not line.endswith(": done")][:6] == [
        f'0.0 tell: will tell {url}: "{{\\"a\\":1}}"',
        '0.0 mail: emails ann@example.com, "hi": "ho"',
        "0.0 on: assumed: there is a conversation c1",
        '0.0 on: texts into it: "hello"',
        f"0.0 ask: tells {url}",
        "0.0 ask: it answers 200, 15 bytes of application/json",
    ]
    assert found.variables["said"] == "Ann"


async def test_nothing_in_a_flow_speaks_to_the_terminal() -> None:
    play = {"id": "p", "type": "play", "option": {"stream_urls": ["a\x1b[2J\nend: fine"]}}
    found = list((await attempt(play)).lines())
    assert all(line.isprintable() for line in found)
    assert any("plays a\\x1b[2J\\nend: fine" in line for line in found)


async def test_a_long_transcript_is_cut_and_says_so() -> None:
    again = {"id": "g", "type": "goto", "option": {"target_id": "r", "loop_count": 10_000}}
    found = await attempt(REPLY, again, texts=["x"] * 8, every=0)
    assert sum(len(run.events) for run in found.runs) == 5000
    assert found.dropped == 8 * 1000 - 5000
    assert f"left out: {found.dropped} lines more" in list(found.lines())


@pytest.mark.parametrize(("name", "action"), list(ACTIONS))
async def test_the_example_of_each_action_is_simulated_the_same_each_time(name: str, action: type[Action]) -> None:
    example = action.example()
    option = example.get("option", {})
    targets = [option[key] for key in action.targets if key in option]
    ids = {id for target in targets for id in (target.values() if isinstance(target, dict) else [target])}
    steps = [example, *({"id": id, "type": "stop"} for id in sorted(ids) if id and not has_variables(id))]
    script: dict[str, Any] = {"digits": "12#"} if "call" in action.media else {"texts": ["hello", "stop"]}
    found = await attempt(*steps, **script)
    assert found.runs[0].outcome != "failed" or action.fatal, found.runs[0].error
    assert "Error" not in (found.runs[0].error or "")  # a fault of ours: something is not simulated
    assert found.reached[0] == example["id"]
    assert any(event.step == example["id"] for event in found.runs[0].events)
    assert await attempt(*steps, **script) == found
