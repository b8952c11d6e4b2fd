"""Connect the caller to somebody else."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from edge.flows import limits
from edge.flows.action import Action, Next
from edge.flows.address import Number, Uri
from edge.flows.dial import Dial
from edge.flows.run import Run
from edge.flows.session import CallSession

VARIABLES = "edge.connect."


def _auto(value: object) -> object:
    return "auto" if value == "" else value


def _none(value: object) -> object:
    return None if value == "" else value


class Connect(Action):
    """Ring one or several destinations, and let the caller talk to the first that answers.

    A destination is a number (`+14155550177`, `tel:+14155550177`), a SIP URI (`sip:desk@pbx.example.com`), or an
    address object of type tel or sip. A number of ours is reached at once, any other through a trunk. The caller's call
    is answered when the other side answers. When either side hangs up the other is ended: the caller's end is the end
    of the flow, and when the other side ends the next step follows.

    One after another, the next destination is rung when one does not answer in its time or its network fails (408,
    5xx); a phone that is busy or declines ends it. All at once, the first answer wins and the others are cancelled.

    What came of it can be read afterwards: `edge.connect.outcome` is answered, busy, noanswer, declined or failed, and
    beside it are `edge.connect.status` (SIP), `.cause` (Q.850), `.destination` and `.seconds` (how long they talked).

    It fails when nobody can be rung at all: a destination that the account may not call, a source that is not its own.

        {"id": "desk", "type": "connect", "option": {"source": {"type": "tel", "target": "+14155550100"},
         "destinations": [{"type": "tel", "target": "+14155550177"}, "sip:desk@pbx.example.com"], "early_media": true,
         "order": "in_turn", "ring_timeout": 20000}}
    """

    type = "connect"
    fatal = True

    source: Annotated[Number | None, BeforeValidator(_none)] = Field(
        default=None,
        description="The number to show: one of the account's, or the caller's own where the trunk permits that."
        " Without it the caller's own where it is permitted, else the one that was called.",
    )
    destinations: list[Uri] = Field(min_length=1, max_length=limits.DESTINATIONS, description="Whom to ring.")
    order: Literal["at_once", "in_turn"] = Field(
        default="at_once", description="Ring all of them at once, or one after another."
    )
    ring_timeout: int = Field(
        default=30_000, ge=1_000, le=limits.RING_MILLISECONDS, description="Milliseconds that each of them may ring."
    )
    early_media: bool = Field(
        default=False,
        description="Let the caller hear what the other side plays before it answers, not a ring of ours.",
    )
    relay_reason: bool = Field(
        default=False, description="When nobody answers, end the caller's call with the reason of the other side."
    )
    anonymous: Annotated[Literal["yes", "no", "auto"], BeforeValidator(_auto)] = Field(
        default="auto", description="Withhold the number that is shown: yes, no, or auto, as the caller wants it."
    )
    ringback: Annotated[str | None, BeforeValidator(_none)] = Field(
        default=None,
        pattern="^[A-Z]{2}$",
        description="The country (ISO 3166) whose ring tone an answered caller hears; without it that of the number he"
        " called.",
    )
    trunk: Annotated[str | None, BeforeValidator(_none)] = Field(
        default=None, max_length=63, description="The trunk for numbers; without it the first that takes calls."
    )

    async def run(self, session: CallSession, run: Run) -> Next:
        dialed = await session.connect(
            Dial(
                tuple(self.destinations),
                source=self.source,
                together=self.order == "at_once",
                ring_seconds=self.ring_timeout / 1000,
                early_media=self.early_media,
                relay_reason=self.relay_reason,
                anonymous=self.anonymous,
                ringback=self.ringback,
                trunk=self.trunk,
            )
        )
        for name, value in (
            ("outcome", dialed.outcome),
            ("status", str(dialed.status)),
            ("cause", "" if dialed.cause is None else str(dialed.cause)),
            ("destination", dialed.destination),
            ("seconds", f"{dialed.seconds:.0f}"),
        ):
            run.variables.set_system(VARIABLES + name, value)
        run.note = str(dialed)
        return None
