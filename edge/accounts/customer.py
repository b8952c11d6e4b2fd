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

from edge.errors import Conflict, Fault, Invalid, NotFound
from edge.store.cache_outbox import CacheWriter
from edge.store.cache_section import CacheSection
from edge.store.engine import reading
from edge.store.metadata import Instant, Json, Uuid, instant_text, metadata, new_id, with_times
from edge.store.notice import Notices, cache_key
from edge.store.page import SIZE_MAX, Page, Place, after, cut, read_token
from edge.store.reader import Lookup, Reader
from edge.store.redis import RedisTier
from edge.store.tiers import Found, Tiers, Versioned

KIND = "customer"
WRITABLE = frozenset({"name", "detail", "status", "destinations"})
DESTINATIONS = 250  # prefixes of one account

customers = Table(
    "customers",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("name", Text, nullable=False),
    Column("detail", Text, nullable=False),
    Column("status", String(16), nullable=False),
    Column("destinations", Json, nullable=False, server_default="[]"),
    Column("version", BigInteger, nullable=False),
    Column("tm_create", Instant, nullable=False),
    Column("tm_update", Instant),
    CheckConstraint("status IN ('active', 'suspended')", name="status"),
    Index("ix_customers_tm_create", "tm_create", "id"),
)

BY_ID = Lookup(
    "customer.by_id",
    "SELECT id, version, status, name, detail, destinations, tm_create, tm_update FROM customers "
    "WHERE id IN (SELECT value FROM json_each(?))",
    "SELECT id, version, status, name, detail, destinations, tm_create, tm_update FROM customers "
    "WHERE id = ANY($1::text[])",
)


# A prefix of E.164 numbers: a country code at the least.
Prefix = Annotated[str, StringConstraints(pattern=r"^\+[1-9][0-9]{0,14}$")]


class Customer(BaseModel):
    """The owner of numbers and flows."""

    model_config = ConfigDict(frozen=True)

    id: str
    name: str = Field(default="", max_length=255)
    detail: str = Field(default="", max_length=2000)
    status: Literal["active", "suspended"] = "active"
    destinations: tuple[Prefix, ...] = Field(default=(), max_length=DESTINATIONS)
    version: int = 1
    tm_create: datetime
    tm_update: datetime | None = None

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
        customer_id: str | None = None,
    ) -> Customer:
        """A new customer. Raises Invalid, and Conflict when a given id is taken."""
        fields = {"name": name, "detail": detail, "status": status, "destinations": tuple(destinations)}
        customer = _checked({"id": customer_id or new_id(), "tm_create": self._clock(), **fields})
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
        """Change name, detail, status or destinations. Raises NotFound, Invalid."""
        unknown = [Fault(name, "cannot be changed") for name in changes if name not in WRITABLE]
        if unknown:
            raise Invalid("the change is not possible", faults=unknown)
        async with self._cache.change() as change:
            row = await change.connection.execute(
                select(customers).where(customers.c.id == customer_id).with_for_update()
            )
            old = row.mappings().first()
            if old is None:
                raise NotFound(f"there is no customer {customer_id}", reason="CUSTOMER_NOT_FOUND")
            fields = {**old, **changes, "version": old["version"] + 1, "tm_update": self._clock()}
            customer = _checked(fields)
            await change.connection.execute(
                update(customers).where(customers.c.id == customer_id).values(**customer.model_dump(exclude={"id"}))
            )
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
        columns = ("id", "version", "status", "name", "detail", "destinations", "tm_create", "tm_update")
        fields = with_times(dict(zip(columns, rows[0], strict=True)))
        customer = Customer.model_validate({**fields, "destinations": json.loads(fields["destinations"])})
        return Versioned(customer.version, customer)


def _from_row(row: RowMapping) -> Customer:
    return Customer.model_validate(dict(row))


def _checked(fields: Mapping[str, Any]) -> Customer:
    try:
        return Customer.model_validate(fields)
    except ValidationError as error:
        faults = [Fault(".".join(map(str, e["loc"])), e["msg"]) for e in error.errors(include_url=False)]
        raise Invalid("the customer is not usable", faults=faults) from None
