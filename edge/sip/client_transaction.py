"""Client transactions (RFC 3261 §17.1, RFC 6026): one request of ours, and their answers to it.

An INVITE:

    CALLING ── 1xx ──→ PROCEEDING ── 300–699 ──→ COMPLETED ── Timer D ──→ gone       each 300–699 is acknowledged
        │                  └──────── 2xx ──────→ ACCEPTED ─── Timer M ──→ gone       each 2xx goes up to the dialog
        └── Timer B ──→ 408

One that stays in PROCEEDING for too long is cancelled, and then is a 408 when that has no answer either (§9.1: an old
server may never send its 487). A CANCEL waits for the first 1xx.

All others: TRYING, PROCEEDING, COMPLETED until Timer K, or 408 at Timer F.

A request is repeated over UDP only: INVITE at T1, 2·T1, 4·T1 …, others no more than T2 apart. What cannot be sent is a
503 (§8.1.3.1), except that a request on a connection which turns out to be gone is tried once on a new one, and one
that only went by TCP because of its size (`upgrade.py`) goes by UDP then.
"""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from typing import TYPE_CHECKING, Final

from edge.sip.counts import REQUESTS_SENT
from edge.sip.peer import Peer
from edge.sip.timers import GIVE_UP, T1, T2, T4, Timed
from edge.sip.upgrade import over_tcp
from edge.sip.wire import Wire

if TYPE_CHECKING:
    from edge.sip.invitation import Invitation
    from edge.sip.message import Response
    from edge.sip.transaction import ClientKey

TRYING: Final = "trying"  # an INVITE: CALLING
PROCEEDING: Final = "proceeding"
COMPLETED: Final = "completed"
ACCEPTED: Final = "accepted"
TERMINATED: Final = "terminated"

UNANSWERED: Final = 'Q.850;cause=19;text="no answer"'  # RFC 3326: why we give up by ourselves

OnResponse = Callable[["Response", float], None]
OnFailure = Callable[[int, float], None]  # 408 or 503, and the time


class ClientTransaction(Timed):
    """What both kinds have; sends its request when made."""

    __slots__ = (
        "_interval",
        "_retry",
        "_stop",
        "_udp",
        "failed",
        "key",
        "peer",
        "reliable",
        "request",
        "responded",
        "state",
        "wire",
    )

    def __init__(
        self,
        wire: Wire,
        key: ClientKey,
        peer: Peer,
        request: bytes,
        now: float,
        responded: OnResponse,
        failed: OnFailure,
        retry: Peer | None = None,
    ) -> None:
        """`responded` gets each response that is no repeat, `failed` 408 or 503 when there will be none; `retry` is
        where to try again when the connection of `peer` is gone.
        """
        self.due = inf
        upgraded = wire.upgrades.find(peer, request, now)
        self._udp: tuple[Peer, bytes] | None = None  # what TCP stands in for
        if upgraded is not None:
            self._udp = peer, request
            peer, request = upgraded, over_tcp(request)
        self.wire = wire
        self.key = key
        self.peer = peer
        self.reliable = peer.transport != "udp"
        self.request = request
        self.responded = responded
        self.failed = failed
        self.state = TRYING
        self._interval = T1
        self._stop = now + GIVE_UP  # Timers B and F
        self._retry = retry if peer.connection else None
        wire.clients[key] = self
        wire.out.append((peer, request))
        REQUESTS_SENT[key[1]]()
        wire.timers.set(self, now, GIVE_UP if self.reliable else T1)

    def received(self, response: Response, now: float) -> None:
        raise NotImplementedError

    @property
    def waits(self) -> bool:
        """Whether there is no final answer yet."""
        return self.state is TRYING or self.state is PROCEEDING

    def lost(self, now: float) -> None:
        """The peer cannot be reached."""
        if not self.waits:
            return
        if self._udp is not None and self.state is TRYING:
            self._fall_back(*self._udp, now)
        elif self._retry is not None and self.state is TRYING:
            self.peer, self._retry = self._retry, None
            self.wire.out.append((self.peer, self.request))
        else:
            self._fail(503, now)

    def _fall_back(self, peer: Peer, request: bytes, now: float) -> None:
        """There is no TCP: the same by UDP, from the beginning."""
        self.wire.upgrades.refused(peer, now)
        self.peer, self.request, self._udp = peer, request, None
        self.reliable = False
        self._stop = now + GIVE_UP
        self._repeat(now, T1)

    def _spoken(self, data: bytes) -> bytes:
        """What follows the request, by the same transport (§17.1.1.3, §9.1)."""
        return data if self._udp is None else over_tcp(data)

    def _repeat(self, now: float, interval: float) -> None:
        self.wire.out.append((self.peer, self.request))
        self._interval = interval
        self.wire.timers.set_before(self, now, interval, self._stop)

    def _fail(self, status: int, now: float) -> None:
        self.forget()
        self.failed(status, now)

    def forget(self) -> None:
        """Gone, whatever state it was in; nobody is told."""
        self.state = TERMINATED
        self.wire.clients.pop(self.key, None)
        self.wire.timers.stop(self)


