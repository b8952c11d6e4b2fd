"""Gather what the caller types."""

from __future__ import annotations

from collections.abc import Iterable

from pydantic import Field

from edge.flows import limits
from edge.flows.action import Action, Next
from edge.flows.run import Run
from edge.flows.session import CallSession
from edge.flows.variables import DIGITS


class DigitsReceive(Action):
    """Gather keys into the variable `voipbin.call.digits` until an end key, a number of keys or the end of a time.

    The variable is emptied first, so that an earlier answer is not taken for this one (on the platform it is not).
    Keys that were typed before this step, say during the menu, count first. The end key is in the variable, as on the
    platform. With a duration of 0 only those earlier keys are taken.

    On failure the reason goes into the step log, the variable stays empty and the next step follows. The step log says
    how many keys came, never which.

        {"id": "choice", "type": "digits_receive", "option": {"duration": 5000, "length": 1, "key": "#"}}
    """

    type = "digits_receive"

    duration: int = Field(
        default=0, ge=0, le=limits.WAIT_MILLISECONDS, description="How long to wait for keys at most, in milliseconds."
    )
    key: str = Field(
        default="", pattern=r"^[0-9A-Da-d*#]*$", max_length=16, description="Each of these keys ends the gathering."
    )
    length: int = Field(default=0, ge=0, le=1000, description="So many keys end the gathering; 0: any number.")

    def at_once(self) -> bool:
        return self.duration == 0

    def doubts(self) -> Iterable[tuple[str, str]]:
        if self.duration == 0:
            yield "duration", "0: only keys typed before this step are taken"

    async def run(self, session: CallSession, run: Run) -> Next:
        run.variables.set_system(DIGITS, "")
        digits = await session.receive_digits(
            end_keys=self.key.upper(),
            length=self.length,
            seconds=min(self.duration / 1000, run.seconds_left()),
        )
        run.variables.set_system(DIGITS, digits)
        run.note = f"{len(digits)} keys"
        return None
