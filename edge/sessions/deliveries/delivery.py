"""A delivery, a webhook or an email on its way out: its row, and the table that lists and purges them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime
from typing import Any, Final, Literal
from zlib import crc32

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from edge.sessions.tables import deliveries
from edge.store.engine import reading, writing
from edge.store.metadata import micros
from edge.store.page import SIZE_MAX, Place, newest

Kind = Literal["webhook", "email"]
State = Literal["queued", "sent", "failed"]

LANES: Final = 4  # of one host: so many that hang hold up its own, and nobody else's


@dataclass(frozen=True, slots=True)
class Delivery:
    """Something to deliver, as its row says it. `tm_create` in microseconds, `payload` as JSON."""

    id: str
    kind: Kind
    customer_id: str
    reference_id: str
    resource: str
    host: str
    target: str
    payload: Any
    tm_create: int
    attempts: int = 0  # tries made

    @property
    def since(self) -> int:
        return self.tm_create

    @property
    def lane(self) -> tuple[str, int]:
        return self.host, crc32(self.resource.encode()) % LANES

    def tried(self, attempts: int) -> Delivery:
        return replace(self, attempts=attempts)

    @classmethod
    def of(cls, row: sa.RowMapping) -> Delivery:
        return cls(**{**{name: row[name] for name in FIELDS}, "tm_create": micros(row["tm_create"])})


FIELDS: Final = tuple(field.name for field in fields(Delivery))


class DeliveryTable:
    """Reads and purges deliveries. All methods raise Unavailable."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def get(self, delivery_id: str, customer_id: str | None = None) -> sa.RowMapping | None:
        """One delivery. `customer_id` None: whoever it belongs to."""
        query = sa.select(deliveries).where(deliveries.c.id == delivery_id)
        if customer_id is not None:
            query = query.where(deliveries.c.customer_id == customer_id)
        async with reading(self._engine) as connection:
            return (await connection.execute(query)).mappings().one_or_none()

    async def list(
        self,
        customer_id: str | None,
        *,
        kind: Kind | None = None,
        state: State | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        after: Place | None = None,
        size: int = SIZE_MAX,
    ) -> Sequence[sa.RowMapping]:
        """Newest first, `since` ≤ tm_create < `until`, from behind the place `after` on; of None: everybody's."""
        table = deliveries.c
        conditions = ((table.customer_id, customer_id), (table.kind, kind), (table.state, state))
        query = sa.select(deliveries).where(*(column == value for column, value in conditions if value is not None))
        query = newest(query, table.tm_create, table.id, since=since, until=until, behind=after, size=size)
        async with reading(self._engine) as connection:
            return (await connection.execute(query)).mappings().all()

    async def purge(self, before: datetime, batch: int) -> int:
        """Delete up to `batch` that are older than `before` and over; returns how many went."""
        old = (
            sa.select(deliveries.c.id)
            .where(deliveries.c.tm_create < before, deliveries.c.state != "queued")
            .order_by(deliveries.c.tm_create)
            .limit(batch)
        )
        async with writing(self._engine) as connection:
            ids = (await connection.execute(old)).scalars().all()
            await connection.execute(sa.delete(deliveries).where(deliveries.c.id.in_(ids)))
        return len(ids)
