"""Server transactions (RFC 3261 §17.2, RFC 6026): one request of theirs, and our answers to it.

An INVITE:

    PROCEEDING ── 300–699 ──→ COMPLETED ── ACK ──→ CONFIRMED ── Timer I ──→ gone
        │                         └── Timer H: no ACK ever ────────────────→ gone
        └── 2xx ──→ ACCEPTED ── Timer L ───────────────────────────────────→ gone

COMPLETED repeats its answer (Timer G, and each time the request comes again). ACCEPTED absorbs repeats of the INVITE;
the 200 is repeated by `answer.py`, for its ACK is a matter of the dialog (RFC 6026 §7.1).

All others: PROCEEDING until the final answer, then COMPLETED until Timer J, repeating it for each repeat.

Over TCP nothing is repeated and Timers I and J are 0: the transaction is gone at once.
"""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from typing import TYPE_CHECKING, Any, Final, Protocol

from edge.sip.peer import Peer
from edge.sip.timers import GIVE_UP, T1, T2, T4, Timed
from edge.sip.wire import SIP_PORT, SIPS_PORT, Wire

if TYPE_CHECKING:
    from edge.sip.message import Request
    from edge.sip.transaction import MergeKey, ServerKey

PROCEEDING: Final = "proceeding"
COMPLETED: Final = "completed"
CONFIRMED: Final = "confirmed"
ACCEPTED: Final = "accepted"
TERMINATED: Final = "terminated"


class Waiting(Protocol):
    """Who decides on a request; is told when he takes too long."""

    def waited(self, transaction: ServerTransaction, now: float) -> None: ...


class ServerTransaction(Timed):
    """What both kinds have. Dropping what is not needed any more is part of each step: thousands wait for Timer I."""

    __slots__ = (
        "answer",
        "handle",
        "key",
        "merge",
        "peer",
        "reliable",
        "request",
        "settled",
        "state",
        "tag",
        "via_port",
        "waiting",
        "wire",
    )

    def __init__(self, wire: Wire, key: ServerKey, request: Request, peer: Peer) -> None:
        """`peer` is where the responses go."""
        self.due = inf
        self.wire = wire
        self.key = key
        self.merge: MergeKey | None = None
        self.peer = peer
        self.reliable = peer.transport != "udp"
        self.request: Request | None = request  # until the final answer
        self.answer: bytes | None = None  # the last one, as long as it may be asked for again
        self.tag: str | None = None  # the To-tag of our answers
        self.handle: Any = None  # what the user decides on: Offer, Reoffer, TextOffer
        self.waiting: Waiting | None = None
        self.settled: Callable[[float], None] | None = None  # a refused INVITE: its ACK came, or never will
        self.state = PROCEEDING
        wire.servers[key] = self
        if peer.connection:
            self.via_port = request.via.port or (SIPS_PORT if peer.transport == "tls" else SIP_PORT)
            wire.link(self)

    def disconnected(self) -> None:
        self.peer = self.peer._replace(remote=(self.peer.remote[0], self.via_port), connection=0)  # §18.2.2

    def repeated(self) -> None:
        """The request came again."""
        if self.answer is not None and not self.reliable:
            self.wire.out.append((self.peer, self.answer))

    def provisional(self, data: bytes) -> None:
        """Send a 1xx; a repeat of the request gets it again."""
        if self.state is PROCEEDING:
            self.answer = data
            self.wire.out.append((self.peer, data))

    def respond(self, data: bytes, now: float) -> None:
        """Send the final answer."""
        raise NotImplementedError

    def remember_merge(self, merge: MergeKey) -> None:
        """Copies of this request that came another way are answered 482 while this one lasts (§8.2.2.2)."""
        self.merge = merge
        self.wire.merged[merge] = self

    def patience(self, waiting: Waiting, now: float, seconds: float) -> None:
        """Tell `waiting` when there is no final answer after so many seconds."""
        self.waiting = waiting
        self.wire.timers.set(self, now, seconds)

    def _finish(self) -> None:
        """What the transaction was for is done."""
        self.request = None
        self.handle = None
        self.waiting = None

    def forget(self) -> None:
        """Gone, whatever state it was in."""
        wire = self.wire
        self._finish()
        if self.peer.connection:
            wire.unlink(self)
        self.state = TERMINATED
        self.answer = None
        wire.servers.pop(self.key, None)
        if self.merge is not None and wire.merged.get(self.merge) is self:
            del wire.merged[self.merge]
        if self.due != inf:
            wire.timers.stop(self)


class InviteServer(ServerTransaction):
    __slots__ = ("_interval", "_stop")

    _interval: float
    _stop: float

    def respond(self, data: bytes, now: float) -> None:
        """300–699."""
        if self.state is not PROCEEDING:
            return
        self.state = COMPLETED
        self.answer = data
        wire = self.wire
        wire.out.append((self.peer, data))
        self._finish()
        self._stop = now + GIVE_UP  # Timer H
        self._interval = T1  # Timer G
        wire.timers.set(self, now, GIVE_UP if self.reliable else T1)

    def accept(self, now: float) -> None:
        """A 2xx was sent, and is repeated by the dialog."""
        self.state = ACCEPTED
        self.answer = None
        self._finish()
        self.wire.timers.set(self, now, GIVE_UP)  # Timer L

    def acknowledged(self, now: float) -> bool:
        """An ACK with our branch came. False: it belongs to a 2xx, and is for the dialog."""
        if self.state is COMPLETED:
            if self.reliable:  # Timer I is 0
                self.forget()
            else:
                self.state = CONFIRMED
                self.answer = None
                self.wire.timers.set(self, now, T4)
            self._settle(now)
            return True
        return self.state is CONFIRMED

    def expire(self, now: float) -> None:
        if self.state is PROCEEDING:
            if self.waiting is not None:
                self.waiting.waited(self, now)
        elif self.state is COMPLETED and now < self._stop and self.answer is not None:
            self.wire.out.append((self.peer, self.answer))
            self._interval = min(2 * self._interval, T2)
            self.wire.timers.set_before(self, now, self._interval, self._stop)
        else:
            self.forget()
            self._settle(now)

    def _settle(self, now: float) -> None:
        if self.settled is not None:
            settled, self.settled = self.settled, None
            settled(now)


class PlainServer(ServerTransaction):
    __slots__ = ()

    def respond(self, data: bytes, now: float) -> None:
        if self.state is not PROCEEDING:
            return
        self.state = COMPLETED
        self.wire.out.append((self.peer, data))
        if self.reliable:  # Timer J is 0
            self.forget()
        else:
            self.answer = data
            self._finish()
            self.wire.timers.set(self, now, GIVE_UP)

    def expire(self, now: float) -> None:
        if self.state is PROCEEDING and self.waiting is not None:
            self.waiting.waited(self, now)
        else:
            self.forget()
