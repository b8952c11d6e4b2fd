"""Our provisional answers that want to be acknowledged (RFC 3262 §3): each is numbered, and repeated after T1, 2·T1 …
until its PRACK comes. One is under way at a time, what comes after it waits. Without one in 64·T1 the call is refused.

A 200 waits for the PRACK of an answer that described our media, and for no other. After any other final answer nothing
is repeated any more, and a PRACK that comes late still gets its 200.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from math import inf
from typing import TYPE_CHECKING, Final, NamedTuple

from edge.sip.grammar import Unreadable, number
from edge.sip.limits import WAITING_1XX
from edge.sip.message import Request
from edge.sip.timers import GIVE_UP, T1, Timed
from edge.sip.values import refusal
from edge.sip.wire import Wire

if TYPE_CHECKING:
    from edge.sip.server_transaction import InviteServer

RSEQ_MAX: Final = 2**31 - 1  # §7.1: of the first; later ones stay below 2**32

Say = Callable[[int, int, bytes], bytes]  # RSeq, status, session description → the response


class RAck(NamedTuple):
    """Which provisional answer a PRACK acknowledges (§7.2)."""

    rseq: int
    cseq: int
    method: str


def read_rack(request: Request) -> RAck:
    """Raises `Malformed`."""
    words = request.headers.first.get("rack", "").split()
    try:
        if len(words) != 3:
            raise Unreadable("missing" if not words else "not three words")
        return RAck(number(words[0], 1 << 32), number(words[1], 1 << 32), words[2])
    except Unreadable as fault:
        raise refusal(400, f"rack: {fault}", request) from None


class Reliable(Timed):
    """Those of one offer."""

    __slots__ = (
        "_cseq",
        "_data",
        "_interval",
        "_lapsed",
        "_rseq",
        "_say",
        "_stop",
        "_transaction",
        "_waiting",
        "_wire",
        "answered",
        "described",
        "offered",
        "unacknowledged",
    )

    def __init__(
        self, wire: Wire, transaction: InviteServer, cseq: int, say: Say, lapsed: Callable[[float], None]
    ) -> None:
        """`cseq` is that of the INVITE; `say` writes a response; `lapsed` is called when a PRACK never came."""
        self.due = inf
        self.unacknowledged = False  # the last one sent has no PRACK
        self.described = False  # one that was sent describes our media: so the 200 does not do it again
        self.offered = False  # and that was an offer, which has no answer yet
        self.answered = False  # what the INVITE or our offer asked for was answered, and that for sure
        self._wire = wire
        self._transaction = transaction
        self._cseq = cseq
        self._say = say
        self._lapsed = lapsed
        self._rseq = 1 + int(wire.chance() * (RSEQ_MAX - 1))
        self._data = b""
        self._interval = T1
        self._stop = 0.0
        self._waiting: deque[tuple[int, bytes, bool]] = deque()

    @property
    def holds_the_answer(self) -> bool:
        """Whether a 200 has to wait."""
        return self.unacknowledged and self.described and not self.answered

    def send(self, status: int, sdp: bytes, now: float, *, offers: bool) -> None:
        """Send it, or have it wait for the PRACK of the one before. `offers`: its SDP is our offer, no answer."""
        if not self.unacknowledged:
            self._transmit(status, sdp, now, offers=offers)
        elif len(self._waiting) < WAITING_1XX:
            self._waiting.append((status, sdp, offers))

    def _transmit(self, status: int, sdp: bytes, now: float, *, offers: bool) -> None:
        if self.described:
            sdp = b""  # once is enough, and again might not be the same any more
        self._data = self._say(self._rseq, status, sdp)
        self.unacknowledged = True
        self.described = self.described or bool(sdp)
        self.offered = self.offered or (bool(sdp) and offers)
        self._stop = now + GIVE_UP
        self._interval = T1
        self._transaction.provisional(self._data)
        self._wire.timers.set(self, now, T1)

    def acknowledged(self, rack: RAck) -> bool:
        """A PRACK. False: it is for nothing that we sent, or for something that has its PRACK."""
        if not self.unacknowledged or rack != (self._rseq, self._cseq, "INVITE"):
            return False
        self.unacknowledged = False
        self._wire.timers.stop(self)
        self._rseq += 1
        if self.described and not self.offered:
            self.answered = True
        return True

    def go_on(self, now: float) -> None:
        """Send what waited for the PRACK."""
        if self._waiting and not self.unacknowledged:
            status, sdp, offers = self._waiting.popleft()
            self._transmit(status, sdp, now, offers=offers)

    def agreed(self) -> None:
        """The PRACK brought the answer to our offer."""
        self.offered = False
        self.answered = True

    def finish(self, now: float) -> None:
        """The INVITE has its final answer: nothing is sent or repeated any more."""
        self._waiting.clear()
        if self.unacknowledged:
            self._wire.timers.set_before(self, now, inf, max(self._stop, now))

    def hurry(self) -> None:
        """There will be a final answer: what waits is not sent any more."""
        self._waiting.clear()

    def expire(self, now: float) -> None:
        if now < self._stop:
            self._wire.out.append((self._transaction.peer, self._data))
            self._interval *= 2
            self._wire.timers.set_before(self, now, self._interval, self._stop)
        else:
            self.unacknowledged = False
            self._lapsed(now)
