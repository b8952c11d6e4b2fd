"""Go somewhere else, a number of times."""

from __future__ import annotations

from collections.abc import Iterable

from pydantic import Field

from edge.flows.action import Action, Jump, Next, StepId
from edge.flows.run import Run
from edge.flows.session import Session


class Goto(Action):
    """Go on with another step, up to `loop_count` times in a run; after that, and with 0, with the one that follows.

    Each goto counts down by itself, once per run: coming back to it from elsewhere does not set it back. (On the
    platform a count that reaches 1 never runs out.)

    It fails only when the target is a variable that names no step; then the run fails.

        {"id": "again", "type": "goto", "option": {"target_id": "menu", "loop_count": 2}}
    """

    type = "goto"
    fatal = True
    instant = True
    varies = False
    counts = True

    target_id: StepId = Field(description="The step to go to.")
    loop_count: int = Field(default=0, description="How many times to go there in one run.")

    def doubts(self) -> Iterable[tuple[str, str]]:
        if self.loop_count <= 0:
            yield "loop_count", "0: this goto never goes anywhere"

    async def run(self, session: Session, run: Run) -> Next:
        return Jump(self.target_id) if run.count_down(self.loop_count) else None
