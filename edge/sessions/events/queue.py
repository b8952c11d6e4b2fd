"""The queue of events, which is SQL: what waits of whom, and the statements that say what became of it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final, NamedTuple

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from edge.sessions.tables import events
from edge.store.engine import reading
from edge.store.writer import Statement

# Of each resource the oldest event that waits; of those of an account the ones that nobody is at work on.
_OLDER: Final = sa.alias(events)
_HEADS: Final = (
    sa.select(*(events.c[name] for name in ("id", "customer_id", "type", "body", "attempts", "tm_queued", "due")))
    .where(
        events.c.state == sa.literal_column("'queued'"),
        ~sa.exists().where(
            _OLDER.c.resource_id == events.c.resource_id,
            _OLDER.c.seq < events.c.seq,
            _OLDER.c.state == sa.literal_column("'queued'"),
        ),
    )
    .order_by(events.c.due, events.c.seq)
)
# The accounts with anything that waits, one step in the index for each.
_ACCOUNTS: Final = sa.text(
    "WITH RECURSIVE account (id) AS (SELECT min(customer_id) FROM events WHERE state = 'queued' UNION ALL"
    " SELECT (SELECT min(e.customer_id) FROM events e WHERE e.state = 'queued' AND e.customer_id > account.id)"
    " FROM account WHERE account.id IS NOT NULL) SELECT id FROM account WHERE id IS NOT NULL"
)
OVER: Final = Statement.of(
    "events.over",
    "UPDATE events SET state = ?, attempts = ?, code = ?, error = ?, tm_update = ?, claimed_until = 0"
    " WHERE id = ? AND state = 'queued'",
)
FAILED: Final = Statement.of("events.failed", OVER.sqlite + " AND claimed_by = ?")  # another may tell it by now
AGAIN: Final = Statement.of(
    "events.again",
    "UPDATE events SET attempts = ?, due = ?, code = ?, error = ?, tm_update = ?, claimed_until = 0"
    " WHERE id = ? AND state = 'queued' AND claimed_by = ?",
)
RELEASE: Final = Statement.of("events.release", "UPDATE events SET claimed_until = 0 WHERE id = ? AND claimed_by = ?")
EXPIRE: Final = Statement.of(
    "events.expire",
    "UPDATE events SET state = 'failed', error = ?, tm_update = ?"
    " WHERE state = 'queued' AND tm_queued < ? AND claimed_until < ?",
)


class Queued(NamedTuple):
    """An event to be sent, as its row says it. `attempts` are the tries made; `claimed` is when, in microseconds."""

    id: str
    customer_id: str
    type: str
    body: str
    attempts: int
    tm_queued: datetime
    due: datetime
    claimed: int = 0


async def heads(engine: AsyncEngine, customer_id: str, now: datetime, size: int) -> list[Queued]:
    """Of each resource of an account the event that is next, if nobody is at work on it. Raises Unavailable."""
    mine = (events.c.customer_id == customer_id, events.c.claimed_until < now)
    async with reading(engine) as connection:
        return [Queued(*row) for row in await connection.execute(_HEADS.where(*mine).limit(size))]


async def accounts(engine: AsyncEngine) -> Sequence[str]:
    """The accounts with anything that waits. Raises Unavailable."""
    async with reading(engine) as connection:
        return (await connection.execute(_ACCOUNTS)).scalars().all()


async def waiting(engine: AsyncEngine) -> tuple[int, datetime | None]:
    """How many wait, and since when the oldest has been there. Raises Unavailable."""
    query = sa.select(sa.func.count(), sa.func.min(events.c.tm_create)).where(
        events.c.state == sa.literal_column("'queued'")
    )
    async with reading(engine) as connection:
        count, oldest = (await connection.execute(query)).one()
    return count, oldest
