"""Stop."""

from __future__ import annotations

from edge.flows.action import Action, Next, Stop
from edge.flows.run import Run
from edge.flows.session import Session


class StopFlow(Action):
    """End the flow here. A call that is still up is hung up.

    It cannot fail.

        {"id": "enough", "type": "stop"}
    """

    type = "stop"
    goes_on = False
    instant = True

    async def run(self, session: Session, run: Run) -> Next:
        return Stop()
