"""Beep."""

from __future__ import annotations

from edge.flows.action import Action, Next
from edge.flows.run import Run
from edge.flows.session import CallSession


class Beep(Action):
    """Play a short tone, to its end.

    On failure the reason goes into the step log and the next step follows.

        {"id": "after-the-tone", "type": "beep"}
    """

    type = "beep"

    async def run(self, session: CallSession, run: Run) -> Next:
        await session.beep()
        return None