class InviteClient(ClientTransaction):
    __slots__ = ("_ack", "_invitation", "_patience", "cancelled", "reason")

    def __init__(
        self,
        wire: Wire,
        key: ClientKey,
        peer: Peer,
        request: bytes,
        now: float,
        responded: OnResponse,
        failed: OnFailure,
        retry: Peer | None = None,
        *,
        invitation: Invitation,
        patience: float,
    ) -> None:
        """`patience` is how many seconds may pass between the first 1xx and the final answer."""
        super().__init__(wire, key, peer, request, now, responded, failed, retry)
        self._invitation = invitation
        self._patience = patience
        self._ack: bytes | None = None
        self.reason: str | None = None  # of a CANCEL
        self.cancelled = False

    def received(self, response: Response, now: float) -> None:
        status = response.status
        if self.state is TERMINATED:
            return
        if status < 200:
            if self.state is TRYING:
                self.state = PROCEEDING
                if self.cancelled:
                    self._send_cancel(now)
                else:
                    self.wire.timers.set(self, now, self._patience)
            if self.state is PROCEEDING:
                self.responded(response, now)
        elif status < 300:
            if self.state is COMPLETED:
                return
            if self.state is not ACCEPTED:
                self.state = ACCEPTED
                self.wire.timers.set(self, now, GIVE_UP)  # Timer M
            self.responded(response, now)  # repeats too: each 2xx wants its ACK (§13.2.2.4)
        elif self.state is COMPLETED:
            if self._ack is not None:
                self.wire.out.append((self.peer, self._ack))
        elif self.state is not ACCEPTED:
            self.state = COMPLETED
            self._ack = self._spoken(self._invitation.ack(response))
            self.wire.out.append((self.peer, self._ack))
            if self.reliable:  # Timer D is 0
                self.forget()
            else:
                self.wire.timers.set(self, now, GIVE_UP)
            self.responded(response, now)

    def cancel(self, now: float, reason: str | None = None) -> None:
        """CANCEL, once there is a 1xx. Without effect after the final answer."""
        if self.waits and not self.cancelled:
            self.cancelled = True
            self.reason = reason
            if self.state is PROCEEDING:
                self._send_cancel(now)

    def _send_cancel(self, now: float) -> None:
        key = (self.key[0], "CANCEL")
        data = self._spoken(self._invitation.cancel(self.reason))
        PlainClient(self.wire, key, self.peer, data, now, _ignore, _ignore)
        self.wire.timers.set(self, now, GIVE_UP)

    def abandon(self, now: float) -> None:
        """Nobody is curious any more; what made the answer needless makes the other side give it, or will soon."""
        if self.state is PROCEEDING and not self.cancelled:
            self.cancelled = True
            self.wire.timers.set(self, now, GIVE_UP)

    def expire(self, now: float) -> None:
        if self.state is TRYING and now < self._stop:
            self._repeat(now, 2 * self._interval)
        elif self.state is PROCEEDING and not self.cancelled:
            self.cancel(now, UNANSWERED)
        elif self.waits:
            self._fail(408, now)
        else:
            self.forget()


class PlainClient(ClientTransaction):
    __slots__ = ()

    def received(self, response: Response, now: float) -> None:
        if self.state is not TRYING and self.state is not PROCEEDING:
            return
        if response.status < 200:
            self.state = PROCEEDING  # repeated all the same, every T2 (§17.1.2.2)
            self._interval = T2
            return
        self.state = COMPLETED
        if self.reliable:  # Timer K is 0
            self.forget()
        else:
            self.wire.timers.set(self, now, T4)
        self.responded(response, now)

    def expire(self, now: float) -> None:
        if self.state is COMPLETED:
            self.forget()
        elif now < self._stop:
            self._repeat(now, min(2 * self._interval, T2))
        else:
            self._fail(408, now)


def _ignore(_outcome: Response | int, _now: float) -> None:
    """What became of a CANCEL says nothing: the INVITE's own answer does."""
