"""Access keys: made, shown once, revoked. A customer's key handles that customer's keys; an admin's handles all."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from pydantic import Field

from edge.accounts.key import AccessKey as Stored
from edge.accounts.key import KeyTable
from edge.api.auth import owner, scope
from edge.api.field import Id, Line, Model, Moment, Result
from edge.api.operation import AnyOperation, Ask, Nothing, Operation
from edge.api.paging import Page, PageQuery
from edge.errors import Conflict, Fault, Forbidden, Invalid, NotFound


class AccessKey(Result):
    """A key, without its secret."""

    id: str = Field(description="Identity.")
    customer_id: str | None = Field(description="The account it acts for; null for an admin key.")
    admin: bool = Field(description="Acts for every account.")
    name: str = Field(description="Free text.")
    hint: str = Field(description="How the token begins.")
    tm_expire: str | None = Field(description="When it ends by itself.")
    tm_create: str = Field(description="When it was made.")
    tm_delete: str | None = Field(description="When it was revoked.")


class NewAccessKey(AccessKey):
    """A key just made, with its secret."""

    token: str = Field(description="vb_ and the secret. Keep it: it is shown this once.")


class AccessKeyCreate(Model):
    customer_id: Id | None = Field(
        default=None, description="The account it acts for. A customer's key may leave it out; an admin key may not."
    )
    admin: bool = Field(default=False, description="Make an admin key; only an admin key can.")
    name: Line = Field(default="", description="Free text.")
    tm_expire: Moment | None = Field(default=None, description="When it ends by itself; null is never.")


class AccessKeys:
    """The operations on access keys."""

    def __init__(self, table: KeyTable, clock: Callable[[], datetime]) -> None:
        self._table = table
        self._clock = clock

    async def page(self, ask: Ask[PageQuery, Nothing]) -> Page[AccessKey]:
        page = await self._table.list(scope(ask.asker), token=ask.query.page_token, size=ask.query.page_size)
        return Page[AccessKey](result=[shown(one) for one in page.items], next_page_token=page.next_token)

    async def create(self, ask: Ask[Nothing, AccessKeyCreate]) -> NewAccessKey:
        body = ask.body
        if body.tm_expire is not None and body.tm_expire <= self._clock():
            raise Conflict("the key would have ended already", reason="EXPIRED")
        customer_id = None
        if body.admin:
            if not ask.asker.admin:
                raise Forbidden("only an admin access key makes another", reason="ADMIN_REQUIRED")
            if body.customer_id is not None:
                fault = Fault("customer_id", "an admin key belongs to no account")
                raise Invalid("the body is not usable", faults=[fault])
        else:
            customer_id = owner(ask.asker, body.customer_id)
        key, token = await self._table.create(customer_id, admin=body.admin, name=body.name, expires=body.tm_expire)
        return NewAccessKey.model_validate({**key.public(), "token": token})

    async def get(self, ask: Ask[Nothing, Nothing]) -> AccessKey:
        key = await self._table.get(ask.id, scope(ask.asker))
        if key is None:
            raise NotFound("there is no such access key", reason="ACCESSKEY_NOT_FOUND")
        return shown(key)

    async def delete(self, ask: Ask[Nothing, Nothing]) -> AccessKey:
        return shown(await self._table.revoke(ask.id, scope(ask.asker)))

    def operations(self) -> list[AnyOperation]:
        return [
            Operation(
                method="GET",
                path="/v1.0/accesskeys",
                tag="access keys",
                summary="List access keys that are in force, newest first",
                query=PageQuery,
                body=Nothing,
                result=Page[AccessKey],
                handler=self.page,
            ),
            Operation(
                method="POST",
                path="/v1.0/accesskeys",
                tag="access keys",
                summary="Make an access key",
                detail="The token is in this answer and never again.",
                query=Nothing,
                body=AccessKeyCreate,
                result=NewAccessKey,
                errors=(Conflict,),
                handler=self.create,
            ),
            Operation(
                method="GET",
                path="/v1.0/accesskeys/{id}",
                tag="access keys",
                summary="Read one access key",
                query=Nothing,
                body=Nothing,
                result=AccessKey,
                handler=self.get,
            ),
            Operation(
                method="DELETE",
                path="/v1.0/accesskeys/{id}",
                tag="access keys",
                summary="Revoke an access key",
                query=Nothing,
                body=Nothing,
                result=AccessKey,
                handler=self.delete,
            ),
        ]


def shown(key: Stored) -> AccessKey:
    return AccessKey.model_validate(key.public())
