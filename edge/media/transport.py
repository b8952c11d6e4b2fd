"""The media engine: ports, sockets and the one clock of all streams.

One timer of the event loop wakes the engine when the next group of streams is due (`group.py`). Then every stream of
the group sends its packet, and after that everything that arrived in the meantime is read, from all sockets. Nothing of
it is a task or a callback of the loop: the sockets are watched by an epoll of the engine's own, asked once each time. A
packet is thus read up to one packet time after it came, which does not matter for a key press and saves a wake-up for
each packet.

Between two people time counts. So what comes for a stream that is relayed to another one is sent on at once: its socket
moves to a second epoll, which the loop watches as one file. With many calls a wake-up for each packet would cost more
than the packet: then it is not watched, and we look every `PAUSE_SECONDS`. While a stream is relayed the clock only
counts its time, and sends nothing for it.

A stream's socket hears anybody until the first packet that could be of its session; from then on it is locked: the
socket is connected to where that came from, whatever the SDP said (symmetric RTP, RFC 4961), so that the kernel drops
what others send, unseen, and sending is cheaper. A new remote address in a later offer undoes the lock.

Not nice: one who guesses the port can be the first. And a source that moves in the middle of a call without an offer is
not followed; the silence timeout ends such a call.
"""

from __future__ import annotations

import asyncio
import errno
import random
import select
import socket
import time
from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from typing import Any

from edge.errors import Exhausted, Internal
from edge.log import get_logger
from edge.media import dtmf, rtcp
from edge.media.audio import Audio
from edge.media.g711 import decode
from edge.media.group import Group, Groups
from edge.media.live import Live
from edge.media.port import Ports
from edge.media.prompt import Fetch, Prompts
from edge.media.receiver import Receiver, Sink
from edge.media.relay import Relay
from edge.media.rtp import HEADER, HEADER_BYTES, MARKER
from edge.media.sdp import Address, Negotiated
from edge.media.section import MediaSection
from edge.media.sender import Sender
from edge.media.stream import Stats, StreamClosed, report, stats
from edge.media.tap import Tap
from edge.metrics import counter, gauge

__all__ = ["MediaEngine", "MediaSection", "Stream", "StreamClosed", "open_prompts", "shared"]

Ear = Callable[[float], int]  # reads one datagram or more at this time, and returns how many of them count
Line = tuple[Callable[[], bytes | None], Callable[[bytes], int]]  # makes the next packet of a stream, and sends it

log = get_logger("media")

BIND_TRIES = 64  # pairs of ports tried for one stream, when others hold some of the range
MAX_DATAGRAM = 2048  # bytes read of a packet; no G.711 packet is longer
ROUNDS = 16  # packets read from one socket in one tick; the rest waits for the next
STRANGERS = 512  # datagrams read from a socket that is being locked
PAUSE_SECONDS = 0.001  # between two looks at the sockets of relayed streams, when we are busy:
BUSY = 2.0  # when more packets than this would come in a pause
SPAN_SECONDS = 0.02  # over which they are counted
SWEEP_SECONDS = 0.5  # between two looks at silence and reports
EARLY_SECONDS = 0.0005  # some event loops wake up a little too soon

STREAMS = gauge("media_streams", "Media streams that are open.")
PACKETS = counter("rtp_packets_total", "RTP packets.", ["direction"])
LATE = counter("rtp_late_packets_total", "RTP packets sent more than 5 ms after their time.")
UNSENT = counter("rtp_unsent_packets_total", "RTP packets that the system did not take.")
STRANGE = counter("rtp_strange_packets_total", "Datagrams that were of no session, or not from its source.")
EXHAUSTED = counter("media_ports_exhausted_total", "Streams refused because no pair of ports was free.")
TIMEOUTS = counter("media_timeouts_total", "Streams whose other side fell silent.")

_TAKEN = (errno.EADDRINUSE, errno.EACCES)  # another program has this port
_USED_UP = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
_CLASS = {
    socket.AF_INET: (socket.IPPROTO_IP, socket.IP_TOS),
    socket.AF_INET6: (socket.IPPROTO_IPV6, socket.IPV6_TCLASS),
}

_sent, _received = PACKETS.labels("sent"), PACKETS.labels("received")


