"""What all forks have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import ClassVar

from edge.flows.external_media import ExternalMedia
from edge.media.encoding import ENCODINGS
from edge.media.fork import Chosen
from edge.media.live import Live
from edge.media.stream import StreamClosed
from edge.media.transport.stream import Stream
from edge.metrics import Count, counter, gauge, tally

FORKS = gauge("external_media_forks", "Forks of calls' audio that are open.")
STARTED = counter(
    "external_media_total", "Forks of calls' audio, by kind and how they began or ended.", ("kind", "event")
)
DROPPED = tally(
    "external_media_dropped_total",
    "Pieces of audio that a fork dropped: its other side was too slow for them, or too fast.",
    ("kind", "direction"),
)


class Fork(ABC):
    """One fork, open. `ended(fork)` is called once, by whoever ended it."""

    kind: ClassVar[str]

    def __init__(self, id: str, media: ExternalMedia, live: Live, ended: Callable[[Fork], None]) -> None:
        self.id = id
        self.media = media
        self.encoding = ENCODINGS[media.format]
        self.over = False
        self._live = live
        self._ended = ended
        self._stream: Stream | None = None
        self._tap = Chosen(media.listen, self.told)

    def join(self, stream: Stream) -> None:
        """Take part in the stream. Raises StreamClosed."""
        if self.media.listen != "none":
            stream.tap(self._tap)
        elif stream.closed:
            raise StreamClosed
        self._stream = stream
        if self.media.speak:
            stream.live(self._live)
        FORKS.inc()
        STARTED.labels(self.kind, "started").inc()

    @abstractmethod
    def told(self, timestamp: int, pcm: bytes) -> None:
        """Send a packet of what was heard or said. It is on the path of each packet: quick, and without waiting."""

    @abstractmethod
    def typed(self, keys: str) -> None:
        """The caller typed these keys."""

    def end(self, why: str) -> None:
        """Leave the stream and the other side. Without effect when done before."""
        if self.over:
            return
        self.over = True
        stream, self._stream = self._stream, None
        if stream is not None:
            FORKS.dec()
            STARTED.labels(self.kind, why).inc()
            if not stream.closed:
                stream.untap(self._tap)
                if self.media.speak:
                    stream.live(None)
        self.leave(why)
        self._ended(self)

    def _push(self, pcm: bytes, dropped: Count) -> None:
        """Have this played, when its turn comes; what has to go for it is counted."""
        before = self._live.dropped_ms
        self._live.push(pcm)
        if self._live.dropped_ms > before:
            dropped.inc()

    @abstractmethod
    def leave(self, why: str) -> None:
        """Say goodbye to the other side; nothing may be waited for."""
