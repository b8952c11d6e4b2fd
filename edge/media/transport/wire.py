"""A wire: the packets of one stream, as they come and go.

Its socket hears anybody until the first packet of its session from where one may come (`latch.py`); from then on it is
locked: the socket is connected to there, whatever port the SDP said (symmetric RTP, RFC 4961), so that the kernel drops
what others send, unseen, and sending is cheaper. Who is only perhaps the right one is heard and sent to, and gives way
to the right one. A new remote address in a later offer undoes the lock, and so does a silence of `RELEARN_SECONDS`: a
NAT may have begun anew. Reports are locked to their source in the same way.

What is encrypted (SRTP) is opened before anything looks at it, so the first packet that could be of the session is one
that has its key; what is not of it is dropped and counted. Taps and relays see what was said, not what was sent.

Not nice: what the kernel drops is in its own counters only (UdpNoPorts).
"""

from __future__ import annotations

import random
import socket
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from edge.errors import EdgeError
from edge.log import get_logger
from edge.media import rtcp
from edge.media.crypto import Sdes
from edge.media.g711 import decode
from edge.media.group import Group
from edge.media.latch import Latch
from edge.media.receiver import Receiver, Sink
from edge.media.relay import Relay
from edge.media.rtp import HEADER, HEADER_BYTES, MARKER
from edge.media.sdp import Address, Negotiated
from edge.media.sender import Sender
from edge.media.srtp import Cipher
from edge.media.stream import StreamClosed, report
from edge.media.tap import Tap
from edge.media.transport.counts import TIMEOUTS, UNAUTHENTIC, UNSENT

if TYPE_CHECKING:
    from edge.media.transport.engine import MediaEngine

Line = tuple[Callable[[], bytes | None], Callable[[bytes], int]]  # makes the next packet of a stream, and sends it

log = get_logger("media")

MAX_DATAGRAM = 2048  # bytes read of a packet; no G.711 packet is longer
RELEARN_SECONDS = 5.0  # of silence, after which the other side may be heard from elsewhere
STRANGERS = 512  # datagrams read from a socket that is being locked


