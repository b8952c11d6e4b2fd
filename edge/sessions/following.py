"""What runs when a flow is over: the number's fallback when it failed, then what the flow names for its completion.

Both take over the run of the flow before: its variables and its log go on. What they cannot do changes nothing for the
session, and is logged.
"""

from __future__ import annotations

import uuid
from typing import Final

from edge.errors import EdgeError
from edge.flows import limits
from edge.flows.executor import execute
from edge.flows.flow import MEDIA, Flow, require_medium
from edge.flows.run import Run
from edge.flows.session import Session, SessionEnded
from edge.log import get_logger
from edge.metrics import tally
from edge.sessions.memory import recall
from edge.store.metadata import NIL, name_id

log = get_logger("sessions")

_NAMESPACE: Final = uuid.UUID("b2b7b6a4-2f0e-5c0b-8f2f-3f0f3f6b1c52")
FAILED: Final = frozenset({"failed", "cut"})
FOLLOWING: Final = tally("flows_following_total", "Flows run because another one failed or was over.", ("kind",))
_FALLBACKS: Final = FOLLOWING.labels("fallback")
_COMPLETIONS: Final = FOLLOWING.labels("completion")


async def fall_back(run: Run, session: Session, flow_id: str) -> bool:
    """When the run failed, let the number's fallback take over and run it to its end. False: there was nothing to run.

    `edge.flow.error` then tells what had failed. Raises SessionEnded when the session is over meanwhile.
    """
    if run.outcome not in FAILED or flow_id == NIL:
        return False
    try:
        flow = await session.outside.flow(flow_id)
        require_medium(flow, run.medium)
    except EdgeError as error:
        log.warning("fallback not run", session_id=session.id, flow_id=flow_id, error=error.message)
        run.entries.append(("", "fallback", "failed", error.message))
        return False
    if run.counted:
        _FALLBACKS.inc()
    run.variables.set_system("edge.flow.error", run.error or "")
    _take_over(run, flow, "fallback")
    await recall(run, session)
    await execute(run, session)
    return True


async def complete(run: Run, session: Session, flow: Flow) -> None:
    """Run the flow that `flow`, which is over, names for its completion, then the one which that names, and so on."""
    for count in range(1, limits.COMPLETIONS + 1):
        flow_id = flow.on_complete_flow_id
        if flow_id == NIL:
            return
        try:
            flow = await session.outside.flow(flow_id)
            for medium in MEDIA:
                require_medium(flow, medium)
        except (EdgeError, SessionEnded) as error:
            log.warning("completion not run", session_id=session.id, flow_id=flow_id, error=str(error))
            return
        if run.counted:
            _COMPLETIONS.inc()
        before, new_id = run.id, completion_id(run.id)
        for name, value in (
            ("voipbin.activeflow.id", new_id),
            ("voipbin.activeflow.flow_id", flow.id),
            ("voipbin.activeflow.reference_activeflow_id", before),
            ("voipbin.activeflow.complete_count", str(count)),
        ):
            run.variables.set_system(name, value)
        run.over = True
        _take_over(run, flow, "completion", new_id)
        await recall(run, session)
        await execute(run, session)
        log.info(
            "completion ended",
            session_id=session.id,
            flow_id=flow.id,
            version=flow.version,
            outcome=run.outcome,
            error=run.error or None,
        )
    if flow.on_complete_flow_id != NIL:
        log.warning("completions cut", session_id=session.id, count=limits.COMPLETIONS)


def completion_id(run_id: str) -> str:
    """The id of the run that completes another one. The same when it is repeated."""
    return name_id(_NAMESPACE, run_id)


def _take_over(run: Run, flow: Flow, kind: str, run_id: str = "") -> None:
    run.begin_again(flow, id=run_id)
    run.entries.append(("", kind, "done", f"flow {flow.id} version {flow.version}"))
