"""A fork: what is heard on a stream, or said, goes elsewhere too. Here is what becomes of the packets on the way.

Chosen      a tap that passes on the directions that were asked for: as they come, or both mixed
Row         packets in a row, for who gets no timestamps
RtpSide     packets of RTP, to the other side of a fork and from it
Marked      a live source that tells when what was pushed up to a mark has been played
"""

from __future__ import annotations

import warnings
from collections import deque
from collections.abc import Callable
from typing import Literal

from edge.media.encoding import Decoder, Encoder, Encoding
from edge.media.g711 import RATE, STATIC_TYPE, WIDTH, Codec, decode
from edge.media.live import Live
from edge.media.rtp import HEADER, MARKER, VERSION, BadRtp, read

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # see g711.py
    import audioop

Listen = Literal["none", "in", "out", "both"]  # in: what the other side says; out: what it is told
Emit = Callable[[int, bytes], None]  # RTP timestamp, PCM of 8 kHz

HELD_MS = 200  # of what is said that waits to be mixed with what is heard; more goes alone
GAP_SAMPLES = RATE // 2  # a gap that is filled with silence; a longer one is a pause, and left out
MARKS = 100  # that wait at the same time; older ones are told of at once


class Chosen:
    """A tap (`tap.py`). What is mixed has a clock of its own, which goes on with the packets that are heard.

    Who is heard without a pause sets the pace: what is said waits for it, a fifth of a second at most, and goes alone
    when nobody is heard.
    """

    def __init__(self, listen: Listen, emit: Emit) -> None:
        self._listen = listen
        self._emit = emit
        self._clock = 0
        self._held = Live(most_ms=2 * HELD_MS)

    def heard(self, timestamp: int, pcm: bytes) -> None:
        if self._listen == "in":
            self._emit(timestamp, pcm)
        elif self._listen == "both" and pcm:
            said = self._held.take(len(pcm) // WIDTH)
            self._mixed(audioop.add(pcm, said + bytes(len(pcm) - len(said)), WIDTH))

    def said(self, timestamp: int, pcm: bytes) -> None:
        if self._listen == "out":
            self._emit(timestamp, pcm)
        elif self._listen == "both":
            self._held.push(pcm)
            while pcm and self._held.buffered_ms > HELD_MS:
                self._mixed(self._held.take(len(pcm) // WIDTH))

    def _mixed(self, pcm: bytes) -> None:
        timestamp = self._clock
        self._clock = timestamp + len(pcm) // WIDTH & 0xFFFFFFFF
        self._emit(timestamp, pcm)


class Row:
    """Packets by their timestamps in one row of samples: lost ones are silence, late ones are left out."""

    def __init__(self) -> None:
        self._next: int | None = None

    def add(self, timestamp: int, pcm: bytes) -> bytes:
        """What comes next in the row; "" for a packet that comes too late."""
        gap = 0 if self._next is None else timestamp - self._next & 0xFFFFFFFF
        if gap >= 0x80000000 and 0x100000000 - gap <= GAP_SAMPLES:
            return b""
        self._next = timestamp + len(pcm) // WIDTH & 0xFFFFFFFF
        return bytes(gap * WIDTH) + pcm if gap <= GAP_SAMPLES else pcm


class RtpSide:
    """Packets for the other side of a fork, and from it. SSRC and the numbers it begins with are chosen by chance."""

    def __init__(self, encoding: Encoding, ssrc: int, sequence: int, timestamp: int) -> None:
        self._encoding = encoding
        self._encode = Encoder(encoding, network_order=True)
        self._decode = Decoder(encoding, network_order=True)
        self._ssrc = ssrc
        self._sequence = sequence
        self._timestamp = timestamp
        self._expected: int | None = None  # the timestamp of the next packet that is given, when none is missing
        self._source: int | None = None
        self._highest = 0
        self.strange = 0  # packets that were none of this fork

    def packet(self, timestamp: int, pcm: bytes) -> bytes:
        """The packet for what was heard or said; b"" when there is nothing in it yet."""
        marker = MARKER if self._expected is None else 0
        if self._expected is not None and timestamp != self._expected:
            gap = (timestamp - self._expected + 0x80000000 & 0xFFFFFFFF) - 0x80000000  # below 0: it is late
            self._timestamp += gap * self._encoding.rate // RATE
            marker = MARKER if gap > GAP_SAMPLES else 0  # RFC 3551 §4.1
        self._expected = timestamp + len(pcm) // WIDTH & 0xFFFFFFFF
        payload = self._encode(pcm)
        if not payload:
            return b""
        head = HEADER.pack(
            VERSION,
            self._encoding.payload_type | marker,
            self._sequence & 0xFFFF,
            self._timestamp & 0xFFFFFFFF,
            self._ssrc,
        )
        self._sequence += 1
        self._timestamp += len(payload) // self._encoding.width
        return head + payload

    def read(self, data: bytes) -> bytes:
        """The PCM of a packet that came; b"" for one that is late, or none of this fork.

        Besides the agreed format either law of G.711 is understood under its static payload type.
        """
        try:
            packet = read(data)
        except BadRtp:
            self.strange += 1
            return b""
        law = _LAWS.get(packet.payload_type)
        if packet.payload_type != self._encoding.payload_type and law is None:
            self.strange += 1
            return b""
        if packet.ssrc == self._source and 0 < self._highest - packet.sequence & 0xFFFF < 0x8000:
            return b""
        self._source, self._highest = packet.ssrc, packet.sequence
        return decode(packet.payload, law) if law is not None else self._decode(packet.payload)


_LAWS: dict[int, Codec] = {number: codec for codec, number in STATIC_TYPE.items()}


class Marked(Live):
    """A live source with marks: `passed(name, played)` is called when all that was pushed before a mark has been
    played, or was cleared or dropped before it could be.
    """

    def __init__(self, passed: Callable[[str, bool], None], *, least_ms: int, most_ms: int) -> None:
        super().__init__(least_ms=least_ms, most_ms=most_ms)
        self._passed = passed
        self._pushed = 0.0  # milliseconds so far
        self._marks: deque[tuple[float, str]] = deque()

    def push(self, pcm: bytes) -> None:
        before = self.buffered_ms + self.dropped_ms
        super().push(pcm)
        self._pushed += self.buffered_ms + self.dropped_ms - before
        self._pass(played=False)

    def mark(self, name: str) -> None:
        """Tell of this name when what was pushed up to now has been played; at once when nothing waits."""
        self._marks.append((self._pushed, name))
        if len(self._marks) > MARKS:
            self._passed(self._marks.popleft()[1], False)
        self._pass(played=True)

    def clear(self) -> None:
        super().clear()
        self._pass(played=False)

    def take(self, samples: int) -> bytes:
        frame = super().take(samples)
        if self._marks:
            self._pass(played=True)
        return frame

    def _pass(self, *, played: bool) -> None:
        gone = self._pushed - self.buffered_ms
        while self._marks and self._marks[0][0] <= gone:
            self._passed(self._marks.popleft()[1], played)
