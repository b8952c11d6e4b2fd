"""Send the caller elsewhere."""

from __future__ import annotations

from pydantic import Field

from edge.flows import limits
from edge.flows.action import Action, Next
from edge.flows.address import Uri
from edge.flows.run import Run
from edge.flows.session import CallSession


class Redirect(Action):
    """Send the caller elsewhere: with a 302 before the answer, with a REFER after it. The call here is then over.

    A destination is a text (`sip:desk@pbx.example.com`, `tel:+14155550177`, `+14155550177`) or an address object of
    type tel or sip.

    On failure (a destination that is no URI once its variables are filled in, a caller's phone that cannot be referred
    or says no) the call is still up, the reason goes into the step log and the next step follows.

        {"id": "desk", "type": "redirect", "option": {"destinations": [{"type": "tel", "target": "+14155550177"},
         "sip:desk@pbx.example.com"]}}
    """

    type = "redirect"

    destinations: list[Uri] = Field(
        min_length=1, max_length=limits.DESTINATIONS, description="Where the caller is sent, best first."
    )

    async def run(self, session: CallSession, run: Run) -> Next:
        await session.redirect(self.destinations)
