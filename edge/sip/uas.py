"""Calls offered to us: from the INVITE to its final answer (RFC 3261 §13.3, §9.2).

Each offer ends: answered, refused, cancelled, or by us after `limits.UNANSWERED`. Its answers all carry one To-tag.
Verbs on an offer that is over have no effect.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from edge.sip.body import sdp_body
from edge.sip.call import Calls
from edge.sip.dialog import Dialog
from edge.sip.events import CallOffered
from edge.sip.extension import RELIABLE, supported
from edge.sip.handle import Call, Offer, Reoffer
from edge.sip.limits import REOFFER, UNANSWERED, UNANSWERED_REPEAT
from edge.sip.message import Request
from edge.sip.peer import Peer
from edge.sip.prover import Prover
from edge.sip.reliable import Reliable
from edge.sip.server_transaction import PROCEEDING, InviteServer, PlainServer, ServerTransaction
from edge.sip.terms import Terms
from edge.sip.transaction import merge_key, server_key
from edge.sip.wire import Fields, Wire, back

if TYPE_CHECKING:
    from edge.sip.transaction import MergeKey, ServerKey


class Uas:
    """The offers of one agent."""

    __slots__ = ("_calls", "_wire")

    def __init__(self, wire: Wire, calls: Calls) -> None:
        self._wire = wire
        self._calls = calls

    def offered(self, request: Request, key: ServerKey, merge: MergeKey, peer: Peer, terms: Terms) -> None:
        """An INVITE that nothing speaks against. Raises `Malformed` for a body that must be understood and is not."""
        wire = self._wire
        sdp = sdp_body(request)
        transaction = InviteServer(wire, key, request, back(request, peer))
        transaction.remember_merge(merge)
        offer = transaction.handle = Offer(request, peer, transaction, sdp, terms)
        wire.fresh.append(transaction)
        wire.events.append(CallOffered(offer))

    def send_trying(self, now: float) -> None:
        """The 100 for each INVITE of this turn that has no answer yet (§17.2.1)."""
        wire = self._wire
        for transaction in wire.fresh:
            if transaction.state is PROCEEDING:
                asked = transaction.handle
                if transaction.answer is None:
                    transaction.provisional(wire.respond(asked.request, asked.peer, 100))
                if isinstance(asked, Offer):
                    asked._since = now
                    transaction.patience(self, now, UNANSWERED_REPEAT)
                else:
                    transaction.patience(self._calls.reoffers, now, REOFFER)
        wire.fresh.clear()

    def waited(self, transaction: ServerTransaction, now: float) -> None:
        """Nobody decided for a minute: say that we are still there (§13.3.1.1), but not for ever."""
        offer = transaction.handle
        if not isinstance(offer, Offer):
            return
        if offer._since is not None and now >= offer._since + UNANSWERED:
            self._calls.withdraw(offer, now, None, 480)
            return
        if offer._tag is not None and offer._reliable is None:  # a 100 would not get past a proxy
            transaction.repeated()
        else:
            self._provisional(offer, 180, b"", now)
        transaction.patience(self, now, UNANSWERED_REPEAT)

    def provisional(self, offer: Offer, status: int, sdp: bytes, now: float) -> None:
        if offer._transaction.state is PROCEEDING and offer._call is None:
            self._provisional(offer, status, sdp, now)

    def _provisional(self, offer: Offer, status: int, sdp: bytes, now: float) -> None:
        self._dialog(offer)
        transaction = offer._transaction
        if offer._reliable is None and offer.reliable and isinstance(transaction, InviteServer):
            say = partial(self._numbered, offer)
            number = offer.request.cseq.number
            offer._reliable = Reliable(self._wire, transaction, number, say, partial(self._calls.lapsed, offer))
        if offer._reliable is None:
            transaction.provisional(self._calls.dialog_answer(offer, status, sdp))
        else:
            offer._reliable.send(status, sdp, now, offers=offer.sdp is None)

    def _numbered(self, offer: Offer, rseq: int, status: int, sdp: bytes) -> bytes:
        """A provisional answer that wants a PRACK (RFC 3262 §3)."""
        fields = (supported(offer.terms), ("Require", RELIABLE), ("RSeq", str(rseq)))
        return self._calls.dialog_answer(offer, status, sdp, fields)

    def _dialog(self, offer: Offer) -> Dialog:
        """The dialog, early at first (§12.1.1)."""
        if offer._dialog is None:
            offer._tag = offer._transaction.tag = self._wire.token()
            dialog = offer._dialog = Dialog.answering(offer.request, offer._tag, offer.peer, offer.terms.advertise)
            if offer.terms.login is not None:
                dialog.prover = Prover(offer.terms.login, self._wire.token)
            self._calls.enter(offer._dialog, offer)
        return offer._dialog

    def answer(self, offer: Offer, sdp: bytes, now: float) -> Call:
        transaction = offer._transaction
        open_still = transaction.state is PROCEEDING and offer._call is None
        dialog = self._dialog(offer) if open_still else Dialog.answering(offer.request, "", offer.peer)
        call = Call(dialog, offer.peer, offer.allow, offer.terms, sdp)
        if not open_still:
            call._ended = True
            return call
        call._unconfirmed = True
        self._calls.enter(dialog, call)
        self._calls.pick_up(call, offer, sdp, now)
        return call

    def refuse(self, offer: Offer, status: int, now: float, reason: str | None = None, fields: Fields = ()) -> None:
        """300–699."""
        transaction = offer._transaction
        if transaction.state is not PROCEEDING or offer._call is not None:
            return
        wire = self._wire
        if offer._reoffer is not None:
            self._calls.reoffers.drop(offer, now)
        tag = offer._tag or wire.token()
        if status >= 400 and not offer.peer.inside:
            fields = tuple(fields)
            wire.refusals.remember(merge_key(offer.request), offer.request.via.branch, (status, fields), now)
        data = wire.respond(offer.request, offer.peer, status, reason, tag=tag, fields=fields)
        transaction.tag = tag
        transaction.respond(data, now)
        if offer._dialog is not None:
            self._calls.leave_early(offer, now)

    def redirect(self, offer: Offer, contacts: Sequence[str], now: float) -> None:
        if offer.request.max_forwards == 0:  # RFC 7332 §3: who sends a call on counts as a hop
            self.refuse(offer, 483, now)
            return
        if len(contacts) == 1:
            fields = [("Contact", f"<{contacts[0]}>")]
        else:  # §20.10: the order is in q
            fields = [("Contact", f"<{uri}>;q={max(1.0 - 0.1 * rank, 0.1):.1f}") for rank, uri in enumerate(contacts)]
        self.refuse(offer, 302, now, None, fields)

    def cancelled(self, request: Request, key: ServerKey, peer: Peer, now: float) -> None:
        """A CANCEL, for the first time (§9.2). It has no say once the INVITE has its final answer."""
        wire = self._wire
        invite = wire.servers.get(server_key(request, "INVITE"))
        if invite is None or invite.peer.inside is not peer.inside:
            wire.respond_statelessly(request, peer, 481)
            return
        asked = invite.handle if invite.state is PROCEEDING else None
        invite.tag = invite.tag or wire.token()
        data = wire.respond(request, peer, 200, tag=invite.tag)  # §9.2: the tag of the answer to the INVITE
        PlainServer(wire, key, request, back(request, peer)).respond(data, now)
        if isinstance(asked, Offer):
            self._calls.withdraw(asked, now, ",".join(request.headers.all("reason")) or None)
        elif isinstance(asked, Reoffer):
            self._calls.reoffers.refuse(asked, 487, now)
