"""A fork by RTP: packets to a host, and what the host sends back to where they came from.

The socket is connected, so the kernel drops what others send. A host that is away, or says so by ICMP, costs packets:
it may be started later.
"""

from __future__ import annotations

import asyncio
import random
import socket
from collections.abc import Callable
from typing import Final

from edge.errors import Unavailable
from edge.flows.external_media import ExternalMedia, read_host
from edge.http import Guard
from edge.media.fork import RtpSide
from edge.media.live import Live
from edge.sessions.calls.external_media.fork import DROPPED, Fork

DEADLINE_SECONDS: Final = 5.0
MAX_DATAGRAM: Final = 2048
ROUNDS: Final = 16  # packets read at once; the rest waits for the next turn of the loop

_unsent, _unheard = DROPPED.labels("rtp", "outgoing"), DROPPED.labels("rtp", "incoming")


class RtpFork(Fork):
    kind = "rtp"

    def __init__(self, id: str, media: ExternalMedia, ended: Callable[[Fork], None]) -> None:
        super().__init__(id, media, Live(), ended)
        bits = random.getrandbits(80)
        self._side = RtpSide(self.encoding, bits & 0xFFFFFFFF, bits >> 32 & 0xFFFF, bits >> 48)
        self._socket: socket.socket | None = None

    async def open(self, guard: Guard) -> None:
        """Raises Forbidden for an address that is not allowed, Unavailable."""
        host, port = read_host(self.media.host)
        address = await guard.resolve(host, port, deadline=DEADLINE_SECONDS)
        made = socket.socket(socket.AF_INET6 if ":" in address[0] else socket.AF_INET, socket.SOCK_DGRAM)
        try:
            made.setblocking(False)
            made.connect(address)
        except OSError as error:
            made.close()
            raise Unavailable(f"{self.media.host}: {error.strerror}") from None
        self._socket = made
        asyncio.get_running_loop().add_reader(made, self._hear, made)

    def told(self, timestamp: int, pcm: bytes) -> None:
        packet = self._side.packet(timestamp, pcm)
        if packet and self._socket is not None:
            try:
                self._socket.send(packet)
            except OSError:  # no room, or an ICMP message about one of those before
                _unsent.inc()

    def typed(self, keys: str) -> None:
        """No telephone-event was agreed on: a host without SDP is told of audio only."""

    def leave(self, why: str) -> None:
        made, self._socket = self._socket, None
        if made is not None:
            asyncio.get_running_loop().remove_reader(made)
            made.close()

    def _hear(self, made: socket.socket) -> None:
        for _ in range(ROUNDS):
            try:
                data = made.recv(MAX_DATAGRAM)
            except OSError:  # no more, or an ICMP message
                return
            if self.media.speak:
                self._push(self._side.read(data), _unheard)
