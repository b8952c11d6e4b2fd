"""Customers: the accounts that own numbers, flows and keys. An admin makes and suspends them.

What its events are told to (`webhook_uri`) a customer sets itself, at `/v1.0/customer`, as on the platform.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal, get_args

from pydantic import BeforeValidator, Field, WithJsonSchema

from edge.accounts.customer import DESTINATIONS, CustomerTable, Prefix, WebhookMethod
from edge.accounts.customer import Customer as Stored
from edge.accounts.event import EVENT_TYPES, EventType
from edge.api.auth import scope
from edge.api.field import Change, Detail, Line, Model, Result, changes
from edge.api.operation import AnyOperation, Ask, Nothing, Operation
from edge.api.paging import Page, PageQuery
from edge.errors import Fault, Forbidden, Invalid, NotFound
from edge.http import URL_CHARACTERS, Guard

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
    webhook_uri: str = Field(description="Where its events are told; empty: nowhere.")
    webhook_method: WebhookMethod = Field(description="With what method.")
    webhook_events: list[EventType] = Field(description="The types that are told; empty: all.")
    tm_webhook_gone: str | None = Field(
        description="When its server said 410 Gone to an event: none is told until webhook_uri is set anew."
    )
    tm_create: str = Field(description="When it was made.")
    tm_update: str | None = Field(description="When it was last changed.")


def read_method(value: Any) -> Any:
    """Like the platform: empty means the default."""
    return "POST" if value == "" else value


Uri = Annotated[str, Field(max_length=URL_CHARACTERS, pattern=r"^[^\u0000-\u0020\u007f]*$")]
UriMethod = Annotated[
    WebhookMethod,
    BeforeValidator(read_method),
    WithJsonSchema({"enum": ["", *get_args(WebhookMethod)], "type": "string"}),
]
Types = Annotated[list[EventType], Field(max_length=len(EVENT_TYPES))]
URI = "Where its events are told, by http or https; empty: nowhere."
METHOD = "With what method; empty: POST."
TYPES = "The types that are told; empty: all."
METHODS: Final[tuple[Literal["PUT", "PATCH"], ...]] = ("PUT", "PATCH")
EVENTS = (
    "Events are signed as webhooks of flows are, told in order for each resource, and tried again until they are taken:"
    " see `/v1.0/events`."
)


class CustomerCreate(Model):
    name: Line = Field(description="Free text.", examples=["Example Ltd"])
    detail: Detail = Field(default="", description="Free text.")
    destinations: list[Prefix] = Field(
        default=[],
        max_length=DESTINATIONS,
        description="Prefixes of the numbers that its flows may call; empty: its home country.",
        examples=[["+1415", "+44"]],
    )
    webhook_uri: Uri = Field(default="", description=URI, examples=["https://example.com/events"])
    webhook_method: UriMethod = Field(default="POST", description=METHOD)
    webhook_events: Types = Field(default=[], description=TYPES)


class OwnChange(Change):
    """At least one of them; what is left out stays."""

    name: Line = Field(default_factory=str, description="Free text.")
    detail: Detail = Field(default_factory=str, description="Free text.")
    webhook_uri: Uri = Field(default_factory=str, description=URI, examples=["https://example.com/events"])
    webhook_method: UriMethod = Field(default_factory=lambda: "POST", description=METHOD)
    webhook_events: Types = Field(default_factory=list, description=TYPES)


class CustomerChange(OwnChange):
    """At least one of them; what is left out stays."""

    status: Status = Field(default_factory=lambda: "active", description="suspended or active.")
    destinations: list[Prefix] = Field(
        default_factory=list,
        max_length=DESTINATIONS,
        description="Prefixes of the numbers that its flows may call; empty: its home country.",
    )


def shown(customer: Stored) -> Customer:
    return Customer.model_validate(customer.public())


class Customers:
    """The operations on customers. `http` says which URLs may be asked."""

    def __init__(self, table: CustomerTable, http: Guard) -> None:
        self._table = table
        self._http = http

    async def page(self, ask: Ask[PageQuery, Nothing]) -> Page[Customer]:
        page = await self._table.list(token=ask.query.page_token, size=ask.query.page_size)
        return Page[Customer](result=[shown(one) for one in page.items], next_page_token=page.next_token)

    async def create(self, ask: Ask[Nothing, CustomerCreate]) -> Customer:
        fields = ask.body.model_dump()
        self._check(fields)
        return shown(await self._table.create(**fields))

    async def get(self, ask: Ask[Nothing, Nothing]) -> Customer:
        return await self._read(ask.id if scope(ask.asker) in (None, ask.id) else None)

    async def get_own(self, ask: Ask[Nothing, Nothing]) -> Customer:
        return await self._read(scope(ask.asker))

    async def update(self, ask: Ask[Nothing, CustomerChange]) -> Customer:
        return await self._change(ask.id, ask.body)

    async def update_own(self, ask: Ask[Nothing, OwnChange]) -> Customer:
        return await self._change(scope(ask.asker), ask.body)

    async def _read(self, customer_id: str | None) -> Customer:
        customer = await self._table.get(customer_id) if customer_id is not None else None
        if customer is None:
            raise _missing()
        return shown(customer)

    async def _change(self, customer_id: str | None, body: OwnChange) -> Customer:
        wanted = changes(body)
        self._check(wanted)
        if customer_id is None:
            raise _missing()
        return shown(await self._table.update(customer_id, wanted))

    def _check(self, fields: Mapping[str, Any]) -> None:
        """Raises Invalid for a `webhook_uri` that nobody here may ask."""
        if fields.get("webhook_uri"):
            try:
                self._http.require(fields["webhook_uri"])
            except (Invalid, Forbidden) as error:
                raise Invalid("the customer is not usable", faults=[Fault("webhook_uri", error.message)]) from None

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
            *(
                Operation(
                    method=method,
                    path="/v1.0/customers/{id}",
                    tag="customers",
                    summary="Change or suspend a customer",
                    who="admin",
                    query=Nothing,
                    body=CustomerChange,
                    result=Customer,
                    handler=self.update,
                )
                for method in METHODS
            ),
            Operation(
                method="GET",
                path="/v1.0/customer",
                tag="customers",
                summary="Read the customer that one is",
                detail="An admin key is nobody's: 404.",
                query=Nothing,
                body=Nothing,
                result=Customer,
                errors=(NotFound,),
                handler=self.get_own,
            ),
            *(
                Operation(
                    method=method,
                    path="/v1.0/customer",
                    tag="customers",
                    summary="Change the customer that one is",
                    detail=f"What is left out stays as it is. {EVENTS}",
                    query=Nothing,
                    body=OwnChange,
                    result=Customer,
                    errors=(NotFound,),
                    handler=self.update_own,
                )
                for method in METHODS
            ),
        ]


def _missing() -> NotFound:
    return NotFound("there is no such customer", reason="CUSTOMER_NOT_FOUND")
