"""Our REFER and what its NOTIFYs tell (RFC 3515, RFC 6665): a subscription that begins with the REFER and ends by a
timer.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from math import inf

from edge.sip.limits import SUBSCRIPTION
from edge.sip.message import Params, Request, Unreadable
from edge.sip.timers import GIVE_UP, Timed
from edge.sip.wire import Wire

UNSAID = 408  # the status of a referral that ends without having said one

_status = re.compile(rb"SIP/2\.0 ([1-6][0-9][0-9])\b", re.IGNORECASE).match


class Referral(Timed):
    """One REFER of ours, from its sending to the last NOTIFY."""

    __slots__ = ("_over", "_wire", "number", "told")

    def __init__(self, wire: Wire, number: int, now: float, over: Callable[[float], None]) -> None:
        """`number` is the CSeq of the REFER; `over` is called when the NOTIFYs stay away."""
        self.due = inf
        self.told = False  # the user knows how it ended
        self._wire = wire
        self.number = number
        self._over = over
        wire.timers.set(self, now, 2 * GIVE_UP)  # Timer F of the REFER, then Timer N (RFC 6665 §4.1.2.4)

    def matches(self, request: Request) -> bool:
        """Whether a NOTIFY is about this REFER (RFC 3515 §2.4.6: the id is the CSeq of the REFER, and may be left out
        for the first).
        """
        name, semicolon, rest = request.headers.first.get("event", "").partition(";")
        try:
            number = Params.parse(semicolon + rest).get("id")
        except Unreadable:
            return False
        return name.strip(" \t").lower() == "refer" and number in (None, str(self.number))

    def notified(self, request: Request, now: float) -> tuple[int, bool]:
        """Status told, and whether the subscription is over."""
        state, semicolon, rest = request.headers.first.get("subscription-state", "active").partition(";")
        over = state.strip(" \t").lower() == "terminated"
        match = _status(request.body)
        if over:
            self.stop()
        else:
            self._wire.timers.set(self, now, min(_expires(semicolon + rest), SUBSCRIPTION))
        return (UNSAID if over else 100) if match is None else int(match[1]), over

    def stop(self) -> None:
        self._wire.timers.stop(self)

    def expire(self, now: float) -> None:
        self._over(now)


def _expires(params: str) -> float:
    try:
        text = Params.parse(params).get("expires") or ""
    except Unreadable:
        return SUBSCRIPTION
    return max(float(text), 1.0) if text.isascii() and text.isdigit() and len(text) < 10 else SUBSCRIPTION
