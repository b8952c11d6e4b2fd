"""One connection to an SMSC: its session's octets, its timer, and those who wait for it.

A turn is: octets or a verb in, events to those who wait, octets out, timer. Of many texts that were kept by one commit
the answers leave in one write.

Texts that come in are at work side by side, each in a task of its own, and are answered as they are done. When there
are `at_once` of them nothing more is read until half are answered, nor while the SMSC does not read our answers; so one
without a window cannot fill our memory. One that reads nothing for a minute is gone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from edge.log import get_logger
from edge.sms.smpp import limits, status
from edge.sms.smpp.counts import Counts
from edge.sms.smpp.pdu import Message
from edge.sms.smpp.session import Answered, Closed, Delivered, Ignored, Session, Unanswered, Up

log = get_logger("smpp")

PAUSED_TICK = 1.0  # s; while nothing is read, no answer is late

Deliver = Callable[[Session, Message], Awaitable[int]]  # keeps what was brought; the status to answer with


class Link(asyncio.Protocol):
    """A connection. `opened` and `closed` tell how far it is; `changed` is called when it may take more, or less."""

    def __init__(
        self,
        session: Session,
        deliver: Deliver,
        counts: Counts,
        *,
        window: int,
        at_once: int,
        changed: Callable[[], None],
    ) -> None:
        self.session = session
        self._loop = asyncio.get_running_loop()
        self.opened: asyncio.Future[Closed | None] = self._loop.create_future()  # None: it is bound
        self.closed: asyncio.Future[Closed] = self._loop.create_future()
        self._deliver = deliver
        self._counts = counts
        self._window = window
        self._at_once = at_once
        self._changed = changed
        self._transport: asyncio.Transport | None = None
        self._waiting: dict[int, asyncio.Future[Answered | Unanswered | Closed]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._due = 0.0
        self._paused = False
        self._unread: float | None = None  # since when the other side does not read what we write
        self._soon = False

    # What its user does

    @property
    def waiting(self) -> int:
        """Submits without their answers."""
        return len(self._waiting)

    @property
    def room(self) -> int:
        """How many more may be submitted now."""
        return self._window - len(self._waiting) if self.session.up else 0

    async def submit(self, message: Message) -> Answered | Unanswered | Closed:
        """What became of it; Closed: the connection went away, and nobody knows. Raises ValueError."""
        sequence = self.session.submit(message, self._loop.time())
        future: asyncio.Future[Answered | Unanswered | Closed] = self._loop.create_future()
        self._waiting[sequence] = future
        self._turn_soon()
        return await future

    def unbind(self) -> None:
        """Take leave; `closed` tells when that is over."""
        self.session.unbind(self._loop.time())
        self._turn()

    def abort(self) -> None:
        """End it, whatever is at work."""
        self.session.lost("closed by us")
        self._turn()
        for task in self._tasks:
            task.cancel()

    # What asyncio tells it

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self.session.open(self._loop.time())
        self._turn()

    def data_received(self, data: bytes) -> None:
        self.session.receive(data, self._loop.time())
        self._turn()

    def connection_lost(self, error: Exception | None) -> None:
        self.session.lost(
            f"the connection was lost: {error}" if error is not None else "the SMSC closed the connection"
        )
        self._turn()

    def pause_writing(self) -> None:
        self._unread = self._loop.time()
        self._pause()

    def resume_writing(self) -> None:
        self._unread = None
        self._resume()

    # A turn

    def _turn_soon(self) -> None:
        """After all that is said in this turn of the loop."""
        if not self._soon:
            self._soon = True
            self._loop.call_soon(self._turn)

    def _turn(self) -> None:
        self._soon = False
        session, transport = self.session, self._transport
        while (event := session.next_event()) is not None:
            if type(event) is Delivered:
                self._begin(event)
            else:
                self._handle(event)
        if (out := session.to_send()) and transport is not None and not transport.is_closing():
            transport.write(out)
        if session.closed:
            self._end()
        else:
            self._set_timer()

    def _handle(self, event: Answered | Unanswered | Up | Ignored | Closed | Delivered) -> None:
        match event:
            case Answered() | Unanswered():
                if isinstance(event, Answered):
                    self._counts.submitted(event.status)
                    self._counts.submit.observe(event.seconds)
                _tell(self._waiting.pop(event.sequence), event)
                self._changed()
            case Up():
                self._counts.bound.inc()
                self.opened.set_result(None)
                self._changed()
            case Ignored(reason, what):
                self._counts.ignored[reason].inc()
                log.debug("not understood", reason=reason, pdu=what)
            case Closed():
                if self.opened.done():
                    self._counts.bound.dec()
                else:
                    self.opened.set_result(event)
                self.closed.set_result(event)
                for future in self._waiting.values():
                    _tell(future, event)
                self._waiting.clear()

    def _end(self) -> None:
        """Once closed: give up the socket."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._transport is not None and not self._transport.is_closing():
            self._transport.close()
        self._changed()

    # Texts that come in

    def _begin(self, delivered: Delivered) -> None:
        task = self._loop.create_task(self._work(delivered))
        self._tasks.add(task)
        if len(self._tasks) >= self._at_once:
            self._pause()

    async def _work(self, delivered: Delivered) -> None:
        state = status.RX_T_APPN
        try:
            state = await self._deliver(self.session, delivered.message)
        except Exception:
            log.exception("a text was not kept")
        finally:
            task = asyncio.current_task()
            if task is not None:
                self._tasks.discard(task)
            self._counts.delivered(state)
            self.session.respond(delivered, state, self._loop.time())
            self._turn_soon()
            self._resume()

    def _pause(self) -> None:
        """Read nothing more for now."""
        if not self._paused and self._transport is not None:
            self._paused = True
            self._transport.pause_reading()

    def _resume(self) -> None:
        if not self._paused or self._unread is not None or len(self._tasks) > self._at_once // 2:
            return
        self._paused = False
        self.session.resume(self._loop.time())
        self._turn_soon()
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    # The timer: it only ever moves back when it wakes up

    def _set_timer(self) -> None:
        due = self.session.get_timer()
        if due is None or (self._timer is not None and self._due <= due):
            return
        if self._timer is not None:
            self._timer.cancel()
        self._due = due
        self._timer = self._loop.call_at(due, self._wake)

    def _wake(self) -> None:
        self._timer = None
        now = self._loop.time()
        if self._unread is not None and now - self._unread >= limits.UNREAD:
            self.session.lost("the SMSC reads nothing of what we write")
            self._turn()
            if self._transport is not None:
                self._transport.abort()  # for closing waits until it is read
            return
        if self._paused:
            self._due = now + PAUSED_TICK
            self._timer = self._loop.call_at(self._due, self._wake)
            return
        self.session.handle_timer(now)
        self._turn()


def _tell(future: asyncio.Future[Answered | Unanswered | Closed], event: Answered | Unanswered | Closed) -> None:
    if not future.done():  # who waited has given up
        future.set_result(event)
