"""Calls that are ordered: one to each destination, with a flow that runs once it is answered."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from edge.api.auth import owner
from edge.api.calls import Call
from edge.api.field import Id, Model, Result
from edge.api.flows import Steps
from edge.api.operation import AnyOperation, Ask, Nothing, Operation
from edge.errors import Exhausted, Fault, Forbidden, Invalid, Unavailable
from edge.flows import limits
from edge.flows.address import Number, Uri
from edge.flows.dial import CallOrder
from edge.flows.flow import Flow, compile_flow, require_medium
from edge.flows.library import Library
from edge.sessions.calls.placing import Placing, check_variables
from edge.sessions.origin import Origin


def _auto(value: object) -> object:
    return "auto" if value == "" else value


class CallCreate(Model):
    source: Number = Field(description="The number of the account to call from: a text, or an address of type tel.")
    destinations: list[Uri] = Field(
        min_length=1,
        max_length=limits.DESTINATIONS,
        description="Whom to call, each in a call of its own: numbers and SIP URIs, or addresses of type tel or sip.",
    )
    flow_id: Id | None = Field(default=None, description="The flow that each call runs once it is answered.")
    actions: Steps | None = Field(default=None, description="The steps that each call runs instead of a flow.")
    anonymous: Annotated[Literal["yes", "no", "auto"], BeforeValidator(_auto)] = Field(
        default="auto", description="Withhold the number: yes or no; auto is no."
    )
    variables: dict[str, str] = Field(default={}, description="Variables that the flow begins with.")
    customer_id: Id | None = Field(
        default=None, description="The account that calls. A customer's key may leave it out; an admin key may not."
    )

    @model_validator(mode="after")
    def _one_flow(self) -> CallCreate:
        if (self.flow_id is None) == (self.actions is None):
            raise ValueError("needs either flow_id or actions")
        return self


class CallsMade(Result):
    """The calls that were begun."""

    calls: list[Call] = Field(description="Each as it is now: it rings.")
    groupcalls: list[dict[str, Any]] = Field(default=[], description="Not used here; kept for clients of the platform.")


class CallOrders:
    """The operation that makes calls."""

    def __init__(self, placing: Placing, library: Library) -> None:
        self._placing = placing
        self._library = library

    async def create(self, ask: Ask[Nothing, CallCreate]) -> CallsMade:
        body = ask.body
        customer_id = owner(ask.asker, body.customer_id)
        flow = await self._flow(body, customer_id)
        require_medium(flow, "call")
        check_variables(flow, body.variables)
        order = CallOrder(
            tuple(body.destinations), flow, source=body.source, anonymous=body.anonymous, variables=body.variables
        )
        made = await self._placing.call(Origin(customer_id, body.source), order)
        return CallsMade(calls=[Call.model_validate(call.attempt.public()) for call in made])

    async def _flow(self, body: CallCreate, customer_id: str) -> Flow:
        if body.flow_id is None:
            return compile_flow({"name": "call", "actions": body.actions}, customer_id=customer_id)
        found = (await self._library.find(body.flow_id)).value
        if found is None or found.customer_id != customer_id:
            raise Invalid(
                "the call is not usable", faults=[Fault("flow_id", "there is no such flow")], reason="FLOW_NOT_FOUND"
            )
        return found

    def operations(self) -> list[AnyOperation]:
        return [
            Operation(
                method="POST",
                path="/v1.0/calls",
                tag="calls",
                summary="Call somebody",
                detail="Calls each destination from a number of the account; who answers gets the flow. The answer has"
                " the calls that could be begun; it is an error when none could.",
                query=Nothing,
                body=CallCreate,
                result=CallsMade,
                handler=self.create,
                errors=(Forbidden, Exhausted, Unavailable),
                inbound=True,
            )
        ]
