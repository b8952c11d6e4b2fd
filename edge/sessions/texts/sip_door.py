"""The door for texts that come as SIP MESSAGE: read, kept, and only then answered.

Where no carrier of kind `sip` is configured a MESSAGE is 403, which says nothing to whoever forgot it; so the first one
is a line in the log, and then one a minute that says how many there were.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from edge.carriers.sip import Sip
from edge.errors import EdgeError
from edge.log import get_logger
from edge.metrics import counter
from edge.sessions.dialed import caller, dialed
from edge.sessions.entrance import Entrance, Entry
from edge.sessions.proofs import NotProven, Proofs
from edge.sessions.texts.desk import TextDesk
from edge.sip.events import TextOffer
from edge.sip.transport import Endpoint

log = get_logger("texts")

NO_CARRIER: Final = 403  # texts by SIP are not configured
SAY_EVERY: Final = timedelta(minutes=1)

REFUSED = counter("sip_texts_refused_total", "Texts by SIP that there is no carrier or no trunk for.", ("reason",))
_REFUSED: Final = {reason: REFUSED.labels(reason) for reason in ("no_carrier", "no_trunk")}


class SipDoor:
    """`take` is called with each offered MESSAGE; its sender repeats it until we answer."""

    def __init__(
        self,
        carrier: Sip | None,
        entrance: Entrance,
        desk: TextDesk,
        endpoint: Endpoint,
        clock: Callable[[], datetime],
        proofs: Proofs,
    ) -> None:
        self._carrier = carrier
        self._proofs = proofs
        self._entrance = entrance
        self._desk = desk
        self._endpoint = endpoint
        self._clock = clock
        self._tasks: set[asyncio.Task[None]] = set()
        self._unsaid = 0  # refused since the last line about it
        self._quiet_until: datetime | None = None

    def take(self, offer: TextOffer) -> None:
        task = asyncio.get_running_loop().create_task(self._take(offer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def idle(self) -> None:
        """Wait until every text that was offered has its answer."""
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _take(self, offer: TextOffer) -> None:
        fields: tuple[tuple[str, str], ...] = ()
        try:
            status = await self._status(offer)
        except EdgeError as error:
            status = error.sip
            fields = error.fields if isinstance(error, NotProven) else ()
            log.info("text refused", call_id=offer.call_id, code=status, error=error.message)
        except Exception:
            status = 500
            log.exception("text failed", call_id=offer.call_id)
        self._endpoint.agent.take_text(offer, status, self._endpoint.now(), fields)
        self._endpoint.flush()

    async def _status(self, offer: TextOffer) -> int:
        admitted: Entry | None = offer.terms.whose
        if admitted is not None and admitted.proof is not None:
            await self._proofs.settle(offer.request, admitted)
        entry = self._entrance.find(offer.request, offer.peer)
        if self._carrier is None:
            self._say()
            return NO_CARRIER
        if entry is None:
            _REFUSED["no_trunk"].inc()
            return NO_CARRIER
        trunk = entry.trunk
        text = self._carrier.read(offer, trunk, self._clock(), dialed(offer.request, trunk))
        if trunk.caller_rules:
            text = replace(text, source=caller(text.source, trunk))
        return (await self._desk.receive(text)).sip

    def _say(self) -> None:
        _REFUSED["no_carrier"].inc()
        self._unsaid += 1
        now = self._clock()
        if self._quiet_until is None or now >= self._quiet_until:
            why = 'no carrier of kind "sip" is configured'
            log.warning("texts by SIP are refused", code=NO_CARRIER, error=why, count=self._unsaid)
            self._unsaid, self._quiet_until = 0, now + SAY_EVERY
