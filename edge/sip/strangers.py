"""Those that nobody knows: who knocked without being of a trunk, how often, and who does so too often.

A stranger hears nothing over UDP and loses his connection over TCP and TLS, whatever he does. What is kept of him is
for the operator who asks why a carrier gets no answer, and for the log, where each is named once a while and all of
them together at no more than `LINES` a second.

Who opens `ban_after` connections within a minute is banned: for `ban_seconds` he is not looked at any more, nor
counted apart, nor named. Datagrams ban nobody: their source may be invented, and somebody else's. Nor can a ban reach a
carrier: only who is not of a trunk is asked about here, and one who becomes a trunk's is not asked about any more.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from edge.log import get_logger
from edge.metrics import gauge
from edge.sip.counts import DISCARDED

log = get_logger("sip")

REMEMBERED: Final = 4096  # strangers; who was quiet for longest makes room
NAMED_AGAIN: Final = 600.0  # s until one who goes on is named again
LINES: Final = 1.0  # of the log a second, all together
BURST: Final = 10  # lines at once
WINDOW: Final = 60.0  # s in which connections count together
STREAMS: Final = ("tcp", "tls")

BANNED = gauge("strangers_banned", "Addresses of no trunk that are banned now for opening connections again and again.")


class Stranger:
    """One address. Times are of a monotonic clock."""

    __slots__ = ("address", "banned_until", "connections", "first", "last", "named", "seen", "since")

    def __init__(self, address: str, now: float) -> None:
        self.address = address
        self.first = self.last = now
        self.seen: dict[str, int] = {}  # datagrams and connections, by transport
        self.connections = 0  # in the window that began at `since`
        self.since = now
        self.named = -NAMED_AGAIN
        self.banned_until = 0.0


class Strangers:
    """All of them, as far as they are remembered."""

    def __init__(self, ban_after: int = 0, ban_seconds: float = 0.0) -> None:
        """`ban_after` 0: nobody is banned."""
        self._ban_after = ban_after
        self._ban_seconds = ban_seconds
        self._known: OrderedDict[str, Stranger] = OrderedDict()
        self._held = float(BURST)  # lines that may be written
        self._at = 0.0
        self._unnamed = 0
        self._banned: dict[str, float] = {}  # until when

    def __len__(self) -> int:
        return len(self._known)

    def seen(self, address: str, transport: str, now: float) -> None:
        """He sent a datagram, or opened a connection. Counted, and named in the log if that is due."""
        if self._banned and self._is_banned(address, now):
            DISCARDED["banned"]()
            return
        DISCARDED["source"]()
        stranger = self._known.get(address)
        if stranger is None:
            if len(self._known) >= REMEMBERED:
                self._known.popitem(last=False)
            stranger = self._known[address] = Stranger(address, now)
        else:
            self._known.move_to_end(address)
        stranger.last = now
        stranger.seen[transport] = stranger.seen.get(transport, 0) + 1
        if self._ban_after and transport in STREAMS:
            self._connected(stranger, now)
        if now - stranger.named >= NAMED_AGAIN:
            self._name(stranger, transport, now)

    def find(self, address: str) -> Stranger | None:
        """What is known of one; None: he was not here lately."""
        return self._known.get(address)

    def latest(self, count: int) -> list[Stranger]:
        """Those that knocked last, the last one first."""
        return [stranger for stranger, _ in zip(reversed(self._known.values()), range(count), strict=False)]

    def _is_banned(self, address: str, now: float) -> bool:
        until = self._banned.get(address)
        if until is None:
            return False
        if until > now:
            return True
        del self._banned[address]
        BANNED.set(len(self._banned))
        return False

    def _connected(self, stranger: Stranger, now: float) -> None:
        if now - stranger.since > WINDOW:
            stranger.since, stranger.connections = now, 0
        stranger.connections += 1
        if stranger.connections < self._ban_after:
            return
        self._banned = {address: until for address, until in self._banned.items() if until > now}
        if len(self._banned) >= REMEMBERED:
            return
        stranger.connections = 0
        stranger.banned_until = self._banned[stranger.address] = now + self._ban_seconds
        BANNED.set(len(self._banned))
        log.warning("stranger banned", remote=stranger.address, seconds=self._ban_seconds, seen=stranger.seen)

    def _name(self, stranger: Stranger, transport: str, now: float) -> None:
        self._held = min(float(BURST), self._held + (now - self._at) * LINES)
        self._at = now
        if self._held < 1.0:
            self._unnamed += 1
            return
        self._held -= 1.0
        stranger.named = now
        log.info(
            "stranger not answered",
            remote=stranger.address,
            transport=transport,
            seen=sum(stranger.seen.values()),
            unnamed=self._unnamed or None,
        )
        self._unnamed = 0