class Wire:
    """Hears and sends for one stream, and tells its taps. The engine opens it; silent until something is agreed."""

    __slots__ = (
        "__weakref__",
        "_cipher",
        "_engine",
        "_group",
        "_latch",
        "_locked",
        "_negotiated",
        "_on_digit",
        "_on_timeout",
        "_onward",
        "_other",
        "_passing",
        "_perhaps",
        "_raw",
        "_remote",
        "_report_at",
        "_reports_from",
        "_reports_to",
        "_rtcp",
        "_rtp",
        "_send",
        "_taps",
        "_timed_out",
        "_told",
        "closed",
        "events",
        "line",
        "local",
        "receiver",
        "sender",
    )

    def __init__(
        self,
        engine: MediaEngine,
        sockets: tuple[socket.socket, socket.socket],
        local: Address,
        on_digit: Callable[[str], None],
        on_timeout: Callable[[], None],
        near: str,
    ) -> None:
        now = time.monotonic()
        self.local = local
        self._latch = Latch(near)
        self._engine = engine
        self._passing = engine.passing
        self._rtp, self._rtcp = sockets
        self._on_digit = on_digit
        self._on_timeout = on_timeout
        bits = random.getrandbits(80)
        # a sequence that does not begin near its end: who misses our first packets still knows how often it rolled over
        self.sender = Sender(bits & 0xFFFFFFFF, bits >> 32 & 0x7FFF, bits >> 48)
        self.receiver = Receiver(now)
        self._other: Wire | None = None  # to which it is relayed,
        self._onward: Relay | None = None  # and what makes the other's packets of what comes here
        self._cipher: Cipher | None = None  # once it is agreed that media are encrypted
        self._raw: Callable[[bytes], int] = self._send_unlocked
        self._send: Callable[[bytes], int] = self._raw  # or through the cipher
        self._taps: tuple[Tap, ...] = ()
        self.line: Line = (self.sender.packet, self._send)
        self.closed = False
        self.events = True  # keys may be sent as telephone events; else they are received only
        self._negotiated: Negotiated | None = None
        self._group: Group[Wire, Line] | None = None
        self._told: Address | None = None  # where the other side last said it was
        self._locked: Address | None = None  # where the packets really come from
        self._perhaps: tuple[Any, ...] | None = None  # or seem to, as long as they are not locked
        self._remote: Address | None = None  # where ours go
        self._reports_to: Address | None = None
        self._reports_from: tuple[Any, ...] | None = None  # once one came
        self._report_at = now + rtcp.INTERVAL_SECONDS * (0.25 + random.random() / 2)  # half of one, RFC 3550 §6.2
        self._timed_out = False

    def tap(self, tap: Tap) -> None:
        """Tell the tap what is heard and said from now on, beside those that are told already. Raises StreamClosed."""
        if self.closed:
            raise StreamClosed
        self._set_taps((*self._taps, tap))

    def untap(self, tap: Tap) -> None:
        """Tell it no more. Without effect on one that is not told."""
        self._set_taps(tuple(one for one in self._taps if one is not tap))

    def sweep(self, now: float) -> None:
        """Now and then: report, and notice silence."""
        if now >= self._report_at:
            self._report_at = now + rtcp.INTERVAL_SECONDS * (0.5 + random.random())  # RFC 3550 §6.3.1
            self._report(now)
        if now - self.receiver.heard > RELEARN_SECONDS and (self._locked or self._perhaps) is not None:
            self._relearn()
        limit = self._engine.section.silence_seconds
        if limit and now - self.receiver.heard > limit and not self._timed_out:
            if self._negotiated is not None and self._negotiated.receives:
                self._timed_out = True
                TIMEOUTS.inc()
                self._engine.call(self._on_timeout)
            else:
                self.receiver.heard = now  # held: the other side need not send

    def _relearn(self) -> None:
        """Nothing came for a while: it may come from elsewhere. Not of one who need not send (§5.1 of RFC 3264)."""
        if self._negotiated is None or not self._negotiated.receives:
            return
        heard, self._perhaps = self._locked, None
        if heard is not None:
            try:
                self._unlock()
            except EdgeError as error:
                log.error("stream is lost", port=self.local[1], why=error.message)
                self._engine.call(self._on_timeout)
        self._latch.expect(self._told, heard)

    def _listen(self) -> None:
        """Have the engine call what hears as things are: before the first agreement nothing does."""
        if self._negotiated is None:
            return
        relayed = self._onward is not None
        known = self._hear_relayed if relayed else self._hear_locked
        self._engine.listen(self._rtp, self._hear_unlocked if self._locked is None else known, at_once=relayed)

    def _hear_locked(self, now: float) -> int:
        try:
            data = self._rtp.recv(MAX_DATAGRAM)
        except OSError:  # an ICMP message about one of ours; the silence timeout sees to it
            return 0
        if self._cipher is not None:
            opened = self._open(data)
            if opened is None:
                return 1
            data = opened
        digits = self.receiver.receive(data, now)
        if digits:
            self._digits(digits)
        return 1

    def _hear_relayed(self, now: float) -> int:
        try:
            data = self._rtp.recv(MAX_DATAGRAM)
        except OSError:
            return 0
        if self._cipher is None:
            self._take(data, now)
        elif (opened := self._open(data)) is not None:
            self._take(opened, now)
        return 1

    def _take(self, data: bytes, now: float) -> None:
        """A packet from where they should come from. The other side of a relay is served first."""
        if self._onward is not None and self._other is not None:
            packet = self._onward.packet(data)
            if packet is not None:
                try:
                    self._other.line[1](packet)
                    self._passing.passed_on += 1
                except OSError:
                    UNSENT.inc()
        digits = self.receiver.receive(data, now)
        if digits:
            self._digits(digits)

    def _hear_unlocked(self, now: float) -> int:
        try:
            data, source = self._rtp.recvfrom(MAX_DATAGRAM)
        except OSError:
            return 0
        if self._cipher is not None:
            opened = self._open(data)
            if opened is None:
                return 1
            data = opened
        if not self.receiver.plausible(data):
            self.receiver.strange += 1
            return 1
        if self._cipher is not None:  # it has the key
            return 1 + self._lock(source, data, now)
        if source == self._perhaps:
            self._take(data, now)
            return 1
        _, _, sequence, _, ssrc = HEADER.unpack_from(data)
        verdict = self._latch.judge((source[0], source[1]), ssrc, sequence, now)
        if verdict == "right":
            return 1 + self._lock(source, data, now)
        if verdict == "perhaps" and self._perhaps is None:
            self._perhaps = source
            self._go_to(source)
            self._take(data, now)
        else:
            self.receiver.elsewhere += 1
        return 1

    def _lock(self, source: tuple[Any, ...], first: bytes, now: float) -> int:
        """From now on hear this source only, and send to it. Returns how many more datagrams were read."""
        self._rtp.connect(source)
        self._set_way(self._rtp.send)
        self._locked, self._perhaps = (source[0], source[1]), None
        self._go_to(source)
        self._listen()
        self._take(first, now)
        for count in range(STRANGERS):  # what had come before the socket was connected
            try:
                data, other = self._rtp.recvfrom(MAX_DATAGRAM)
            except OSError:
                return count
            opened = data if self._cipher is None or other != source else self._open(data)
            if other != source:
                self.receiver.elsewhere += 1
            elif opened is not None:
                self._take(opened, now)
        return STRANGERS

    def _go_to(self, source: tuple[Any, ...]) -> None:
        """Send there, since their packets come from there."""
        self._remote = (source[0], source[1])
        if self._told != self._remote:
            self._reports_to = (source[0], source[1] + 1) if source[1] < 65535 else None
        self._reports_from = None
        self._agree()

    def _unlock(self) -> None:
        """Hear anybody again. A socket cannot be disconnected from here, so another takes over the port.

        Raises Internal when some program was quicker.
        """
        self._locked = self._perhaps = self._reports_from = None
        self._set_way(self._send_unlocked)
        self._rtp = self._engine.rebind(self._rtp)
        self._listen()

    def _hear_report(self, now: float) -> int:
        try:
            data, source = self._rtcp.recvfrom(MAX_DATAGRAM)
        except OSError:
            return 0
        if self._reports_to is None or source[0] != self._reports_to[0] or self._reports_from not in (None, source):
            self.receiver.elsewhere += 1
            return 0
        if self._cipher is not None:
            opened = self._cipher.open_report(data)
            if opened is None:
                UNAUTHENTIC.inc()
                return 0
            data = opened
        try:
            found = rtcp.read(data)
        except rtcp.BadRtcp:
            self.receiver.strange += 1
            return 0
        self._reports_to, self._reports_from = (source[0], source[1]), source
        for item in found:
            if isinstance(item, rtcp.Report):
                self.receiver.reported(item, self.sender.ssrc, now)
        return 0

    def _set_taps(self, taps: tuple[Tap, ...]) -> None:
        self._taps = taps
        if not self.closed:
            self.receiver.sink = self._heard if taps else None
            self._set_line()

    def _heard(self, timestamp: int, pcm: bytes) -> None:
        for tap in self._taps:
            self._tell(tap, tap.heard, timestamp, pcm)

    def _tell(self, tap: Tap, what: Sink, timestamp: int, pcm: bytes) -> None:
        try:
            what(timestamp, pcm)
        except Exception:  # a fault of ours costs the tap, not the call
            log.exception("tap cannot hear", port=self.local[1])
            self.untap(tap)

    def _digits(self, digits: str) -> None:
        for digit in digits:
            self._engine.call(self._on_digit, digit)

    def _usable(self, address: Address | None) -> Address | None:
        """None for an address that a socket of our family cannot send to; then the first packet tells a better one."""
        six = self._rtp.family == socket.AF_INET6
        return address if address is not None and (":" in address[0]) == six else None

    def _agree(self) -> None:
        agreed = self._negotiated
        if agreed is not None:
            said = agreed if self.events else agreed._replace(dtmf_payload_type=None)
            self.sender.agree(said, on=agreed.sends and self._remote is not None)
        if self._onward is not None and self._other is not None and self._other._onward is not None:
            self._onward.agree(agreed)
            self._other._onward.agree(self._other._negotiated)

    def _set_line(self) -> None:
        make = self.sender.packet if self._onward is None else self.sender.idle
        self.line = (make, self._send_tapped if self._taps else self._send)
        if self._group is not None and self in self._group.members:
            self._group.members[self] = self.line

    def _set_way(self, raw: Callable[[bytes], int]) -> None:
        """How what is sent leaves from now on."""
        self._raw = raw
        self._send = raw if self._cipher is None else self._send_sealed
        self._set_line()

    def _secure(self, sdes: Sdes | None) -> None:
        """Encrypt and decrypt as was agreed."""
        if sdes is None:
            self._cipher = None
        elif self._cipher is None:
            self._cipher = Cipher(sdes)
        else:
            self._cipher.agree(sdes)
        self._set_way(self._raw)

    def _open(self, data: bytes) -> bytes | None:
        opened = self._cipher.open(data) if self._cipher is not None else data
        if opened is None:
            UNAUTHENTIC.inc()
            self.receiver.strange += 1
        return opened

    def _send_sealed(self, packet: bytes) -> int:
        sealed = self._cipher.seal(packet) if self._cipher is not None else packet
        if sealed is None:
            UNSENT.inc()
            return 0
        return self._raw(sealed)

    def _send_unlocked(self, packet: bytes) -> int:
        assert self._remote is not None
        return self._rtp.sendto(packet, self._remote)

    def _send_tapped(self, packet: bytes) -> int:
        count = self._send(packet)
        sender = self.sender
        _, second, _, timestamp, _ = HEADER.unpack_from(packet)
        payload = packet[HEADER_BYTES:]
        if second & ~MARKER == sender.payload_type and payload != sender.silence:
            pcm = decode(payload, sender.codec)
            for tap in self._taps:
                self._tell(tap, tap.said, timestamp, pcm)
        return count

    def _report(self, now: float, *, bye: bool = False) -> None:
        agreed = self._negotiated
        if self._reports_to is None or agreed is None or (agreed.rtcp is None and not agreed.sends):
            return  # RFC 3264 §8.4: a hold by address is one of reports, too
        due = report(self.sender, self.receiver, now, rtcp.ntp(time.time()))
        packet: bytes | None = rtcp.compound(due, self._engine.cname, bye=bye)
        if self._cipher is not None and packet is not None:
            packet = self._cipher.seal_report(packet)
        if packet is None:
            UNSENT.inc()
            return
        try:
            self._rtcp.sendto(packet, self._reports_to)
        except OSError:
            UNSENT.inc()
