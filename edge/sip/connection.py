"""What a connection is without its socket: the messages cut out of it, its silences, how many there may be."""

from __future__ import annotations

from collections import Counter
from typing import Final, Literal

from edge.sip.framing import Framer
from edge.sip.limits import CONNECTIONS, CONNECTIONS_PER_SOURCE, IDLE, SLOW, UNSENT
from edge.sip.peer import Peer

PONG: Final = b"\r\n"  # the answer to a ping (RFC 5626 §3.5.1)


class Connection:
    """The reading side of one connection."""

    __slots__ = ("_begun", "_framer", "_heard")

    def __init__(self, now: float) -> None:
        self._framer = Framer()
        self._heard = now
        self._begun: float | None = None  # when the message began that is not here whole yet

    def feed(self, data: bytes, now: float) -> list[bytes]:
        """The messages complete now, `b""` for a ping. Raises `FramingError`."""
        self._heard = now
        messages = self._framer.feed(data)
        if not self._framer.pending:
            self._begun = None
        elif self._begun is None or messages:
            self._begun = now
        return messages

    def fault(self, now: float) -> Literal["idle", "slow"] | None:
        """Why it should be closed: nothing came for long, or a message does not get on."""
        if self._begun is not None and now - self._begun > SLOW:
            return "slow"
        return "idle" if now - self._heard > IDLE else None


class Crowd:
    """How many connections there are, in all and from each source."""

    __slots__ = ("_all", "_by_source")

    def __init__(self) -> None:
        self._all = 0
        self._by_source: Counter[str] = Counter()

    def enter(self, source: str) -> bool:
        """False: one too many."""
        if self._all >= CONNECTIONS or self._by_source[source] >= CONNECTIONS_PER_SOURCE:
            return False
        self._all += 1
        self._by_source[source] += 1
        return True

    def leave(self, source: str) -> None:
        self._all -= 1
        self._by_source[source] -= 1
        if not self._by_source[source]:
            del self._by_source[source]


class Waiting:
    """Messages for a connection of ours that does not stand yet."""

    __slots__ = ("_size", "messages", "peers")

    def __init__(self) -> None:
        self.peers: set[Peer] = set()  # the connection as its users name it
        self.messages: list[bytes] = []
        self._size = 0

    def send(self, data: bytes) -> bool:
        """False: too much waits already."""
        self._size += len(data)
        if self._size > UNSENT:
            return False
        self.messages.append(data)
        return True
