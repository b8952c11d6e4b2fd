"""Runs: how they come out, what they leave behind, what they cannot do to others."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from typing import Any

import pytest

from edge.errors import EdgeError, Exhausted
from edge.flows import limits
from edge.flows.action import ACTION_RUNS
from edge.flows.eager import start
from edge.flows.executor import FLOW_RUNS, execute
from edge.flows.flow import Flow, compile_flow
from edge.flows.run import Entry, Run
from edge.flows.session import SessionEnded
from tests.flows.scripted import ScriptedCall, run_through

STOP = {"id": "end", "type": "stop"}


def flow(*actions: dict[str, Any]) -> Flow:
    return compile_flow({"actions": list(actions)}, id="f", version=3)


def count(outcome: str) -> int:
    return FLOW_RUNS.labels(outcome).value


LOOP = flow(
    {"id": "a", "type": "variable_set", "option": {"key": "x", "value": "y"}},
    {"id": "b", "type": "goto", "option": {"target_id": "a", "loop_count": 10**9}},
)


@pytest.mark.parametrize(
    ("actions", "script", "outcome", "error"),
    [
        ([{"id": "b", "type": "beep"}], {}, "finished", None),
        ([STOP], {}, "stopped", None),
        ([{"id": "b", "type": "beep"}], {"beep": [{"ended": "remote"}]}, "ended", None),
        (
            [{"id": "a", "type": "answer"}],
            {"answer": [{"raises": "Exhausted", "message": "no port"}]},
            "failed",
            "no port",
        ),
        ([{"id": "a", "type": "beep"}], {"beep": [{"bug": "oops"}]}, "failed", "RuntimeError: oops"),
    ],
)
async def test_outcomes(actions: list[Any], script: dict[str, Any], outcome: str, error: str | None) -> None:
    before = count(outcome)
    run = await run_through(flow(*actions), ScriptedCall(script))
    assert run.outcome == outcome
    assert (run.error or "").endswith(error or "")
    assert count(outcome) == before + 1


async def test_a_run_that_is_not_counted_is_in_no_metric() -> None:
    session, beeps = ScriptedCall(), ACTION_RUNS.labels("beep", "done")
    before, beeped = count("finished"), beeps.value
    run = Run(flow({"id": "b", "type": "beep"}), id="r", medium="call", clock=session.clock, counted=False)
    await execute(run, session)
    assert run.outcome == "finished"
    assert (count("finished"), beeps.value) == (before, beeped)


async def test_who_ended_the_session_is_in_the_run() -> None:
    run = await run_through(flow({"id": "h", "type": "hangup", "option": {"reason": "busy"}}), ScriptedCall())
    assert isinstance(run.ended, SessionEnded)
    assert (run.ended.by, run.ended.reason) == ("local", "busy")


async def test_a_failure_keeps_what_was_raised_for_the_host() -> None:
    script = {"answer": [{"raises": "Exhausted", "message": "no port"}]}
    run = await run_through(flow({"id": "a", "type": "answer"}), ScriptedCall(script))
    assert isinstance(run.exception, Exhausted)
    assert isinstance(run.exception, EdgeError)
    assert run.error == "answer (id a): no port"


async def test_a_soft_failure_follows_next_id() -> None:
    script = {"beep": [{"raises": "Unavailable", "message": "no media"}]}
    run = await run_through(
        flow({"id": "b", "type": "beep", "next_id": "end"}, {"id": "x", "type": "answer"}, STOP), ScriptedCall(script)
    )
    assert run.log == [Entry("b", "beep", "failed", "no media"), Entry("end", "stop", "done", "")]


async def test_a_next_id_may_lead_back_and_the_steps_are_limited() -> None:
    session = ScriptedCall()
    run = await run_through(flow({"id": "b", "type": "beep", "next_id": "b"}), session)
    assert (run.outcome, run.cut_by, run.error) == ("cut", "steps", "cut after 1000 steps")
    assert run.steps == len(session.asked) == limits.STEPS_PER_RUN


async def test_the_log_keeps_the_last_steps_and_counts_all() -> None:
    run = await run_through(LOOP, ScriptedCall())
    assert run.steps == limits.STEPS_PER_RUN
    assert len(run.log) == limits.LOG_ENTRIES
    assert run.log[-1] == Entry("b", "goto", "done", "to a")
    assert len(run.entries) <= limits.LOG_ENTRIES + limits.STEPS_PER_TURN
    record = run.record()
    assert (record["flow_id"], record["flow_version"], record["steps"]) == ("f", 3, limits.STEPS_PER_RUN)
    assert record["cut_by"] == "steps"


async def test_a_note_is_cut() -> None:
    script = {"beep": [{"raises": "Unavailable", "message": "x" * 1000}]}
    run = await run_through(flow({"id": "b", "type": "beep"}, STOP), ScriptedCall(script))
    assert len(run.log[0].note) == limits.NOTE_CHARACTERS


async def test_a_loop_that_never_waits_gives_others_their_turn() -> None:
    session = ScriptedCall()
    run = Run(LOOP, id="run", medium="call", clock=session.clock)
    task = start(execute(run, session))
    assert task is not None
    seen = [run.steps]
    while not task.done():
        await asyncio.sleep(0)
        seen.append(run.steps)
    turns = [later - earlier for earlier, later in pairwise(seen)]
    assert max(seen[0], *turns) <= limits.STEPS_PER_TURN
    assert run.outcome == "cut"


async def test_shutting_down_passes_through_and_leaves_no_outcome() -> None:
    class Waiting(ScriptedCall):
        async def beep(self) -> None:
            await asyncio.Event().wait()

    session = Waiting()
    run = Run(flow({"id": "b", "type": "beep"}), id="run", medium="call", clock=session.clock)
    task = start(execute(run, session))
    assert task is not None
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert run.outcome is None


async def test_two_runs_of_one_flow_share_nothing() -> None:
    looping = flow(
        {"id": "s", "type": "variable_set", "option": {"key": "x", "value": "${who}"}},
        {"id": "b", "type": "sleep", "option": {"duration": 1}},
        {"id": "g", "type": "goto", "option": {"target_id": "b", "loop_count": 2}},
    )
    sessions = [ScriptedCall(waits=True), ScriptedCall(waits=True)]
    names = [{"who": "a"}, {"who": "b"}]
    runs = await asyncio.gather(*(run_through(looping, s, v) for s, v in zip(sessions, names, strict=True)))
    assert [len(session.asked) for session in sessions] == [3, 3]
    assert [run.variables.get("x") for run in runs] == ["a", "b"]


async def test_every_action_is_counted_by_type_and_outcome() -> None:
    def beeps(outcome: str) -> int:
        return ACTION_RUNS.labels("beep", outcome).value

    before = beeps("done"), beeps("failed")
    script = {"beep": [None, {"raises": "Unavailable", "message": "x"}, None]}
    await run_through(flow(*[{"type": "beep"}] * 3), ScriptedCall(script))
    assert (beeps("done"), beeps("failed")) == (before[0] + 2, before[1] + 1)
