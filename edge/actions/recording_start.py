"""Begin to record the call."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

from pydantic import BeforeValidator, Field

from edge.flows.action import Action, Next
from edge.flows.run import Run
from edge.flows.session import CallSession, EndKey, RecordingFormat
from edge.recordings.encoding import lacking
from edge.recordings.limits import LONGEST_SECONDS
from edge.store.metadata import NIL, is_id


def _flow_id(value: object) -> object:
    """The id of a flow; "", null and the nil UUID are none."""
    if value in (None, "", NIL):
        return NIL
    if not isinstance(value, str) or not is_id(value.lower()):
        raise ValueError("must be the id of a flow")
    return value.lower()


class RecordingStart(Action):
    """Record both sides of the call, the caller left and the edge right, and go on at once with the step that follows.

    The recording ends at `recording_stop`, with the call, or by one of the options; it is then listed under
    `/v1.0/recordings`. Silence is when nobody is heard, on neither side. A key that ends it counts for
    `digits_receive` too, so a flow waits for its caller's message with `digits_receive` and the same key.

    On failure (the call is not answered, another recording is under way, the format cannot be made here, no room on
    the disk) nothing is recorded, the reason goes into the step log and the next step follows.

        {"id": "record", "type": "recording_start", "option": {"format": "wav", "end_of_silence": 5, "end_of_key": "#"}}
    """

    type = "recording_start"

    format: RecordingFormat = Field(default="wav", description="The format of the file.")
    end_of_silence: int = Field(
        default=0, ge=0, le=LONGEST_SECONDS, description="Seconds of silence that end it; 0: silence does not."
    )
    end_of_key: EndKey = Field(default="none", description="The key of the caller's that ends it.")
    duration: int = Field(
        default=0, ge=0, le=LONGEST_SECONDS, description="Seconds after which it ends; 0: as long as the edge allows."
    )
    beep_start: bool = Field(default=False, description="Play a beep first; the step waits for its end.")
    on_end_flow_id: Annotated[str, BeforeValidator(_flow_id, json_schema_input_type=str | None)] = Field(
        default=NIL,
        description="The flow that runs when the recording is where it stays; none of its steps may need a session.",
    )

    def doubts(self) -> Iterable[tuple[str, str]]:
        missing = lacking(self.format)
        if missing:
            yield "format", f"cannot be made on this edge: {missing}"

    async def run(self, session: CallSession, run: Run) -> Next:
        recording_id = await session.start_recording(
            format=self.format,
            end_of_silence=self.end_of_silence,
            end_of_key=self.end_of_key,
            duration=self.duration,
            beep=self.beep_start,
            on_end_flow_id=self.on_end_flow_id,
        )
        run.note = f"recording {recording_id}"
        return None
