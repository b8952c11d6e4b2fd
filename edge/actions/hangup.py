"""Hang up."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field

from edge.flows.action import Action, Next
from edge.flows.run import Run
from edge.flows.session import CallSession, HangupReason
from edge.store.metadata import NIL


def _default(value: object) -> object:
    return "normal" if value == "" else value


def _empty(value: str) -> str:
    if value not in ("", NIL):
        raise ValueError("the reason of another call is not available here; leave it empty")
    return ""


class Hangup(Action):
    """End the call: before the answer with the SIP status that the reason means, after it with a BYE.

    normal, cancel, timeout and amd are 603, failed is 408, busy is 486, noanswer and dialout are 480.

    It cannot fail but for a wrong value of a variable; then the run fails, which ends the call too.

        {"id": "bye", "type": "hangup", "option": {"reason": "busy"}}
    """

    type = "hangup"
    fatal = True
    goes_on = False

    reason: Annotated[HangupReason, BeforeValidator(_default)] = Field(
        default="normal", description="Why; the caller's carrier learns it when the call was not answered."
    )
    reference_id: Annotated[str, AfterValidator(_empty)] = Field(
        default="", description="Another call whose reason to take: not available here, only empty."
    )

    async def run(self, session: CallSession, run: Run) -> Next:
        await session.hangup(self.reason)
