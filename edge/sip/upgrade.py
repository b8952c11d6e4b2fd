"""Requests of ours that are too large for UDP go by TCP (RFC 3261 §18.1.1): a datagram that has to be cut in pieces is
lost with the first of them, and many a firewall lets no pieces pass. Answers never change their way.

Who refuses TCP, or lets nobody connect, gets the request over UDP after all, and the next ones for a while at once. Who
agreed to come by UDP alone is not asked.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from edge.sip.limits import NO_TCP, NO_TCP_PEERS, UPGRADE
from edge.sip.peer import Peer

UDP: Final = b"\r\nVia: SIP/2.0/UDP "  # as the first field of a request of ours
TCP: Final = b"\r\nVia: SIP/2.0/TCP "


class Upgrades:
    """Which peers take TCP; of one agent."""

    __slots__ = ("_allowed", "_refused")

    def __init__(self, allowed: Callable[[Peer], bool]) -> None:
        self._allowed = allowed
        self._refused: dict[tuple[str, int], float] = {}  # until when it is believed

    def find(self, peer: Peer, request: bytes, now: float) -> Peer | None:
        """Where a request goes instead; None: where it was to go."""
        if len(request) <= UPGRADE or peer.transport != "udp":
            return None
        until = self._refused.get(peer.remote)
        if until is not None:
            if now < until:
                return None
            del self._refused[peer.remote]
        return peer._replace(transport="tcp") if self._allowed(peer) else None

    def refused(self, peer: Peer, now: float) -> None:
        if len(self._refused) >= NO_TCP_PEERS:
            self._refused.clear()
        self._refused[peer.remote] = now + NO_TCP


def over_tcp(data: bytes) -> bytes:
    """The same request, or an ACK or CANCEL that follows it, as its top Via has to say it."""
    return data.replace(UDP, TCP, 1)


def anybody(_peer: Peer) -> bool:
    """Everybody may be asked for TCP."""
    return True
