"""Send the call's audio to nobody any more."""

from __future__ import annotations

from edge.flows.action import Action, Next
from edge.flows.run import Run
from edge.flows.session import CallSession


class ExternalMediaStop(Action):
    """End all that `external_media_start` began and that is not over yet.

    It cannot fail; when there is none, nothing happens.

        {"id": "enough", "type": "external_media_stop"}
    """

    type = "external_media_stop"
    instant = True
    varies = False

    async def run(self, session: CallSession, run: Run) -> Next:
        run.note = f"{await session.stop_external_media()} ended"
        return None
