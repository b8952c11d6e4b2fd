"""Wait to be told to go on."""

from __future__ import annotations

from pydantic import Field

from edge.flows import limits
from edge.flows.action import Action, Jump, Next, StepId
from edge.flows.run import Run
from edge.flows.session import CallSession


class Block(Action):
    """Wait until somebody outside says to go on, by `POST /v1.0/activeflows/{id}/continue` with the run's id, which is
    `${voipbin.activeflow.id}`; an answered call hears silence. What that request gives as variables is set. One that
    comes before this step is kept for it.

    For calls only: a call lives in one process, and the request has to come to the edge that has it.

    When nobody says so in time the flow goes on with the timeout target or, without one, with the next step.

    On failure (too many or too large variables) the reason goes into the step log and the next step follows.

        {"id": "until-checked", "type": "block", "option": {"duration": 30000, "timeout_target_id": "unchecked"}}
    """

    type = "block"

    duration: int = Field(
        default=600_000, ge=1, le=limits.WAIT_MILLISECONDS, description="How long to wait at most, in milliseconds."
    )
    timeout_target_id: StepId = Field(
        default="", description="The step to go to when nobody said so; without it the next one."
    )

    async def run(self, session: CallSession, run: Run) -> Next:
        given = await session.block(min(self.duration / 1000, run.seconds_left()))
        if given is None:
            run.note = "nobody said to go on"
            return Jump(self.timeout_target_id) if self.timeout_target_id else None
        for name, value in given.items():
            run.variables.set(name, value)
        run.note = "told to go on"
        return None
