"""Both sides of a call on one time line: stereo, the caller left, the edge right.

Each packet is laid where its RTP timestamp says, counted from its side's first packet, whose place is the moment it
came. So what one side says is put together sample for sample however its packets travelled, a late one goes to its
place, and what was never sent or never came is silence.

The clock of the other side is not ours: it may go faster or slower, jump, or be another one from one packet to the
next. A side that has drifted by more than `DRIFT_SECONDS` is counted anew from the time that its next packet came. One
whose clock is slow gets that much silence there. One that is ahead, because its clock is fast or its first packet was
late, would write over its own last words: so it waits for a moment of silence, unless it is `AHEAD_SECONDS` ahead. A
packet that is `WINDOW_SECONDS` late begins a new clock, too.

Places are samples from the beginning, of one side. What lies further back than the window has been taken and is gone
from here, so the memory of a call of hours is that of its last seconds.
"""

from __future__ import annotations

import warnings
from array import array
from typing import Final, Literal, NamedTuple

from edge.recordings.limits import (
    AHEAD_SECONDS,
    DRIFT_CHECK_SECONDS,
    DRIFT_SECONDS,
    SILENCE_LEVEL,
    WINDOW_SECONDS,
)

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # see media/g711.py
    import audioop

RATE: Final = 8000  # samples a second
WIDTH: Final = 2  # bytes of a sample
FRAME: Final = 2 * WIDTH  # bytes of both sides' sample

_WINDOW: Final = int(WINDOW_SECONDS * RATE)
_DRIFT: Final = int(DRIFT_SECONDS * RATE)
_AHEAD: Final = int(AHEAD_SECONDS * RATE)
_CHECK: Final = int(DRIFT_CHECK_SECONDS * RATE)

Side = Literal["left", "right"]


class _Clock:
    """Where the packets of one side lie, from their timestamps and the places at which they came."""

    __slots__ = ("_checked", "_least", "_place", "_timestamp")

    def __init__(self) -> None:
        self._timestamp: int | None = None  # of a packet, and
        self._place = 0  # where it lies
        self._least = _WINDOW  # by how much the quickest packet was late
        self._checked = 0  # since when

    def place(self, timestamp: int, came: int) -> int:
        if self._timestamp is None:
            return self.set(timestamp, came)
        ahead = timestamp - self._timestamp & 0xFFFFFFFF
        place = self._place + (ahead - 0x100000000 if ahead >= 0x80000000 else ahead)
        late = came - place
        if late > _WINDOW or late < -_AHEAD:
            return self.set(timestamp, came)
        if late < self._least:
            self._least = late
        if came - self._checked >= _CHECK:
            if self._least > _DRIFT:
                place += self._least
            self.set(timestamp, place)
            self._checked = came
        return place

    def set(self, timestamp: int, place: int) -> int:
        self._timestamp, self._place = timestamp, place
        self._least, self._checked = _WINDOW, place
        return place


class Frames(NamedTuple):
    """A piece of the line: from its place on, so many frames. A side that is shorter ends in silence."""

    place: int
    length: int
    left: bytes
    right: bytes

    def stereo(self) -> bytes:
        """Both sides as PCM of 16 bit: 50 µs for half a second, which is not for the loop when there are many."""
        frames = array("h", bytes(self.length * FRAME))
        for channel, part in enumerate((self.left, self.right)):
            frames[channel : channel + len(part) // WIDTH * 2 : 2] = array("h", part)
        return frames.tobytes()


class Timeline:
    """Takes packets, gives frames. All times are seconds from the beginning."""

    def __init__(self) -> None:
        self._clocks: dict[Side, _Clock] = {"left": _Clock(), "right": _Clock()}
        self._heard: dict[Side, bytearray] = {"left": bytearray(), "right": bytearray()}
        self._base = 0  # the place where both begin
        self._dirty = 0  # from here on something is new
        self.end = 0  # up to here it was taken

    def put(self, side: Side, timestamp: int, pcm: bytes, now: float) -> int:
        """Lay a packet that came now; returns the place behind it."""
        came, clock = round(now * RATE), self._clocks[side]
        place = clock.place(timestamp, came)
        if place - came > _DRIFT and self._silent(side, came, place):
            place = clock.set(timestamp, came)
        size = len(pcm) // WIDTH
        if place < self._base:
            pcm, place = pcm[(self._base - place) * WIDTH :], self._base
        heard, at = self._heard[side], (place - self._base) * WIDTH
        if at > len(heard):
            heard += bytes(at - len(heard))
        heard[at : at + len(pcm)] = pcm
        if place < self._dirty:
            self._dirty = place
        return place + size

    def _silent(self, side: Side, start: int, end: int) -> bool:
        """Whether nothing is lost between two places when it is written over."""
        piece = self._heard[side][max(0, start - self._base) * WIDTH : (end - self._base) * WIDTH]
        return audioop.rms(piece, WIDTH) < SILENCE_LEVEL

    def take(self, now: float, *, longest: int, whole: bool = False) -> Frames:
        """What is new up to now. It may begin before the end of what was taken last.

        Nothing behind the place `longest` is given. `whole`: with the rest of packets that reach beyond now.
        """
        end = max(self.end, round(now * RATE))
        if whole:
            end = max([end, *(self._base + len(heard) // WIDTH for heard in self._heard.values())])
        end = min(end, longest)
        start = min(self._dirty, end)
        piece = slice((start - self._base) * WIDTH, (end - self._base) * WIDTH)
        left, right = (bytes(heard[piece]) for heard in self._heard.values())
        self.end = self._dirty = end
        keep = max(self._base, end - _WINDOW)
        for heard in self._heard.values():
            del heard[: (keep - self._base) * WIDTH]
        self._base = keep
        return Frames(start, end - start, left, right)
