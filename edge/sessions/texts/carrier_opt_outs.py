"""Opt-outs that only a carrier knows of: it refuses a text because its receiver texted STOP to it.

Such a text has failed, and in the same commit its receiver has opted out here as well (`opt_outs.py`), so no further
one is tried. START lifts it like any other, also one that only the carrier understands (`Text.keyword`).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Protocol

from edge.log import get_logger
from edge.metrics import counter
from edge.sessions.texts.opt_outs import OptOuts
from edge.store.metadata import NIL
from edge.store.writer import Then

log = get_logger("sessions")

LEARNED = counter("opt_outs_learned_total", "Texts that a carrier refused because of an opt-out there.", ("carrier",))


class Failed(Protocol):
    """A text that a carrier refused, or did not deliver."""

    @property
    def id(self) -> str: ...
    @property
    def customer_id(self) -> str: ...
    @property
    def number_id(self) -> str: ...
    @property
    def number(self) -> str: ...
    @property
    def peer(self) -> str: ...


class CarrierOptOuts:
    """`codes` has for each carrier those by which it says so."""

    def __init__(self, opt_outs: OptOuts, codes: Mapping[str, Collection[str]]) -> None:
        self._opt_outs = opt_outs
        self._codes = codes

    async def learn(self, text: Failed, carrier: str, code: str) -> tuple[Then, ...]:
        """What is written together with that a text failed by such a code, if that is new. Raises Unavailable."""
        if not code or code not in self._codes.get(carrier, ()) or text.customer_id == NIL:
            return ()
        LEARNED.labels(carrier).inc()
        log.info("opted out with its carrier", message_id=text.id, carrier=carrier, code=code)
        return await self._opt_outs.learned(
            text.customer_id, text.number_id, text.number, text.peer, message_id=text.id, by=f"carrier {carrier}"
        )
