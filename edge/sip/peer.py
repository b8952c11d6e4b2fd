"""Where a message came from, or goes to."""

from __future__ import annotations

from functools import lru_cache
from typing import Final, NamedTuple

LOOP: Final = "loop"


class Peer(NamedTuple):
    """One way to another element: over UDP an address pair, over TCP and TLS one connection.

    Over "loop" the other element is this very agent: one number of ours calls another, and no socket is involved. Its
    addresses say nothing about the way; `local` is where such a call has its media.
    """

    transport: str  # "udp", "tcp", "tls" or "loop"
    local: tuple[str, int]  # our address and port
    remote: tuple[str, int]  # theirs
    connection: int = 0  # which connection; 0 over UDP, and for one that is still to be opened
    subject: str = ""  # over TLS: the names its certificate shows (`certificate.py`), or one of which it has to show

    @property
    def inside(self) -> bool:
        """Whether it is ourselves. What came from a socket never is, whatever stands in it."""
        return self.transport == LOOP

    def turned(self) -> Peer:
        """The same way, seen from its other end."""
        return Peer(self.transport, self.remote, self.local)


@lru_cache(maxsize=1024)
def shown(address: tuple[str, int]) -> str:
    """`192.0.2.1:5060`, `[2001:db8::1]:5060`."""
    host, port = address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
