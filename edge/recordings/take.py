"""A take: a recording under way, and when it is over. It is told the time, and has no clock.

Silence is when nobody is heard, on neither side: a caller who listens to a prompt, or to who was called, is no reason
to stop.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Final, Literal, get_args

from edge.recordings.limits import BEHIND_SECONDS, SILENCE_LEVEL
from edge.recordings.timeline import RATE, WIDTH, Frames, Side, Timeline

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # see media/g711.py
    import audioop

Format = Literal["wav", "mp3", "ogg"]
EndKey = Literal["none", "any", "*", "#"]
Ending = Literal["stopped", "silence", "key", "duration", "hangup", "limit", "disk", "interrupted"]

ENDINGS: Final[tuple[Ending, ...]] = get_args(Ending)


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to be recorded, and until when; 0: that is no reason to end."""

    format: Format = "wav"
    silence_seconds: float = 0.0
    key: EndKey = "none"
    seconds: float = 0.0


class Take:
    """What both sides say from `began` on, which is a time of whatever clock the caller has."""

    def __init__(self, wish: Wish, began: float, longest_seconds: float) -> None:
        self._wish = wish
        self._began = began
        self._timeline = Timeline()
        self._limited = not 0 < wish.seconds <= longest_seconds
        self._longest = int((longest_seconds if self._limited else wish.seconds) * RATE)
        self._sound = 0  # the place behind the last packet that was no silence
        self._ended = 0.0
        self.ending: Ending | None = None

    @property
    def seconds(self) -> float:
        """How much of it has been taken."""
        return self._timeline.end / RATE

    def put(self, side: Side, timestamp: int, pcm: bytes, now: float) -> None:
        """A packet came, or was sent."""
        if self.ending is not None:
            return
        if now - self._began - self.seconds > BEHIND_SECONDS:
            self.end("disk", now)
            return
        behind = self._timeline.put(side, timestamp, pcm, now - self._began)
        if self._wish.silence_seconds and behind > self._sound and audioop.rms(pcm, WIDTH) >= SILENCE_LEVEL:
            self._sound = behind

    def press(self, key: str) -> bool:
        """The caller pressed a key; whether it ends the take."""
        wanted = self._wish.key
        return wanted == "any" or key == wanted

    def due(self, now: float) -> Ending | None:
        """Why it is to end now, if it is."""
        place = round((now - self._began) * RATE)
        if place >= self._longest:
            return "limit" if self._limited else "duration"
        silence = self._wish.silence_seconds
        return "silence" if silence and place - self._sound >= silence * RATE else None

    def end(self, ending: Ending, now: float) -> None:
        """It is over. Only the first end counts."""
        if self.ending is None:
            self.ending, self._ended = ending, now

    def take(self, now: float) -> Frames:
        """What is new. Once it is over, the rest."""
        over = self.ending is not None
        return self._timeline.take((self._ended if over else now) - self._began, longest=self._longest, whole=over)
