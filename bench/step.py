"""What one step of a flow costs that waits for nothing: µs of CPU, in a process of its own. `python -m bench.step`

The steps are those that flows are full of: variables that are set and compared, with and without a `${name}` in their
options, and jumps. They are taken by the executor that serves calls, logged and counted as there, and read the
variables of a real call.
"""

from __future__ import annotations

import asyncio
import json
import time
from datetime import UTC, datetime
from typing import Any, Final, cast

from edge.flows.eager import start
from edge.flows.executor import execute
from edge.flows.flow import Flow, compile_flow
from edge.flows.run import Run
from edge.flows.session import Session
from edge.numbers.number import Number
from edge.plugins import load
from edge.sessions.calls.record import Attempt, wall_micros
from edge.sessions.calls.variables import CallVariables
from edge.store.metadata import NIL, new_id

RUNS: Final = 200
ROUNDS: Final = 240  # through the loop, four steps each: a run may take a thousand

STEPS: Final[list[dict[str, Any]]] = [
    {"id": "set", "type": "variable_set", "option": {"key": "greeted", "value": "yes"}},
    {"id": "copy", "type": "variable_set", "option": {"key": "who", "value": "${voipbin.call.source.target}"}},
    {
        "id": "known",
        "type": "condition_variable",
        "option": {"variable": "${who}", "value_string": "+14155550199", "false_target_id": "end"},
    },
    {"id": "again", "type": "goto", "option": {"target_id": "set", "loop_count": ROUNDS}},
    {"id": "end", "type": "stop"},
]


def new_run(flow: Flow) -> Run:
    attempt = Attempt(
        id=new_id(),
        call_id="bench",
        remote="",
        dialed="",
        source="+14155550199",
        source_name="",
        tm_create=wall_micros(),
    )
    now = datetime.now(UTC)
    number = Number(id=NIL, customer_id=NIL, number="+14155550100", tm_create=now)
    return Run(
        flow,
        id=attempt.id,
        medium="call",
        clock=lambda: datetime.now(UTC),
        variables=CallVariables(attempt, number),
    )


async def measure(runs: int) -> tuple[float, int]:
    """µs of CPU a step, and how many steps there were."""
    load("edge.actions")
    flow = compile_flow({"name": "bench", "actions": STEPS})
    session = cast(Session, None)  # no step here asks for it
    steps, used = 0, 0.0
    for number in range(runs + 1):
        run = new_run(flow)
        before = time.process_time()
        task = start(execute(run, session))
        if task is not None:
            await task
        if run.outcome != "stopped":
            raise RuntimeError(f"the run {run.outcome}: {run.error}")
        if number:  # the first one warms up
            used += time.process_time() - before
            steps += run.steps
    return used / steps * 1e6, steps


if __name__ == "__main__":
    print(json.dumps(asyncio.run(measure(RUNS))))
