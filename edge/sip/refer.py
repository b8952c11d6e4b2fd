"""REFERs of ours (RFC 3515), and the NOTIFYs that tell how they go (RFC 6665); one at a time in a call.

Who says `Refer-Sub: false` in his answer tells nothing afterwards (RFC 4488 §4): then all that can be known is that he
took it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from edge.sip.events import ReferProgress
from edge.sip.extension import supported
from edge.sip.handle import Call
from edge.sip.message import Request, Response
from edge.sip.referral import UNSAID, Referral
from edge.sip.wire import Wire

if TYPE_CHECKING:
    from edge.sip.call import Send


class Refers:
    """Those of one agent."""

    __slots__ = ("_lost", "_request", "_settle", "_wire")

    def __init__(
        self, wire: Wire, request: Send, lost: Callable[[Call, float], None], settle: Callable[[Call], None]
    ) -> None:
        """`request` sends one within a call; `lost` ends a call whose other side is gone; `settle` is told when
        nothing more is expected."""
        self._wire = wire
        self._request = request
        self._lost = lost
        self._settle = settle

    def begin(self, call: Call, target: str, now: float) -> None:
        if call._ended:
            return
        if call._referral is not None and not call._referral.told:  # one at a time
            self._wire.events.append(ReferProgress(call, 491, True))
            return
        self._forget(call)
        target = target if target.endswith(">") else f"<{target}>"
        fields = (call._dialog.contact(self._wire), supported(call.terms), ("Refer-To", target))
        number = call._dialog.local_seq + 1
        referral = call._referral = Referral(self._wire, number, now, partial(self._over, call))
        responded = partial(self._responded, call, referral)
        failed = partial(self._failed, call, referral)
        self._request(call, "REFER", now, fields, responded, failed)

    def _responded(self, call: Call, referral: Referral, response: Response, now: float) -> None:
        if response.status >= 300:
            self._failed(call, referral, response.status, now)
        elif _silent(response) and call._referral is referral:
            self._tell(call, referral, 200, True)
            self._forget(call)
            self._settle(call)

    def _failed(self, call: Call, referral: Referral, status: int, now: float) -> None:
        if call._referral is referral:
            self._tell(call, referral, status, True)
            self._forget(call)
        if status == 481:
            self._lost(call, now)
        self._settle(call)

    def expects(self, call: Call, request: Request) -> bool:
        """Whether a NOTIFY is about a REFER of ours (RFC 6665 §4.1.3)."""
        return call._referral is not None and call._referral.matches(request)

    def notified(self, call: Call, request: Request, now: float) -> None:
        """A NOTIFY that is; its 200 is on its way."""
        referral = call._referral
        assert referral is not None
        status, over = referral.notified(request, now)
        self._tell(call, referral, status, over or status >= 200)
        if over:
            self._forget(call)
            self._settle(call)

    def _tell(self, call: Call, referral: Referral, status: int, final: bool) -> None:
        if not referral.told and not call._ended:
            self._wire.events.append(ReferProgress(call, status, final))
        referral.told = referral.told or final

    def _over(self, call: Call, _now: float) -> None:
        if call._referral is not None:
            self._tell(call, call._referral, UNSAID, True)
            call._referral = None
        self._settle(call)

    def _forget(self, call: Call) -> None:
        if call._referral is not None:
            call._referral.stop()
            call._referral = None


def _silent(response: Response) -> bool:
    """Whether no NOTIFYs will come."""
    return response.headers.first.get("refer-sub", "").partition(";")[0].strip(" \t").lower() == "false"
