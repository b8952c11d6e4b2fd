"""Our 200 to an INVITE, repeated until its ACK (RFC 3261 §13.3.1.4): T1, 2·T1 … T2, on every transport; no more after
64·T1. And how long we wait when an ACK had to bring the answer to our offer, and did not.
"""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from typing import TYPE_CHECKING

from edge.sip.limits import ANSWERLESS
from edge.sip.timers import GIVE_UP, T1, T2, Timed, Timers
from edge.sip.wire import Wire

if TYPE_CHECKING:
    from edge.sip.server_transaction import InviteServer


class Answer(Timed):
    """Sends the 200 when made."""

    __slots__ = ("_data", "_interval", "_stop", "_transaction", "_unacknowledged", "_wire", "number", "offered")

    def __init__(
        self,
        wire: Wire,
        transaction: InviteServer,
        data: bytes,
        number: int,
        now: float,
        *,
        offered: bool,
        unacknowledged: Callable[[float], None],
    ) -> None:
        """`number` is the CSeq of the INVITE; `offered` says that the 200 carries our offer, so that the ACK must bring
        its answer; `unacknowledged` is called when the ACK never came.
        """
        self.due = inf
        self.number = number
        self.offered = offered
        self._wire = wire
        self._transaction = transaction  # lives as long, and knows where answers go when its connection is gone
        self._data = data
        self._interval = T1
        self._stop = now + GIVE_UP
        self._unacknowledged = unacknowledged
        wire.out.append((transaction.peer, data))
        transaction.accept(now)
        wire.timers.set(self, now, T1)

    def acknowledged(self) -> None:
        self._wire.timers.stop(self)

    def expire(self, now: float) -> None:
        if now < self._stop:
            self._wire.out.append((self._transaction.peer, self._data))
            self._interval = min(2 * self._interval, T2)
            self._wire.timers.set_before(self, now, self._interval, self._stop)
        else:
            self._unacknowledged(now)


class Answerless(Timed):
    """A call whose ACK did not bring the answer to our offer (§13.2.2.4). Its caller may still make an offer of his
    own, as gateways do that ask for ours only to learn it; else the call ends."""

    __slots__ = ("_end", "_timers")

    def __init__(self, timers: Timers, now: float, end: Callable[[float], None]) -> None:
        self.due = inf
        self._timers = timers
        self._end = end
        timers.set(self, now, ANSWERLESS)

    def stop(self) -> None:
        self._timers.stop(self)

    def expire(self, now: float) -> None:
        self._end(now)
