"""Numbers: found among the available numbers, created, bound to flows, released."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import Field

from edge.accounts.key import Identity
from edge.api.auth import owner, scope
from edge.api.binding import ALL_SLOTS, Binding
from edge.api.field import E164, Change, Detail, Id, Line, Model, Result, changes
from edge.api.field import Binding as FlowSlot
from edge.api.operation import Answer, AnyOperation, Ask, Nothing, Operation
from edge.api.ordering import Ordering
from edge.api.paging import Page, PageQuery
from edge.errors import Conflict, Fault, Forbidden, Invalid, NotFound
from edge.numbers.number import TRUNKS as TRUNKS_MAX
from edge.numbers.number import Kind, NumberMetadata, Status
from edge.numbers.number import Number as Stored
from edge.numbers.release import VERSIONS, Share
from edge.numbers.release import Release as Released
from edge.numbers.table import NumberTable
from edge.store.metadata import NIL

UnknownTrunks = Callable[[Sequence[str]], Awaitable[Collection[str]]]  # ids → those that are no trunk's

FALLBACK = 'The flow that takes over when the flow of a call or message fails; "", null or the nil UUID is none.'
UNBOUND = 'The flow of an incoming {}; "", null or the nil UUID is none.'


TRUNKS = "The trunks that its calls and texts may come by; none: all of them."
RELEASE = "The versions of the flow for {}s that run here; null is the newest one."


class Release(Model):
    """Versions of a bound flow: one to pin it, several to split the callers between them."""

    versions: Annotated[list[Share], Field(min_length=1, max_length=VERSIONS)] = Field(
        description="100 percent in all. A caller gets the same version each time."
    )
    rollback_percent: int = Field(
        default=10,
        ge=0,
        le=100,
        description="When more of its runs fail, the newest version of a split loses its share; 100: never.",
    )
    rollback_runs: int = Field(default=20, ge=1, le=1_000_000, description="So many runs before that is looked at.")


class Number(Result):
    """A telephone number."""

    id: str = Field(description="Identity.")
    customer_id: str = Field(description="The account that owns it.")
    number: str = Field(description="E.164, with +.")
    type: Kind = Field(description="normal, or virtual: known on this platform only.")
    call_flow_id: str = Field(description="The flow of an incoming call; the nil UUID is none.")
    message_flow_id: str = Field(description="The flow of an incoming message; the nil UUID is none.")
    fallback_flow_id: str = Field(description="The flow that takes over when one of those fails; the nil UUID is none.")
    call_flow_release: Released | None = Field(description=RELEASE.format("call"))
    message_flow_release: Released | None = Field(description=RELEASE.format("message"))
    name: str = Field(description="Free text.")
    detail: str = Field(description="Free text.")
    status: Status = Field(description="Only an active number is routed. pending: its provider is at work.")
    t38_enabled: bool = Field(description="T.38 fax, as its provider says.")
    emergency_enabled: bool = Field(description="Emergency calls, as its provider says.")
    metadata: NumberMetadata = Field(description="Switches.")
    trunk_ids: list[str] = Field(description=TRUNKS)
    tm_purchase: str | None = Field(description="When it was bought; null when it was not.")
    tm_renew: str | None = Field(description="When it was last renewed.")
    tm_create: str = Field(description="When it was created.")
    tm_update: str | None = Field(description="When it was last changed.")
    tm_delete: str | None = Field(description="When it was released; null while it lives.")


class NumberQuery(PageQuery):
    number: E164 | None = Field(default=None, description="Only this number.")
    type: Kind | None = Field(default=None, description="Only numbers of this type.")
    call_flow_id: Id | None = Field(default=None, description="Only numbers with this flow for calls.")
    message_flow_id: Id | None = Field(default=None, description="Only numbers with this flow for messages.")


class NumberCreate(Model):
    """A normal number has to be among the available numbers, or be hosted."""

    number: E164 = Field(description="E.164, with +; a virtual number is +899 and nine digits.")
    type: Kind = Field(default="normal", description="normal, or virtual: known on this platform only.")
    call_flow_id: FlowSlot = Field(default=NIL, description=UNBOUND.format("call"))
    message_flow_id: FlowSlot = Field(default=NIL, description=UNBOUND.format("message"))
    fallback_flow_id: FlowSlot = Field(default=NIL, description=FALLBACK)
    name: Line = Field(default="", description="Free text.")
    detail: Detail = Field(default="", description="Free text.")
    metadata: NumberMetadata = Field(default=NumberMetadata(), description="Switches.")
    trunk_ids: Annotated[list[Id], Field(max_length=TRUNKS_MAX)] = Field(
        default=[], description=f"{TRUNKS} Admin keys only."
    )
    customer_id: Id | None = Field(
        default=None, description="The account to own it. A customer's key may leave it out; an admin key may not."
    )
    hosted: bool = Field(
        default=False,
        description="It is ours already, ported in or sent here by a trunk: nothing is ordered. Admin keys only.",
    )


class FlowIds(Change):
    """At least one of them; what is left out stays."""

    call_flow_id: FlowSlot = Field(default_factory=str, description=UNBOUND.format("call"))
    message_flow_id: FlowSlot = Field(default_factory=str, description=UNBOUND.format("message"))
    call_flow_release: Release | None = Field(default_factory=lambda: None, description=RELEASE.format("call"))
    message_flow_release: Release | None = Field(default_factory=lambda: None, description=RELEASE.format("message"))


class NumberChange(FlowIds):
    """At least one of them; what is left out stays."""

    fallback_flow_id: FlowSlot = Field(default_factory=str, description=FALLBACK)
    name: Line = Field(default_factory=str, description="Free text.")
    detail: Detail = Field(default_factory=str, description="Free text.")
    metadata: NumberMetadata = Field(default_factory=NumberMetadata, description="Switches.")
    trunk_ids: Annotated[list[Id], Field(max_length=TRUNKS_MAX)] = Field(
        default_factory=list, description=f"{TRUNKS} Admin keys only."
    )
    status: Literal["active", "suspended"] = Field(
        default_factory=lambda: "active", description="Suspend it or take it up again. Admin keys only."
    )


class Switches(Model):
    """A number's switches."""

    rtp_debug: bool = Field(description="Record the packets of this number's calls.")
    keywords: Literal["edge", "both", "flow"] | None = Field(
        default=None, description="Who gets texts such as STOP and HELP; left out it stays as it is."
    )


