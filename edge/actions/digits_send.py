"""Press keys for the caller's side."""

from __future__ import annotations

from pydantic import Field

from edge.flows import limits
from edge.flows.action import Action, Next
from edge.flows.run import Run
from edge.flows.session import CallSession


class DigitsSend(Action):
    """Press keys for the caller's side, then go on: as telephone events (RFC 4733), by SIP INFO, or as tones in the
    audio, as the trunk wants it (`dtmf`) and that side takes them. A call that is not answered hears them as early
    media.

    On failure (the caller's side refuses INFO) no more keys are pressed, the reason goes into the step log and the next
    step follows.

        {"id": "extension", "type": "digits_send", "option": {"digits": "204#", "duration": 120, "interval": 80}}
    """

    type = "digits_send"

    digits: str = Field(
        pattern=r"^[0-9A-Da-d*#]+$", max_length=limits.DIGITS, description="The keys, in order: 0-9, A-D, * and #."
    )
    duration: int = Field(default=100, ge=100, le=1000, description="How long each key is pressed, in milliseconds.")
    interval: int = Field(default=100, ge=0, le=5000, description="The pause after each key, in milliseconds.")

    async def run(self, session: CallSession, run: Run) -> Next:
        await session.send_digits(self.digits.upper(), press_ms=self.duration, gap_ms=self.interval)
        return None
