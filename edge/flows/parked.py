"""A parked run as JSON, and back: where it stands, what it has set, what it has counted, and what it has done so far.

A run is parked when its flow waits for something that may take days (`action.Park`). Flows are written down by id and
version, steps that were fetched as the document they came in.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import Any

from edge.errors import Internal
from edge.flows.action import Park
from edge.flows.flow import Flow, compile_flow
from edge.flows.run import Run
from edge.flows.session import Medium
from edge.flows.variables import Variables
from edge.store.metadata import NIL

FindVersion = Callable[[str, int], Awaitable[Flow]]  # id, version; raises NotFound, Unavailable


def to_json(run: Run) -> dict[str, Any]:
    """All there is to know of a parked run. Raises Internal for one that is not."""
    if run.parked is None:
        raise Internal("the run is not parked")
    flows = [flow for flow, _ in run.waiting]
    return {
        "id": run.id,
        "medium": run.medium,
        "began_with": _reference(run.flow),
        "frames": [[_reference(flow), index] for flow, index in run.waiting],
        "park": list(run.parked),
        "variables": run.variables.own(),
        "counters": [
            [frame, step.index, left]
            for step, left in run.counters.items()
            for frame, flow in enumerate(flows)
            if step.index < len(flow.steps) and flow.steps[step.index] is step
        ],
        "log": run.entries[-100:],
    }


async def from_json(
    state: Mapping[str, Any], find: FindVersion, *, clock: Callable[[], datetime], variables: Mapping[str, str]
) -> Run:
    """The run, ready to be resumed; `variables` are what the session of now provides. Raises what `find` raises."""
    medium: Medium = state["medium"]
    frames = [(await _flow(reference, find), index) for reference, index in state["frames"]]
    first = await _flow(state["began_with"], find)
    run = Run(first, id=state["id"], medium=medium, clock=clock, variables=variables)
    run.variables = Variables(variables, state["variables"])
    run.waiting += frames
    seconds, otherwise = state["park"]
    run.parked = Park(seconds, otherwise)
    run.entries += [(step, kind, outcome, note) for step, kind, outcome, note in state["log"]]
    for frame, index, left in state["counters"]:
        run.counters[frames[frame][0].steps[index]] = left
    return run


def _reference(flow: Flow) -> dict[str, Any]:
    if flow.id == NIL:
        return {"document": flow.document(), "customer_id": flow.customer_id}
    return {"id": flow.id, "version": flow.version}


async def _flow(reference: Mapping[str, Any], find: FindVersion) -> Flow:
    document = reference.get("document")
    if document is not None:
        return compile_flow(document, customer_id=reference["customer_id"])
    return await find(reference["id"], reference["version"])
