"""Flows: stored as immutable versions, checked when stored, bound to numbers."""

from __future__ import annotations

from collections.abc import Collection
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field

from edge.api.auth import owner, scope
from edge.api.binding import Binding
from edge.api.field import Binding as FlowSlot
from edge.api.field import Change, Id, Line, Model, Result, changes
from edge.api.flow_schema import StepDocument
from edge.api.operation import Answer, AnyOperation, Ask, Nothing, Operation
from edge.api.paging import Page, PageQuery
from edge.api.refusal import Place
from edge.errors import Conflict, Exhausted, Fault, Invalid, NotFound, Unavailable
from edge.flows.flow import MEDIA, WhenUnavailable, compile_flow
from edge.flows.limits import DETAIL_CHARACTERS, STEPS_PER_FLOW
from edge.flows.resource import Resources
from edge.flows.session import Medium
from edge.flows.step import find_action
from edge.flows.table import FlowTable, StoredFlow
from edge.flows.variables import KNOWN
from edge.numbers.table import NumberTable
from edge.store.metadata import NIL

Detail = Annotated[str, Field(max_length=DETAIL_CHARACTERS, pattern=r"^[^\u0000]*$")]
Steps = Annotated[list[StepDocument], Field(min_length=1, max_length=STEPS_PER_FLOW)]
VARIABLES = (
    "Options may hold `${name}`, or `${name:-text}` for a text where the value is empty. Besides what a flow sets"
    " itself there are: " + "; ".join(f"`{name}` {sentence}" for name, sentence in KNOWN.items()) + "."
)
DOCUMENT_KEYS = frozenset({"name", "detail", "actions", "on_complete_flow_id", "unavailable"})
UNAVAILABLE = "What to do with actions of the platform that are not here: refuse the flow, or skip them when it runs."
ON_COMPLETE = "The flow that runs when a run of this one is over, and its session; none of its steps may need one."


class Step(Result):
    """One step as it is stored."""

    id: str = Field(description="Unique in the flow.")
    type: str = Field(description="The action.")
    option: dict[str, Any] = Field(description="Its options.")
    next_id: str = Field(description="The step that follows; the nil UUID is the next one.")
    failure_id: str = Field(default=NIL, description="The step that follows when it fails; the nil UUID is none.")


class Flow(Result):
    """One version of a flow."""

    id: str = Field(description="Identity.")
    customer_id: str = Field(description="The account that owns it.")
    type: Literal["flow"] = Field(default="flow", description="Always flow.")
    name: str = Field(description="Free text.")
    detail: str = Field(description="Free text.")
    actions: list[Step] = Field(description="The steps, in order.")
    on_complete_flow_id: str = Field(description=ON_COMPLETE)
    unavailable: WhenUnavailable = Field(description=UNAVAILABLE)
    version: int = Field(description="Grows with each change; a session keeps the one it began with.")
    media: list[Literal["call", "message"]] = Field(description="What it can run for, and be bound as.")
    warnings: list[Place] | None = Field(
        default=None, description="What is allowed and probably not meant; null in lists."
    )
    tm_create: str = Field(description="When the flow was created.")
    tm_update: str | None = Field(description="When it was last changed.")
    tm_delete: str | None = Field(default=None, description="When it was deleted.")


class Validation(Result):
    """What storing a flow would say."""

    valid: bool = Field(description="It could be stored.")
    faults: list[Place] = Field(description="Why it could not.")
    warnings: list[Place] = Field(description="What is allowed and probably not meant.")
    media: list[Literal["call", "message"]] = Field(description="What it could be bound as.")


class FlowCreate(Model):
    name: Line = Field(default="", description="Free text.")
    detail: Detail = Field(default="", description="Free text.")
    actions: Steps = Field(description="The steps, in order.")
    on_complete_flow_id: FlowSlot = Field(default="", validate_default=True, description=ON_COMPLETE)
    unavailable: WhenUnavailable = Field(default="refuse", description=UNAVAILABLE)
    customer_id: Id | None = Field(
        default=None, description="The account to own it. A customer's key may leave it out; an admin key may not."
    )


