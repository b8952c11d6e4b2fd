"""Let callers hear themselves."""

from __future__ import annotations

from pydantic import Field

from edge.flows import limits
from edge.flows.action import Action, Next
from edge.flows.run import Run
from edge.flows.session import CallSession


class Echo(Action):
    """Send callers their own voice back for a time, so that they can test the line. A call that is not answered hears
    it as early media.

    Keys that are typed meanwhile count for a later `digits_receive`.

    On failure (an INVITE without SDP has no media before its answer) the reason goes into the step log and the next
    step follows.

        {"id": "line-test", "type": "echo", "option": {"duration": 60000}}
    """

    type = "echo"

    duration: int = Field(default=180_000, ge=0, le=limits.WAIT_MILLISECONDS, description="How long, in milliseconds.")

    def at_once(self) -> bool:
        return self.duration == 0

    async def run(self, session: CallSession, run: Run) -> Next:
        await session.echo(min(self.duration / 1000, run.seconds_left()))
        return None
