"""Customers: the accounts that own numbers, flows and keys. An admin makes and suspends them."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from edge.accounts.customer import DESTINATIONS, CustomerTable, Prefix
from edge.accounts.customer import Customer as Stored
from edge.api.auth import scope
from edge.api.field import Change, Detail, Line, Model, Result, changes
from edge.api.operation import AnyOperation, Ask, Nothing, Operation
from edge.api.paging import Page, PageQuery
from edge.errors import NotFound

Status = Literal["active", "suspended"]


class Customer(Result):
    """An account."""

    id: str = Field(description="Identity.")
    name: str = Field(description="Free text.")
    detail: str = Field(description="Free text.")
    status: Status = Field(description="suspended: its keys are refused and its numbers take nothing.")
    destinations: list[str] = Field(
        description="Prefixes of the numbers that its flows may call; empty: its home country."
    )
    tm_create: str = Field(description="When it was made.")
    tm_update: str | None = Field(description="When it was last changed.")


class CustomerCreate(Model):
    name: Line = Field(description="Free text.", examples=["Example Ltd"])
    detail: Detail = Field(default="", description="Free text.")
    destinations: list[Prefix] = Field(
        default=[],
        max_length=DESTINATIONS,
        description="Prefixes of the numbers that its flows may call; empty: its home country.",
        examples=[["+1415", "+44"]],
    )


class CustomerChange(Change):
    """At least one of them; what is left out stays."""

    name: Line = Field(default_factory=str, description="Free text.")
    detail: Detail = Field(default_factory=str, description="Free text.")
    status: Status = Field(default_factory=lambda: "active", description="suspended or active.")
    destinations: list[Prefix] = Field(
        default_factory=list,
        max_length=DESTINATIONS,
        description="Prefixes of the numbers that its flows may call; empty: its home country.",
    )


def shown(customer: Stored) -> Customer:
    return Customer.model_validate(customer.public())


class Customers:
    """The operations on customers."""

    def __init__(self, table: CustomerTable) -> None:
        self._table = table

    async def page(self, ask: Ask[PageQuery, Nothing]) -> Page[Customer]:
        page = await self._table.list(token=ask.query.page_token, size=ask.query.page_size)
        return Page[Customer](result=[shown(one) for one in page.items], next_page_token=page.next_token)

    async def create(self, ask: Ask[Nothing, CustomerCreate]) -> Customer:
        return shown(
            await self._table.create(ask.body.name, detail=ask.body.detail, destinations=ask.body.destinations)
        )

    async def get(self, ask: Ask[Nothing, Nothing]) -> Customer:
        customer = await self._table.get(ask.id) if scope(ask.asker) in (None, ask.id) else None
        if customer is None:
            raise NotFound("there is no such customer", reason="CUSTOMER_NOT_FOUND")
        return shown(customer)

    async def update(self, ask: Ask[Nothing, CustomerChange]) -> Customer:
        return shown(await self._table.update(ask.id, changes(ask.body)))

    def operations(self) -> list[AnyOperation]:
        return [
            Operation(
                method="GET",
                path="/v1.0/customers",
                tag="customers",
                summary="List customers, newest first",
                who="admin",
                query=PageQuery,
                body=Nothing,
                result=Page[Customer],
                handler=self.page,
            ),
            Operation(
                method="POST",
                path="/v1.0/customers",
                tag="customers",
                summary="Make a customer",
                who="admin",
                query=Nothing,
                body=CustomerCreate,
                result=Customer,
                handler=self.create,
            ),
            Operation(
                method="GET",
                path="/v1.0/customers/{id}",
                tag="customers",
                summary="Read one customer",
                detail="A customer's key reads its own.",
                query=Nothing,
                body=Nothing,
                result=Customer,
                handler=self.get,
            ),
            Operation(
                method="PUT",
                path="/v1.0/customers/{id}",
                tag="customers",
                summary="Change or suspend a customer",
                who="admin",
                query=Nothing,
                body=CustomerChange,
                result=Customer,
                handler=self.update,
            ),
        ]
