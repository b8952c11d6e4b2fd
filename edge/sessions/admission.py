"""Whether a new call or text is let in, before anything is kept of it, and on which terms (`sip/terms.py`).

First what the edge can bear (`overload.py`), then what was agreed with the carrier: calls a second, calls at once. The
first is refused with a Retry-After, the second with a plain 503: that carrier has another way to send the call, and
waiting does not make its trunk wider. A trunk with `auth` has to prove who it is (`proofs.py`); only calls that did
count against its rate. What was agreed besides goes with the call as its `Terms`, made once for an address of a trunk.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from edge.sessions.entrance import Entrance, Entry
from edge.sessions.overload import Overload, count_refusal
from edge.sessions.proofs import Proofs, login_of
from edge.sip.message import Request
from edge.sip.peer import Peer
from edge.sip.terms import DEFAULT, Refused, Terms
from edge.trunks.rate import Rate
from edge.trunks.trunk import Trunk

REMEMBERED: Final = 1024  # addresses and trunks whose terms and rates are kept; more are made anew

OVERLOADED: Final = Refused(503, (), "Overloaded", later=True)
TOO_FAST: Final = Refused(503, (), "TrunkRate")
TOO_MANY: Final = Refused(503, (), "TrunkCalls")


class Admission:
    """What the agent asks (`Admit`). `calls_of` says how many calls a trunk of that name has now."""

    def __init__(self, entrance: Entrance, overload: Overload, calls_of: Callable[[str], int], proofs: Proofs) -> None:
        self._entrance = entrance
        self._proofs = proofs
        self._overload = overload
        self._calls_of = calls_of
        self._terms: dict[tuple[int, str, str], Terms] = {}  # by the identity of a trunk, which the terms keep alive
        self._rates: dict[tuple[str, float], Rate] = {}  # by the trunk's id and its rate

    def __call__(self, request: Request, peer: Peer, now: float) -> Terms | Refused:
        if self._overload.refuses():
            return OVERLOADED
        entry = self._entrance.find(request, peer)
        if entry is None:
            return DEFAULT
        trunk = entry.trunk
        calling = request.method == "INVITE"
        if calling and trunk.max_calls is not None and self._calls_of(trunk.name) >= trunk.max_calls:
            count_refusal("trunk_calls")
            return TOO_MANY
        if trunk.auth is not None:
            proved = self._proofs.ask(request, entry, trunk.auth)
            if isinstance(proved, Refused):
                return proved
            entry = proved
        if calling and trunk.max_cps is not None and not self._rate(trunk, trunk.max_cps).take(now):
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

    def known(self, request: Request, peer: Peer) -> Terms:
        """On which terms one from there would be let in."""
        entry = self._entrance.find(request, peer)
        return DEFAULT if entry is None else self._of(entry)

    def _of(self, entry: Entry) -> Terms:
        if entry.proxy:
            return terms_of(entry)
        key = id(entry.trunk), entry.address, entry.auth
        known = self._terms.get(key)
        if known is None:
            if len(self._terms) >= REMEMBERED:
                self._terms.clear()
            known = self._terms[key] = terms_of(entry._replace(proof=None))
        return known if entry.proof is None else replace(known, whose=entry)


def terms_of(entry: Entry) -> Terms:
    """What was agreed with the carrier that a request came from."""
    return agreed(entry.trunk, entry)


def agreed(trunk: Trunk, whose: Entry | None = None) -> Terms:
    """What was agreed with a trunk's carrier."""
    return Terms(
        reliable=trunk.reliable,
        session_expires=trunk.session_expires,
        min_se=trunk.min_se,
        advertise=trunk.advertise,
        login=None if trunk.credentials is None else login_of(trunk.credentials),
        whose=whose,
    )
