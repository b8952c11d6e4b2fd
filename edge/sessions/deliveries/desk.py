"""Deliveries: webhooks and emails leave through a row in SQL, and are tried until the other side takes them.

One row is one event for one receiver, and its id the event's: a second `put` of it changes nothing. What goes to one
host about one resource leaves in order. A host gets few at a time, and an account may have so many waiting: neither a
server that hangs nor a flow that floods is felt by other accounts. How rows are sent is the backlog's
(`queues/backlog.py`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, Unpack

import sqlalchemy as sa
from pydantic import Field, PositiveInt
from sqlalchemy.ext.asyncio import AsyncEngine

from edge.errors import Exhausted
from edge.metrics import counter, gauge
from edge.sessions.deliveries.delivery import FIELDS, Delivery
from edge.sessions.queues.backlog import Backlog, Claim, Pace, Waiting
from edge.sessions.queues.books import Books, Send
from edge.sessions.queues.sender import SenderSection
from edge.sessions.tables import deliveries
from edge.store.engine import reading
from edge.store.metadata import json_text, micros
from edge.store.writer import Writer, insert

DELIVERIES = counter(
    "deliveries_total", "Webhooks and emails by kind and by what became of each try.", ("kind", "outcome")
)
BOOKS: Final = Books(
    deliveries,
    channel="kind",
    receipt="receipt",
    since="tm_create",
    what="delivery",
    count=lambda kind, outcome: DELIVERIES.labels(kind, outcome),
    depth=gauge("deliveries_depth", "Webhooks and emails that wait to be sent, of all processes.", ("kind",)),
    oldest=gauge("deliveries_oldest_seconds", "Age of the oldest webhook or email that waits to be sent.", ("kind",)),
    paused=gauge("deliveries_paused", "1 while a kind is busy and all of it waits.", ("kind",)),
)
COLUMNS: Final = (*FIELDS, "state", "due", "claimed_by", "claimed_until", "receipt", "code", "error")
KEEP: Final = insert("deliveries.keep", "deliveries", COLUMNS, "ON CONFLICT DO NOTHING")
_SELECTED: Final = tuple(deliveries.c[name] for name in (*FIELDS, "due"))


class DeliveriesSection(SenderSection):
    """Webhooks and emails that go out."""

    at_once: PositiveInt = Field(default=64, description="How many of a kind are sent at the same time.")
    held: PositiveInt = Field(
        default=2_000, description="How many of a kind wait in memory, 64 kB each at most; more stay in the database."
    )
    of_one_account: PositiveInt = Field(
        default=500, description="How many of a kind one account may have waiting; more are not taken."
    )


class Deliveries(Backlog[Delivery]):
    """Keeps webhooks and emails until their receivers have them."""

    def __init__(
        self,
        section: DeliveriesSection,
        engine: AsyncEngine,
        writer: Writer,
        channels: Mapping[str, Send[Delivery]],
        *,
        node: str,
        **pace: Unpack[Pace],
    ) -> None:
        super().__init__(BOOKS, section, engine, writer, channels, node=node, **pace)
        self._of_one_account = section.of_one_account

    async def put(self, delivery: Delivery) -> bool:
        """Take over a delivery of a kind that there is a channel for; it is durable when this returns.

        False: it was put before.
        Raises Exhausted when too many of the account wait, Unavailable when SQL cannot keep it. Whoever gives up
        waiting does not know: it may be sent nevertheless.
        """
        if self._senders[delivery.kind].held_of(delivery.customer_id) >= self._of_one_account:
            raise Exhausted(f"{self._of_one_account} {delivery.kind}s of this account wait to be sent already")

        async def keep(claim: Claim) -> int:
            given = {name: getattr(delivery, name) for name in FIELDS} | {"payload": json_text(delivery.payload)}
            return await self._writer.put(KEEP, [(*given.values(), "queued", *claim, "", "", "")])

        return await self._put(delivery, delivery.kind, keep)

    async def _waiting(
        self, channel: str | None, which: sa.ColumnElement[bool], after: tuple[int, str]
    ) -> Sequence[Waiting[Delivery]]:
        query = self._select(_SELECTED, channel, which, after)
        async with reading(self._engine) as connection:
            rows = (await connection.execute(query)).mappings()
            return [Waiting(Delivery.of(row), micros(row["due"])) for row in rows]
