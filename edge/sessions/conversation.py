"""Conversations: all texts between a number of ours and a peer, as long as one account has the number.

A conversation is one row, written in the same commit as each of its texts: who talks with whom, when something was said
last, and the way of the newest text that came in, for an answer goes back by it. Its id is made of account, number and
peer (`conversation_id`), so two texts at once make one, and whoever gets the number next begins others. An
account that gave its number back and got it again finds what it had said before, and nothing of what was said between.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final, NamedTuple, Protocol

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from edge.sessions.tables import conversations, messages
from edge.store.engine import reading, writing
from edge.store.metadata import NIL, name_id
from edge.store.page import SIZE_MAX, Place
from edge.store.page import after as behind
from edge.store.statement import insert
from edge.store.writer import Then

_NAMESPACE: Final = uuid.UUID("5b1f6d0e-64f2-5e0a-9d7c-1f2a6c3b8e41")

SAID: Final = replace(
    insert(
        "conversation.said",
        "conversations",
        ("id", "customer_id", "number", "peer", "message_id", "inbound_id", "tm_create", "tm_update"),
        "ON CONFLICT (id) DO UPDATE SET message_id = excluded.message_id, tm_update = excluded.tm_update, inbound_id ="
        f" CASE excluded.inbound_id WHEN '{NIL}' THEN conversations.inbound_id ELSE excluded.inbound_id END"
        " WHERE excluded.tm_update >= conversations.tm_update",
    ),
    shared=True,
)


def conversation_id(customer_id: str, number: str, peer: str) -> str:
    """The same for all texts between our number and a peer, as long as one customer has the number."""
    return name_id(_NAMESPACE, f"conversation {customer_id} {number} {peer}")


class Kept(Protocol):
    """A text as its row says it. `tm_create` in microseconds."""

    @property
    def id(self) -> str: ...
    @property
    def customer_id(self) -> str: ...
    @property
    def conversation_id(self) -> str: ...
    @property
    def number(self) -> str: ...
    @property
    def peer(self) -> str: ...
    @property
    def tm_create(self) -> int: ...


def said(text: Kept, *, came: bool) -> tuple[Then, ...]:
    """What is written with the row of a text that came or went, if that is new."""
    if text.conversation_id == NIL:
        return ()
    when, inbound_id = text.tm_create, text.id if came else NIL
    row = (text.conversation_id, text.customer_id, text.number, text.peer, text.id, inbound_id, when, when)
    return ((SAID, row),)


class Conversation(NamedTuple):
    """Who talks with whom, and the way of the newest text that came in: an answer goes back by it."""

    id: str
    number: str  # ours
    peer: str
    carrier: str
    route: str
    texted: bool = True  # by the peer, ever; else all of it is ours


class Shown(NamedTuple):
    """A conversation as it is listed, with its newest text; None once that was deleted."""

    id: str
    customer_id: str
    number: str
    peer: str
    message_id: str
    tm_create: datetime
    tm_update: datetime
    number_id: str | None
    direction: str | None
    text: str | None


_OWN: Final = ("id", "customer_id", "number", "peer", "message_id", "tm_create", "tm_update")
_OF_MESSAGE: Final = ("number_id", "direction", "text")


class ConversationTable:
    """Reads conversations. Raises Unavailable. `customer_id` None: whoever they belong to."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def find(self, conversation_id: str, customer_id: str) -> Conversation | None:
        """A conversation of an account, to go on with. One that we began goes the way its newest text went."""
        table, way = conversations.c, messages.c
        pair = sa.select(table.id, table.number, table.peer, table.inbound_id, table.message_id)
        pair = pair.where(table.id == conversation_id, table.customer_id == customer_id)
        newest = sa.select(way.carrier, way.route).order_by(way.direction, way.tm_create.desc()).limit(1)
        async with reading(self._engine) as connection:
            found = (await connection.execute(pair)).one_or_none()
            if found is None:
                return None
            told = (await connection.execute(newest.where(way.id.in_(found[3:])))).one_or_none()
            if told is None:  # those were deleted
                told = (await connection.execute(newest.where(way.conversation_id == conversation_id))).one_or_none()
        return Conversation(*found[:3], *told, texted=found.inbound_id != NIL) if told is not None else None

    async def get(self, conversation_id: str, customer_id: str | None) -> Shown | None:
        found = await self._shown(customer_id, conversations.c.id == conversation_id, size=1)
        return found[0] if found else None

    async def list(
        self,
        customer_id: str | None,
        *,
        number: str | None = None,
        peer: str | None = None,
        since: datetime | None = None,
        after: Place | None = None,
        size: int = SIZE_MAX,
    ) -> Sequence[Shown]:
        """Those where something was said last, from behind the place `after` on, none older than `since`."""
        table = conversations.c
        conditions = [column == value for column, value in ((table.number, number), (table.peer, peer)) if value]
        if customer_id is not None and number and peer:
            conditions.append(table.id == conversation_id(customer_id, number, peer))
        if since is not None:
            conditions.append(table.tm_update >= since)
        if after is not None:
            conditions += [table.tm_update <= after.when, behind(after, table.tm_update, table.id)]
        return await self._shown(customer_id, *conditions, size=size, rare=bool(peer))

    async def purge(self, before: datetime, batch: int) -> int:
        """Delete up to `batch` in which nothing was said since; returns how many went."""
        old = sa.select(conversations.c.id).where(conversations.c.tm_update < before).limit(batch)
        async with writing(self._engine) as connection:
            result = await connection.execute(sa.delete(conversations).where(conversations.c.id.in_(old)))
        return result.rowcount

    async def _shown(
        self, customer_id: str | None, *conditions: sa.ColumnElement[bool], size: int, rare: bool = False
    ) -> Sequence[Shown]:
        """A page. `rare`: the conditions leave few, by an index; SQLite would take that of the account."""
        table = conversations.c
        wanted = sa.select(*(table[name] for name in _OWN)).where(*conditions)
        if customer_id is not None:
            wanted = wanted.where((table.customer_id.concat("") if rare else table.customer_id) == customer_id)
        page = wanted.order_by(table.tm_update.desc(), table.id.desc()).limit(size).subquery()  # before the join
        query = (
            sa.select(*page.c, *(messages.c[name] for name in _OF_MESSAGE))
            .outerjoin(messages, messages.c.id == page.c.message_id)
            .order_by(page.c.tm_update.desc(), page.c.id.desc())
        )
        async with reading(self._engine) as connection:
            return [Shown(*row) for row in await connection.execute(query)]
