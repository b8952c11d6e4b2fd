"""The door for texts that come as SIP MESSAGE: read, kept, and only then answered."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime

from edge.carriers.sip import Sip
from edge.errors import EdgeError
from edge.log import get_logger
from edge.sessions.texts.desk import TextDesk
from edge.sip.events import TextOffer
from edge.sip.transport import Endpoint
from edge.trunks.table import TrunkTable

log = get_logger("texts")

NO_CARRIER = 403  # texts by SIP are not configured


class SipDoor:
    """`take` is called with each offered MESSAGE; its sender repeats it until we answer."""

    def __init__(
        self,
        carrier: Sip | None,
        trunks: TrunkTable,
        desk: TextDesk,
        endpoint: Endpoint,
        clock: Callable[[], datetime],
    ) -> None:
        self._carrier = carrier
        self._trunks = trunks
        self._desk = desk
        self._endpoint = endpoint
        self._clock = clock
        self._tasks: set[asyncio.Task[None]] = set()

    def take(self, offer: TextOffer) -> None:
        task = asyncio.get_running_loop().create_task(self._take(offer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def idle(self) -> None:
        """Wait until every text that was offered has its answer."""
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _take(self, offer: TextOffer) -> None:
        try:
            status = await self._status(offer)
        except EdgeError as error:
            status = error.sip
            log.info("text refused", call_id=offer.call_id, code=status, error=error.message)
        except Exception:
            status = 500
            log.exception("text failed", call_id=offer.call_id)
        self._endpoint.agent.take_text(offer, status, self._endpoint.now())
        self._endpoint.flush()

    async def _status(self, offer: TextOffer) -> int:
        trunk = self._trunks.find(offer.peer.remote[0])
        if self._carrier is None or trunk is None:
            return NO_CARRIER
        verdict = await self._desk.receive(self._carrier.read(offer, trunk, self._clock()))
        return verdict.sip
