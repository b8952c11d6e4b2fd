"""Make calls of their own."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from edge.errors import Invalid
from edge.flows import limits
from edge.flows.action import Action, Next
from edge.flows.address import Number, Uri
from edge.flows.dial import CallOrder
from edge.flows.flow import Flow, compile_flow, require_medium
from edge.flows.run import Run
from edge.flows.session import Session


def _auto(value: object) -> object:
    return "auto" if value == "" else value


def _none(value: object) -> object:
    return None if value == "" else value


def _late(value: bool) -> bool:
    if value:
        raise ValueError("a flow that runs before the answer is not available here; leave it out")
    return value


def _steps(actions: list[Any]) -> list[Any]:
    """Raises ValueError for steps that are no flow for a call."""
    if actions:
        try:
            _flow_of(actions)
        except Invalid as error:
            raise ValueError("; ".join(map(str, error.faults)) or error.message) from None
    return actions


def _flow_of(actions: list[Any]) -> Flow:
    flow = compile_flow({"name": "call", "actions": actions})
    require_medium(flow, "call")
    return flow


class Call(Action):
    """Call one or several destinations, each in a call of its own that runs a flow once it is answered; go on at once.

    The flow is another one of the account (`flow_id`), or steps (`actions`), whose variables are those of the new call.
    What is called, and which number is shown, is allowed as for `connect`; without a source it is the number that was
    called or texted. A `chained` call is hung up when the one that made it ends; one made for a text is never chained.

    On failure (no such flow, or none of the destinations can be called at all) the run fails.

        {"id": "tell", "type": "call", "option": {"source": {"type": "tel", "target": "+14155550100"},
         "destinations": [{"type": "tel", "target": "+14155550177"}],
         "actions": [{"type": "play", "option": {"stream_urls": ["alarm.wav"]}}], "chained": false}}
    """

    type = "call"
    fatal = True
    instant = True
    varies = False
    untouched = frozenset({"actions"})

    source: Annotated[Number | None, BeforeValidator(_none)] = Field(
        default=None, description="The number of the account to call from; without it the one that was reached."
    )
    destinations: list[Uri] = Field(min_length=1, max_length=limits.DESTINATIONS, description="Whom to call.")
    flow_id: str = Field(
        default="",
        max_length=limits.STEP_ID_CHARACTERS,
        description="The flow that each call runs once it is answered.",
    )
    actions: Annotated[list[Any], AfterValidator(_steps)] = Field(
        default=[], max_length=limits.FETCHED_STEPS, description="The steps that each call runs instead of a flow."
    )
    chained: bool = Field(default=False, description="Whether they are hung up with the call that makes them.")
    early_execution: Annotated[bool, AfterValidator(_late)] = Field(
        default=False, description="Not available here, only false: the flow begins with the answer."
    )
    anonymous: Annotated[Literal["yes", "no", "auto"], BeforeValidator(_auto)] = Field(
        default="auto", description="Withhold the number that is shown: yes, no, or auto, which means no here."
    )
    trunk: Annotated[str | None, BeforeValidator(_none)] = Field(
        default=None, max_length=63, description="The trunk for numbers; without it the first that takes calls."
    )

    @model_validator(mode="after")
    def _one_flow(self) -> Call:
        if bool(self.flow_id) == bool(self.actions):
            raise ValueError("needs either flow_id or actions")
        return self

    async def run(self, session: Session, run: Run) -> Next:
        if self.flow_id:
            flow = await session.outside.flow(self.flow_id)
            require_medium(flow, "call")
        else:
            flow = _flow_of(self.actions)
        made = await session.outside.call(
            CallOrder(
                tuple(self.destinations),
                flow,
                source=self.source,
                chained=self.chained,
                anonymous=self.anonymous,
                trunk=self.trunk,
            )
        )
        run.note = f"{len(made)} of {len(self.destinations)}"
        return None
