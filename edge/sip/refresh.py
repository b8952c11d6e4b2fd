"""Refreshes of a session that are up to us (RFC 4028 §10): an UPDATE (RFC 3311) without a session description where the
other side serves that, else a re-INVITE that says again what we said last. A re-INVITE that is under way will do.

A refusal is no end: another one is tried a little later, until the session runs out. Who does not know the dialog any
more, or never answers, is gone (RFC 3261 §12.2.1.2).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from edge.sip import screen
from edge.sip.extension import supported
from edge.sip.handle import Call
from edge.sip.message import Response
from edge.sip.reinvite import LOST, Reinvites
from edge.sip.session_timer import TOO_SMALL, SessionTimers
from edge.sip.wire import Wire

if TYPE_CHECKING:
    from edge.sip.call import Send

UNSERVED = (405, 501)


class Refreshes:
    """Those of one agent."""

    __slots__ = ("_lost", "_reinvites", "_request", "_timers", "_wire")

    def __init__(
        self,
        wire: Wire,
        timers: SessionTimers,
        reinvites: Reinvites,
        request: Send,
        lost: Callable[[Call, float], None],
    ) -> None:
        """`request` sends one within a call; `lost` ends a call whose other side is gone."""
        self._wire = wire
        self._timers = timers
        self._reinvites = reinvites
        self._request = request
        self._lost = lost

    def begin(self, call: Call, now: float) -> None:
        change = call._change
        if call._ended or (change is not None and (change.wanted is not None or change.transaction is not None)):
            return
        if call.allow is None or "UPDATE" not in call.allow:
            self._reinvites.want(call, call._said, now, refresh=True)
            return
        fields = (
            call._dialog.contact(self._wire),
            screen.ALLOW,
            supported(call.terms),
            *self._timers.asking(call),
        )
        self._request(call, "UPDATE", now, fields, partial(self._responded, call), partial(self._failed, call))

    def _responded(self, call: Call, response: Response, now: float) -> None:
        status = response.status
        if call._ended:
            return
        if status < 300:
            call._dialog.retarget(response)
            self._timers.answered(call, response, now)
        elif status in UNSERVED and call.allow is not None:
            call.allow -= {"UPDATE"}
            self.begin(call, now)
        elif status == TOO_SMALL and self._timers.raised(call, response):
            self.begin(call, now)
        else:
            self._failed(call, status, now)

    def _failed(self, call: Call, status: int, now: float) -> None:
        if call._ended:
            return
        if status in LOST:
            self._lost(call, now)
        elif call._session is not None:
            call._session.again(now)
