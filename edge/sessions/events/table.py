"""The table of events as the API has it: lists, single ones, what is to be told again, and the end of old ones."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, Literal

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from edge.sessions.tables import events
from edge.store.engine import reading, writing
from edge.store.metadata import from_micros
from edge.store.page import SIZE_MAX, Place, newest

State = Literal["queued", "sent", "failed"]

REPLAYED: Final = 10_000  # at most, of one request
_LISTED: Final = tuple(column for column in events.columns if column.name != "body")


class EventTable:
    """All methods raise Unavailable."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def get(self, event_id: str, customer_id: str | None = None) -> sa.RowMapping | None:
        """One event. `customer_id` None: whoever it belongs to."""
        query = sa.select(events).where(events.c.id == event_id)
        if customer_id is not None:
            query = query.where(events.c.customer_id == customer_id)
        async with reading(self._engine) as connection:
            return (await connection.execute(query)).mappings().one_or_none()

    async def list(
        self,
        customer_id: str | None,
        *,
        type: str | None = None,
        resource_id: str | None = None,
        state: State | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        after: Place | None = None,
        size: int = SIZE_MAX,
    ) -> Sequence[sa.RowMapping]:
        """Without their bodies, newest first, `since` ≤ tm_create < `until`, from behind the place `after` on; of None:
        everybody's."""
        table = events.c
        wanted = (
            *((table.customer_id, customer_id), (table.type, type)),
            *((table.resource_id, resource_id), (table.state, state)),
        )
        query = sa.select(*_LISTED).where(*(column == value for column, value in wanted if value is not None))
        query = newest(query, table.tm_create, table.id, since=since, until=until, behind=after, size=size)
        async with reading(self._engine) as connection:
            return (await connection.execute(query)).mappings().all()

    async def replay(self, event_id: str, now: datetime) -> None:
        """Have an event told again, under its id; one that waits for its next try, at once."""
        mine = events.c.id == event_id
        waits = sa.and_(mine, events.c.state == "queued", events.c.claimed_until < now)
        async with writing(self._engine) as connection:
            await connection.execute(sa.update(events).where(waits).values(due=now))
            over = sa.and_(mine, events.c.state != "queued")
            await connection.execute(sa.update(events).where(over).values(**_anew(now)))

    async def replay_all(
        self,
        customer_id: str,
        now: datetime,
        *,
        since: datetime,
        until: datetime | None,
        types: Sequence[str],
        states: Sequence[State],
    ) -> int:
        """Have the events of an account that are in these states, and of these types if any are given, told again, the
        oldest first; returns how many, `REPLAYED` at most."""
        table = events.c
        query = sa.select(table.id).where(
            table.customer_id == customer_id, table.tm_create >= since, table.state.in_(states), table.state != "queued"
        )
        if until is not None:
            query = query.where(table.tm_create < until)
        if types:
            query = query.where(table.type.in_(types))
        query = query.order_by(table.tm_create, table.seq).limit(REPLAYED)
        async with writing(self._engine) as connection:
            found = await connection.execute(sa.update(events).where(table.id.in_(query)).values(**_anew(now)))
        return found.rowcount

    async def purge(self, before: datetime, batch: int) -> int:
        """Delete up to `batch` that are older than `before` and over; returns how many went."""
        old = (
            sa.select(events.c.seq)
            .where(events.c.tm_create < before, events.c.state != "queued")
            .order_by(events.c.tm_create)
            .limit(batch)
        )
        async with writing(self._engine) as connection:
            return (await connection.execute(sa.delete(events).where(events.c.seq.in_(old)))).rowcount


def _anew(now: datetime) -> dict[str, Any]:
    return {
        "state": "queued",
        "attempts": 0,
        "due": now,
        "tm_queued": now,
        "tm_update": now,
        "code": "",
        "error": "",
        "claimed_by": "",
        "claimed_until": from_micros(0),
    }