class FlowChange(Change):
    """At least one of them; what is left out stays."""

    name: Line = Field(default_factory=str, description="Free text.")
    detail: Detail = Field(default_factory=str, description="Free text.")
    actions: Steps = Field(default_factory=list, description="The steps, in order.")
    on_complete_flow_id: FlowSlot = Field(default_factory=str, description=ON_COMPLETE)
    unavailable: WhenUnavailable = Field(default_factory=lambda: "refuse", description=UNAVAILABLE)


class FlowDocument(Model):
    """Anything; what is wrong with it is the answer."""

    model_config = ConfigDict(extra="allow")


def shown(flow: StoredFlow) -> Flow:
    """As lists show it. Its media are looked up by the actions' names: compiling a hundred flows takes too long."""
    media = frozenset(MEDIA)
    for action in flow.actions:
        found = find_action(action["type"], "", skip=flow.unavailable == "skip")
        media &= found.media if not isinstance(found, Fault) else frozenset()
    return Flow.model_validate({**flow.public(), "media": sorted(media)})


def shown_whole(flow: StoredFlow) -> Flow:
    """With what is doubtful in it. What another release stored and this one refuses cannot run, and says why."""
    try:
        warnings = compile_flow(flow.document()).warnings
    except Invalid as error:
        warnings = error.faults
    return shown(flow).model_copy(update={"warnings": places(warnings)})


def places(faults: tuple[Fault, ...]) -> list[Place]:
    return [Place.of(fault) for fault in faults]


