"""Passing on: the packets of streams that are relayed to each other.

Between two people time counts. So what comes for such a stream is sent on at once: its socket has a place in an epoll
that the loop watches as one file. With many calls a wake-up for each packet would cost more than the packet: then it is
not watched, and we look every `PAUSE_SECONDS`.
"""

from __future__ import annotations

import asyncio
import time

from edge.media.transport.counts import RECEIVED, SENT
from edge.media.transport.ears import Ears

PAUSE_SECONDS = 0.001  # between two looks at the sockets of relayed streams, when we are busy:
BUSY = 2.0  # when more packets than this would come in a pause
SPAN_SECONDS = 0.02  # over which they are counted


class Passing:
    """Hears for the streams that are relayed."""

    def __init__(self) -> None:
        self.ears = Ears()
        self.passed_on = 0  # packets that were sent and not counted yet
        self._looking: asyncio.TimerHandle | None = None
        self._busy = False  # so many packets are relayed that we look for them ourselves
        self._span_began = 0.0  # since when they are counted to know that
        self._span_packets = 0

    def start(self) -> None:
        asyncio.get_running_loop().add_reader(self.ears.epoll.fileno(), self._wake)

    def close(self) -> None:
        if self._looking is not None:
            self._looking.cancel()
            self._looking = None
        asyncio.get_running_loop().remove_reader(self.ears.epoll.fileno())
        self.ears.epoll.close()

    def _wake(self) -> None:
        """The loop saw a packet for a relayed stream."""
        self._pass_on(time.monotonic())
        if self._busy:
            asyncio.get_running_loop().remove_reader(self.ears.epoll.fileno())
            self._look_later()

    def _look(self) -> None:
        """Look by ourselves, as long as it is worth it."""
        self._pass_on(time.monotonic())
        if self._busy:
            self._look_later()
        else:
            self._looking = None
            asyncio.get_running_loop().add_reader(self.ears.epoll.fileno(), self._wake)

    def _look_later(self) -> None:
        self._looking = asyncio.get_running_loop().call_later(PAUSE_SECONDS, self._look)

    def _pass_on(self, now: float) -> None:
        ready, heard = self.ears.hear(now)
        if ready:
            RECEIVED.inc(heard)
            SENT.inc(self.passed_on)
            self.passed_on = 0
        self._span_packets += ready
        span = now - self._span_began
        if span >= SPAN_SECONDS:
            self._busy = self._span_packets * PAUSE_SECONDS > BUSY * span
            self._span_began, self._span_packets = now, 0
