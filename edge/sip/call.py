"""The dialogs, and what happens within them: ACK, BYE, INFO, re-INVITE, REFER and its NOTIFYs. Re-INVITEs of ours are
in `reinvite.py`.

A call stays in the table until nothing of it is left on the wire: ended, its 200 acknowledged or given up, its BYE
answered, its REFER's NOTIFYs done. After `CallEnded` its user hears nothing more of it.

Not nice: a re-INVITE that comes while a 200 of ours still waits for its ACK gets a 491. RFC 3261 has no word for that;
the caller will have seen the 200, and comes back when its ACK did.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from edge.sip import screen
from edge.sip.answer import Answer, Answerless
from edge.sip.body import sdp_body
from edge.sip.client_transaction import OnResponse, PlainClient
from edge.sip.dialog import Dialog, DialogKey
from edge.sip.digits import read_digits
from edge.sip.events import (
    By,
    CallConfirmed,
    CallEnded,
    DigitsReceived,
    OfferCancelled,
    ReferProgress,
    Reoffered,
)
from edge.sip.handle import Call, Offer, Reoffer, sdp_of
from edge.sip.message import Request, Response
from edge.sip.peer import Peer
from edge.sip.prover import Rounds
from edge.sip.referral import UNSAID, Referral
from edge.sip.reinvite import Reinvites
from edge.sip.screen import Refusal
from edge.sip.server_transaction import PROCEEDING, InviteServer, PlainServer, ServerTransaction
from edge.sip.transaction import ServerKey
from edge.sip.wire import Fields, Wire, back

UNANSWERED_OFFER = 'Q.850;cause=102;text="no answer to our offer"'
NO_ACK = 'Q.850;cause=102;text="no ACK"'


class Calls:
    """The dialogs of one agent."""

    __slots__ = ("_reinvites", "_table", "_wire")

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._reinvites = Reinvites(wire, self._lost)
        self._table: dict[DialogKey, Call | Offer] = {}

    def __len__(self) -> int:
        return len(self._table)

    def enter(self, dialog: Dialog, whose: Call | Offer) -> None:
        """Requests of this dialog are for `whose` from now on."""
        self._table[dialog.key] = whose
        if isinstance(whose, Call):
            self._wire.link(whose)

    def leave(self, dialog: Dialog) -> None:
        self._table.pop(dialog.key, None)

    # From the wire

    def find(self, request: Request, peer: Peer) -> Call | Offer | None:
        """Whose dialog a request from `peer` belongs to (§12.2.2)."""
        tag = request.to_tag
        if tag is None:
            return None
        whose = self._table.get((request.call_id, tag, request.from_tag))
        return whose if whose is None or whose.peer.inside is peer.inside else None

    def acknowledged(self, request: Request, peer: Peer, now: float) -> None:
        """An ACK that belongs to no transaction: to a 200, or to nothing; never answered."""
        call = self.find(request, peer)
        if not isinstance(call, Call) or call._answer is None or call._answer.number != request.cseq.number:
            return
        answer, call._answer = call._answer, None
        answer.acknowledged()
        sdp = sdp_of(request)
        first, call._unconfirmed = call._unconfirmed and not call._ended, False
        if first or (answer.offered and not call._ended):
            self._wire.events.append(CallConfirmed(call, sdp))
        if call._bye is not None:
            self._send_bye(call, now, *call._bye)
        elif first and answer.offered and sdp is None:
            call._answerless = Answerless(self._wire.timers, now, partial(self.end, call, reason=UNANSWERED_OFFER))
        self._reinvites.go_on(call, now)
        self._settle(call)

    def received(self, whose: Call | Offer, request: Request, key: ServerKey, peer: Peer, now: float) -> None:
        """A request within a dialog, other than ACK, CANCEL and MESSAGE, for the first time."""
        refusal = self._refusal(whose, request)
        if refusal is not None:
            self._wire.respond_statelessly(request, peer, *refusal)
            return
        match request.method:
            case "BYE":
                self._plain(request, key, peer, now, 200)
                self._bye(whose, request, now)
            case "INFO":
                self._info(whose, request, key, peer, now)
            case "OPTIONS":
                self._wire.respond_statelessly(request, peer, 200, screen.OPTIONS)
            case "NOTIFY":
                self._notify(whose, request, key, peer, now)
            case "INVITE" if isinstance(whose, Call):
                self._invite(whose, request, key, peer)

    def _refusal(self, whose: Call | Offer, request: Request) -> Refusal | None:
        """What speaks against a request within a dialog."""
        method = request.method
        if whose._dialog is None or not whose._dialog.in_order(request.cseq.number):
            return 500, ()  # §12.2.2
        if refusal := screen.method(request):
            return refusal
        if isinstance(whose, Call) and whose._ended and method not in ("BYE", "NOTIFY"):
            return 481, ()
        if method == "INVITE":
            if isinstance(whose, Offer) or whose._reoffer is not None:  # §14.2: the one before is not answered yet
                return 500, (self._wire.retry_after(),)
            if whose._answer is not None or (whose._change is not None and whose._change.transaction is not None):
                return 491, ()  # §14.2
        return screen.needs(request)

    def _plain(
        self, request: Request, key: ServerKey, peer: Peer, now: float, status: int, fields: Fields = ()
    ) -> None:
        """Answer once and for all repeats."""
        data = self._wire.respond(request, peer, status, fields=fields)
        PlainServer(self._wire, key, request, back(request, peer)).respond(data, now)

    def _bye(self, whose: Call | Offer, request: Request, now: float) -> None:
        reason = request.headers.get("reason")
        if isinstance(whose, Offer):  # §15.1.2: the INVITE gets its 487
            self.withdraw(whose, now, reason)
            return
        self._drop_reoffer(whose, now)
        whose._bye = None  # one of ours would come too late
        self._ended(whose, now, "remote", reason)
        self._settle(whose)

    def withdraw(self, offer: Offer, now: float, reason: str | None, status: int = 487) -> None:
        """The caller gave up: by CANCEL, or by BYE in an early dialog."""
        transaction = offer._transaction
        if transaction.state is not PROCEEDING:
            return
        tag = transaction.tag = transaction.tag or self._wire.token()
        transaction.respond(self._wire.respond(offer.request, offer.peer, status, tag=tag), now)
        if offer._dialog is not None:
            self.leave(offer._dialog)
        self._wire.events.append(OfferCancelled(offer, reason))

    def _info(self, whose: Call | Offer, request: Request, key: ServerKey, peer: Peer, now: float) -> None:
        kind = screen.content_type(request, "")[0]
        read = read_digits(kind, request.body) if kind in screen.DTMF_TYPES else None
        if "info-package" in request.headers.first:  # RFC 6086 §4.2.2: none was announced
            self._plain(request, key, peer, now, 469, (("Recv-Info", ""),))
        elif read is not None:
            self._plain(request, key, peer, now, 200)
            self._wire.events.append(DigitsReceived(whose, *read))
        elif not request.body:
            self._plain(request, key, peer, now, 200)
        elif kind in screen.DTMF_TYPES:
            self._plain(request, key, peer, now, 400)
        else:
            self._plain(request, key, peer, now, 415, (("Accept", ", ".join(screen.DTMF_TYPES)),))

    # The end

    def end(self, call: Call, now: float, reason: str | None) -> None:
        """Hang up. The BYE waits for the ACK of our 200 (§15.1.1)."""
        if call._ended:
            return
        self._drop_reoffer(call, now)
        self._ended(call, now, "local", reason)
        if call._answer is None:
            self._send_bye(call, now, reason)
        else:
            call._bye = (reason,)

    def end_unseen(self, call: Call, now: float) -> None:
        """BYE to a call of ours that its user never saw: cancelled too late, or a second phone's answer (§13.2.2.4)."""
        call._ended = True
        self._send_bye(call, now, None)

    def _ended(self, call: Call, now: float, by: By, reason: str | None) -> None:
        if not call._ended:
            call._ended = True
            call._agreed()
            self._reinvites.drop(call, now)
            self._wire.events.append(CallEnded(call, by, reason))

    def _lost(self, call: Call, now: float) -> None:
        """The other side knows the dialog no more, or never answers (§12.2.1.2)."""
        self._drop_reoffer(call, now)
        if not call._ended:
            self._ended(call, now, "lost", None)
            self._send_bye(call, now, None)

    def unacknowledged(self, call: Call, now: float) -> None:
        """No ACK in 64·T1 (§13.3.1.4)."""
        call._answer = None
        already = call._ended and call._bye is None  # by their BYE
        reason = call._bye[0] if call._bye is not None else NO_ACK
        self._drop_reoffer(call, now)
        self._ended(call, now, "timeout", NO_ACK)
        if already:
            self._settle(call)
        else:
            self._send_bye(call, now, reason)

    def _send_bye(self, call: Call, now: float, reason: str | None) -> None:
        call._bye = None
        call._byes += 1
        fields = () if reason is None else (("Reason", reason),)
        done = partial(self._bye_done, call)
        self._request(call, "BYE", now, fields, done, done)

    def _bye_done(self, call: Call, _outcome: Response | int, _now: float) -> None:
        call._byes -= 1  # §15.1.1: over, whatever they say
        self._settle(call)

    def _settle(self, call: Call) -> None:
        """Forget a call of which nothing is left."""
        if (
            call._ended
            and call._answer is None
            and not call._byes
            and call._referral is None
            and call._dialog.key in self._table
        ):
            self.leave(call._dialog)
            self._wire.unlink(call)

    def _request(
        self,
        call: Call,
        method: str,
        now: float,
        fields: tuple[tuple[str, str], ...],
        responded: partial[None],
        failed: partial[None],
        rounds: Rounds | None = None,
    ) -> None:
        """Send one. Refused because it proves nothing, it is sent again with what is asked for (`prover.py`)."""
        dialog = call._dialog
        dialog.local_seq += 1
        branch = self._wire.branch()
        data = dialog.request(self._wire, method, dialog.local_seq, branch, fields)
        retry = dialog.fresh_peer() if dialog.peer.connection else None
        heard: OnResponse = responded
        if dialog.prover is not None:
            heard = partial(self._asked, call, method, fields, responded, failed, rounds or Rounds())
        PlainClient(self._wire, (branch, method), dialog.peer, data, now, heard, failed, retry)

    def _asked(
        self,
        call: Call,
        method: str,
        fields: tuple[tuple[str, str], ...],
        responded: partial[None],
        failed: partial[None],
        rounds: Rounds,
        response: Response,
        now: float,
    ) -> None:
        """The final answer to a request whose sender can prove who he is."""
        prover = call._dialog.prover
        if prover is None or not prover.takes(response, rounds):
            responded(response, now)
            return
        self._request(call, method, now, fields, responded, failed, rounds)
        if method == "REFER" and call._referral is not None:
            call._referral.number = call._dialog.local_seq

    # Re-INVITE

    def _invite(self, call: Call, request: Request, key: ServerKey, peer: Peer) -> None:
        wire = self._wire
        sdp = sdp_body(request)
        transaction = InviteServer(wire, key, request, back(request, peer))
        reoffer = Reoffer(request, peer, transaction, call, sdp)
        transaction.handle = call._reoffer = reoffer
        transaction.tag = call._dialog.local_tag
        wire.fresh.append(transaction)
        wire.events.append(Reoffered(reoffer))

    def accept(self, reoffer: Reoffer, sdp: bytes, now: float) -> None:
        call, transaction = reoffer.call, reoffer._transaction
        if transaction.state is not PROCEEDING or not isinstance(transaction, InviteServer):
            return
        wire, request = self._wire, reoffer.request
        call._reoffer = None
        if reoffer.sdp is not None:
            call._agreed()
        wire.unlink(call)
        call._dialog.refresh(request, reoffer.peer)
        wire.link(call)
        fields = (("Contact", wire.contact(reoffer.peer, secure=call._dialog.secure)), screen.ALLOW, screen.SDP_TYPE)
        data = wire.respond(request, reoffer.peer, 200, fields=fields, body=sdp)
        self.answer(call, transaction, data, request, now, offered=reoffer.sdp is None)

    def answer(
        self, call: Call, transaction: InviteServer, data: bytes, request: Request, now: float, *, offered: bool
    ) -> None:
        """Send a 200 to an INVITE, and again until its ACK."""
        call._answer = Answer(
            self._wire,
            transaction,
            data,
            request.cseq.number,
            now,
            offered=offered,
            unacknowledged=partial(self.unacknowledged, call),
        )

    def refuse(self, reoffer: Reoffer, status: int, now: float, fields: Sequence[tuple[str, str]] = ()) -> None:
        """The session goes on as it was (§14.2)."""
        call, transaction = reoffer.call, reoffer._transaction
        if transaction.state is PROCEEDING:
            call._reoffer = None
            call._refused = transaction
            transaction.settled = partial(self._refusal_over, call, transaction)
            transaction.respond(self._wire.respond(reoffer.request, reoffer.peer, status, fields=fields), now)

    def _refusal_over(self, call: Call, transaction: ServerTransaction, now: float) -> None:
        if call._refused is transaction:
            call._refused = None
            self._reinvites.go_on(call, now)

    def _drop_reoffer(self, call: Call, now: float) -> None:
        if call._reoffer is not None:
            self.refuse(call._reoffer, 487, now)  # §15.1.2

    def waited(self, transaction: ServerTransaction, now: float) -> None:
        """Nobody decided on a re-INVITE."""
        if isinstance(transaction.handle, Reoffer):
            self.refuse(transaction.handle, 500, now)

    def reinvite(self, call: Call, sdp: bytes, now: float) -> None:
        self._reinvites.want(call, sdp, now)

    # REFER

    def refer(self, call: Call, target: str, now: float) -> None:
        if call._ended:
            return
        if call._referral is not None and not call._referral.told:  # one at a time
            self._wire.events.append(ReferProgress(call, 491, True))
            return
        self._forget_referral(call)
        target = target if target.endswith(">") else f"<{target}>"
        fields = (("Contact", self._wire.contact(call._dialog.peer, secure=call._dialog.secure)), ("Refer-To", target))
        number = call._dialog.local_seq + 1
        referral = call._referral = Referral(self._wire, number, now, partial(self._referral_over, call))
        responded = partial(self._refer_responded, call, referral)
        failed = partial(self._refer_failed, call, referral)
        self._request(call, "REFER", now, fields, responded, failed)

    def _refer_responded(self, call: Call, referral: Referral, response: Response, now: float) -> None:
        if response.status >= 300:
            self._refer_failed(call, referral, response.status, now)

    def _refer_failed(self, call: Call, referral: Referral, status: int, now: float) -> None:
        if call._referral is referral:
            self._tell(call, referral, status, True)
            self._forget_referral(call)
        if status == 481:
            self._lost(call, now)
        self._settle(call)

    def _notify(self, call: Call | Offer, request: Request, key: ServerKey, peer: Peer, now: float) -> None:
        referral = call._referral if isinstance(call, Call) else None
        if isinstance(call, Offer) or referral is None or not referral.matches(request):
            self._plain(request, key, peer, now, 481)  # RFC 6665 §4.1.3
            return
        self._plain(request, key, peer, now, 200)
        status, over = referral.notified(request, now)
        self._tell(call, referral, status, over or status >= 200)
        if over:
            self._forget_referral(call)
            self._settle(call)

    def _tell(self, call: Call, referral: Referral, status: int, final: bool) -> None:
        if not referral.told and not call._ended:
            self._wire.events.append(ReferProgress(call, status, final))
        referral.told = referral.told or final

    def _referral_over(self, call: Call, _now: float) -> None:
        if call._referral is not None:
            self._tell(call, call._referral, UNSAID, True)
            call._referral = None
        self._settle(call)

    def _forget_referral(self, call: Call) -> None:
        if call._referral is not None:
            call._referral.stop()
            call._referral = None
