"""The directory: from an E.164 number to what it belongs to, through memory, Redis and SQL (`store.tiers`).

A number that is ours is found with any status; a released one too, until it is created again, so that its callers hear
410 and not 404. A number that never was ours is found with the value None.
"""

from __future__ import annotations

from edge.numbers.number import Number
from edge.numbers.table import BY_E164, KIND, read_last
from edge.store.cache_section import CacheSection
from edge.store.notice import Notices
from edge.store.reader import Reader
from edge.store.redis import RedisTier
from edge.store.tiers import Found, Tiers, Versioned


class Directory:
    """Numbers by their digits. `peek(e164, now)` looks into memory only and is a dict look-up."""

    def __init__(self, section: CacheSection, notices: Notices, redis: RedisTier | None, reader: Reader) -> None:
        self._reader = reader
        self._tiers: Tiers[Number] = Tiers(
            KIND,
            section=section,
            notices=notices,
            redis=redis,
            load=self._load,
            encode=Number.to_json,
            decode=Number.from_json,
        )
        self.peek = self._tiers.peek

    async def find(self, e164: str) -> Found[Number]:
        """Raises Unavailable when no tier knows and none can; that is not the same as a number that is not ours."""
        return await self._tiers.find(e164)

    async def _load(self, e164: str) -> Versioned[Number]:
        return read_last(await self._reader.get(BY_E164, e164))
