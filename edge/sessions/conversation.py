"""Conversations: all texts between a number of ours and a peer. There is no row for one; its texts say what it is."""

from __future__ import annotations

from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from edge.sessions.tables import messages
from edge.store.engine import reading


class Conversation(NamedTuple):
    """Who talks with whom, and the way of the newest text that came in: an answer goes back by it."""

    id: str
    number: str  # ours
    peer: str
    carrier: str
    route: str


class ConversationTable:
    """Reads conversations. Raises Unavailable."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def find(self, conversation_id: str, customer_id: str) -> Conversation | None:
        """A conversation of an account."""
        table = messages.c
        query = (
            sa.select(table.conversation_id, table.number, table.peer, table.carrier, table.route)
            .where(table.conversation_id == conversation_id, table.customer_id == customer_id)
            .order_by(table.direction, table.tm_create.desc())  # inbound before outbound
            .limit(1)
        )
        async with reading(self._engine) as connection:
            row = (await connection.execute(query)).one_or_none()
        return Conversation(*row) if row is not None else None
