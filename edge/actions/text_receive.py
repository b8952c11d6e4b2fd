"""Wait for the next text."""

from __future__ import annotations

from pydantic import Field

from edge.flows import limits
from edge.flows.action import Action, Next, Park, StepId
from edge.flows.run import Run
from edge.flows.session import MessageSession


class TextReceive(Action):
    """Wait until the same person texts the same number again; then the flow goes on with that text, also after a
    restart or at another edge.

    `voipbin.conversation_message.text` and the other variables of a text are those of the new one from then on, and
    what was set before stays. `edge.text_receive.outcome` is `received`. When no text comes in time it is `timeout`,
    the text is empty, and the flow goes on with the timeout target or, without one, with the next step.

    While the flow waits, the next text of this person comes to it and does not begin the number's flow. It waits by
    itself: nothing is held in memory.

    It cannot fail.

        {"id": "their-name", "type": "text_receive", "option": {"duration": 3600000, "timeout_target_id": "give-up"}}
    """

    type = "text_receive"

    duration: int = Field(
        default=24 * 3_600_000,
        ge=1_000,
        le=limits.PARKED_MILLISECONDS,
        description="How long to wait for it at most, in milliseconds.",
    )
    timeout_target_id: StepId = Field(
        default="", description="The step to go to when none came; without it the next one."
    )

    async def run(self, session: MessageSession, run: Run) -> Next:
        run.note = f"for {self.duration / 1000:g} s at most"
        return Park(self.duration / 1000, self.timeout_target_id)
