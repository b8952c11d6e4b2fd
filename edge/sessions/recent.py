"""What was kept of a carrier in the last minutes, for carriers that know repeats by what they say (`smpp/repeats.py`).

Asked once, before such a carrier connects; so it may look at more rows than a query for a text could.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from edge.sessions.tables import messages
from edge.store.engine import reading


class Recent:
    """The ids that carriers gave texts."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def ids(self, carrier: str, since: datetime, limit: int) -> Sequence[str]:
        """Newest first. Raises Unavailable."""
        query = (
            sa.select(messages.c.carrier_id)
            .where(messages.c.direction == "inbound", messages.c.carrier == carrier, messages.c.tm_create >= since)
            .order_by(messages.c.tm_create.desc())
            .limit(limit)
        )
        async with reading(self._engine) as connection:
            return [*(await connection.scalars(query))]
