"""Every action against its data file: `data/<type>.json`, a list of cases.

A case has a flow (`actions`), what the session is (`medium`, "call" unless said), knows (`variables`) and answers
(`script`, see `tests.flows.scripted`), the time (`now`), and what is expected: what the session was asked (`calls`),
the `outcome`, the `error`, what the run set (`own`), the step `log` and the places of `warnings` when stored.
"""

from __future__ import annotations

import inspect
import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

import edge.actions
from edge.flows.action import ACTIONS, Action, describe
from edge.flows.flow import Flow, compile_flow
from edge.plugins import load
from tests.flows.scripted import NOON, ScriptedCall, ScriptedText, run_through, session_for

load("edge.actions")

DATA = Path(__file__).parent / "data"
CASE_KEYS = {"name", "actions", "medium", "variables", "script", "now", "calls", "outcome", "error", "cut_by", "own"}
CASE_KEYS |= {"log", "warnings"}


def cases() -> list[Any]:
    return [
        pytest.param(case, id=f"{file.stem}: {case['name']}")
        for file in sorted(DATA.glob("*.json"))
        for case in json.loads(file.read_text())
    ]


def flow_of(case: dict[str, Any]) -> Flow:
    return compile_flow({"name": case["name"], "actions": case["actions"]})


def session_of(case: dict[str, Any], *, waits: bool, end_at: int | None = None) -> ScriptedCall | ScriptedText:
    now = datetime.fromisoformat(case["now"]) if "now" in case else NOON
    return session_for(case.get("medium", "call"), case.get("script"), waits=waits, end_at=end_at, now=now)


@pytest.mark.parametrize("waits", [False, True], ids=["at once", "waiting"])
@pytest.mark.parametrize("case", cases())
async def test_case(case: dict[str, Any], waits: bool) -> None:
    assert case.keys() <= CASE_KEYS
    flow = flow_of(case)
    session = session_of(case, waits=waits)
    run = await run_through(flow, session, case.get("variables"))
    assert run.exception is None or case["outcome"] == "failed"
    assert session.asked == case.get("calls", [])
    assert (run.outcome, run.error, run.cut_by) == (case["outcome"], case.get("error"), case.get("cut_by"))
    if "own" in case:
        assert run.variables.own() == case["own"]
    if "log" in case:
        assert [list(entry) for entry in run.log] == case["log"]
    if "warnings" in case:
        assert [warning.where for warning in flow.warnings] == case["warnings"]


@pytest.mark.parametrize("case", [case for case in cases() if case.values[0].get("calls")])
async def test_hanging_up_during_any_question_ends_the_run_there(case: dict[str, Any]) -> None:
    for index in range(len(case["calls"])):
        session = session_of(case, waits=True, end_at=index)
        run = await run_through(flow_of(case), session, case.get("variables"))
        assert session.asked == case["calls"][: index + 1]
        assert run.outcome == "ended"
        assert run.ended is not None
        assert run.log[-1].outcome == "ended"


def test_every_action_has_its_data_file_and_every_file_its_action() -> None:
    assert sorted(file.stem for file in DATA.glob("*.json")) == ACTIONS.names()


@pytest.mark.parametrize("name", ACTIONS.names())
def test_a_data_file_shows_its_action_at_work_and_at_an_end(name: str) -> None:
    found = json.loads((DATA / f"{name}.json").read_text())
    assert all(any(step["type"] == name for step in case["actions"]) for case in found)
    assert {case["outcome"] for case in found} != {"failed"}


@pytest.mark.parametrize(("name", "action"), list(ACTIONS))
def test_the_example_in_the_docstring_compiles(name: str, action: type[Action]) -> None:
    example = action.example()
    assert example["type"] == name
    targets = {example["option"][key] for key in action.targets if isinstance(example.get("option", {}).get(key), str)}
    for key in action.targets:
        if isinstance(example["option"].get(key), dict):
            targets |= set(example["option"][key].values())
    others = [{"id": target, "type": "stop"} for target in sorted(targets)]
    flow = compile_flow({"actions": [example, *others]})
    assert [warning for warning in flow.warnings if not warning.what.startswith("nothing leads")] == []


@pytest.mark.parametrize(("name", "action"), list(ACTIONS))
def test_an_action_is_one_file_of_the_same_order(name: str, action: type[Action]) -> None:
    module = inspect.getmodule(action)
    assert module is not None
    assert module.__name__ == f"{edge.actions.__name__}.{name}"
    assert (
        "It cannot fail" in (action.__doc__ or "")
        or "On failure" in (action.__doc__ or "")
        or "It fails" in (action.__doc__ or "")
    )
    source = inspect.getsource(action)
    assert source.index('"""') < source.index(f'type = "{name}"') < source.index("async def run")
    fields = [source.index(f"    {field}:") for field in action.model_fields]
    assert all(source.index("type = ") < place < source.index("async def run") for place in fields)


def test_describe_tells_all_of_each_action() -> None:
    told = {description.type: description for description in describe()}
    assert sorted(told) == ACTIONS.names()
    digits = told["digits_receive"]
    assert digits.media == ("call",)
    assert not digits.fatal
    assert [(option.name, option.type, option.required, option.default) for option in digits.options] == [
        ("duration", "integer", False, 0),
        ("key", "string", False, ""),
        ("length", "integer", False, 0),
    ]
    assert all(option.sentence for description in told.values() for option in description.options)
    assert {option.name for option in told["condition_datetime"].options} >= {"from", "to", "timezone", "weekdays"}
    assert told["message_send"].fatal
    assert told["branch"].media == ("call", "message")
    assert "{" not in told["stop"].text
    json.dumps(describe())
