"""Run another flow, and come back."""

from __future__ import annotations

from pydantic import Field

from edge.flows import limits
from edge.flows.action import Action, Next
from edge.flows.run import Run
from edge.flows.session import Session


class FetchFlow(Action):
    """Run the steps of another flow of the account, its newest version; after its last step this flow goes on.

    The other flow has the same variables. Its jumps find its own steps first, then those of the flows that led to it.

    On failure (no such flow, one that cannot run for this medium, flows in flows too deep) the run fails.

        {"id": "menu", "type": "fetch_flow", "option": {"flow_id": "0190c0de-0000-7000-8000-000000000001"}}
    """

    type = "fetch_flow"
    fatal = True
    enters = True

    flow_id: str = Field(min_length=1, max_length=limits.STEP_ID_CHARACTERS, description="The id of the other flow.")

    async def run(self, session: Session, run: Run) -> Next:
        flow = await session.outside.flow(self.flow_id)
        run.note = f"{flow.name or flow.id} version {flow.version}"
        return run.enter(flow)