class Stream:
    """The audio of one call, in both directions. Opened by the engine; silent until it is connected.

    `local` is the address for the SDP. `on_digit` gets each digit the other side presses, once; `on_timeout` is called
    when nothing was heard of it for too long although it may send. Both are called by the loop, from no method here.
    """

    __slots__ = (
        "__weakref__",
        "_begun",
        "_engine",
        "_group",
        "_locked",
        "_negotiated",
        "_on_digit",
        "_on_timeout",
        "_onward",
        "_other",
        "_playing",
        "_pressing",
        "_remote",
        "_report_at",
        "_reports_to",
        "_rtcp",
        "_rtp",
        "_send",
        "_taps",
        "_timed_out",
        "_told",
        "closed",
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
    ) -> None:
        now = time.monotonic()
        self.local = local
        self._engine = engine
        self._rtp, self._rtcp = sockets
        self._on_digit = on_digit
        self._on_timeout = on_timeout
        bits = random.getrandbits(80)
        self.sender = Sender(bits & 0xFFFFFFFF, bits >> 32 & 0xFFFF, bits >> 48)
        self.receiver = Receiver(now)
        self._other: Stream | None = None  # to which it is relayed,
        self._onward: Relay | None = None  # and what makes the other's packets of what comes here
        self._send: Callable[[bytes], int] = self._send_unlocked
        self._taps: tuple[Tap, ...] = ()
        self.line: Line = (self.sender.packet, self._send)
        self.closed = False
        self._negotiated: Negotiated | None = None
        self._group: Group[Stream, Line] | None = None
        self._told: Address | None = None  # where the other side last said it was
        self._locked: Address | None = None  # where the packets really come from
        self._remote: Address | None = None  # where ours go
        self._reports_to: Address | None = None
        self._report_at = now + rtcp.INTERVAL_SECONDS * (0.25 + random.random() / 2)  # half of one, RFC 3550 §6.2
        self._timed_out = False
        self._playing: asyncio.Future[bool] | None = None
        self._begun = False  # what plays, if anything does, is waited for by nobody
        self._pressing: asyncio.Future[bool] | None = None

    @property
    def stats(self) -> Stats:
        return stats(self.sender, self.receiver)

    @property
    def remote(self) -> Address | None:
        """Where our packets go; None as long as that is not known."""
        return self._remote

    def connect(self, negotiated: Negotiated) -> None:
        """Send and receive as negotiated, from now on: at a 183, at the answer, after each later offer.

        The same again has no effect. What is being played goes on.
        """
        before = self._negotiated
        if self.closed or negotiated == before:
            return
        now = time.monotonic()
        self._negotiated = negotiated
        if before is None:
            self._listen()
            self._engine.listen(self._rtcp, self._hear_report)
        remote = self._usable(negotiated.remote)
        if remote is not None and remote != self._told:
            self._told = remote
            if self._locked is not None:
                self._unlock()
            self._remote, self._reports_to = remote, self._usable(negotiated.rtcp)
        self.receiver.agree(negotiated, now)
        self._timed_out = False
        self._agree()
        if self._group is None or self._group.ptime_ms != negotiated.ptime_ms:
            self._engine.leave(self, self._group)
            self._group = self._engine.join(self, negotiated.ptime_ms)

    async def play(self, *audio: Audio) -> None:
        """Play these one after another, and return when the last has been heard to its end.

        Before the stream is connected nothing is heard, and it waits. Cancelling stops at the next packet. Another
        `play` ends this one. Raises StreamClosed.
        """
        if self.closed:
            raise StreamClosed
        self._begun = False
        self._playing = future = self._engine.future()
        self.sender.play(audio, partial(_resolve, future, True))
        try:
            if not await future:
                raise StreamClosed
        finally:
            if self._playing is future:
                self._playing = None
                self.sender.stop()

    def begin(self, *audio: Audio) -> None:
        """Play these without waiting. Whatever is played next ends them, and so does a relay. Raises StreamClosed."""
        if self.closed:
            raise StreamClosed
        self._playing, self._begun = None, True
        self.sender.play(audio, _nobody_waits)

    def hush(self) -> None:
        """End what is being played; its `play` returns. Without effect when nothing is."""
        if self._begun or self._playing is not None:
            self._begun = False
            self.sender.stop()
        if self._playing is not None:
            _resolve(self._playing, True)

    async def send_digits(self, text: str, *, press_ms: int | None = None, gap_ms: int | None = None) -> None:
        """Press these keys, each for so long and with that gap after it, or as configured; `,` is a pause of a second.
        Returns in the last gap. Raises Invalid when it is no such text, or when the other side takes no
        telephone-event; StreamClosed.
        """
        digits = dtmf.check(text)
        if self.closed:
            raise StreamClosed
        future = self._engine.future()
        section = self._engine.section
        self.sender.press(
            digits,
            section.press_ms if press_ms is None else press_ms,
            section.gap_ms if gap_ms is None else gap_ms,
            partial(_resolve, future, True),
        )
        self._pressing = future
        try:
            if not await future:
                raise StreamClosed
        finally:
            if self._pressing is future:
                self._pressing = None
                self.sender.release()

    def tap(self, tap: Tap) -> None:
        """Tell the tap what is heard and said from now on, beside those that are told already. Raises StreamClosed."""
        if self.closed:
            raise StreamClosed
        self._set_taps((*self._taps, tap))

    def untap(self, tap: Tap) -> None:
        """Tell it no more. Without effect on one that is not told."""
        self._set_taps(tuple(one for one in self._taps if one is not tap))

    def relay(self, other: Stream) -> None:
        """From now on each of the two sends what the other receives, packet by packet and at once, and nothing else:
        what plays waits. With itself it is an echo. It ends for both with `unrelay`, or when one is closed or relayed
        to a third. Raises StreamClosed.
        """
        if self.closed or other.closed:
            raise StreamClosed
        if self._other is other:
            return
        self.unrelay()
        other.unrelay()
        for one, its in {self: other, other: self}.items():
            if one._begun:
                one.hush()
            one._other, one._onward = its, Relay(its.sender)
        for one in {self, other}:
            one._agree()
            one._listen()
            one._set_line()

    def unrelay(self) -> None:
        """Both streams speak for themselves again. Without effect when none is relayed."""
        if self._other is None:
            return
        for one in {self, self._other}:
            assert one._onward is not None
            one._onward.end()
            one._other = one._onward = None
            one._listen()
            one._set_line()

    def live(self, source: Live | None) -> None:
        """Play what is pushed into the source whenever nothing else is played, until another, or None, takes its place.
        Raises StreamClosed.
        """
        if self.closed:
            raise StreamClosed
        self.sender.live = source

    def close(self) -> None:
        """Send BYE, and give the ports back. What plays ends with StreamClosed. Without effect when done before."""
        if self.closed:
            return
        self.unrelay()
        self.closed = True
        if self._negotiated is not None and self.sender.packets:  # who never sent does not say BYE, RFC 3550 §6.3.7
            self._report(time.monotonic(), bye=True)
        self._engine.forget(self, self._group, self._rtp, self._rtcp)
        for future in (self._playing, self._pressing):
            if future is not None:
                _resolve(future, False)
        self._group = self._playing = self._pressing = None
        self._taps = ()
        self.receiver.sink = self.sender.live = None
        self._send = len
        self.line = (_no_packet, len)  # a bound method of the stream would keep it alive

    def sweep(self, now: float) -> None:
        """Now and then: report, and notice silence."""
        if now >= self._report_at:
            self._report_at = now + rtcp.INTERVAL_SECONDS * (0.5 + random.random())  # RFC 3550 §6.3.1
            self._report(now)
        limit = self._engine.section.silence_seconds
        if limit and now - self.receiver.heard > limit and not self._timed_out:
            if self._negotiated is not None and self._negotiated.receives:
                self._timed_out = True
                TIMEOUTS.inc()
                self._engine.call(self._on_timeout)
            else:
                self.receiver.heard = now  # held: the other side need not send

    # --- receiving

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
        digits = self.receiver.receive(data, now)
        if digits:
            self._digits(digits)
        return 1

    def _hear_relayed(self, now: float) -> int:
        try:
            data = self._rtp.recv(MAX_DATAGRAM)
        except OSError:
            return 0
        self._take(data, now)
        return 1

    def _take(self, data: bytes, now: float) -> None:
        """A packet from where they should come from. The other side of a relay is served first."""
        if self._onward is not None and self._other is not None:
            packet = self._onward.packet(data)
            if packet is not None:
                try:
                    self._other.line[1](packet)
                    self._engine.passed_on += 1
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
        if not self.receiver.plausible(data):
            self.receiver.strange += 1
            return 1
        return 1 + self._lock(source, data, now)

    def _lock(self, source: tuple[Any, ...], first: bytes, now: float) -> int:
        """From now on hear this source only, and send to it. Returns how many more datagrams were read."""
        self._rtp.connect(source)
        self._send = self._rtp.send
        self._set_line()
        self._locked = self._remote = (source[0], source[1])
        if self._told != self._locked:
            self._reports_to = (source[0], source[1] + 1) if source[1] < 65535 else None
        self._listen()
        self._agree()
        self._take(first, now)
        for count in range(STRANGERS):  # what had come before the socket was connected
            try:
                data, other = self._rtp.recvfrom(MAX_DATAGRAM)
            except OSError:
                return count
            if other == source:
                self._take(data, now)
            else:
                self.receiver.strange += 1
        return STRANGERS

    def _unlock(self) -> None:
        """Hear anybody again. A socket cannot be disconnected from here, so another takes over the port.

        Raises Internal when some program was quicker.
        """
        self._locked = None
        self._send = self._send_unlocked
        self._set_line()
        self._rtp = self._engine.rebind(self._rtp)
        self._listen()

    def _hear_report(self, now: float) -> int:
        try:
            data, source = self._rtcp.recvfrom(MAX_DATAGRAM)
        except OSError:
            return 0
        if self._reports_to is None or source[0] != self._reports_to[0]:
            self.receiver.strange += 1
            return 0
        try:
            found = rtcp.read(data)
        except rtcp.BadRtcp:
            self.receiver.strange += 1
            return 0
        self._reports_to = (source[0], source[1])
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

    # --- sending

    def _usable(self, address: Address | None) -> Address | None:
        """None for an address that a socket of our family cannot send to; then the first packet tells a better one."""
        six = self._rtp.family == socket.AF_INET6
        return address if address is not None and (":" in address[0]) == six else None

    def _agree(self) -> None:
        agreed = self._negotiated
        if agreed is not None:
            self.sender.agree(agreed, on=agreed.sends and self._remote is not None)
        if self._onward is not None and self._other is not None and self._other._onward is not None:
            self._onward.agree(agreed)
            self._other._onward.agree(self._other._negotiated)

    def _set_line(self) -> None:
        make = self.sender.packet if self._onward is None else self.sender.idle
        self.line = (make, self._send_tapped if self._taps else self._send)
        if self._group is not None and self in self._group.members:
            self._group.members[self] = self.line

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
        if self._reports_to is None:
            return
        due = report(self.sender, self.receiver, now, rtcp.ntp(time.time()))
        try:
            self._rtcp.sendto(rtcp.compound(due, self._engine.cname, bye=bye), self._reports_to)
        except OSError:
            UNSENT.inc()


