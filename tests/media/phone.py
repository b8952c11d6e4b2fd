"""The other side of a stream: real sockets on this machine, and what arrives on them."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable
from typing import Self

from edge.media import rtcp
from edge.media.rtp import Packet, read
from edge.media.sdp import Negotiated
from edge.media.transport.stream import Stream

HOST = "127.0.0.1"


class Phone:
    """The other side: a pair of sockets, and what arrived on them."""

    def __init__(self, host: str = HOST) -> None:
        self.rtp, self.rtcp = self._pair(host)
        self.address: tuple[str, int] = self.rtp.getsockname()[:2]
        self.reports_at: tuple[str, int] = self.rtcp.getsockname()[:2]
        self.sequence = 0

    @staticmethod
    def _pair(host: str) -> tuple[socket.socket, socket.socket]:
        pair = []
        for _ in range(2):
            one = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
            one.bind((host, 0))
            one.setblocking(False)
            pair.append(one)
        return pair[0], pair[1]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.rtp.close()
        self.rtcp.close()

    def agreed(self, **changes: object) -> Negotiated:
        base = Negotiated("PCMU", 0, 101, 20, self.address, "sendrecv", self.reports_at)
        return base._replace(**changes)  # type: ignore[arg-type]

    def say(self, stream: Stream, payload: bytes = b"\xff" * 160, kind: int = 0, timestamp: int | None = None) -> None:
        self.sequence += 1
        when = self.sequence * 160 if timestamp is None else timestamp
        self.rtp.sendto(Packet(kind, self.sequence, when, 77, payload).to_bytes(), stream.local)

    def packets(self) -> list[Packet]:
        return [read(data) for data in arrived(self.rtp)]

    def reports(self) -> list[rtcp.Report | rtcp.Bye]:
        return [item for data in arrived(self.rtcp) for item in rtcp.read(data)]


def arrived(from_: socket.socket) -> list[bytes]:
    found = []
    while True:
        try:
            found.append(from_.recv(2048))
        except BlockingIOError:
            return found


async def until(what: Callable[[], object], seconds: float = 5.0) -> None:
    """Wait for something that media brings about."""
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "it did not happen"
        await asyncio.sleep(0.002)


class Told:
    """A tap, and what it was told."""

    def __init__(self) -> None:
        self.of_them: list[tuple[int, bytes]] = []
        self.of_us: list[tuple[int, bytes]] = []

    def heard(self, timestamp: int, pcm: bytes) -> None:
        self.of_them.append((timestamp, pcm))

    def said(self, timestamp: int, pcm: bytes) -> None:
        self.of_us.append((timestamp, pcm))
