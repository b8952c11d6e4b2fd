"""The library: from a flow's id to the flow, ready to run, through memory, Redis and SQL (`store.tiers`).

What memory holds is compiled, so that a session that starts parses nothing. A flow that was deleted, or never was, is
found with the value None.
"""

from __future__ import annotations

from edge.flows.flow import Flow
from edge.flows.table import BY_ID, BY_VERSION, KIND, VERSION_KIND, read_newest, read_version
from edge.store.cache_section import CacheSection
from edge.store.notice import Notices
from edge.store.reader import Reader
from edge.store.redis import RedisTier
from edge.store.tiers import Found, Tiers, Versioned


class Library:
    """Flows by their ids. `peek(flow_id, now)` looks into memory only and is a dict look-up.

    Whose a flow is it does not look at: `flow.customer_id` is to be that of the number.
    """

    def __init__(self, section: CacheSection, notices: Notices, redis: RedisTier | None, reader: Reader) -> None:
        self._reader = reader
        self._tiers: Tiers[Flow] = Tiers(
            KIND,
            section=section,
            notices=notices,
            redis=redis,
            load=self._load,
            encode=Flow.to_json,
            decode=Flow.from_json,
        )
        self._versions: Tiers[Flow] = Tiers(
            VERSION_KIND,
            section=section,
            notices=notices,
            redis=redis,
            load=self._load_version,
            encode=Flow.to_json,
            decode=Flow.from_json,
        )
        self.peek = self._tiers.peek

    async def find(self, flow_id: str) -> Found[Flow]:
        """Raises Unavailable when no tier knows and none can, Internal for a stored flow that cannot run here."""
        return await self._tiers.find(flow_id)

    async def find_version(self, flow_id: str, version: int) -> Found[Flow]:
        """One version, which never changes. Raises as `find`."""
        return await self._versions.find(f"{flow_id}/{version}")

    async def _load_version(self, key: str) -> Versioned[Flow]:
        return read_version(await self._reader.get(BY_VERSION, key))

    async def _load(self, flow_id: str) -> Versioned[Flow]:
        return read_newest(await self._reader.get(BY_ID, flow_id))