class MediaEngine:
    """Opens streams and gives them the time. One for each process."""

    def __init__(self, section: MediaSection) -> None:
        self.section = section
        self.cname = f"{random.getrandbits(96):024x}"  # tells nobody who we are, RFC 7022 §4.2
        self._ports = Ports(section.first_port, section.last_port, section.port_rest_seconds)
        self._streams: dict[Stream, int] = {}  # and their RTP ports
        self._groups: Groups[Stream, Line] = Groups()
        self._slow, self._fast = _Ears(), _Ears()  # the fast ones are those of relayed streams
        self.passed_on = 0  # packets of relayed streams that were sent and not counted yet
        self._looking: asyncio.TimerHandle | None = None
        self._busy = False  # so many packets are relayed that we look for them ourselves
        self._span_began = 0.0  # since when they are counted to know that
        self._span_packets = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._timer_due = 0.0

    async def start(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._fast.epoll.fileno(), self._wake)

    async def close(self) -> None:
        """Close all streams."""
        for stream in list(self._streams):
            stream.close()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._looking is not None:
            self._looking.cancel()
            self._looking = None
        if self._loop is not None:
            self._loop.remove_reader(self._fast.epoll.fileno())
        self._slow.epoll.close()
        self._fast.epoll.close()

    def open(
        self, host: str, on_digit: Callable[[str], None] = lambda _: None, on_timeout: Callable[[], None] = lambda: None
    ) -> Stream:
        """A stream at the local address `host`.

        Raises Exhausted when no pair of ports is free, Internal when the address is not ours.
        """
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        port, sockets = self._bind(family, host)
        advertised = self.section.advertise
        outside = advertised if advertised and (":" in advertised) == (":" in host) else host
        stream = Stream(self, sockets, (outside, port), on_digit, on_timeout)
        self._streams[stream] = port
        STREAMS.inc()
        return stream

    def _bind(self, family: socket.AddressFamily, host: str) -> tuple[int, tuple[socket.socket, socket.socket]]:
        now = time.monotonic()
        for _ in range(BIND_TRIES):
            port = self._ports.take(now)
            if port is None:
                break
            bound: list[socket.socket] = []
            try:
                bound.append(self._bound(family, host, port))
                bound.append(self._bound(family, host, port + 1))
                return port, (bound[0], bound[1])
            except OSError as error:
                for one in bound:
                    one.close()
                self._ports.give(port, now)
                if error.errno in _USED_UP:
                    EXHAUSTED.inc()
                    raise Exhausted(f"media: {error.strerror}") from error
                if error.errno not in _TAKEN:
                    raise Internal(f"media: cannot open a port on {host}: {error.strerror}") from error
        EXHAUSTED.inc()
        section = self.section
        raise Exhausted(f"media: no pair of ports is free between {section.first_port} and {section.last_port}")

    def _bound(self, family: socket.AddressFamily, host: str, port: int) -> socket.socket:
        one = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        try:
            if self.section.dscp:
                level, option = _CLASS[family]
                one.setsockopt(level, option, self.section.dscp << 2)
            one.bind((host, port))
        except OSError:
            one.close()
            raise
        return one

    # --- for the streams

    def future(self) -> asyncio.Future[bool]:
        return self._running().create_future()

    def call(self, function: Callable[..., None], *args: Any) -> None:
        self._running().call_soon(function, *args)

    def listen(self, to: socket.socket, ear: Ear, *, at_once: bool = False) -> None:
        """Call the ear when datagrams have come: when the clock ticks, or at once."""
        ears, others = (self._fast, self._slow) if at_once else (self._slow, self._fast)
        others.remove(to.fileno())
        ears.add(to.fileno(), ear)

    def rebind(self, old: socket.socket) -> socket.socket:
        """An unconnected socket in the place of a connected one."""
        address = old.getsockname()
        self._slow.remove(old.fileno())
        self._fast.remove(old.fileno())
        old.close()
        try:
            return self._bound(socket.AddressFamily(old.family), address[0], address[1])
        except OSError as error:
            raise Internal(f"media: port {address[1]} is lost: {error.strerror}") from error

    def join(self, stream: Stream, ptime_ms: int) -> Group[Stream, Line]:
        group = self._groups.join(stream, stream.line, ptime_ms, time.monotonic())
        self._arm()
        return group

    def leave(self, stream: Stream, group: Group[Stream, Line] | None) -> None:
        if group is not None:
            self._groups.leave(stream, group)

    def forget(self, stream: Stream, group: Group[Stream, Line] | None, *sockets: socket.socket) -> None:
        """The stream is closed."""
        self.leave(stream, group)
        for one in sockets:
            self._slow.remove(one.fileno())
            self._fast.remove(one.fileno())
            one.close()
        self._ports.give(self._streams.pop(stream), time.monotonic())
        STREAMS.dec()
        if stream.receiver.strange:
            STRANGE.inc(stream.receiver.strange)

    # --- the clock

    def _running(self) -> asyncio.AbstractEventLoop:
        if self._loop is None:
            raise Internal("media: the engine was not started")
        return self._loop

    def _arm(self) -> None:
        due = self._groups.next_due()
        if due is None:
            return
        if self._timer is not None:
            if self._timer_due <= due:
                return
            self._timer.cancel()
        self._timer_due = due
        self._timer = self._running().call_later(max(0.0, due - time.monotonic()), self._tick)

    def _tick(self) -> None:
        self._timer = None
        now = time.monotonic()
        try:
            self._speak(now)
            self._hear(now)
        finally:
            self._arm()

    def _speak(self, now: float) -> None:
        sent = late = failed = 0
        broken: list[tuple[Stream, Group[Stream, Line]]] = []
        for group, is_late in self._groups.due(now + EARLY_SECONDS):
            before = sent
            for next_packet, send in group.members.values():
                try:
                    packet = next_packet()
                    if packet is not None:
                        send(packet)
                        sent += 1
                except OSError:  # refused by its host, or the system has no room: the next one may go
                    failed += 1
                except Exception:  # a fault of ours silences this stream, not the others
                    broken += [(stream, group) for stream in group.members if stream.line[0] is next_packet]
                    log.exception("stream cannot send", port=broken[-1][0].local[1])
            if is_late:
                late += sent - before
            if now - group.swept >= SWEEP_SECONDS:
                group.swept = now
                for stream in group.members:
                    stream.sweep(now)
        for stream, group in broken:
            self._groups.leave(stream, group)
        if sent:
            _sent.inc(sent)
        if late:
            LATE.inc(late)
        if failed:
            UNSENT.inc(failed)

    def _hear(self, now: float) -> None:
        heard = 0
        for _ in range(ROUNDS):
            ready, count = self._slow.hear(now)
            if not ready:
                break
            heard += count
        if heard:
            _received.inc(heard)

    def _wake(self) -> None:
        """The loop saw a packet for a relayed stream."""
        self._pass_on(time.monotonic())
        if self._busy:
            self._running().remove_reader(self._fast.epoll.fileno())
            self._look_later()

    def _look(self) -> None:
        """Look by ourselves, as long as it is worth it."""
        self._pass_on(time.monotonic())
        if self._busy:
            self._look_later()
        else:
            self._looking = None
            self._running().add_reader(self._fast.epoll.fileno(), self._wake)

    def _look_later(self) -> None:
        self._looking = self._running().call_later(PAUSE_SECONDS, self._look)

    def _pass_on(self, now: float) -> None:
        ready, heard = self._fast.hear(now)
        if ready:
            _received.inc(heard)
            _sent.inc(self.passed_on)
            self.passed_on = 0
        self._span_packets += ready
        span = now - self._span_began
        if span >= SPAN_SECONDS:
            self._busy = self._span_packets * PAUSE_SECONDS > BUSY * span
            self._span_began, self._span_packets = now, 0


