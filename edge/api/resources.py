"""What an account keeps for its flows to name: calendars and lists of callers, each kind with the same operations.

A kind brings its models: what is shown, what makes one, what changes one. Lists show them without their contents, which
may be large.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, Field

from edge.api.auth import owner, scope
from edge.api.field import Change, Id, Line, Result, changes
from edge.api.operation import Answer, AnyOperation, Ask, Nothing, Operation
from edge.api.paging import PageQuery
from edge.errors import Conflict, Exhausted, NotFound
from edge.flows.resource import Resource, ResourceTable

NAME = "What flows call it by; unique among those of the account."
OWNER = "The account to own it. A customer's key may leave it out; an admin key may not."
OWN_KEYS = frozenset({"name", "detail", "customer_id"})


class Shown(Result):
    """Base of what is answered."""

    id: str = Field(description="Identity.")
    customer_id: str = Field(description="The account that owns it.")
    name: str = Field(description=NAME)
    detail: str = Field(description="Free text.")
    version: int = Field(description="Grows with each change.")
    tm_create: str = Field(description="When it was made.")
    tm_update: str | None = Field(description="When it was last changed.")
    tm_delete: str | None = Field(default=None, description="When it was deleted.")


class ResourceQuery(PageQuery):
    name: Line | None = Field(default=None, description="Only the one of this name.")


class OwnerField(BaseModel):
    """What only a new one has."""

    customer_id: Id | None = Field(default=None, description=OWNER)


@dataclass(frozen=True, slots=True, kw_only=True)
class Resources:
    """The operations on those of one kind."""

    table: ResourceTable[Any]
    path: str
    tag: str
    shown: type[Shown]
    page_of: type[BaseModel]
    create_body: type[BaseModel]
    change_body: type[Change]

    async def page(self, ask: Ask[ResourceQuery, Nothing]) -> BaseModel:
        query = ask.query
        page = await self.table.list(scope(ask.asker), token=query.page_token, size=query.page_size, name=query.name)
        found = [self.shown.model_validate(one.public()) for one in page.items]
        return self.page_of(result=found, next_page_token=page.next_token)

    async def create(self, ask: Ask[Nothing, Any]) -> Answer:
        body = ask.body
        customer_id = owner(ask.asker, body.customer_id)
        content = body.model_dump(mode="json", by_alias=True, exclude=OWN_KEYS)
        return self._answer(await self.table.create(customer_id, body.name, body.detail, content))

    async def get(self, ask: Ask[Nothing, Nothing]) -> Answer:
        found = await self.table.get(ask.id, scope(ask.asker))
        if found is None:
            raise NotFound(f"there is no such {self.table.kind.noun}", reason=self.table.kind.reason)
        return self._answer(found)

    async def update(self, ask: Ask[Nothing, Change]) -> Answer:
        changes(ask.body)
        wanted = ask.body.model_dump(mode="json", by_alias=True, exclude_unset=True)
        return self._answer(await self.table.update(ask.id, scope(ask.asker), wanted, ask.match))

    async def delete(self, ask: Ask[Nothing, Nothing]) -> Answer:
        return self._answer(await self.table.delete(ask.id, scope(ask.asker), ask.match))

    def _answer(self, found: Resource) -> Answer:
        return Answer(self.shown.model_validate({**found.public(), **(found.content or {})}), version=found.version)

    def operations(self) -> list[AnyOperation]:
        noun = self.table.kind.noun
        return [
            Operation(
                method="GET",
                path=self.path,
                tag=self.tag,
                summary=f"List {noun}s, newest first",
                detail="Without their contents, which are null.",
                query=ResourceQuery,
                body=Nothing,
                result=self.page_of,
                handler=self.page,
            ),
            Operation(
                method="POST",
                path=self.path,
                tag=self.tag,
                summary=f"Make a {noun}",
                query=Nothing,
                body=self.create_body,
                result=self.shown,
                errors=(Conflict, Exhausted),
                versioned=True,
                handler=self.create,
            ),
            Operation(
                method="GET",
                path=f"{self.path}/{{id}}",
                tag=self.tag,
                summary=f"Read one {noun}",
                query=Nothing,
                body=Nothing,
                result=self.shown,
                versioned=True,
                handler=self.get,
            ),
            Operation(
                method="PUT",
                path=f"{self.path}/{{id}}",
                tag=self.tag,
                summary=f"Change a {noun}",
                detail="What is left out stays as it is. It counts at once for every flow that names it.",
                query=Nothing,
                body=self.change_body,
                result=self.shown,
                errors=(Conflict,),
                versioned=True,
                handler=self.update,
            ),
            Operation(
                method="DELETE",
                path=f"{self.path}/{{id}}",
                tag=self.tag,
                summary=f"Delete a {noun}",
                detail="A flow that still names it fails at that step.",
                query=Nothing,
                body=Nothing,
                result=self.shown,
                versioned=True,
                handler=self.delete,
            ),
        ]
