"""A stream: what may be asked of the audio of one call."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from edge.media import dtmf
from edge.media.audio import Audio
from edge.media.live import Live
from edge.media.relay import Relay
from edge.media.sdp import Address, Negotiated
from edge.media.stream import Stats, StreamClosed, stats
from edge.media.transport.wire import Wire

if TYPE_CHECKING:
    from edge.media.transport.engine import MediaEngine


class Stream(Wire):
    """The audio of one call, in both directions. Opened by the engine; silent until it is connected.

    `local` is the address for the SDP. `on_digit` gets each digit the other side presses, once; `on_timeout` is called
    when nothing was heard of it for too long although it may send. Both are called by the loop, from no method here.
    """

    __slots__ = ("_begun", "_playing", "_pressing")

    def __init__(
        self,
        engine: MediaEngine,
        sockets: tuple[socket.socket, socket.socket],
        local: Address,
        on_digit: Callable[[str], None],
        on_timeout: Callable[[], None],
        near: str = "",
    ) -> None:
        super().__init__(engine, sockets, local, on_digit, on_timeout, near)
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
        if negotiated.sdes != (before.sdes if before is not None else None):
            self._secure(negotiated.sdes)
        if before is None:
            self._listen()
            self._engine.listen(self._rtcp, self._hear_report)
        remote = self._usable(negotiated.remote)
        if remote is not None and remote != self._told:
            self._told = remote
            if self._locked is not None:
                self._unlock()
            self._perhaps = self._reports_from = None
            self._latch.expect(remote)
            self._remote, self._reports_to = remote, self._usable(negotiated.rtcp)
        self.receiver.agree(negotiated, now)
        self._timed_out = False
        self._agree()
        clock = self._engine.clock
        if self._group is None or self._group.ptime_ms != negotiated.ptime_ms:
            clock.leave(self, self._group)
            self._group = clock.join(self, negotiated.ptime_ms)

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
        self._send = self._raw = len
        self._cipher = None
        self.line = (_no_packet, len)  # a bound method of the stream would keep it alive


def _resolve(future: asyncio.Future[bool], value: bool) -> None:
    if not future.done():
        future.set_result(value)


def _no_packet() -> None:
    return None


def _nobody_waits() -> None:
    return None
