"""Customers, their table, and the directory that says on the path of a call whether one is active."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError
from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Index,
    RowMapping,
    String,
    Table,
    Text,
    insert,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine

from edge.accounts.event import EVENT_TYPES, EventType
from edge.errors import Conflict, Fault, Invalid, NotFound
from edge.http import URL_CHARACTERS
from edge.store.cache_outbox import CacheWriter, Change
from edge.store.cache_section import CacheSection
from edge.store.engine import reading
from edge.store.metadata import Instant, Json, Uuid, instant_text, metadata, new_id, with_times
from edge.store.notice import Notices, cache_key
from edge.store.page import SIZE_MAX, Page, Place, after, cut, read_token
from edge.store.reader import Lookup, Reader
from edge.store.redis import RedisTier
from edge.store.tiers import Found, Tiers, Versioned

KIND = "customer"
WRITABLE = frozenset({"name", "detail", "status", "destinations", "webhook_uri", "webhook_method", "webhook_events"})
DESTINATIONS = 250  # prefixes of one account

customers = Table(
    "customers",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("name", Text, nullable=False),
    Column("detail", Text, nullable=False),
    Column("status", String(16), nullable=False),
    Column("destinations", Json, nullable=False, server_default="[]"),
    Column("webhook_uri", Text, nullable=False, server_default=""),  # where its events go; "" for none
    Column("webhook_method", String(8), nullable=False, server_default="POST"),
    Column("webhook_events", Json, nullable=False, server_default="[]"),  # of these types only; none: of all
    Column("tm_webhook_gone", Instant),  # when its server said that it wants no more of them
    Column("version", BigInteger, nullable=False),
    Column("tm_create", Instant, nullable=False),
    Column("tm_update", Instant),
    CheckConstraint("status IN ('active', 'suspended')", name="status"),
    Index("ix_customers_tm_create", "tm_create", "id"),
)

_JSON_COLUMNS = ("destinations", "webhook_events")
_COLUMNS = ("id", *(column.name for column in customers.columns if column.name != "id"))  # the key comes first
_SELECT = f"SELECT {', '.join(_COLUMNS)} FROM customers WHERE id {{wanted}}"  # noqa: S608  # our own column names
BY_ID = Lookup(
    "customer.by_id",
    _SELECT.format(wanted="IN (SELECT value FROM json_each(?))"),
    _SELECT.format(wanted="= ANY($1::text[])"),
)

# A prefix of E.164 numbers: a country code at the least.
Prefix = Annotated[str, StringConstraints(pattern=r"^\+[1-9][0-9]{0,14}$")]

WebhookMethod = Literal["POST", "PUT", "PATCH", "DELETE"]  # a GET has no body that could tell anything


class Customer(BaseModel):
    """The owner of numbers and flows."""

    model_config = ConfigDict(frozen=True)

    id: str
    name: str = Field(default="", max_length=255)
    detail: str = Field(default="", max_length=2000)
    status: Literal["active", "suspended"] = "active"
    destinations: tuple[Prefix, ...] = Field(default=(), max_length=DESTINATIONS)
    webhook_uri: str = Field(default="", max_length=URL_CHARACTERS)
    webhook_method: WebhookMethod = "POST"
    webhook_events: tuple[EventType, ...] = Field(default=(), max_length=len(EVENT_TYPES))
    tm_webhook_gone: datetime | None = None
    version: int = 1
    tm_create: datetime
    tm_update: datetime | None = None

    def hears(self, event: EventType) -> bool:
        """Whether its server is to be told of events of a type."""
        return bool(
            self.webhook_uri
            and self.tm_webhook_gone is None
            and (not self.webhook_events or event in self.webhook_events)
        )

    def to_json(self) -> bytes:
        """As it lies in Redis."""
        return self.model_dump_json().encode()

    @classmethod
    def from_json(cls, body: bytes) -> Customer:
        """Raises ValueError for a body that is none."""
        return cls.model_validate_json(body)

    def public(self) -> dict[str, Any]:
        """As the API shows it."""
        return {
            "id": self.id,
            "name": self.name,
            "detail": self.detail,
            "status": self.status,
            "destinations": list(self.destinations),
            "webhook_uri": self.webhook_uri,
            "webhook_method": self.webhook_method,
            "webhook_events": list(self.webhook_events),
            "tm_webhook_gone": instant_text(self.tm_webhook_gone) if self.tm_webhook_gone else None,
            "tm_create": instant_text(self.tm_create),
            "tm_update": instant_text(self.tm_update) if self.tm_update else None,
        }


class CustomerTable:
    """Customers in SQL. All methods raise Unavailable when the database is away."""

    def __init__(
        self, engine: AsyncEngine, cache: CacheWriter, *, clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._engine = engine
        self._cache = cache
        self._clock = clock

    async def create(
        self,
        name: str,
        *,
        detail: str = "",
        status: str = "active",
        destinations: Sequence[str] = (),
        webhook_uri: str = "",
        webhook_method: str = "POST",
        webhook_events: Sequence[str] = (),
        customer_id: str | None = None,
    ) -> Customer:
        """A new customer. Raises Invalid, and Conflict when a given id is taken."""
        fields = {"name": name, "detail": detail, "status": status, "destinations": tuple(destinations)}
        webhook = {"webhook_uri": webhook_uri, "webhook_method": webhook_method, "webhook_events": webhook_events}
        customer = _checked({"id": customer_id or new_id(), "tm_create": self._clock(), **fields, **webhook})
        try:
            async with self._cache.change() as change:
                await change.connection.execute(insert(customers), customer.model_dump())
                await change.put(cache_key(KIND, customer.id), customer.version, customer.to_json())
        except IntegrityError:
            raise Conflict(f"there is a customer {customer.id} already", reason="CUSTOMER_EXISTS") from None
        return customer

    async def get(self, customer_id: str) -> Customer | None:
        async with reading(self._engine) as connection:
            row = (await connection.execute(select(customers).where(customers.c.id == customer_id))).mappings().first()
        return _from_row(row) if row is not None else None

    async def list(self, *, token: str = "", size: int = SIZE_MAX) -> Page[Customer]:
        """Newest first. Raises Invalid for a token that nobody gave out."""
        query = select(customers).order_by(customers.c.tm_create.desc(), customers.c.id.desc()).limit(size + 1)
        place = read_token(token)
        if place is not None:
            query = query.where(after(place, customers.c.tm_create, customers.c.id))
        async with reading(self._engine) as connection:
            rows = (await connection.execute(query)).mappings().all()
        return cut([_from_row(row) for row in rows], size, lambda customer: Place(customer.tm_create, customer.id))

    async def update(self, customer_id: str, changes: Mapping[str, Any]) -> Customer:
        """Change what is writable. A `webhook_uri` that is set, also anew, is told of events again.

        Raises NotFound, Invalid.
        """
        unknown = [Fault(name, "cannot be changed") for name in changes if name not in WRITABLE]
        if unknown:
            raise Invalid("the change is not possible", faults=unknown)
        if "webhook_uri" in changes:
            changes = {**changes, "tm_webhook_gone": None}
        async with self._cache.change() as change:
            return await self._change(change, await self._locked(change, customer_id), changes)

    async def webhook_gone(self, customer_id: str, uri: str) -> None:
        """The server behind a `webhook_uri` wants no more events; without effect when another was set meanwhile."""
        async with self._cache.change() as change:
            old = await self._locked(change, customer_id)
            if old["webhook_uri"] == uri and old["tm_webhook_gone"] is None:
                await self._change(change, old, {"tm_webhook_gone": self._clock()})

    async def _locked(self, change: Change, customer_id: str) -> RowMapping:
        """A customer that nobody else changes until the transaction ends. Raises NotFound."""
        query = select(customers).where(customers.c.id == customer_id).with_for_update()
        old = (await change.connection.execute(query)).mappings().first()
        if old is None:
            raise NotFound(f"there is no customer {customer_id}", reason="CUSTOMER_NOT_FOUND")
        return old

    async def _change(self, change: Change, old: RowMapping, changes: Mapping[str, Any]) -> Customer:
        customer = _checked({**old, **changes, "version": old["version"] + 1, "tm_update": self._clock()})
        values = customer.model_dump(exclude={"id"})
        await change.connection.execute(update(customers).where(customers.c.id == customer.id).values(**values))
        await change.put(cache_key(KIND, customer.id), customer.version, customer.to_json())
        return customer


class CustomerDirectory:
    """Customers by id, cached: whether an account is active, at the price of a dict look-up."""

    def __init__(self, section: CacheSection, notices: Notices, redis: RedisTier | None, reader: Reader) -> None:
        self._reader = reader
        self._tiers: Tiers[Customer] = Tiers(
            KIND,
            section=section,
            notices=notices,
            redis=redis,
            load=self._load,
            encode=Customer.to_json,
            decode=Customer.from_json,
        )
        self.peek = self._tiers.peek

    async def find(self, customer_id: str) -> Found[Customer]:
        """Raises Unavailable when no tier knows and none can."""
        return await self._tiers.find(customer_id)

    async def _load(self, customer_id: str) -> Versioned[Customer]:
        rows = await self._reader.get(BY_ID, customer_id)
        if not rows:
            return Versioned(0, None)
        fields = with_times(dict(zip(_COLUMNS, rows[0], strict=True)))
        customer = Customer.model_validate({**fields, **{name: json.loads(fields[name]) for name in _JSON_COLUMNS}})
        return Versioned(customer.version, customer)


def _from_row(row: RowMapping) -> Customer:
    return Customer.model_validate(dict(row))


def _checked(fields: Mapping[str, Any]) -> Customer:
    try:
        return Customer.model_validate(fields)
    except ValidationError as error:
        faults = [Fault(".".join(map(str, e["loc"])), e["msg"]) for e in error.errors(include_url=False)]
        raise Invalid("the customer is not usable", faults=faults) from None
