"""Wait."""

from __future__ import annotations

from pydantic import Field

from edge.flows import limits
from edge.flows.action import Action, Next
from edge.flows.run import Run
from edge.flows.session import Session


class Sleep(Action):
    """Wait; an answered call hears silence. A run never waits beyond its own limit.

    It cannot fail but for a wrong value of a variable; then the next step follows.

        {"id": "pause", "type": "sleep", "option": {"duration": 1500}}
    """

    type = "sleep"

    duration: int = Field(default=0, ge=0, le=limits.WAIT_MILLISECONDS, description="How long, in milliseconds.")

    def at_once(self) -> bool:
        return self.duration == 0

    async def run(self, session: Session, run: Run) -> Next:
        if self.duration:
            await session.sleep(min(self.duration / 1000, run.seconds_left()))
        return None
