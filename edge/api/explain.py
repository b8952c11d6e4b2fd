"""How a dialed string would be resolved and what would run, without anything running.

It goes the very way that calls and texts go (`sessions.route`), and tells each step of it.
"""

from __future__ import annotations

from typing import Any

from pydantic import Field

from edge.api.auth import scope
from edge.api.field import Line, Model, Result
from edge.api.operation import AnyOperation, Ask, Nothing, Operation
from edge.errors import EdgeError, Fault, FlowUnbound, Invalid, Unavailable
from edge.flows.flow import Flow
from edge.flows.session import Medium
from edge.numbers.e164 import read_dialed
from edge.numbers.number import Number
from edge.sessions.route import Routes, bound, reachable
from edge.store.tiers import Found
from edge.trunks.table import TrunkTable

ACCEPTED = 202  # RFC 3428 §7, of a text


class ExplainQuery(Model):
    number: Line = Field(description="As it is dialed: +14155550100, 004420…, sip:…, tel:….", examples=["+14155550100"])
    trunk: Line | None = Field(default=None, description="The trunk it would come by, for its national forms.")
    medium: Medium = Field(default="call", description="Whether a call or a message would come.")
    caller: Line = Field(default="", description="Who would call or text: a split release has a version for everybody.")


class ExplainedNumber(Result):
    """The number that was found."""

    id: str = Field(description="Identity.")
    customer_id: str = Field(description="Its owner.")
    number: str = Field(description="E.164.")
    status: str = Field(description="Only an active number is routed.")
    name: str = Field(description="Free text.")


class ExplainedFlow(Result):
    """The flow that would run."""

    id: str = Field(description="Identity.")
    version: int = Field(description="The version a session starting now would run.")
    name: str = Field(description="Free text.")
    media: list[str] = Field(description="What it can run for: call, message.")
    actions: list[dict[str, Any]] = Field(description="Its steps.")


class Refused(Result):
    """What the carrier would be answered instead."""

    reason: str = Field(description="The error's name.")
    message: str = Field(description="Why.")
    sip: int = Field(description="SIP status; for a message without a flow 202, it is kept.")
    cause: int | None = Field(description="Q.850 cause in the Reason header.")


class Explanation(Result):
    """The steps from a dialed string to a flow, as far as they lead."""

    dialed: str = Field(description="What was asked.")
    medium: Medium = Field(description="call or message.")
    trunk: str | None = Field(description="The trunk asked about.")
    country: str | None = Field(description="Whose national forms are read.")
    e164: str | None = Field(description="The number it stands for.")
    source: str | None = Field(description="The tier that knew the number: memory, redis, sql or stale.")
    number: ExplainedNumber | None = Field(description="The number, when there is one.")
    flow: ExplainedFlow | None = Field(description="The flow that would run.")
    refused: Refused | None = Field(description="Why nothing would run.")


class Explain:
    """The one operation."""

    def __init__(self, trunks: TrunkTable, routes: Routes) -> None:
        self._trunks = trunks
        self._routes = routes

    async def explain(self, ask: Ask[ExplainQuery, Nothing]) -> Explanation:
        return await self.of(ask.query, scope(ask.asker))

    async def of(self, query: ExplainQuery, customer_id: str | None) -> Explanation:
        """What would become of a dialed string; another customer's numbers are unknown ones. None: an admin asks."""
        country = self._country(query.trunk)
        e164: str | None = None
        found: Found[Number] | None = None
        flow: Flow | None = None
        refused: Refused | None = None
        try:
            e164 = read_dialed(query.number, country)
            found = _seen(await self._routes.number(e164), customer_id)
            reached = reachable(found, e164)
            await self._routes.account(reached)
            flow = await self._flow(reached, query)
        except Unavailable:
            raise
        except EdgeError as error:
            refused = _refused(error, query.medium)
        number = found.value if found else None
        return Explanation(
            dialed=query.number,
            medium=query.medium,
            trunk=query.trunk,
            country=country,
            e164=e164,
            source=found.source if found else None,
            number=ExplainedNumber.model_validate(number, from_attributes=True) if number else None,
            flow=_flow(flow) if flow else None,
            refused=refused,
        )

    async def _flow(self, number: Number, query: ExplainQuery) -> Flow:
        flow_id = bound(number, query.medium)
        release = number.call_flow_release if query.medium == "call" else number.message_flow_release
        if release is None:
            return await self._routes.flow(flow_id, number.customer_id)
        return await self._routes.version(flow_id, release.pick(f"{number.number} {query.caller}"), number)

    def _country(self, name: str | None) -> str | None:
        if name is None:
            return None
        trunk = self._trunks.named(name)
        if trunk is None:
            fault = Fault("trunk", "there is no such trunk")
            raise Invalid("the query is not usable", faults=[fault], reason="INVALID_REQUEST_PARAMETER")
        return trunk.country

    def operations(self) -> list[AnyOperation]:
        return [
            Operation(
                method="GET",
                path="/v1.0/explain",
                tag="explain",
                summary="How would a dialed number be resolved, and what would run?",
                query=ExplainQuery,
                body=Nothing,
                result=Explanation,
                handler=self.explain,
            )
        ]


def _seen(found: Found[Number], customer_id: str | None) -> Found[Number]:
    """Another customer's number is an unknown one."""
    foreign = found.value is not None and customer_id not in (None, found.value.customer_id)
    return found._replace(value=None) if foreign else found


def _refused(error: EdgeError, medium: Medium) -> Refused:
    unbound_text = medium == "message" and isinstance(error, FlowUnbound)  # kept all the same
    return Refused(
        reason=type(error).__name__,
        message=error.message,
        sip=ACCEPTED if unbound_text else error.sip,
        cause=None if unbound_text else error.cause,
    )


def _flow(flow: Flow) -> ExplainedFlow:
    return ExplainedFlow(
        id=flow.id,
        version=flow.version,
        name=flow.name,
        media=sorted(flow.media),
        actions=[dict(action) for action in flow.actions],
    )
