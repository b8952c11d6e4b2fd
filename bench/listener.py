"""A listener for the RTP of all calls of a run on one port, with the kernel's time of arrival of each packet."""

from __future__ import annotations

import contextlib
import itertools
import socket
import statistics
import struct
import threading
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from bench.machine import HOST

SO_TIMESTAMPNS = 35  # Linux, asm-generic/socket.h
TIMESPEC = struct.Struct("qq")
HEADER = struct.Struct("!BBHII")  # RFC 3550 §5.1
CLOCK = 8000
LATE_MS = 20.0  # a packet's time
SKIPPED = 5  # packets at the start of a stream, when the caller's side may still be settling


Packet = tuple[bytes, int, bytes]  # RTP header, port it came from, time of arrival as the kernel gave it


@dataclass(frozen=True)
class Pacing:
    """How evenly packets came: the error is the distance between two arrivals less that of their timestamps."""

    streams: int
    packets: int
    error_p50_ms: float
    error_p99_ms: float
    late: int  # packets more than so much behind where the stream's median packet is


class Listener:
    """Takes packets in a thread of its own, from `with` to its end, and keeps them while it `keeps`."""

    def __init__(self, *, keeps: bool = True) -> None:
        self.keeps = keeps
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        with contextlib.suppress(OSError):
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_000_000)
        for port in range(16100, 16200, 2):
            with contextlib.suppress(OSError):
                self._socket.bind((HOST, port))
                break
        self.port: int = self._socket.getsockname()[1]
        self._socket.settimeout(0.2)
        self._packets: list[Packet] = []
        self._on = True
        self._thread = threading.Thread(target=self._listen, daemon=True)

    def __enter__(self) -> Listener:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._on = False
        self._thread.join()
        self._socket.close()

    def _listen(self) -> None:
        receive, keep = self._socket.recvmsg, self._packets.append
        while self._on:
            try:
                data, ancillary, _, peer = receive(2048, 64)
            except TimeoutError:
                continue
            if self.keeps and len(data) >= HEADER.size:
                keep((data[: HEADER.size], peer[1], ancillary[0][2] if ancillary else b""))

    def pacing(self, late_ms: float = LATE_MS) -> Pacing:
        return pacing(self._packets, late_ms)


def pacing(packets: Sequence[Packet], late_ms: float = LATE_MS) -> Pacing:
    """What was heard; RTCP and what has no time of arrival is left out."""
    streams: dict[tuple[int, int], list[tuple[float, float]]] = defaultdict(list)
    for header, port, stamp in packets:
        _, kind, _, timestamp, source = HEADER.unpack(header)
        if stamp and kind & 0x7F < 72:  # 72–76 is RTCP seen as RTP, RFC 5761 §4
            seconds, nanoseconds = TIMESPEC.unpack(stamp)
            streams[port, source].append((seconds * 1e3 + nanoseconds / 1e6, timestamp / CLOCK * 1e3))
    errors: list[float] = []
    late = 0
    for heard in streams.values():
        settled = heard[SKIPPED:]
        errors += [abs((b[0] - a[0]) - (b[1] - a[1])) for a, b in itertools.pairwise(settled)]
        behind = [arrival - due for arrival, due in settled]
        usual = statistics.median(behind) if behind else 0.0
        late += sum(delay - usual > late_ms for delay in behind)
    errors.sort()
    return Pacing(
        streams=len(streams),
        packets=sum(map(len, streams.values())),
        error_p50_ms=errors[len(errors) // 2] if errors else 0.0,
        error_p99_ms=errors[int(len(errors) * 0.99)] if errors else 0.0,
        late=late,
    )
