"""From a dialed string to the flow that is bound to it, for calls, texts and `explain` alike.

    dialed → E.164 → number → may it be reached? → its account → bound flow → the flow

Each step raises the error whose answer the wire table has for it. The look-ups ask memory first and wait only when
memory does not know.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from edge.accounts.customer import Customer, CustomerDirectory
from edge.errors import FlowUnbound, NumberReleased, NumberSuspended, NumberUnknown, Unavailable
from edge.flows.flow import Flow
from edge.flows.library import Library
from edge.flows.session import Medium
from edge.metrics import counter
from edge.numbers.directory import Directory
from edge.numbers.number import Number
from edge.store.metadata import NIL
from edge.store.tiers import Found

Owns = Callable[[str, str], Awaitable[Number | None]]  # number, customer → the live number, if it is that customer's

ELSEWHERE = counter(
    "numbers_elsewhere_total", "Calls and texts for a number that answers on other trunks than the one they came by."
)


@dataclass(frozen=True, slots=True)
class Routes:
    """The tables a session is routed by."""

    directory: Directory
    customers: CustomerDirectory
    library: Library

    async def number(self, e164: str) -> Found[Number]:
        return self.directory.peek(e164, time.monotonic()) or await self.directory.find(e164)

    async def account(self, number: Number) -> Customer:
        """The account that owns a number. Raises NumberSuspended when it is suspended, or gone."""
        customers, owner = self.customers, number.customer_id
        found = customers.peek(owner, time.monotonic()) or await customers.find(owner)
        if found.value is None or found.value.status != "active":
            raise NumberSuspended(f"the account of {number.number} is suspended")
        return found.value

    async def version(self, flow_id: str, version: int, number: Number) -> Flow:
        """One version of a flow that a number's release names. Raises Unavailable."""
        found = await self.library.find_version(flow_id, version)
        if found.value is None or found.value.customer_id != number.customer_id:
            raise Unavailable(f"version {version} of the flow {flow_id} is not there")
        return found.value

    async def destinations(self, customer_id: str) -> tuple[str, ...]:
        """The prefixes that an account may call; none: its home country."""
        customers = self.customers
        found = customers.peek(customer_id, time.monotonic()) or await customers.find(customer_id)
        return found.value.destinations if found.value is not None else ()

    async def flow(self, flow_id: str, owner: str) -> Flow:
        """Raises Unavailable for a flow that a number names and that is not there: its binding is being undone; the
        same for one that is not of the number's owner."""
        found = self.library.peek(flow_id, time.monotonic()) or await self.library.find(flow_id)
        if found.value is None or found.value.customer_id != owner:
            raise Unavailable(f"the flow {flow_id} is not there")
        return found.value


def reachable(found: Found[Number], e164: str) -> Number:
    """The number, if calls and texts may reach it. Only an active number is routed."""
    number = found.value
    if number is None:
        raise NumberUnknown(f"{e164} is not one of our numbers")
    match number.status:
        case "active":
            return number
        case "suspended":
            raise NumberSuspended(f"{e164} is suspended")
        case "released":
            raise NumberReleased(f"{e164} was released")
        case other:
            raise NumberUnknown(f"{e164} is not in service: {other}")


def answers_on(number: Number, trunk_id: str, *, count: bool = True) -> bool:
    """Whether a number may be reached by that trunk; where it may not, calls and texts are counted."""
    if not number.trunk_ids or trunk_id in number.trunk_ids:
        return True
    if count:
        ELSEWHERE.inc()
    return False


def bound(number: Number, medium: Medium) -> str:
    """The id of the flow bound for this medium. Raises FlowUnbound."""
    flow_id = number.call_flow_id if medium == "call" else number.message_flow_id
    if flow_id == NIL:
        raise FlowUnbound("no flow bound")
    return flow_id
