"""Live: PCM that comes from outside while it is played, by the network and so unevenly.

`push` takes whatever comes, `take` gives the stream's sender one frame after another. In between lies a small jitter
buffer:

- After it was empty, nothing is played until `least_ms` have come, or as much time has passed since the first byte.
- When it holds more than `most_ms`, the oldest goes: who speaks live is heard late or in part, and never later and
  later. A source that sends faster than it speaks needs room for all it sends ahead.
- When it runs empty, the last frame is filled up with silence.
"""

from __future__ import annotations

from edge.media.g711 import SAMPLES_PER_MS, WIDTH

LEAST_MS = 40
MOST_MS = 400

_BYTES_PER_MS = SAMPLES_PER_MS * WIDTH


class Live:
    """Give it to `Stream.live`. It belongs to one stream at a time."""

    def __init__(self, *, least_ms: int = LEAST_MS, most_ms: int = MOST_MS) -> None:
        self.dropped_ms = 0.0  # that came and was never played
        self._least = least_ms * _BYTES_PER_MS
        self._most = max(least_ms, most_ms) * _BYTES_PER_MS
        self._pcm = bytearray()
        self._waited: int | None = 0  # bytes not played since it filled up again; None: it plays

    @property
    def buffered_ms(self) -> float:
        """What has come and was not played yet."""
        return len(self._pcm) / _BYTES_PER_MS

    def push(self, pcm: bytes) -> None:
        """PCM, 8 kHz, 16 bit, mono, in pieces of any length: half a sample waits for its other half."""
        self._pcm += pcm
        much = len(self._pcm) - self._most
        if much > 0:
            self._drop(much + much % WIDTH)

    def clear(self) -> None:
        """Play nothing of what has come so far: the one who listens has begun to speak."""
        self._drop(len(self._pcm) // WIDTH * WIDTH)
        self._waited = 0

    def take(self, samples: int) -> bytes:
        """The PCM of the next frame: less than that many samples at the end, none while there is nothing to play."""
        pcm = self._pcm
        wanted = samples * WIDTH
        if self._waited is not None:
            if len(pcm) < WIDTH:
                return b""
            if len(pcm) < self._least and self._waited < self._least:
                self._waited += wanted
                return b""
            self._waited = None
        size = min(wanted, len(pcm) // WIDTH * WIDTH)
        frame = bytes(pcm[:size])
        del pcm[:size]
        if size < wanted:
            self._waited = 0
        return frame

    def _drop(self, size: int) -> None:
        del self._pcm[:size]
        self.dropped_ms += size / _BYTES_PER_MS
