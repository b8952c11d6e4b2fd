"""Loops: which are refused, which only told, and which are nothing to talk about."""

from __future__ import annotations

from typing import Any

import pytest

from edge.errors import Invalid
from edge.flows import limits
from edge.flows.action import ACTIONS, FINISH, NEXT, START
from edge.flows.flow import compile_flow
from tests.flows.scripted import run_through, session_for

END = {"id": "end", "type": "stop"}


def step(type: str, id: str, next_id: str = "", **option: Any) -> dict[str, Any]:
    return {"id": id, "type": type, "option": option, "next_id": next_id}


def unless(id: str, value: str, otherwise: str, next_id: str = "") -> dict[str, Any]:
    return step("condition_variable", id, next_id, variable=value, value_string="1", false_target_id=otherwise)


def put(id: str, next_id: str = "", key: str = "x", value: str = "1") -> dict[str, Any]:
    return step("variable_set", id, next_id, key=key, value=value)


ENDLESS = [
    # no way out, whatever is decided
    ("a step of itself", [put("a", "a")], ["a → a"]),
    ("back and forth", [put("a"), put("b", "a")], ["a → b → a"]),
    ("to the start", [put("a", START)], ["a → a"]),
    ("by a jump", [step("branch", "b", target_ids={"1": "b"}, default_target_id="b")], ["b → b"]),
    ("whichever way", [unless("c", "${x}", "b"), put("a", "c"), put("b", "c")], ["c → a → c"]),
    ("behind a decision", [unless("c", "${x}", "a"), END, put("a", "a")], ["a → a"]),
    ("behind a wait", [step("beep", "w"), put("a", "a")], ["a → a"]),
    (
        "once the count has run out",
        [put("a"), step("goto", "g", "a", target_id="a", loop_count=3)],
        ["a → g → a"],
    ),
    (
        "a clock that leads back either way",
        [step("condition_datetime", "c", "c", hour=9, false_target_id="c")],
        ["c → c"],
    ),
    ("a pause that is none", [step("sleep", "s", duration=0), put("a", "s")], ["s → a → s"]),
    ("keys that nobody waits for", [step("digits_receive", "d", "d")], ["d → d"]),
    ("texts without end", [step("reply", "r", "r", text="hi")], ["r → r"]),
    ("two of them", [unless("c", "${x}", "b"), put("a", "a"), put("b", "b")], ["a → a", "b → b"]),
    # a way out that nothing leads to any more
    ("until what nobody changes", [unless("c", "${x}", "c"), END], ["c → c"]),
    (
        "an answer for as long as it is wrong",
        [unless("c", "${voipbin.conversation_message.text}", "r"), END, step("reply", "r", "c", text="wrong")],
        ["c → r → c"],
    ),
    (
        "when the count is over",
        [unless("c", "${x}", "g"), END, step("goto", "g", "c", target_id="end", loop_count=2)],
        ["c → g → c"],
    ),
    (
        "next to one that only may be",
        [unless("c", "${x}", "c", "p"), put("p"), unless("d", "${x}", "p"), END],
        ["c → c"],
    ),
]

DOUBTFUL = [
    (
        "with a count of nothing to leave by",
        [put("a"), step("goto", "g", "a", target_id="end", loop_count=0), END],
        ["a → g → a"],
    ),
    ("until the clock says so", [step("condition_datetime", "c", hour=9, false_target_id="c"), END], ["c → c"]),
    (
        "until what it sets itself",
        [unless("c", "${x}", "p"), END, put("p", "c", value="${x}1")],
        ["c → p → c"],
    ),
    (
        "a menu without a question",
        [step("branch", "b", target_ids={"1": "end"}, default_target_id="a"), put("a", "b"), END],
        ["b → a → b"],
    ),
    (
        "keys asked for again and again",
        [step("digits_receive", "d"), unless("c", "${voipbin.call.digits}", "d"), END],
        ["d → c → d"],
    ),
]

