"""RTP packets (RFC 3550 §5.1): bytes to a value and back.

`read` takes any packet apart and is strict. The two hot paths do not come through here: a stream's sender packs
`HEADER` itself, and its receiver reads only the fields it needs, after the same checks.
"""

from __future__ import annotations

from struct import Struct
from typing import NamedTuple

HEADER = Struct("!BBHII")  # V/P/X/CC, M/PT, sequence number, timestamp, SSRC
HEADER_BYTES = HEADER.size
VERSION = 0x80  # version 2 in the two highest bits
MARKER = 0x80
COMFORT_NOISE = 13  # RFC 3389

_EXTENSION = Struct("!HH")


class BadRtp(ValueError):
    """These bytes are no RTP packet; the message says why."""


class Packet(NamedTuple):
    """One packet. `timestamp` counts samples, modulo 2**32; `sequence` packets, modulo 2**16.

    `extension` is the profile's 16 bits and the words that follow, or None (RFC 3550 §5.3.1).
    """

    payload_type: int
    sequence: int
    timestamp: int
    ssrc: int
    payload: bytes
    marker: bool = False
    csrc: tuple[int, ...] = ()
    extension: tuple[int, bytes] | None = None

    def to_bytes(self) -> bytes:
        """The packet without padding. The words of an extension must be whole: a multiple of 4 bytes."""
        first = VERSION | (0x10 if self.extension else 0) | len(self.csrc)
        head = HEADER.pack(
            first, self.payload_type | (MARKER if self.marker else 0), self.sequence, self.timestamp, self.ssrc
        )
        sources = b"".join(source.to_bytes(4, "big") for source in self.csrc)
        if self.extension is None:
            return head + sources + self.payload
        profile, words = self.extension
        return head + sources + _EXTENSION.pack(profile, len(words) // 4) + words + self.payload


def later(one: int, other: int) -> int:
    """The later of two timestamps, on a clock that goes round."""
    return other & 0xFFFFFFFF if other - one & 0xFFFFFFFF < 0x80000000 else one


def read(data: bytes) -> Packet:
    """Take a packet apart. Raises BadRtp."""
    if len(data) < HEADER_BYTES:
        raise BadRtp(f"{len(data)} bytes are too few for a header")
    first, second, sequence, timestamp, ssrc = HEADER.unpack_from(data)
    if first & 0xC0 != VERSION:
        raise BadRtp(f"version {first >> 6} instead of 2")
    start = HEADER_BYTES + 4 * (first & 0x0F)
    if len(data) < start:
        raise BadRtp("the contributing sources go beyond the end")
    csrc = tuple(int.from_bytes(data[at : at + 4], "big") for at in range(HEADER_BYTES, start, 4))
    extension = None
    if first & 0x10:
        if len(data) < start + 4:
            raise BadRtp("the header extension goes beyond the end")
        profile, words = _EXTENSION.unpack_from(data, start)
        end = start + 4 + 4 * words
        if len(data) < end:
            raise BadRtp("the header extension goes beyond the end")
        extension = (profile, data[start + 4 : end])
        start = end
    end = len(data)
    if first & 0x20:  # the last byte counts the padding, itself included
        if end == start or not 0 < data[-1] <= end - start:
            raise BadRtp("more padding than payload")
        end -= data[-1]
    return Packet(second & 0x7F, sequence, timestamp, ssrc, data[start:end], second >= MARKER, csrc, extension)
