"""Takes the steps of a run in turn, until one says stop, the session is over, a step fails or a limit is met.

It never raises but for the cancellation that shuts the daemon down; what happened is in the run. It does not log: the
host, which knows the session, logs a failed run once.

A loop that never waits for anything would hold up everybody else: after every `STEPS_PER_TURN` steps the event loop
gets its turn, and after `STEPS_PER_RUN` steps it is cut.

A flow that enters another one waits in `run.waiting` and goes on when that one's last step is done. A jump looks for
its step in the flow at work, then in those that wait, the nearest first; those it passes by are given up.
"""

from __future__ import annotations

from typing import Final

from edge import metrics
from edge.errors import EdgeError
from edge.flows import limits
from edge.flows.action import NEXT, Enter, Park, Stop
from edge.flows.eager import breathe
from edge.flows.run import OUTCOMES, Cut, Outcome, Run
from edge.flows.session import Session, SessionEnded
from edge.flows.step import Step

FLOW_RUNS: Final = metrics.tally("flow_runs_total", "Runs of flows, by how they came out.", ("outcome",))
_RUNS: Final = {outcome: FLOW_RUNS.labels(outcome) for outcome in OUTCOMES}


async def execute(run: Run, session: Session) -> None:
    """Run a flow for a session that has a medium of its (`medium in flow.media` was seen to when it was bound)."""
    (flow, index), entries, waiting = run.at, run.entries, run.waiting
    steps, places = flow.steps, flow.places
    taken = 0
    while True:
        while index >= len(steps):
            if index > len(steps) or not waiting:  # beyond the end of its flow lies that of the run
                return _finish(run, "finished")
            flow, index = waiting.pop()
            steps, places = flow.steps, flow.places
        if taken:
            if taken >= limits.STEPS_PER_RUN:
                return _cut(run, "steps")
            if run.clock() >= run.deadline:
                return _cut(run, "seconds")
            if taken % limits.STEPS_PER_TURN == 0:
                del entries[: -limits.LOG_ENTRIES]
                await breathe()
        taken += 1
        run.steps = taken
        run.step = step = steps[index]
        try:
            following = await (step.action or step.fill(run.variables)).run(session, run)
        except SessionEnded as ended:
            run.ended = ended.with_traceback(None)  # its frames hold the run: a ring for the collector to find
            _log(run, step, "ended", str(ended))
            return _finish(run, "ended")
        except EdgeError as error:
            if step.failure is not None:
                index = step.failure
                run.variables.set_system("edge.flow.error", error.message)
            elif step.model.fatal:
                return _fail(run, step, error, error.message)
            else:
                index = step.next
            _log(run, step, "failed", error.message)
            continue
        except Exception as error:
            return _fail(run, step, error, f"{type(error).__name__}: {error}")
        if following is None:
            index = step.next
        elif isinstance(following, Stop):
            _log(run, step, "done", run.note)
            return _finish(run, "stopped")
        elif isinstance(following, Enter):
            waiting.append((flow, step.next))
            flow, index = following.flow, 0
            steps, places = flow.steps, flow.places
        elif isinstance(following, Park):
            waiting.append((flow, step.next))
            run.parked = following
            _log(run, step, "done", run.note)
            return _finish(run, "parked")
        else:
            found = step.next if following.step == NEXT else places.get(following.step)
            while found is None:
                if not waiting:
                    return _fail(run, step, None, f"there is no step {following.step[:60]!r} to go to")
                flow, _ = waiting.pop()
                steps, places = flow.steps, flow.places
                found = places.get(following.step)
            index = found
            run.note = f"{run.note}; to {following.step}" if run.note else f"to {following.step}"
        _log(run, step, "done", run.note)


def _cut(run: Run, by: Cut) -> None:
    run.cut_by = by
    limit = {"steps": f"{limits.STEPS_PER_RUN} steps", "seconds": f"{limits.RUN_SECONDS:.0f} seconds"}[by]
    run.error = f"cut after {limit}"
    _finish(run, "cut")


def _fail(run: Run, step: Step, error: Exception | None, reason: str) -> None:
    run.exception = error
    run.error = f"{step.type} (id {step.id}): {reason}"
    _log(run, step, "fatal", reason)
    _finish(run, "failed")


def _log(run: Run, step: Step, outcome: str, note: str) -> None:
    run.entries.append((step.id, step.type, outcome, note[: limits.NOTE_CHARACTERS]))
    run.note = ""
    if run.counted:
        step.model.counted[outcome].inc()


def _finish(run: Run, outcome: Outcome) -> None:
    run.outcome = outcome
    if run.counted:
        _RUNS[outcome].inc()
