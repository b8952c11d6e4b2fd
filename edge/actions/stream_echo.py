"""Let callers hear themselves: the platform's second name for `echo`."""

from __future__ import annotations

from pydantic import Field

from edge.flows import limits
from edge.flows.action import Action, Next
from edge.flows.run import Run
from edge.flows.session import CallSession


class StreamEcho(Action):
    """The same as `echo`: the platform makes a difference of where the voice turns round, which callers do not hear.

    On failure (an INVITE without SDP has no media before its answer) the reason goes into the step log and the next
    step follows.

        {"id": "line-test", "type": "stream_echo", "option": {"duration": 60000}}
    """

    type = "stream_echo"

    duration: int = Field(default=180_000, ge=0, le=limits.WAIT_MILLISECONDS, description="How long, in milliseconds.")

    def at_once(self) -> bool:
        return self.duration == 0

    async def run(self, session: CallSession, run: Run) -> Next:
        await session.echo(min(self.duration / 1000, run.seconds_left()))
        return None
