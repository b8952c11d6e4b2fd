"""Who sent a request: the trunk that it is from, and the way that it came.

A source is known by its address and transport, over TLS also by its certificate. Behind a proxy that we trust
(`sip.trusted_proxies`) who sent it is the one below that proxy's Via.
"""

from __future__ import annotations

from typing import NamedTuple

from edge.sip.message import Request
from edge.sip.peer import Peer
from edge.trunks.table import TrunkTable
from edge.trunks.trunk import Trunk


class Entry(NamedTuple):
    """How a request came in."""

    trunk: Trunk
    address: str  # of who sent it, as far as we can tell
    proxy: str = ""  # the trusted proxy that it came through


class Entrance:
    """Tells whom requests are from."""

    def __init__(self, trunks: TrunkTable) -> None:
        self._trunks = trunks

    def find(self, _request: Request, peer: Peer) -> Entry | None:
        """None: a stranger's."""
        address = peer.remote[0]
        trunk = self._trunks.find(address, peer.transport, peer.subject)
        return None if trunk is None else Entry(trunk, address)
