"""End the recording of the call."""

from __future__ import annotations

from edge.flows.action import Action, Next
from edge.flows.run import Run
from edge.flows.session import CallSession


class RecordingStop(Action):
    """End the recording that is under way, then go on.

    On failure (none is under way; it may have ended by itself) the reason goes into the step log and the next step
    follows.

        {"id": "enough", "type": "recording_stop"}
    """

    type = "recording_stop"

    async def run(self, session: CallSession, run: Run) -> Next:
        await session.stop_recording()
        return None