def shown(number: Stored) -> Answer:
    return Answer(Number.model_validate(number.public()), version=number.version)


class Numbers:
    """The operations on numbers."""

    def __init__(self, table: NumberTable, binding: Binding, ordering: Ordering, unknown_trunks: UnknownTrunks) -> None:
        self._table = table
        self._unknown_trunks = unknown_trunks
        self._binding = binding
        self._ordering = ordering

    async def page(self, ask: Ask[NumberQuery, Nothing]) -> Page[Number]:
        query = ask.query
        page = await self._table.list(
            scope(ask.asker),
            token=query.page_token,
            size=query.page_size,
            number=query.number,
            type=query.type,
            call_flow_id=query.call_flow_id,
            message_flow_id=query.message_flow_id,
        )
        found = [Number.model_validate(number.public()) for number in page.items]
        return Page[Number](result=found, next_page_token=page.next_token)

    async def create(self, ask: Ask[Nothing, NumberCreate]) -> Answer:
        customer_id = owner(ask.asker, ask.body.customer_id)
        if ask.body.hosted and not ask.asker.admin:
            raise Forbidden("only an admin access key may host a number", reason="ADMIN_REQUIRED")
        fields = ask.body.model_dump(exclude={"customer_id", "hosted"}, exclude_unset=True)
        await self._check_trunks(ask.asker, fields)
        await self._binding.check(customer_id, fields)
        number = await self._ordering.create(customer_id, fields, hosted=ask.body.hosted)
        await self._binding.confirm(customer_id, fields)
        return shown(number)

    async def get(self, ask: Ask[Nothing, Nothing]) -> Answer:
        return shown(await self._find(ask.id, scope(ask.asker)))

    async def update(self, ask: Ask[Nothing, NumberChange]) -> Answer:
        wanted = changes(ask.body)
        if "status" in wanted and not ask.asker.admin:
            raise Forbidden("only an admin access key may suspend a number", reason="ADMIN_REQUIRED")
        await self._check_trunks(ask.asker, wanted)
        return await self._change(ask, wanted)

    async def bind(self, ask: Ask[Nothing, FlowIds]) -> Answer:
        return await self._change(ask, changes(ask.body))

    async def switch(self, ask: Ask[Nothing, Switches]) -> Answer:
        found = await self._find(ask.id, scope(ask.asker))
        switches = {**found.metadata.model_dump(), **ask.body.model_dump(exclude_none=True)}
        return await self._change(ask, {"metadata": switches})

    async def delete(self, ask: Ask[Nothing, Nothing]) -> Answer:
        number = await self._find(ask.id, scope(ask.asker))
        if ask.match not in (None, number.version):
            raise Conflict(f"{number.number} has changed meanwhile", reason="VERSION_MISMATCH")
        return shown(await self._ordering.release(number))

    async def _check_trunks(self, asker: Identity, fields: Mapping[str, Any]) -> None:
        """Trunks are the operator's. Raises Forbidden, Invalid for one that is not there."""
        if not fields.get("trunk_ids") and (asker.admin or "trunk_ids" not in fields):
            return
        if not asker.admin:
            raise Forbidden("only an admin access key may bind a number to trunks", reason="ADMIN_REQUIRED")
        unknown = await self._unknown_trunks(fields["trunk_ids"])
        if unknown:
            places = enumerate(fields["trunk_ids"])
            faults = [Fault(f"trunk_ids[{i}]", f"there is no trunk {one}") for i, one in places if one in unknown]
            raise Invalid("the number cannot be bound to these trunks", faults=faults, reason="TRUNK_NOT_FOUND")

    async def _find(self, number_id: str, customer_id: str | None) -> Stored:
        number = await self._table.get(number_id, customer_id)
        if number is None:
            raise NotFound("there is no such number", reason="NUMBER_NOT_FOUND")
        return number

    async def _change(self, ask: Ask[Nothing, Any], wanted: dict[str, Any]) -> Answer:
        customer_id = scope(ask.asker)
        if wanted.keys() & ALL_SLOTS or "status" in wanted:
            old = await self._find(ask.id, customer_id)
            if "status" in wanted and old.status not in ("active", "suspended"):
                fault = Fault("status", f"a number that is {old.status} cannot be made {wanted['status']}")
                raise Conflict(fault.what, reason="STATE_INVALID")
            await self._binding.check(old.customer_id, wanted, old)
            number = await self._table.update(ask.id, customer_id, wanted, ask.match)
            await self._binding.confirm(old.customer_id, wanted)
        else:
            number = await self._table.update(ask.id, customer_id, wanted, ask.match)
        return shown(number)

    def operations(self) -> list[AnyOperation]:
        change = "What is left out stays as it is. A body without any of these keys is a 400."
        return [
            Operation(
                method="GET",
                path="/v1.0/numbers",
                tag="numbers",
                summary="List numbers, newest first",
                query=NumberQuery,
                body=Nothing,
                result=Page[Number],
                handler=self.page,
            ),
            Operation(
                method="POST",
                path="/v1.0/numbers",
                tag="numbers",
                summary="Create a number",
                detail=(
                    "A normal number is ordered at the provider that offers it (see /available_numbers). When the"
                    " provider is away the answer is 503, and the same request again goes on with the same order."
                ),
                query=Nothing,
                body=NumberCreate,
                result=Number,
                errors=(Conflict,),
                versioned=True,
                handler=self.create,
            ),
            Operation(
                method="GET",
                path="/v1.0/numbers/{id}",
                tag="numbers",
                summary="Read one number",
                query=Nothing,
                body=Nothing,
                result=Number,
                versioned=True,
                handler=self.get,
            ),
            *(
                Operation(
                    method=method,
                    path="/v1.0/numbers/{id}",
                    tag="numbers",
                    summary="Change a number",
                    detail=change,
                    query=Nothing,
                    body=NumberChange,
                    result=Number,
                    errors=(Conflict,),
                    versioned=True,
                    handler=self.update,
                )
                for method in ("PUT", "PATCH")
            ),
            Operation(
                method="DELETE",
                path="/v1.0/numbers/{id}",
                tag="numbers",
                summary="Release a number",
                detail="It goes back to its provider. Who calls it from now on is answered 410.",
                query=Nothing,
                body=Nothing,
                result=Number,
                errors=(Conflict,),
                versioned=True,
                handler=self.delete,
            ),
            Operation(
                method="PUT",
                path="/v1.0/numbers/{id}/flow_ids",
                tag="numbers",
                summary="Bind flows to a number",
                detail=change,
                query=Nothing,
                body=FlowIds,
                result=Number,
                errors=(Conflict,),
                versioned=True,
                handler=self.bind,
            ),
            Operation(
                method="PUT",
                path="/v1.0/numbers/{id}/metadata",
                tag="numbers",
                summary="Set a number's switches",
                query=Nothing,
                body=Switches,
                result=Number,
                errors=(Conflict,),
                versioned=True,
                handler=self.switch,
            ),
        ]
