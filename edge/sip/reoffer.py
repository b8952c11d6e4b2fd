"""Changes that the other side wants of a session: re-INVITE (RFC 3261 §14.2), UPDATE (RFC 3311), PRACK with an offer
(RFC 3262 §5). UPDATE and PRACK may come before the INVITE has its final answer, as soon as its offer has one for sure.

One at a time: a second is answered 500 with a Retry-After, and one that meets an offer of ours 491. An UPDATE without a
session description says where the other side is now, and refreshes the session (RFC 4028); it asks nobody.

Not nice: a re-INVITE that comes while a 200 of ours still waits for its ACK gets a 491. RFC 3261 has no word for that;
the caller will have seen the 200, and comes back when its ACK did.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Protocol

from edge.sip import screen
from edge.sip.body import sdp_body
from edge.sip.events import OfferConfirmed, Reoffered
from edge.sip.extension import supported
from edge.sip.handle import Call, Offer, Reoffer, Side, unanswered
from edge.sip.limits import UPDATE
from edge.sip.reliable import read_rack
from edge.sip.server_transaction import PROCEEDING, InviteServer, PlainServer, ServerTransaction
from edge.sip.wire import Fields, Wire, back

if TYPE_CHECKING:
    from edge.sip.message import Request
    from edge.sip.peer import Peer
    from edge.sip.screen import Refusal
    from edge.sip.session_timer import SessionTimers
    from edge.sip.transaction import ServerKey

NO_TIME = 504  # an UPDATE that would have to wait for somebody (RFC 3311 §5.2)


class Ground(Protocol):
    """What of the dialogs is used here."""

    def answer(
        self, call: Call, transaction: InviteServer, data: bytes, request: Request, now: float, *, offered: bool
    ) -> None: ...

    def release(self, side: Side, now: float) -> None:
        """A change of this one was decided, or a provisional answer acknowledged: what waited for that may go on."""


class Reoffers:
    """Those of one agent."""

    __slots__ = ("_ground", "_timers", "_wire")

    def __init__(self, wire: Wire, timers: SessionTimers, ground: Ground) -> None:
        self._wire = wire
        self._timers = timers
        self._ground = ground

    # What speaks against one

    def busy(self, side: Side, request: Request, *, offers: bool) -> Refusal | None:
        """Whether an INVITE or UPDATE comes at the wrong time."""
        before = side._reoffer
        if request.method == "INVITE":
            if not isinstance(side, Call | Offer):  # §14.2: our own INVITE is under way
                return 491, ()
            if isinstance(side, Offer) or side._late is not None or before is not None:  # §14.2
                return 500, (self._wire.retry_after(),)
            return (491, ()) if side._answer is not None or _asks(side) else None
        if before is not None and (offers or before.request.method == request.method):  # RFC 3311 §5.2
            return 500, (self._wire.retry_after(),)
        if not offers:
            return None
        if _offering(side):  # RFC 3311 §5.2
            return 491, ()
        return (500, (self._wire.retry_after(),)) if _asked(side) else None

    # From the wire

    def invite(self, call: Call, request: Request, key: ServerKey, peer: Peer) -> None:
        wire = self._wire
        sdp = sdp_body(request)
        transaction = InviteServer(wire, key, request, back(request, peer))
        reoffer = Reoffer(request, peer, transaction, call, sdp)
        transaction.handle = call._reoffer = reoffer
        transaction.tag = call._dialog.local_tag
        wire.fresh.append(transaction)
        wire.events.append(Reoffered(reoffer))

    def update(self, side: Side, request: Request, key: ServerKey, peer: Peer, now: float) -> None:
        sdp = sdp_body(request)
        refusal = self.busy(side, request, offers=sdp is not None)
        if refusal is not None:
            self._wire.respond_statelessly(request, peer, *refusal)
        elif sdp is not None:
            self._offered(side, request, key, peer, sdp, now)
        else:
            self._refresh(side, request, peer)
            transaction = PlainServer(self._wire, key, request, back(request, peer))
            transaction.respond(self._yes(side, request, peer, b"", now), now)

    def prack(self, side: Side, request: Request, key: ServerKey, peer: Peer, now: float) -> None:
        """RFC 3262 §3. One that is for nothing is answered 481."""
        rack, sdp = read_rack(request), sdp_body(request)
        reliable = side._reliable if isinstance(side, Call | Offer) else None
        if reliable is None or not reliable.acknowledged(rack):
            self._wire.respond_statelessly(request, peer, 481)
            return
        answers = sdp is not None and reliable.offered
        fields: tuple[tuple[str, str], ...] = ()
        if sdp is not None and not answers and not _is_over(side):
            if side._reoffer is None and not _asked(side):
                self._offered(side, request, key, peer, sdp, now)
                return
            fields = (self._wire.retry_after(),)
        data = self._wire.respond(request, peer, 500 if fields else 200, fields=fields)
        PlainServer(self._wire, key, request, back(request, peer)).respond(data, now)
        if answers:
            reliable.agreed()
            offer = unanswered(side)
            if offer is not None and not offer._over:
                self._wire.events.append(OfferConfirmed(offer, sdp or b""))
        self._ground.release(side, now)

    def _offered(self, side: Side, request: Request, key: ServerKey, peer: Peer, sdp: bytes, now: float) -> None:
        transaction = PlainServer(self._wire, key, request, back(request, peer))
        reoffer = Reoffer(request, peer, transaction, side, sdp)
        transaction.handle = side._reoffer = reoffer
        transaction.patience(self, now, UPDATE)
        self._wire.events.append(Reoffered(reoffer))

    # What the user decides

    def accept(self, reoffer: Reoffer, sdp: bytes, now: float) -> None:
        side, transaction, request = reoffer._side, reoffer._transaction, reoffer.request
        if transaction.state is not PROCEEDING:
            return
        side._reoffer = None
        if isinstance(side, Call):
            side._said = sdp
            if reoffer.sdp is not None:
                side._agreed()
        if request.method != "PRACK":  # RFC 3311 §5.2, RFC 3261 §12.2.2: they refresh the target
            self._refresh(side, request, reoffer.peer)
        data = self._yes(side, request, reoffer.peer, sdp, now)
        if isinstance(transaction, InviteServer) and isinstance(side, Call):
            self._ground.answer(side, transaction, data, request, now, offered=reoffer.sdp is None)
        else:
            transaction.respond(data, now)
            self._ground.release(side, now)

    def refuse(self, reoffer: Reoffer, status: int, now: float, fields: Fields = ()) -> None:
        """The session goes on as it was (§14.2)."""
        side, transaction = reoffer._side, reoffer._transaction
        if transaction.state is not PROCEEDING:
            return
        side._reoffer = None
        if isinstance(transaction, InviteServer) and isinstance(side, Call):
            side._refused = transaction
            transaction.settled = partial(self._acknowledged, side, transaction)
        transaction.respond(self._wire.respond(reoffer.request, reoffer.peer, status, fields=fields), now)
        if isinstance(transaction, PlainServer):
            self._ground.release(side, now)

    def drop(self, side: Side, now: float) -> None:
        """What it was for is over (§15.1.2)."""
        if side._reoffer is not None:
            self.refuse(side._reoffer, 487, now)

    def forget(self, side: Side) -> None:
        """The same, where the other side needs no answer: its dialog is gone."""
        if side._reoffer is not None:
            side._reoffer._transaction.forget()
            side._reoffer = None

    def waited(self, transaction: ServerTransaction, now: float) -> None:
        """Nobody decided."""
        if isinstance(transaction.handle, Reoffer):
            self.refuse(transaction.handle, 500 if isinstance(transaction, InviteServer) else NO_TIME, now)

    def _acknowledged(self, call: Call, transaction: ServerTransaction, now: float) -> None:
        """The ACK to a refusal came, or never will."""
        if call._refused is transaction:
            call._refused = None
            self._ground.release(call, now)

    def _refresh(self, side: Side, request: Request, peer: Peer) -> None:
        """Where the other side is from now on."""
        dialog = side._dialog
        assert dialog is not None
        if isinstance(side, Call):
            self._wire.unlink(side)
            dialog.refresh(request, peer)
            self._wire.link(side)
        else:
            dialog.refresh(request, peer)

    def _yes(self, side: Side, request: Request, peer: Peer, sdp: bytes, now: float) -> bytes:
        """The 200."""
        assert side._dialog is not None
        fields = [side._dialog.contact(self._wire, peer), screen.ALLOW, supported(side.terms)]
        if isinstance(side, Call) and side._late is None and request.method != "PRACK":
            fields += self._timers.answering(side, request, now)
        if sdp:
            fields.append(screen.SDP_TYPE)
        return self._wire.respond(request, peer, 200, fields=fields, body=sdp)


def _asks(call: Call) -> bool:
    """Whether a re-INVITE of ours is under way."""
    return call._change is not None and call._change.transaction is not None


def _offering(side: Side) -> bool:
    """Whether an offer of ours has no answer."""
    if isinstance(side, Offer):
        return side._reliable is not None and side._reliable.offered
    if isinstance(side, Call):
        if side._late is not None:
            return side._reliable is not None and side._reliable.offered
        return _asks(side) or (side._answer is not None and side._answer.offered)
    return not side.agreed


def _asked(side: Side) -> bool:
    """Whether the offer in their INVITE has no answer that they are sure to have."""
    offer = unanswered(side)
    return offer is not None and not (offer._reliable is not None and offer._reliable.answered)


def _is_over(side: Side) -> bool:
    """Whether the early dialog is only kept for a PRACK that comes late."""
    return isinstance(side, Offer) and side._over
