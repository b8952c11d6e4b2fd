"""Runs of flows that are at work: told to go on where one waits."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, Field

from edge.api.auth import scope
from edge.api.field import Model, Result
from edge.api.operation import AnyOperation, Ask, Nothing, Operation
from edge.errors import NotFound
from edge.flows import limits
from edge.flows.variables import is_name, is_reserved
from edge.sessions.calls.book import CallBook

Value = Annotated[str, Field(max_length=limits.VARIABLE_CHARACTERS, pattern=r"^[^\u0000]*$")]


def _free(variables: dict[str, str]) -> dict[str, str]:
    for name in variables:
        if not is_name(name) or is_reserved(name) or len(name) > limits.VARIABLE_NAME_CHARACTERS:
            raise ValueError(f"{name[:40]!r} is no name that a flow can set")
    return variables


class Activeflow(Result):
    """A run that is at work."""

    id: str = Field(description="Identity: what the flow reads as voipbin.activeflow.id.")
    customer_id: str = Field(description="The account.")
    flow_id: str = Field(description="The flow it began with.")
    reference_type: str = Field(description="call: what it runs for.")
    reference_id: str = Field(description="The call.")


class GoOn(Model):
    """What the run is told."""

    variables: Annotated[dict[str, Value], Field(max_length=limits.VARIABLES), AfterValidator(_free)] = Field(
        default_factory=dict, description="Variables that the run gets set, of its own names."
    )


class Activeflows:
    """The operations on runs."""

    def __init__(self, book: CallBook) -> None:
        self._book = book

    async def go_on(self, ask: Ask[Nothing, GoOn]) -> Activeflow:
        call = self._book.find(ask.id)
        mine = scope(ask.asker)
        if call is None or call.ended is not None or mine not in (None, call.customer_id):
            raise NotFound("there is no such run at work at this edge", reason="ACTIVEFLOW_NOT_FOUND")
        call.go_on(ask.body.variables)
        attempt = call.attempt
        fields: dict[str, Any] = {"customer_id": attempt.customer_id, "flow_id": attempt.flow_id}
        return Activeflow(id=attempt.id, reference_type="call", reference_id=attempt.id, **fields)

    def operations(self) -> list[AnyOperation]:
        return [
            Operation(
                method="POST",
                path="/v1.0/activeflows/{id}/continue",
                tag="activeflows",
                summary="Tell a run to go on that waits in block",
                detail=(
                    "When it has not come to a block yet, it does not wait in the next one. A run is known to the edge"
                    " that has its call, and to no other."
                ),
                query=Nothing,
                body=GoOn,
                result=Activeflow,
                handler=self.go_on,
            ),
        ]
