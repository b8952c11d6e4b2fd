"""Which flow may stand in which slot of a number: one of the same customer that can run for the slot's medium.

Numbers and flows are changed by different requests, so what was checked before a binding was stored is looked at once
more after it, and undone when it was overtaken.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from pydantic import ValidationError

from edge.errors import Conflict, Fault, Invalid
from edge.flows.flow import MEDIA, compile_flow, require_medium
from edge.flows.session import Medium
from edge.flows.table import FlowTable
from edge.numbers.number import RELEASES, Number
from edge.numbers.release import Release
from edge.numbers.table import NumberTable
from edge.store.metadata import NIL

SLOTS: Final[dict[str, Medium]] = {"call_flow_id": "call", "message_flow_id": "message"}
FALLBACK: Final = "fallback_flow_id"
ALL_SLOTS: Final = frozenset({*SLOTS, *(release for release, _ in RELEASES.values()), FALLBACK})


NO_FLOW: Final = "there is no such flow"


class Binding:
    """Checks bindings from both sides."""

    def __init__(self, flows: FlowTable, numbers: NumberTable) -> None:
        self._flows = flows
        self._numbers = numbers

    async def check(self, customer_id: str, fields: Mapping[str, Any], number: Number | None = None) -> None:
        """Before flows are bound. Raises Invalid naming the slot, and the step that does not fit.

        `number` is what is changed; without it one is made.
        """
        faults: list[Fault] = []
        wrong_medium: Invalid | None = None
        for slot, medium in SLOTS.items():
            flow_id = fields.get(slot, NIL)
            if flow_id == NIL:
                continue
            flow = await self._flows.get(flow_id, customer_id)
            if flow is None:
                faults.append(Fault(slot, NO_FLOW))
                continue
            try:
                require_medium(compile_flow(flow.document()), medium, slot)
            except Invalid as error:
                faults += error.faults
                wrong_medium = error
        try:
            faults += await self._check_fallback(customer_id, fields, number)
        except Invalid as error:
            faults += error.faults
            wrong_medium = error
        for slot, (release, medium) in RELEASES.items():
            given = fields.get(release)
            if given is not None:
                flow_id = fields.get(slot) or (getattr(number, slot) if number is not None else NIL)
                faults += await self._check_release(customer_id, flow_id, given, release, medium)
        if faults:
            if wrong_medium is not None:
                raise Invalid(wrong_medium.message, faults=faults, reason=wrong_medium.reason)
            raise Invalid("a flow cannot be bound", faults=faults, reason="FLOW_NOT_FOUND")

    async def _check_fallback(self, customer_id: str, fields: Mapping[str, Any], number: Number | None) -> list[Fault]:
        """Whether the fallback is there. Raises Invalid when it can take over from no flow that will be bound."""
        slots = {slot: fields.get(slot, getattr(number, slot, NIL)) for slot in (*SLOTS, FALLBACK)}
        if slots[FALLBACK] == NIL or all(fields.get(slot, NIL) == NIL for slot in slots):
            return []
        flow = await self._flows.get(slots[FALLBACK], customer_id)
        if flow is None:
            return [Fault(FALLBACK, NO_FLOW)] if FALLBACK in fields else []
        fallback = compile_flow(flow.document())
        bound = [medium for slot, medium in SLOTS.items() if slots[slot] != NIL]
        if bound and fallback.media.isdisjoint(bound):
            require_medium(fallback, bound[0], FALLBACK)
        return []

    async def _check_release(
        self, customer_id: str, flow_id: str, release: Mapping[str, Any], where: str, medium: Medium
    ) -> list[Fault]:
        """Whether the versions of a release are there and can run."""
        if flow_id == NIL:
            return [Fault(where, "there is no flow whose versions it could name")]
        faults: list[Fault] = []
        try:
            Release.model_validate(release)
        except ValidationError as error:
            faults += [Fault(where, one["msg"].removeprefix("Value error, ")) for one in error.errors()]
        for index, share in enumerate(release["versions"]):
            place = f"{where}.versions[{index}].version"
            flow = await self._flows.version(flow_id, share["version"], customer_id)
            if flow is None or flow.tm_delete is not None:
                faults.append(Fault(place, f"the flow has no version {share['version']}"))
                continue
            try:
                require_medium(compile_flow(flow.document()), medium, place)
            except Invalid as error:
                faults += error.faults
        return faults

    async def confirm(self, customer_id: str, fields: Mapping[str, Any]) -> None:
        """After they were bound. Raises Conflict, and takes the flow off again, when it was deleted meanwhile."""
        for flow_id in {fields.get(slot, NIL) for slot in (*SLOTS, FALLBACK)} - {NIL}:
            if await self._flows.get(flow_id, customer_id) is None:
                await self._numbers.unbind_flow(flow_id)
                raise Conflict("the flow was deleted meanwhile", reason="FLOW_NOT_FOUND")

    async def check_following(self, customer_id: str, document: Mapping[str, Any]) -> None:
        """Before a flow is stored that names one to run after it. Raises Invalid."""
        where = "on_complete_flow_id"
        flow_id = document.get(where) or NIL
        if flow_id == NIL:
            return
        flow = await self._flows.get(flow_id, customer_id)
        if flow is None:
            raise Invalid("the flow is wrong", faults=[Fault(where, NO_FLOW)], reason="FLOW_NOT_FOUND")
        for medium in MEDIA:  # its session will be over
            require_medium(compile_flow(flow.document()), medium, where)

    async def media_in_use(self, flow_id: str) -> frozenset[Medium]:
        """What a flow is bound for, by any number."""
        call = await self._numbers.list(None, call_flow_id=flow_id, size=1)
        message = await self._numbers.list(None, message_flow_id=flow_id, size=1)
        return frozenset(medium for page, medium in zip((call, message), MEDIA, strict=True) if page.items)
