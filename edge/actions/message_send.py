"""Send a text."""

from __future__ import annotations

from pydantic import Field

from edge.errors import EdgeError, Invalid
from edge.flows import limits
from edge.flows.action import Action, Next
from edge.flows.address import Number, read_number
from edge.flows.run import Run
from edge.flows.session import Session

OUR_NUMBER = ("voipbin.conversation.self.target", "voipbin.call.destination.target")  # of a text, of a call


class MessageSend(Action):
    """Send a text to one or more numbers, each its own message. They are kept first, sent later, and again until taken.

    The source must be a number of the same account; without one it is the number that was called or texted. Source and
    destinations are texts (`+14155550100`) or address objects of type tel.

    On failure (a source that is not ours, a destination that is no number) the run fails, after every destination was
    tried.

        {"id": "forward", "type": "message_send", "option": {"source": {"type": "tel", "target": "+14155550100"},
         "destinations": [{"type": "tel", "target": "+14155550122"}], "text": "${voipbin.conversation_message.text}"}}
    """

    type = "message_send"
    fatal = True
    instant = True
    varies = False

    source: Number | None = Field(default=None, description="The number to send from.")
    destinations: list[Number] = Field(
        min_length=1, max_length=limits.DESTINATIONS, description="The numbers to send to."
    )
    text: str = Field(min_length=1, max_length=limits.TEXT_CHARACTERS, description="The text.")

    async def run(self, session: Session, run: Run) -> Next:
        source = self.source or _our_number(run)
        failed: EdgeError | None = None
        sent = 0
        for destination in self.destinations:
            try:
                await session.send_text(source, destination, self.text)
                sent += 1
            except EdgeError as error:
                failed = failed or error
        run.note = f"{sent} of {len(self.destinations)}"
        if failed is not None:
            raise failed
        return None


def _our_number(run: Run) -> str:
    for name in OUR_NUMBER:
        if number := run.variables.get(name):
            try:
                return read_number(number)
            except ValueError as error:
                raise Invalid(f"no source, and the number that was reached cannot be one: {error}") from None
    raise Invalid("no source, and the number that was reached is not known")
