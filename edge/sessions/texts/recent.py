"""What was kept of a carrier in the last minutes, for those that know repeats by what they say (`sms/smpp/repeats.py`).

Asked once, before such a carrier connects; so it may look at more rows than a query for a text could.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from edge.sessions.tables import messages
from edge.sessions.texts.tables import text_parts
from edge.store.engine import reading


class Recent:
    """The ids that carriers gave texts, and parts of texts."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def ids(self, carrier: str, since: datetime, limit: int) -> Sequence[str]:
        """Newest first. Raises Unavailable."""
        kept = [
            sa.select(table.c.carrier_id, table.c.tm_create)
            .where(table.c.carrier == carrier, table.c.tm_create >= since, which)
            .order_by(table.c.tm_create.desc())
            .limit(limit)
            .subquery()
            for table, which in ((messages, messages.c.direction == "inbound"), (text_parts, sa.true()))
        ]
        both = sa.union_all(*(sa.select(some) for some in kept)).subquery()
        query = sa.select(both.c.carrier_id).order_by(both.c.tm_create.desc()).limit(limit)
        async with reading(self._engine) as connection:
            return [*(await connection.scalars(query))]