FINE = [
    ("no loop", [put("a"), put("b"), END]),
    ("down both sides", [unless("c", "${x}", "b"), put("a", "end"), put("b"), END]),
    ("the end", [put("a", FINISH), put("b", NEXT)]),
    ("with a wait", [put("a"), step("sleep", "s", "a", duration=1)]),
    ("with a pause that a variable says", [step("sleep", "s", "s", duration="${n}")]),
    ("with a tone", [step("beep", "b", "b")]),
    ("with a question", [step("digits_receive", "d", duration=1), unless("c", "${voipbin.call.digits}", "d"), END]),
    ("counted", [put("a"), step("goto", "g", target_id="a", loop_count=3), END]),
    ("counted by a variable", [put("a"), step("goto", "g", target_id="a", loop_count="${n}"), END]),
    ("counted either way", [unless("c", "${x}", "g"), END, step("goto", "g", "end", target_id="c", loop_count=2)]),
    ("to who knows where", [put("a"), step("goto", "g", target_id="${x}", loop_count=3)]),
    ("a flow that may wait", [step("fetch_flow", "f", "f", flow_id="other")]),
    ("nothing leads to it", [END, put("a", "a")]),
    ("left by failing", [step("branch", "b", target_ids={"1": "w"}), step("beep", "w", "b")]),
]


def shown(loops: list[str], what: str) -> list[tuple[str, str]]:
    return [(loop.partition(" ")[0], f"{what} round for ever without a wait: {loop}") for loop in loops]


@pytest.mark.parametrize(("actions", "loops"), [case[1:] for case in ENDLESS], ids=[case[0] for case in ENDLESS])
def test_an_endless_loop_is_refused(actions: list[Any], loops: list[str]) -> None:
    with pytest.raises(Invalid) as raised:
        compile_flow({"actions": actions})
    assert [(fault.step, fault.what) for fault in raised.value.faults] == shown(loops, "goes")
    index = {action["id"]: f"actions[{place}]" for place, action in enumerate(actions)}
    assert all(fault.where == index[fault.step] for fault in raised.value.faults)


@pytest.mark.parametrize(("actions", "loops"), [case[1:] for case in DOUBTFUL], ids=[case[0] for case in DOUBTFUL])
def test_one_that_may_end_is_a_warning(actions: list[Any], loops: list[str]) -> None:
    told = [(warning.step, warning.what) for warning in compile_flow({"actions": actions}).warnings]
    assert [one for one in told if "round" in one[1]] == shown(loops, "may go")


@pytest.mark.parametrize("actions", [case[1] for case in FINE], ids=[case[0] for case in FINE])
def test_what_ends_or_waits_is_neither(actions: list[Any]) -> None:
    assert [warning for warning in compile_flow({"actions": actions}).warnings if "round" in warning.what] == []


@pytest.mark.parametrize("actions", [case[1] for case in DOUBTFUL], ids=[case[0] for case in DOUBTFUL])
async def test_one_that_may_end_is_cut_at_the_latest(actions: list[Any]) -> None:
    flow = compile_flow({"actions": actions})
    run = await run_through(flow, session_for(sorted(flow.media)[0]), {"x": "0"})
    assert (run.outcome, run.cut_by) == ("cut", "steps")


def test_a_long_loop_is_not_told_in_full() -> None:
    steps = [put(f"s{number}") for number in range(30)]
    steps[-1]["next_id"] = "s0"
    with pytest.raises(Invalid) as raised:
        compile_flow({"actions": steps})
    (fault,) = raised.value.faults
    assert fault.what.endswith("s7 → s8 → … → s0")


def test_so_many_loops_are_told_and_no_more() -> None:
    many = [unless(f"c{number}", "${x}", f"c{number}") for number in range(limits.STEPS_PER_FLOW)]
    with pytest.raises(Invalid) as raised:
        compile_flow({"actions": many})
    assert len(raised.value.faults) == limits.LOOPS


def test_what_takes_no_time_says_so() -> None:
    """Whoever adds an action to the trade decides; one that says nothing is taken to wait."""
    instant = {name for name, action in ACTIONS if action.instant}
    assert instant >= {
        "branch",
        "branch_caller",
        "goto",
        "condition_variable",
        "condition_datetime",
        "variable_set",
        "reply",
        "stop",
    }
    assert not instant & {"play", "beep", "digits_receive", "sleep", "fetch_flow", "hangup", "redirect"}