class _Ears:
    """Sockets, and what is called when datagrams have come for them."""

    def __init__(self) -> None:
        self.epoll = select.epoll()
        self._ears: dict[int, Ear] = {}

    def add(self, number: int, ear: Ear) -> None:
        if number not in self._ears:
            self.epoll.register(number, select.EPOLLIN)
        self._ears[number] = ear

    def remove(self, number: int) -> None:
        if self._ears.pop(number, None) is not None:
            self.epoll.unregister(number)

    def hear(self, now: float) -> tuple[int, int]:
        """Call the ear of each socket with something to read, once. Returns how many there were, and how many
        datagrams they read that count."""
        ready = self.epoll.poll(0)
        heard = 0
        for number, _event in ready:
            ear = self._ears.get(number)
            if ear is None:
                continue
            try:
                heard += ear(now)
            except Exception:
                log.exception("stream cannot hear", socket=number)
                self.remove(number)
        return len(ready), heard


def open_prompts(section: MediaSection, fetch: Fetch) -> Prompts:
    """The prompts of a running daemon: threads and tasks of its event loop."""
    return Prompts(
        section.prompts,
        fetch,
        in_thread=asyncio.to_thread,
        shared=shared,
        now=time.monotonic,
        cache_bytes=section.prompt_cache_mb * 1024 * 1024,
    )


def shared(coroutine: Coroutine[Any, Any, Audio]) -> Callable[[], Awaitable[Audio]]:
    """A coroutine, begun, as something that several can await (see `shelf.py`)."""
    task = asyncio.ensure_future(coroutine)
    task.add_done_callback(_retrieve)
    return lambda: asyncio.shield(task)


def _retrieve(task: asyncio.Task[Audio]) -> None:
    if not task.cancelled():
        task.exception()  # whoever still waits gets it; if nobody does, it is no news


def _resolve(future: asyncio.Future[bool], value: bool) -> None:
    if not future.done():
        future.set_result(value)


def _no_packet() -> None:
    return None


def _nobody_waits() -> None:
    return None
