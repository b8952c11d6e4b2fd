"""Answer a text."""

from __future__ import annotations

from pydantic import Field

from edge.flows import limits
from edge.flows.action import Action, Next
from edge.flows.run import Run
from edge.flows.session import MessageSession


class Reply(Action):
    """Send a text back to whoever sent the one that came in, from the number that got it. It is kept before it is sent.

    On failure (an empty text, a sender that cannot be texted) the reason goes into the step log and the next step
    follows.

        {"id": "thanks", "type": "reply", "option": {"text": "Thanks! We got: ${voipbin.conversation_message.text}"}}
    """

    type = "reply"
    instant = True
    varies = False

    text: str = Field(min_length=1, max_length=limits.TEXT_CHARACTERS, description="The text.")

    async def run(self, session: MessageSession, run: Run) -> Next:
        await session.reply(self.text)
        return None
