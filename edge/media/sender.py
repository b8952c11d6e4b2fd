"""What a stream sends, packet by packet, without sockets and clocks.

`Sender.packet` is asked once in each packet time and always has an answer, so the stream never stops: a frame of what
is played, of a key being pressed, or of silence. Sequence numbers and timestamps go on without a gap whatever it was.
The marker bit is set on the first packet and on the first after a hold, because only these follow a time in which
nothing was sent (RFC 3551 §4.1), and where a press begins.

This is on the path of each packet, which explains its form: the usual case, the next whole frame of what plays, comes
first and costs one comparison; everything else is in `_unusual`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence

from edge.errors import Invalid
from edge.media import dtmf
from edge.media.audio import Audio
from edge.media.g711 import SAMPLES_PER_MS, Codec, encode, silence
from edge.media.live import Live
from edge.media.rtp import HEADER, MARKER, VERSION, later
from edge.media.sdp import PTIME_MS, Negotiated

_pack = HEADER.pack


class Sender:
    """Makes the packets of one stream. SSRC and the numbers it begins with are chosen by chance (RFC 3550 §5.1)."""

    __slots__ = (
        "_at",
        "_counted",
        "_data",
        "_done",
        "_end",
        "_events",
        "_first",
        "_playing",
        "_press_began",
        "_press_done",
        "_ptime",
        "_queue",
        "codec",
        "event_type",
        "live",
        "on",
        "packets",
        "payload_type",
        "samples",
        "sequence",
        "silence",
        "ssrc",
        "surplus",
        "timestamp",
    )

    def __init__(self, ssrc: int, sequence: int, timestamp: int) -> None:
        self.ssrc = ssrc
        self.sequence = sequence  # of the last packet
        self.timestamp = timestamp  # of the next
        self.packets = 0
        self.surplus = 0  # bytes of relayed packets beyond a frame for each
        self.on = False  # may send
        self.live: Live | None = None  # played when nothing else is
        self._counted = (0, 0)  # packets and bytes up to the last change of the packet time
        self._first = True  # the next packet follows a pause
        # What plays: the bytes of the present audio, where the next frame begins, and up to where `packet` may simply
        # take the next. It is -1 when there is more to it: nothing plays, a key is pressed, a pause ends, we are held.
        self._data = b""
        self._at = 0
        self._end = -1
        self._playing: Audio | None = None
        self._queue: deque[Audio] = deque()
        self._done: Callable[[], None] | None = None
        # Keys: for each packet time to come the payload of an event, or None for a gap.
        self._events: deque[bytes | None] = deque()
        self._press_began: int | None = None  # the timestamp that all packets of the present press carry
        self._press_done: Callable[[], None] | None = None
        # Set by `agree`.
        self.codec: Codec = "PCMU"
        self.payload_type = 0
        self.event_type: int | None = None
        self._ptime = PTIME_MS
        self.samples = PTIME_MS * SAMPLES_PER_MS
        self.silence = b""  # a frame of it

    @property
    def octets(self) -> int:
        """Payload bytes sent; an event's packets are counted as if they were audio."""
        packets, octets = self._counted
        return octets + (self.packets - packets) * self.samples + self.surplus

    @property
    def ptime_ms(self) -> int:
        return self._ptime

    def agree(self, negotiated: Negotiated, *, on: bool) -> None:
        """From the next packet on send what was negotiated, if `on`: else only time goes on.

        What plays goes on where it is, if need be in the other law.
        """
        self._counted, self.surplus = (self.packets, self.octets), 0
        self.codec = negotiated.codec
        self.payload_type = negotiated.payload_type
        self.event_type = negotiated.dtmf_payload_type
        self._ptime = negotiated.ptime_ms
        self.samples = negotiated.ptime_ms * SAMPLES_PER_MS
        self.silence = silence(negotiated.codec, self.samples)
        self.on = on
        if self._playing is not None:
            self._data = self._playing.encoded(self.codec)
        self._aim()

    def play(self, audio: Sequence[Audio], done: Callable[[], None]) -> None:
        """Play these from the next packet on, one after another; `done` is called when the last was heard to its end.

        Each begins with a new packet. Ends what was being played before, whose `done` is called now.
        """
        before, self._done = self._done, done
        self._queue = deque(audio)
        self._next()
        if before is not None:
            before()

    def stop(self) -> None:
        """Stop playing at the next packet. `done` is not called."""
        self._done = None
        self._queue.clear()
        self._next()

    def press(self, digits: str, press_ms: int, gap_ms: int, done: Callable[[], None]) -> None:
        """Press these keys from the next packet on, after those that wait already; what plays waits meanwhile.

        `digits` as `dtmf.check` returns it. `done` is called in the last gap. Raises Invalid when the other side
        did not negotiate telephone-event.
        """
        if self.event_type is None:
            raise Invalid("digits: the other side takes no telephone-event")
        for digit in digits:
            if digit == dtmf.PAUSE:
                self._events.extend([None] * (dtmf.PAUSE_MS // self._ptime))
            else:
                self._events.extend(dtmf.press(digit, press_ms, self._ptime))
                self._events.extend([None] * max(1, gap_ms // self._ptime))
        before, self._press_done = self._press_done, done
        if before is not None:
            before()
        if self._events:
            self._end = -1
        else:
            self._pressed()

    def release(self) -> None:
        """Press no more keys. `done` is not called."""
        self._press_done = None
        self._events.clear()
        self._pressed()

    def packet(self) -> bytes | None:
        """The next packet; None while we may not send. Time goes on by one packet time either way."""
        at = self._at
        timestamp = self.timestamp
        samples = self.samples
        self.timestamp = timestamp + samples & 0xFFFFFFFF
        if at >= self._end:
            return self._unusual(timestamp)
        self._at = end = at + samples
        self.packets += 1
        self.sequence = sequence = self.sequence + 1 & 0xFFFF
        return _pack(VERSION, self.payload_type, sequence, timestamp, self.ssrc) + self._data[at:end]

    def idle(self) -> None:
        """Nothing is sent, as another sends in our name (`relay.py`). Time goes on by one packet time."""
        self.timestamp = self.timestamp + self.samples & 0xFFFFFFFF

    def resume(self, timestamp: int) -> None:
        """The other one sends no more; this is where its audio ended."""
        self.timestamp = later(self.timestamp, timestamp)
        self._first = True
        self._aim()

    def _unusual(self, timestamp: int) -> bytes | None:
        second = self.payload_type
        if self._events:
            payload = self._events.popleft()
            if payload is None:
                payload = self.silence
                self._press_began = None
            elif self.event_type is not None:
                second = self.event_type
                if self._press_began is None:
                    self._press_began = timestamp
                    second |= MARKER  # the beginning of an event, RFC 4733 §2.5.1.2
                timestamp = self._press_began
            if not self._events:
                self._pressed()
        else:
            payload = self._frame()
        if not self.on:
            self._first = True
            return None
        if self._first:
            self._first = False
            second |= MARKER
            self._aim()
        self.packets += 1
        self.sequence = sequence = self.sequence + 1 & 0xFFFF
        return _pack(VERSION, second, sequence, timestamp, self.ssrc) + payload

    def _frame(self) -> bytes:
        """The next frame of what plays, filled up at its end; else of the live source; else silence."""
        at = self._at
        if at < len(self._data):
            self._at = end = at + self.samples
            frame = self._data[at:end]
            return frame + self.silence[len(frame) :]
        if self._playing is not None:
            self._next()
            if self._playing is not None:
                return self._frame()
        done, self._done = self._done, None
        if done is not None:
            done()  # one packet time after its last frame was sent: now it has been heard
        if self.live is not None:
            frame = encode(self.live.take(self.samples), self.codec)
            return frame + self.silence[len(frame) :]
        return self.silence

    def _next(self) -> None:
        """The next audio of the queue becomes the present one; those without a sample are passed over."""
        self._playing = None
        while self._queue and self._playing is None:
            audio = self._queue.popleft()
            self._playing = audio if audio.pcm else None
        self._data = self._playing.encoded(self.codec) if self._playing is not None else b""
        self._at = 0
        self._aim()

    def _pressed(self) -> None:
        self._press_began = None
        self._aim()
        done, self._press_done = self._press_done, None
        if done is not None:
            done()

    def _aim(self) -> None:
        """Set `_end`."""
        if self.on and not self._first and not self._events:
            self._end = self._at + (len(self._data) - self._at) // self.samples * self.samples
        else:
            self._end = -1
