"""Where a message came from, or goes to."""

from __future__ import annotations

from typing import NamedTuple


class Peer(NamedTuple):
    """One way to another element: over UDP an address pair, over TCP one connection."""

    transport: str  # "udp" or "tcp"
    local: tuple[str, int]  # our address and port
    remote: tuple[str, int]  # theirs
    connection: int = 0  # which TCP connection; 0 over UDP, and for one that is still to be opened
