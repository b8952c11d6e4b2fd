"""The media engine: opens streams, and is what they have in common."""

from __future__ import annotations

import asyncio
import random
import socket
from collections.abc import Callable
from typing import Any

from edge.media.group import Group
from edge.media.section import MediaSection
from edge.media.transport.clock import Clock
from edge.media.transport.counts import DISCARDED, STREAMS
from edge.media.transport.ears import Ear
from edge.media.transport.pairs import Pairs
from edge.media.transport.passing import Passing
from edge.media.transport.stream import Stream
from edge.media.transport.wire import Line, Wire


class MediaEngine:
    """Opens streams and gives them the time. One for each process."""

    def __init__(self, section: MediaSection) -> None:
        self.section = section
        self.cname = f"{random.getrandbits(96):024x}"  # tells nobody who we are, RFC 7022 §4.2
        self.clock = Clock()
        self.passing = Passing()
        self._pairs = Pairs(section)
        self._streams: dict[Stream, int] = {}  # and their RTP ports

    async def start(self) -> None:
        self.clock.start()
        self.passing.start()

    async def close(self) -> None:
        """Close all streams."""
        for stream in list(self._streams):
            stream.close()
        self.clock.close()
        self.passing.close()

    def open(
        self,
        host: str,
        on_digit: Callable[[str], None] = lambda _: None,
        on_timeout: Callable[[], None] = lambda: None,
        near: str = "",
    ) -> Stream:
        """A stream at the local address `host`. `near`: the host that its signalling comes from.

        Raises Exhausted when no pair of ports is free, Internal when the address is not ours.
        """
        port, sockets = self._pairs.open(host)
        advertised = self.section.advertise
        outside = advertised if advertised and (":" in advertised) == (":" in host) else host
        stream = Stream(self, sockets, (outside, port), on_digit, on_timeout, near)
        self._streams[stream] = port
        STREAMS.inc()
        return stream

    # --- for the streams

    def future(self) -> asyncio.Future[bool]:
        return self.clock.loop.create_future()

    def call(self, function: Callable[..., None], *args: Any) -> None:
        self.clock.loop.call_soon(function, *args)

    def listen(self, to: socket.socket, ear: Ear, *, at_once: bool = False) -> None:
        """Call the ear when datagrams have come: when the clock ticks, or at once."""
        slow, fast = self.clock.ears, self.passing.ears
        ears, others = (fast, slow) if at_once else (slow, fast)
        others.remove(to.fileno())
        ears.add(to.fileno(), ear)

    def rebind(self, old: socket.socket) -> socket.socket:
        """An unconnected socket in the place of a connected one. Raises Internal when some program was quicker."""
        self._deafen(old)
        return self._pairs.reopen(old)

    def forget(self, stream: Stream, group: Group[Wire, Line] | None, *sockets: socket.socket) -> None:
        """The stream is closed."""
        self.clock.leave(stream, group)
        for one in sockets:
            self._deafen(one)
            one.close()
        self._pairs.give(self._streams.pop(stream))
        STREAMS.dec()
        for why, count in (("source", stream.receiver.elsewhere), ("format", stream.receiver.strange)):
            if count:
                DISCARDED.labels(why).inc(count)

    def _deafen(self, one: socket.socket) -> None:
        self.clock.ears.remove(one.fileno())
        self.passing.ears.remove(one.fileno())
