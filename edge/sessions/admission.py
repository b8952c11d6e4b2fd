"""Whether a new call or text is let in, before anything is kept of it, and on which terms (`sip/terms.py`).

First what the edge can bear (`overload.py`), then what was agreed with the carrier: calls a second, calls at once. The
first is refused with a Retry-After, the second with a plain 503: that carrier has another way to send the call, and
waiting does not make its trunk wider. What was agreed besides goes with the call as its `Terms`, made once a trunk.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from edge.sessions.entrance import Entrance, Entry
from edge.sessions.overload import Overload, count_refusal
from edge.sip.message import Request
from edge.sip.peer import Peer
from edge.sip.terms import DEFAULT, Refused, Terms
from edge.trunks.rate import Rate
from edge.trunks.trunk import Trunk

REMEMBERED: Final = 1024  # trunks whose terms and rates are kept; more are made anew

OVERLOADED: Final = Refused(503, (), "Overloaded", later=True)
TOO_FAST: Final = Refused(503, (), "TrunkRate")
TOO_MANY: Final = Refused(503, (), "TrunkCalls")


class Admission:
    """What the agent asks (`Admit`). `calls_of` says how many calls a trunk of that name has now."""

    def __init__(self, entrance: Entrance, overload: Overload, calls_of: Callable[[str], int]) -> None:
        self._entrance = entrance
        self._overload = overload
        self._calls_of = calls_of
        self._terms: dict[int, Terms] = {}  # by the identity of the entry's trunk, which the terms keep alive
        self._rates: dict[tuple[str, float], Rate] = {}  # by the trunk's id and its rate

    def __call__(self, request: Request, peer: Peer, now: float) -> Terms | Refused:
        if self._overload.refuses():
            return OVERLOADED
        entry = self._entrance.find(request, peer)
        if entry is None:
            return DEFAULT
        trunk = entry.trunk
        if request.method == "INVITE":
            if trunk.max_calls is not None and self._calls_of(trunk.name) >= trunk.max_calls:
                count_refusal("trunk_calls")
                return TOO_MANY
            if trunk.max_cps is not None and not self._rate(trunk, trunk.max_cps).take(now):
                count_refusal("trunk_rate")
                return TOO_FAST
        return self._of(entry)

    def _rate(self, trunk: Trunk, rate: float) -> Rate:
        key = trunk.id, rate
        known = self._rates.get(key)
        if known is None:
            if len(self._rates) >= REMEMBERED:
                self._rates.clear()
            known = self._rates[key] = Rate(rate)
        return known

    def _of(self, entry: Entry) -> Terms:
        known = self._terms.get(id(entry.trunk))
        if known is not None and not entry.proxy:
            return known
        terms = terms_of(entry)
        if not entry.proxy:
            if len(self._terms) >= REMEMBERED:
                self._terms.clear()
            self._terms[id(entry.trunk)] = terms
        return terms


def terms_of(entry: Entry) -> Terms:
    """What was agreed with a trunk's carrier."""
    trunk = entry.trunk
    return Terms(
        reliable=trunk.reliable,
        session_expires=trunk.session_expires,
        min_se=trunk.min_se,
        advertise=trunk.advertise,
        whose=entry,
    )
