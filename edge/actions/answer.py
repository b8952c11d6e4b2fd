"""Pick up."""

from __future__ import annotations

from edge.flows.action import Action, Next
from edge.flows.run import Run
from edge.flows.session import CallSession


class Answer(Action):
    """Answer the call: from now on the caller hears what the flow plays, and pays for it.

    Without effect on an answered call.

    On failure (no common codec, no free port) the run fails with that reason, and the caller's carrier can try
    elsewhere. The platform goes on with the next step here, which then has nobody to talk to.

        {"id": "pick-up", "type": "answer"}
    """

    type = "answer"
    fatal = True
    instant = True

    async def run(self, session: CallSession, run: Run) -> Next:
        await session.answer()
        return None
