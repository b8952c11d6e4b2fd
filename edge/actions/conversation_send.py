"""Send a text into a conversation."""

from __future__ import annotations

from pydantic import Field

from edge.flows import limits
from edge.flows.action import Action, Next
from edge.flows.run import Run
from edge.flows.session import Session


class ConversationSend(Action):
    """Send a text into a conversation of the account: to its peer, from the number it is with. It is kept first, sent
    later, and again until taken.

    A conversation is all texts between two numbers; `/v1.0/messages` tells its id, and the flow of a text has it as
    `voipbin.conversation.id`.

    On failure (no such conversation, a number that is the account's no more) the reason goes into the step log and the
    next step follows.

        {"id": "tell", "type": "conversation_send", "option": {
         "conversation_id": "0190c0de-0000-7000-8000-000000000002", "text": "Somebody called about your order."}}
    """

    type = "conversation_send"
    instant = True
    varies = False

    conversation_id: str = Field(
        min_length=1, max_length=limits.STEP_ID_CHARACTERS, description="The id of the conversation."
    )
    text: str = Field(min_length=1, max_length=limits.TEXT_CHARACTERS, description="The text.")
    sync: bool = Field(default=False, description="Without effect: the step always waits until the text is kept.")

    async def run(self, session: Session, run: Run) -> Next:
        run.note = await session.outside.send_to_conversation(self.conversation_id, self.text)
        return None
