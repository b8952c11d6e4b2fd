"""The one clock of all streams.

One timer of the event loop wakes it when the next group of streams is due (`edge/media/group.py`). Then every stream of
the group sends its packet, and after that everything that arrived in the meantime is read, from all sockets. Nothing of
it is a task or a callback of the loop: the sockets are watched by an epoll of our own, asked once each time. A packet
is thus read up to one packet time after it came, which does not matter for a key press and saves a wake-up for each
packet.

While a stream is relayed the clock only counts its time, and sends nothing for it (`passing.py`).
"""

from __future__ import annotations

import asyncio
import time

from edge.errors import Internal
from edge.log import get_logger
from edge.media.group import Group, Groups
from edge.media.transport.counts import LATE, RECEIVED, SENT, UNSENT
from edge.media.transport.ears import Ears
from edge.media.transport.wire import Line, Wire

log = get_logger("media")

ROUNDS = 16  # packets read from one socket in one tick; the rest waits for the next
SWEEP_SECONDS = 0.5  # between two looks at silence and reports
EARLY_SECONDS = 0.0005  # some event loops wake up a little too soon


class Clock:
    """Gives the streams their time, from `start` on."""

    def __init__(self) -> None:
        self.ears = Ears()  # of all streams that are not relayed
        self._groups: Groups[Wire, Line] = Groups()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._timer_due = 0.0

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """Raises Internal before `start`."""
        if self._loop is None:
            raise Internal("media: the engine was not started")
        return self._loop

    def start(self) -> None:
        self._loop = asyncio.get_running_loop()

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self.ears.epoll.close()

    def join(self, wire: Wire, ptime_ms: int) -> Group[Wire, Line]:
        group = self._groups.join(wire, wire.line, ptime_ms, time.monotonic())
        self._arm()
        return group

    def leave(self, wire: Wire, group: Group[Wire, Line] | None) -> None:
        if group is not None:
            self._groups.leave(wire, group)

    def _arm(self) -> None:
        due = self._groups.next_due()
        if due is None:
            return
        if self._timer is not None:
            if self._timer_due <= due:
                return
            self._timer.cancel()
        self._timer_due = due
        self._timer = self.loop.call_later(max(0.0, due - time.monotonic()), self._tick)

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
        broken: list[tuple[Wire, Group[Wire, Line]]] = []
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
                    broken += [(wire, group) for wire in group.members if wire.line[0] is next_packet]
                    log.exception("stream cannot send", port=broken[-1][0].local[1])
            if is_late:
                late += sent - before
            if now - group.swept >= SWEEP_SECONDS:
                group.swept = now
                for wire in group.members:
                    wire.sweep(now)
        for wire, group in broken:
            self._groups.leave(wire, group)
        if sent:
            SENT.inc(sent)
        if late:
            LATE.inc(late)
        if failed:
            UNSENT.inc(failed)

    def _hear(self, now: float) -> None:
        heard = 0
        for _ in range(ROUNDS):
            ready, count = self.ears.hear(now)
            if not ready:
                break
            heard += count
        if heard:
            RECEIVED.inc(heard)
