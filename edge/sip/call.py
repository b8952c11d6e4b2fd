"""The dialogs, and what happens within them: ACK, BYE, INFO, OPTIONS. What changes a session is in `reoffer.py`, which
has theirs, and in `reinvite.py` and `refresh.py`; REFER and its NOTIFYs are in `refer.py`.

A call stays in the table until nothing of it is left on the wire: ended, its 200 acknowledged or given up, its BYE
answered, its REFER's NOTIFYs done. After `CallEnded` its user hears nothing more of it.

A call may be answered by its user before its 200 may be sent, for a provisional answer waits for its PRACK
(`reliable.py`). Until then it is a call to its user, and an offer to the other side, who may still give up.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from edge.sip import screen
from edge.sip.answer import Answer, Answerless
from edge.sip.client_transaction import OnFailure, OnResponse, PlainClient
from edge.sip.dialog import Dialog, DialogKey
from edge.sip.digits import read_digits
from edge.sip.early import Early
from edge.sip.events import By, CallConfirmed, CallEnded, DigitsReceived, InfoAnswered, OfferCancelled
from edge.sip.extension import supported
from edge.sip.handle import Call, Offer, Side, sdp_of, unanswered
from edge.sip.message import Request, Response
from edge.sip.peer import Peer
from edge.sip.prover import Rounds
from edge.sip.refer import Refers
from edge.sip.refresh import Refreshes
from edge.sip.reinvite import LOST, Reinvites
from edge.sip.reoffer import Reoffers
from edge.sip.screen import Refusal
from edge.sip.server_transaction import PROCEEDING, InviteServer, PlainServer
from edge.sip.session_timer import EXPIRED, SessionTimers
from edge.sip.transaction import ServerKey
from edge.sip.wire import Fields, Wire, back

UNANSWERED_OFFER = 'Q.850;cause=102;text="no answer to our offer"'
NO_ACK = 'Q.850;cause=102;text="no ACK"'
NO_PRACK = 'Q.850;cause=102;text="no PRACK"'

Send = Callable[[Call, str, float, tuple[tuple[str, str], ...], OnResponse, OnFailure], None]


class Late(NamedTuple):
    """A 200 that waits for a PRACK."""

    offer: Offer
    sdp: bytes


class Calls:
    """The dialogs of one agent."""

    __slots__ = ("_refers", "_refreshes", "_reinvites", "_table", "_timers", "_wire", "reoffers")

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._timers = SessionTimers(wire.timers, self._refresh, self._expired)
        self._reinvites = Reinvites(wire, self._timers, self._lost)
        self._refreshes = Refreshes(wire, self._timers, self._reinvites, self._request, self._lost)
        self._refers = Refers(wire, self._request, self._lost, self._settle)
        self.reoffers = Reoffers(wire, self._timers, self)
        self._table: dict[DialogKey, Side] = {}

    def __len__(self) -> int:
        return len(self._table)

    def enter(self, dialog: Dialog, side: Side) -> None:
        """Requests of this dialog are for `side` from now on."""
        self._table[dialog.key] = side
        if isinstance(side, Call):
            self._wire.link(side)

    def leave(self, dialog: Dialog) -> None:
        self._table.pop(dialog.key, None)

    def leave_ringing(self, early: Early) -> None:
        """An INVITE of ours has its answer. (What was agreed in an early dialog may be that of a call by now.)"""
        self.reoffers.forget(early)
        if self._table.get(early._dialog.key) is early:
            self.leave(early._dialog)

    # From the wire

    def find(self, request: Request, peer: Peer) -> Side | None:
        """Whose dialog a request from `peer` belongs to (§12.2.2)."""
        tag = request.to_tag
        if tag is None:
            return None
        side = self._table.get((request.call_id, tag, request.from_tag))
        return side if side is None or side.peer.inside is peer.inside else None

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

    def received(self, side: Side, request: Request, key: ServerKey, peer: Peer, now: float) -> None:
        """A request within a dialog, other than ACK, CANCEL and MESSAGE, for the first time."""
        refusal = self._refusal(side, request)
        if refusal is not None:
            self._wire.respond_statelessly(request, peer, *refusal)
            return
        match request.method:
            case "BYE":
                self._plain(request, key, peer, now, 200)
                self._bye(side, request, now)
            case "INFO":
                self._info(side, request, key, peer, now)
            case "OPTIONS":
                self._wire.respond_statelessly(request, peer, 200, screen.options(side.terms))
            case "NOTIFY" if isinstance(side, Call) and self._refers.expects(side, request):
                self._plain(request, key, peer, now, 200)
                self._refers.notified(side, request, now)
            case "INVITE" if isinstance(side, Call):
                self.reoffers.invite(side, request, key, peer)
            case "UPDATE":
                self.reoffers.update(side, request, key, peer, now)
            case "PRACK":
                self.reoffers.prack(side, request, key, peer, now)
            case _:
                self._plain(request, key, peer, now, 481)

    def _refusal(self, side: Side, request: Request) -> Refusal | None:
        """What speaks against a request within a dialog."""
        method, dialog = request.method, side._dialog
        if dialog is None or not dialog.in_order(request.cseq.number):
            return 500, ()  # §12.2.2
        if refusal := screen.method(request):
            return refusal
        if isinstance(side, Call):
            if side._ended and method not in ("BYE", "NOTIFY", "PRACK"):
                return 481, ()
        elif isinstance(side, Offer):
            if side._over and method != "PRACK":
                return 481, ()
        elif method == "BYE":  # §15: who was called must not end an early dialog by it
            return 481, ()
        if method == "INVITE" and (refusal := self.reoffers.busy(side, request, offers=True)):
            return refusal
        return screen.needs(request, side.terms)

    def _plain(
        self, request: Request, key: ServerKey, peer: Peer, now: float, status: int, fields: Fields = ()
    ) -> None:
        """Answer once and for all repeats."""
        data = self._wire.respond(request, peer, status, fields=fields)
        PlainServer(self._wire, key, request, back(request, peer)).respond(data, now)

    def _bye(self, side: Side, request: Request, now: float) -> None:
        reason = ",".join(request.headers.all("reason")) or None
        offer = unanswered(side)
        if offer is not None:  # §15.1.2: the INVITE gets its 487
            self.withdraw(offer, now, reason)
        elif isinstance(side, Call):
            self.reoffers.drop(side, now)
            side._bye = None  # one of ours would come too late
            self._ended(side, now, "remote", reason)
            self._settle(side)

    def _info(self, side: Side, request: Request, key: ServerKey, peer: Peer, now: float) -> None:
        kind = screen.content_type(request, "")[0]
        read = read_digits(kind, request.body) if kind in screen.DTMF_TYPES else None
        if "info-package" in request.headers.first:  # RFC 6086 §4.2.2: none was announced
            self._plain(request, key, peer, now, 469, (("Recv-Info", ""),))
        elif read is not None:
            self._plain(request, key, peer, now, 200)
            whose = side if isinstance(side, Call | Offer) else side.outgoing
            self._wire.events.append(DigitsReceived(whose, *read))
        elif not request.body:
            self._plain(request, key, peer, now, 200)
        elif kind in screen.DTMF_TYPES:
            self._plain(request, key, peer, now, 400)
        else:
            self._plain(request, key, peer, now, 415, (("Accept", ", ".join(screen.DTMF_TYPES)),))

    # The answer

    def pick_up(self, call: Call, offer: Offer, sdp: bytes, now: float) -> None:
        """Answer an offer: at once, or when the last provisional answer has its PRACK."""
        reliable = call._reliable = offer._reliable
        if offer._reoffer is not None:
            call._reoffer, offer._reoffer = offer._reoffer, None
            call._reoffer._side = call
        if reliable is not None:
            reliable.hurry()
            if reliable.holds_the_answer or call._reoffer is not None:
                offer._call, call._late = call, Late(offer, sdp)
                return
            reliable.finish(now)
        self._say_yes(call, offer, sdp, now)

    def _say_yes(self, call: Call, offer: Offer, sdp: bytes, now: float) -> None:
        """The 200. What was described in a provisional answer for sure is not described again (RFC 6337 §3.1.1)."""
        transaction, reliable = offer._transaction, offer._reliable
        if not isinstance(transaction, InviteServer):
            return
        if reliable is not None and reliable.described:
            sdp = b""
        offered = offer.sdp is None and not (reliable is not None and reliable.answered)
        fields = (supported(offer.terms), *self._timers.answering(call, offer.request, now))
        data = self.dialog_answer(offer, 200, sdp, fields)
        self.answer(call, transaction, data, offer.request, now, offered=offered)

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

    def dialog_answer(self, offer: Offer, status: int, sdp: bytes, fields: Fields = ()) -> bytes:
        """An answer that makes a dialog copies the route it has to take, and says where we are (§12.1.1)."""
        request = offer.request
        lines = [("Record-Route", route) for route in request.headers.all("record-route")]
        secure = request.uri[:5].lower() == "sips:"
        lines.append(("Contact", self._wire.contact(offer.peer, secure=secure, advertise=offer.terms.advertise)))
        lines.append(screen.ALLOW)
        lines.extend(fields)
        if sdp:
            lines.append(screen.SDP_TYPE)
        return self._wire.respond(request, offer.peer, status, tag=offer._tag, fields=lines, body=sdp)

    def release(self, side: Side, now: float) -> None:
        """A change of a session was decided, or a provisional answer acknowledged: what waited for it goes on."""
        if isinstance(side, Offer):
            if side._over and side._dialog is not None:
                self.leave(side._dialog)  # it was kept for this PRACK
            elif side._reliable is not None:
                side._reliable.go_on(now)
            return
        if not isinstance(side, Call):
            return
        late, reliable = side._late, side._reliable
        if late is not None and side._reoffer is None and not (reliable is not None and reliable.holds_the_answer):
            side._late = late.offer._call = None
            self._say_yes(side, late.offer, late.sdp, now)
        self._reinvites.go_on(side, now)

    def lapsed(self, offer: Offer, now: float) -> None:
        """A provisional answer of ours never got its PRACK (RFC 3262 §3)."""
        if not offer._over:
            self.withdraw(offer, now, NO_PRACK, 504)
        elif offer._dialog is not None and self._table.get(offer._dialog.key) is offer:
            self.leave(offer._dialog)

    # The end

    def withdraw(self, offer: Offer, now: float, reason: str | None, status: int = 487) -> None:
        """An offer is over without its user's doing: by CANCEL, or by BYE in an early dialog, or because it took too
        long."""
        by: By = "remote" if status == 487 else "timeout"
        call = offer._call
        if not self._decline(offer, status, now, ()):
            return
        if call is None:
            self._wire.events.append(OfferCancelled(offer, reason, status))
        else:
            self._ended(call, now, by, reason, status)

    def _decline(self, offer: Offer, status: int, now: float, fields: Fields) -> bool:
        """The final answer to an offer that nobody decides on any more. False: it has one."""
        transaction = offer._transaction
        if transaction.state is not PROCEEDING:
            return False
        call, offer._call = offer._call, None
        if call is not None:
            self.reoffers.drop(call, now)
            call._late = None
        self.reoffers.drop(offer, now)
        tag = transaction.tag = transaction.tag or self._wire.token()
        transaction.respond(self._wire.respond(offer.request, offer.peer, status, tag=tag, fields=fields), now)
        self.leave_early(offer, now)
        if call is not None:
            self._wire.unlink(call)
        return True

    def leave_early(self, offer: Offer, now: float) -> None:
        """An early dialog ends with a refusal; but a PRACK on its way is to find it (RFC 3262 §3)."""
        if offer._dialog is None:
            return
        if offer._reliable is not None:
            offer._reliable.finish(now)
            if offer._reliable.unacknowledged:
                self._table[offer._dialog.key] = offer
                return
        self.leave(offer._dialog)

    def end(self, call: Call, now: float, reason: str | None) -> None:
        """Hang up. The BYE waits for the ACK of our 200 (§15.1.1)."""
        if call._ended:
            return
        late = call._late
        if late is not None:  # the other side knows of no answer yet
            self._decline(late.offer, 480, now, () if reason is None else (("Reason", reason),))
            self._ended(call, now, "local", reason, 480)
            return
        self.reoffers.drop(call, now)
        self._ended(call, now, "local", reason)
        if call._answer is None:
            self._send_bye(call, now, reason)
        else:
            call._bye = (reason,)

    def end_unseen(self, call: Call, now: float, reason: str | None) -> None:
        """BYE to a call of ours that its user never saw: cancelled too late, or a second phone's answer (§13.2.2.4)."""
        call._ended = True
        self._send_bye(call, now, reason)

    def _ended(self, call: Call, now: float, by: By, reason: str | None, status: int = 0) -> None:
        if not call._ended:
            call._ended = True
            call._agreed()
            self._timers.stop(call)
            self._reinvites.drop(call, now)
            self._wire.events.append(CallEnded(call, by, reason, status))

    def _lost(self, call: Call, now: float) -> None:
        """The other side knows the dialog no more, or never answers (§12.2.1.2)."""
        self.reoffers.drop(call, now)
        if not call._ended:
            self._ended(call, now, "lost", None)
            self._send_bye(call, now, None)

    def _expired(self, call: Call, now: float) -> None:
        """Nobody refreshed the session (RFC 4028 §10)."""
        if not call._ended:
            self.reoffers.drop(call, now)
            self._ended(call, now, "timeout", EXPIRED)
            if call._answer is None:
                self._send_bye(call, now, EXPIRED)
            else:
                call._bye = (EXPIRED,)

    def unacknowledged(self, call: Call, now: float) -> None:
        """No ACK in 64·T1 (§13.3.1.4)."""
        call._answer = None
        already = call._ended and call._bye is None  # by their BYE
        reason = call._bye[0] if call._bye is not None else NO_ACK
        self.reoffers.drop(call, now)
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
            and self._table.get(call._dialog.key) is call
        ):
            self.leave(call._dialog)
            self._wire.unlink(call)

    # Requests of ours

    def _request(
        self,
        call: Call,
        method: str,
        now: float,
        fields: tuple[tuple[str, str], ...],
        responded: OnResponse,
        failed: OnFailure,
    ) -> None:
        self.send(call._dialog, method, now, fields, responded, failed, call)

    def send(
        self,
        dialog: Dialog,
        method: str,
        now: float,
        fields: tuple[tuple[str, str], ...],
        responded: OnResponse,
        failed: OnFailure,
        call: Call | None = None,
        rounds: Rounds | None = None,
        body: bytes = b"",
    ) -> None:
        """A request within a dialog, other than INVITE. Refused because it proves nothing, it is sent again with what
        is asked for (`prover.py`)."""
        dialog.local_seq += 1
        branch = self._wire.branch()
        data = dialog.request(self._wire, method, dialog.local_seq, branch, fields, body)
        retry = dialog.fresh_peer() if dialog.peer.connection else None
        heard = responded
        if dialog.prover is not None:
            again = partial(self.send, dialog, method, body=body)
            heard = partial(self._asked, dialog, again, fields, responded, failed, call, rounds or Rounds())
        PlainClient(self._wire, (branch, method), dialog.peer, data, now, heard, failed, retry)
        if rounds is not None and method == "REFER" and call is not None and call._referral is not None:
            call._referral.number = dialog.local_seq

    def _asked(
        self,
        dialog: Dialog,
        again: Callable[..., None],
        fields: tuple[tuple[str, str], ...],
        responded: OnResponse,
        failed: OnFailure,
        call: Call | None,
        rounds: Rounds,
        response: Response,
        now: float,
    ) -> None:
        """The final answer to a request whose sender can prove who he is."""
        if dialog.prover is None or not dialog.prover.takes(response, rounds):
            responded(response, now)
        else:
            again(now, fields, responded, failed, call, rounds)

    def inform(self, call: Call, kind: str, body: bytes, now: float) -> None:
        """INFO, whose user is told what came of it, as long as the call lasts."""
        if not call._ended:
            responded = partial(self._informed, call)
            self.send(call._dialog, "INFO", now, (("Content-Type", kind),), responded, responded, call, body=body)

    def _informed(self, call: Call, outcome: Response | int, now: float) -> None:
        status = outcome if isinstance(outcome, int) else outcome.status
        if call._ended:
            return
        if status in LOST:  # §12.2.1.2
            self._lost(call, now)
        else:
            self._wire.events.append(InfoAnswered(call, status))

    def reinvite(self, call: Call, sdp: bytes, now: float) -> None:
        self._reinvites.want(call, sdp, now)

    def refer(self, call: Call, target: str, now: float) -> None:
        self._refers.begin(call, target, now)

    def _refresh(self, call: Call, now: float) -> None:
        self._refreshes.begin(call, now)

    def begun(self, call: Call, response: Response, now: float) -> None:
        """A call of ours was answered."""
        self._timers.answered(call, response, now)
