"""What runs when a recording is where it stays: the flow that was named when it began. Its call is mostly over."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from edge.errors import EdgeError, Unavailable
from edge.flows.executor import execute
from edge.flows.flow import MEDIA, require_medium
from edge.flows.run import Run
from edge.log import get_logger
from edge.recordings.table import Recording
from edge.sessions.calls.after_call import AfterCall
from edge.sessions.calls.call import Desk
from edge.sessions.following import completion_id

log = get_logger("sessions")


class AfterRecording:
    """Runs those flows."""

    def __init__(self, desk: Callable[[], Desk], clock: Callable[[], datetime]) -> None:
        self._desk = desk
        self._clock = clock

    async def run(self, recording: Recording) -> None:
        """Run the flow to its end. Raises Unavailable when nobody knows it now; other failures are logged."""
        session = AfterCall(recording.id, recording.customer_id, self._desk())
        try:
            flow = await session.outside.flow(recording.on_end_flow_id)
            for medium in MEDIA:
                require_medium(flow, medium)
        except Unavailable:
            raise
        except EdgeError as error:
            log.warning("flow after a recording not run", recording_id=recording.id, error=error.message)
            return
        run = Run(
            flow, id=completion_id(recording.id), medium="call", clock=self._clock, variables=variables_of(recording)
        )
        run.variables.set_system("voipbin.activeflow.id", run.id)
        run.variables.set_system("voipbin.activeflow.flow_id", flow.id)
        await execute(run, session)
        log.info(
            "flow after a recording ended",
            recording_id=recording.id,
            flow_id=flow.id,
            outcome=run.outcome,
            error=run.error or None,
        )


def variables_of(recording: Recording) -> dict[str, str]:
    """What such a flow can read, besides its own ids."""
    return {
        "voipbin.activeflow.reference_type": "recording",
        "voipbin.activeflow.reference_id": recording.id,
        "voipbin.call.id": recording.reference_id,
        "voipbin.recording.id": recording.id,
        "voipbin.recording.reference_type": recording.reference_type,
        "voipbin.recording.reference_id": recording.reference_id,
        "voipbin.recording.format": recording.format,
        "voipbin.recording.recording_name": recording.recording_name,
        "voipbin.recording.filenames": recording.filename,
    }
