"""What a stream makes of the packets it receives, without sockets and clocks.

`Receiver.receive` is given each datagram of the locked source. It keeps the statistics of RFC 3550 §6.4.1 (A.1, A.3,
A.8), hands audio to a sink if there is one, and returns the digits that began.

This is on the path of each packet, so it reads no more than it needs; only a header with contributing sources, an
extension or padding is taken apart by `rtp.read`. Not nice: time is taken when the engine looks at its
sockets, so the jitter that we report is no finer than that.
"""

from __future__ import annotations

from collections.abc import Callable

from edge.media import dtmf
from edge.media.g711 import RATE, Codec, decode
from edge.media.rtcp import Block, Report, middle
from edge.media.rtp import COMFORT_NOISE, HEADER, HEADER_BYTES, VERSION, BadRtp, read
from edge.media.sdp import Negotiated

MAX_DROPOUT = 3000  # a sequence number may jump ahead by this much, RFC 3550 A.1
MAX_MISORDER = 100  # or lie back by this much; beyond either the source has begun anew

Sink = Callable[[int, bytes], None]  # RTP timestamp, PCM

_unpack = HEADER.unpack_from


class Receiver:
    """Reads the packets of one stream that come from its other side."""

    __slots__ = (
        "_bad_sequence",
        "_base",
        "_codec",
        "_digits",
        "_event_type",
        "_expected_before",
        "_highest",
        "_last_report",
        "_last_report_at",
        "_received_before",
        "_since_base",
        "_ssrc",
        "_transit",
        "_type",
        "elsewhere",
        "heard",
        "jitter",
        "lost_before",
        "octets",
        "packets",
        "remote_jitter",
        "remote_lost",
        "sink",
        "strange",
    )

    def __init__(self, now: float) -> None:
        self.heard = now  # when the other side was last heard
        self.packets = 0
        self.octets = 0
        self.strange = 0  # that were not of the session
        self.elsewhere = 0  # that came from somewhere else
        self.jitter = 0.0  # in samples
        self.lost_before = 0  # of sources that this one has followed
        self.remote_lost = 0
        self.remote_jitter = 0
        self.sink: Sink | None = None
        self._codec: Codec = "PCMU"
        self._type = 0
        self._event_type: int | None = None
        self._digits = dtmf.DigitReader()
        self._ssrc: int | None = None
        self._base = 0  # the first sequence number of the source
        self._highest = 0  # the highest, extended to count on beyond 2**16
        self._bad_sequence = -1
        self._since_base = 0  # packets received from the source
        self._expected_before = 0  # at the last report
        self._received_before = 0
        self._transit = -1
        self._last_report = 0
        self._last_report_at = 0.0

    @property
    def lost(self) -> int:
        """Packets that were sent and did not come. Duplicates make up for losses, RFC 3550 §6.4.1."""
        expected = self._highest - self._base + 1 if self._ssrc is not None else 0
        return self.lost_before + expected - self._since_base

    def agree(self, negotiated: Negotiated, now: float) -> None:
        self._codec = negotiated.codec
        self._type = negotiated.payload_type
        self._event_type = negotiated.dtmf_payload_type
        self.heard = now

    def plausible(self, data: bytes) -> bool:
        """Whether a datagram from somewhere could be of this session: RTP, of a payload type that was negotiated."""
        if len(data) < HEADER_BYTES or data[0] & 0xC0 != VERSION:
            return False
        kind = data[1] & 0x7F
        return kind in (self._type, self._event_type, COMFORT_NOISE)

    def receive(self, data: bytes, now: float) -> str:
        """Take a datagram; the digits that begin with it."""
        if len(data) < HEADER_BYTES:
            self.strange += 1
            return ""
        first, second, sequence, timestamp, ssrc = _unpack(data)
        kind = second & 0x7F
        if first & 0xC0 != VERSION or (kind != self._type and kind != self._event_type and kind != COMFORT_NOISE):
            self.strange += 1
            return ""
        self.heard = now
        self.packets += 1
        self.octets += len(data) - HEADER_BYTES
        if ssrc != self._ssrc:
            self._begin(ssrc, sequence)
        self._since_base += 1
        ahead = sequence - self._highest & 0xFFFF
        if ahead < MAX_DROPOUT:
            self._highest += ahead
        elif ahead <= 0x10000 - MAX_MISORDER:
            self._jump(sequence)
        if kind == self._type:
            transit = int(now * RATE) - timestamp & 0xFFFFFFFF
            if self._transit >= 0:  # RFC 3550 A.8
                change = transit - self._transit & 0xFFFFFFFF
                if change >= 0x80000000:
                    change = 0x100000000 - change
                self.jitter += (change - self.jitter) / 16
            self._transit = transit
            if self.sink is not None:
                self.sink(timestamp, decode(self._payload(data), self._codec))
            return ""
        if kind == self._event_type:
            return self._digits.read(self._payload(data), timestamp)
        return ""  # comfort noise, RFC 3389: we make our own silence

    def block(self, now: float) -> Block | None:
        """What we report of the source; None when nothing has come yet. Begins the next interval."""
        if self._ssrc is None:
            return None
        expected = self._highest - self._base + 1
        expected_now = expected - self._expected_before
        lost_now = expected_now - (self._since_base - self._received_before)
        self._expected_before, self._received_before = expected, self._since_base
        fraction = min(255, (lost_now << 8) // expected_now) if expected_now > 0 and lost_now > 0 else 0  # A.3
        delay = int((now - self._last_report_at) * 65536) if self._last_report else 0
        return Block(
            self._ssrc,
            fraction,
            expected - self._since_base,
            self._highest & 0xFFFFFFFF,
            int(self.jitter),
            self._last_report,
            min(delay, 0xFFFFFFFF),
        )

    def reported(self, report: Report, ssrc: int, now: float) -> None:
        """The other side's report arrived; `ssrc` is ours."""
        self.heard = now
        if report.sent is not None:
            self._last_report, self._last_report_at = middle(report.sent.ntp), now
        for block in report.blocks:
            if block.ssrc == ssrc:
                self.remote_lost, self.remote_jitter = block.lost, block.jitter

    def _begin(self, ssrc: int, sequence: int) -> None:
        """Another source: its numbers have nothing to do with those before."""
        self.lost_before = self.lost
        self._ssrc = ssrc
        self._restart(sequence)
        self._since_base = 0
        self._digits = dtmf.DigitReader()
        self._last_report = 0

    def _restart(self, sequence: int) -> None:
        self._base = self._highest = sequence
        self._bad_sequence = -1
        self._expected_before = self._received_before = 0
        self._transit = -1

    def _jump(self, sequence: int) -> None:
        """A sequence number far off: the source has begun anew if the next one follows it, RFC 3550 A.1."""
        if sequence == self._bad_sequence:
            self.lost_before = self.lost
            self._restart(sequence)
            self._since_base = 1
        else:
            self._bad_sequence = sequence + 1 & 0xFFFF

    def _payload(self, data: bytes) -> bytes:
        if data[0] == VERSION:  # no padding, no extension, no contributing sources
            return data[HEADER_BYTES:]
        try:
            return read(data).payload
        except BadRtp:
            self.strange += 1
            return b""
