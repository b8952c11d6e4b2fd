"""Telephone events (RFC 4733): keys as they travel beside the audio.

A press is a run of packets that share one RTP timestamp, the instant the key went down; each says how long it has been
down, and the last one, sent three times, has the end bit. The rules here:

- A timestamp not seen before is a press, reported at once and once, whatever part of it arrives: the first packet, an
  update, or only one of the three ends. The marker bit means nothing; too many senders get it wrong.
- An older timestamp is a straggler of a press already reported.
- A press longer than 65,535 samples goes on under a new timestamp, exactly 65,535 later and with no end in between
  (§2.5.1.3): that is no second press.
- One packet may carry several presses in a row (§2.5.1.5); each then starts where the one before it ended.

Events above 15 (flash and the many tones) are no digits and ignored.
"""

from __future__ import annotations

from struct import Struct

from edge.errors import Invalid
from edge.media.g711 import SAMPLES_PER_MS

DIGITS = "0123456789*#ABCD"  # by event code, RFC 4733 §3.2
PAUSE = ","  # in a text of digits: wait for PAUSE_MS
PAUSE_MS = 1000
END = 0x80
VOLUME = 10  # of what we send, in -dBm0
SEGMENT = 0xFFFF  # the longest duration one packet can say
ENDS = 3  # how often the end is sent, §2.5.1.4
STRAGGLER = 4 * SEGMENT  # samples back; what is older than this is a new clock, not an old packet

_EVENT = Struct("!BBH")  # event, end bit and volume, duration in samples


class DigitReader:
    """Turns the event packets of one source into digits. One for each SSRC: its timestamps must be of one clock."""

    __slots__ = ("_ended", "_event", "_timestamp")

    def __init__(self) -> None:
        self._timestamp: int | None = None  # of the latest press, or of its latest segment
        self._event = -1
        self._ended = False

    def read(self, payload: bytes, timestamp: int) -> str:
        """The digits that begin with this packet: none for the repeats, mostly. A malformed payload has none."""
        digits = ""
        if len(payload) % 4:
            return digits
        for event, flags, duration in _EVENT.iter_unpack(payload):
            digits += self._take(event, flags >= END, timestamp)
            timestamp = timestamp + duration & 0xFFFFFFFF
        return digits

    def _take(self, event: int, end: bool, timestamp: int) -> str:
        if event >= len(DIGITS):
            return ""
        last = self._timestamp
        if last is not None:
            ahead = timestamp - last & 0xFFFFFFFF
            if ahead == 0:
                self._ended = self._ended or end
                return ""
            if 0x100000000 - ahead <= STRAGGLER:
                return ""
            if ahead == SEGMENT and event == self._event and not self._ended:
                self._timestamp, self._ended = timestamp, end
                return ""
        self._timestamp, self._event, self._ended = timestamp, event, end
        return DIGITS[event]


def press(digit: str, milliseconds: int, ptime_ms: int) -> list[bytes]:
    """The payloads of one press, one for each packet time: updates, then the end three times.

    All go out under the timestamp at which the first does.
    """
    event = DIGITS.index(digit)
    step = ptime_ms * SAMPLES_PER_MS
    total = min(milliseconds * SAMPLES_PER_MS, SEGMENT)
    updates = [_EVENT.pack(event, VOLUME, duration) for duration in range(step, total, step)]
    return updates + [_EVENT.pack(event, END | VOLUME, total)] * ENDS


def check(text: str) -> str:
    """The text in upper case. Raises Invalid when something in it is neither a digit nor a pause."""
    for place, character in enumerate(text, 1):
        if character.upper() not in DIGITS and character != PAUSE:
            raise Invalid(f"digits: {character!r} at place {place} is none of {DIGITS} and no pause ({PAUSE})")
    return text.upper()
