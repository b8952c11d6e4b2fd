"""Whether a new call or text is let in, before anything is kept of it, and on which terms (`sip/terms.py`).

What a trunk's carrier agreed to stands in the trunk; its `Terms` are made once for each.
"""

from __future__ import annotations

from edge.sessions.entrance import Entrance, Entry
from edge.sip.message import Request
from edge.sip.peer import Peer
from edge.sip.terms import DEFAULT, Refused, Terms
from edge.trunks.trunk import Trunk

REMEMBERED = 1024  # trunks whose terms are kept; more are made anew


class Admission:
    """What the agent asks (`Admit`)."""

    def __init__(self, entrance: Entrance) -> None:
        self._entrance = entrance
        self._terms: dict[int, Terms] = {}  # by the identity of the entry's trunk, which the terms keep alive

    def __call__(self, request: Request, peer: Peer, _now: float) -> Terms | Refused:
        entry = self._entrance.find(request, peer)
        return DEFAULT if entry is None else self._of(entry)

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
    trunk: Trunk = entry.trunk
    return Terms(
        reliable=trunk.reliable,
        session_expires=trunk.session_expires,
        min_se=trunk.min_se,
        advertise=trunk.advertise,
        whose=entry,
    )