class Flows:
    """The operations on flows."""

    def __init__(self, table: FlowTable, numbers: NumberTable, binding: Binding, resources: Resources) -> None:
        self._table = table
        self._resources = resources
        self._numbers = numbers
        self._binding = binding

    async def page(self, ask: Ask[PageQuery, Nothing]) -> Page[Flow]:
        page = await self._table.list(scope(ask.asker), token=ask.query.page_token, size=ask.query.page_size)
        return Page[Flow](result=[shown(one) for one in page.items], next_page_token=page.next_token)

    async def create(self, ask: Ask[Nothing, FlowCreate]) -> Answer:
        customer_id = owner(ask.asker, ask.body.customer_id)
        document = ask.body.model_dump(exclude={"customer_id"}, exclude_unset=True)
        await self._binding.check_following(customer_id, document)
        return await self._answer(await self._table.create(customer_id, document))

    async def get(self, ask: Ask[Nothing, Nothing]) -> Answer:
        return await self._answer(await self._find(ask))

    async def update(self, ask: Ask[Nothing, FlowChange]) -> Answer:
        """A new version. What is left out of the body is taken from the version before."""
        wanted = changes(ask.body)
        old = await self._find(ask)

        async def in_use() -> Collection[Medium]:
            """Asked while nobody else can change the flow."""
            expected = ask.match or (old.version if wanted.keys() < DOCUMENT_KEYS else None)
            if expected is not None:
                self._require_version(await self._find(ask), expected)
            return await self._binding.media_in_use(ask.id)

        await self._binding.check_following(old.customer_id, wanted)
        document = {**old.document(), **wanted}
        return await self._answer(await self._table.update(ask.id, scope(ask.asker), document, in_use=in_use))

    async def delete(self, ask: Ask[Nothing, Nothing]) -> Answer:
        """Every number it was bound to is unbound, and the caches are told of each."""
        if ask.match is not None:
            self._require_version(await self._find(ask), ask.match)
        flow = await self._table.delete(ask.id, scope(ask.asker))
        await self._numbers.unbind_flow(ask.id)
        return Answer(shown_whole(flow), version=flow.version)

    async def versions(self, ask: Ask[Nothing, Nothing]) -> Page[Flow]:
        versions = await self._table.versions(ask.id, scope(ask.asker))
        if not versions:
            raise _missing()
        return Page[Flow](result=[shown(one) for one in versions], next_page_token="")

    async def version(self, ask: Ask[Nothing, Nothing]) -> Flow:
        flow = await self._table.version(ask.id, int(ask.path["version"]), scope(ask.asker))
        if flow is None:
            raise _missing()
        return shown_whole(flow)

    async def validate(self, ask: Ask[Nothing, FlowDocument]) -> Validation:
        try:
            flow = compile_flow(ask.body.model_dump())
        except Invalid as error:
            return Validation(valid=False, faults=places(error.faults), warnings=[], media=[])
        return Validation(valid=True, faults=[], warnings=places(flow.warnings), media=sorted(flow.media))

    async def _answer(self, flow: StoredFlow) -> Answer:
        """With a warning for each calendar and list of callers that it names and that is not there."""
        try:
            absent = await self._resources.absent(flow.customer_id, flow.actions)
        except Unavailable:  # what was asked for is done all the same
            absent = []
        whole = shown_whole(flow)
        warnings = [*(whole.warnings or ()), *places(tuple(absent))]
        return Answer(whole.model_copy(update={"warnings": warnings}), version=flow.version)

    async def _find(self, ask: Ask[Any, Any]) -> StoredFlow:
        flow = await self._table.get(ask.id, scope(ask.asker))
        if flow is None:
            raise _missing()
        return flow

    def _require_version(self, flow: StoredFlow, expected: int) -> None:
        if flow.version != expected:
            raise Conflict(f"the flow is at version {flow.version} now", reason="VERSION_MISMATCH")

    def operations(self) -> list[AnyOperation]:
        return [
            Operation(
                method="GET",
                path="/v1.0/flows",
                tag="flows",
                summary="List flows, newest first",
                query=PageQuery,
                body=Nothing,
                result=Page[Flow],
                handler=self.page,
            ),
            Operation(
                method="POST",
                path="/v1.0/flows",
                tag="flows",
                summary="Create a flow",
                detail=f"All that is wrong with it is told at once, each with its place.\n\n{VARIABLES}",
                query=Nothing,
                body=FlowCreate,
                result=Flow,
                errors=(Exhausted,),
                versioned=True,
                handler=self.create,
            ),
            Operation(
                method="POST",
                path="/v1.0/flows/validate",
                tag="flows",
                summary="Check a flow without storing it",
                detail="The body is what creating a flow takes: name, detail, actions.",
                query=Nothing,
                body=FlowDocument,
                result=Validation,
                handler=self.validate,
            ),
            Operation(
                method="GET",
                path="/v1.0/flows/{id}",
                tag="flows",
                summary="Read one flow",
                query=Nothing,
                body=Nothing,
                result=Flow,
                versioned=True,
                handler=self.get,
            ),
            Operation(
                method="PUT",
                path="/v1.0/flows/{id}",
                tag="flows",
                summary="Store a new version of a flow",
                detail=(
                    "What is left out stays as it is. Sessions under way keep their version. A version that cannot run"
                    " for a medium it is bound for is a 409 naming the step."
                ),
                query=Nothing,
                body=FlowChange,
                result=Flow,
                errors=(Conflict,),
                versioned=True,
                handler=self.update,
            ),
            Operation(
                method="DELETE",
                path="/v1.0/flows/{id}",
                tag="flows",
                summary="Delete a flow",
                detail="The numbers it is bound to are unbound.",
                query=Nothing,
                body=Nothing,
                result=Flow,
                versioned=True,
                handler=self.delete,
            ),
            Operation(
                method="GET",
                path="/v1.0/flows/{id}/versions",
                tag="flows",
                summary="List the newest versions of a flow",
                detail="At most a hundred; those of a deleted flow too.",
                query=Nothing,
                body=Nothing,
                result=Page[Flow],
                handler=self.versions,
            ),
            Operation(
                method="GET",
                path="/v1.0/flows/{id}/versions/{version}",
                tag="flows",
                summary="Read one version of a flow",
                query=Nothing,
                body=Nothing,
                result=Flow,
                handler=self.version,
            ),
        ]


def _missing() -> NotFound:
    return NotFound("there is no such flow", reason="FLOW_NOT_FOUND")
