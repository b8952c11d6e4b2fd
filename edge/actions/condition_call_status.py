"""Go on only when the call has come so far."""

from __future__ import annotations

from collections.abc import Iterable

from pydantic import Field

from edge.flows.action import Action, Next, StepId
from edge.flows.condition import decide
from edge.flows.run import Run
from edge.flows.session import CallSession, CallStatus


class ConditionCallStatus(Action):
    """Look at how far the call is. When it is as given the next step follows, else the false target.

    A call that came in is `ringing` until it is answered and then `progressing`; one that is over runs no steps. The
    platform's other words are taken and never hold.

    On failure (it does not hold and there is no false target) the run fails.

        {"id": "answered", "type": "condition_call_status", "option": {"status": "progressing",
         "false_target_id": "pick-up"}}
    """

    type = "condition_call_status"
    fatal = True
    instant = True

    status: CallStatus = Field(description="How far it must be.")
    false_target_id: StepId = Field(default="", description="The step to go to when it does not hold.")

    def doubts(self) -> Iterable[tuple[str, str]]:
        if not self.false_target_id:
            yield "false_target_id", "not given: the run fails when the condition does not hold"
        if self.status in ("terminating", "canceling", "hangup"):
            yield "status", "no step runs when the call is that far"

    async def run(self, session: CallSession, run: Run) -> Next:
        return decide(run, session.status == self.status, self.false_target_id, session.status)
