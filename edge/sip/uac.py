"""Calls that we make (RFC 3261 §13.2, §9.1): INVITE, its answers, the ACK to each 200, CANCEL.

The offer is in the INVITE. A CANCEL waits for the first 1xx; if the 200 was faster, the call gets its ACK and a BYE.
When a proxy forked our INVITE and more than one phone answered, the first has the call and the others get ACK and BYE.
An INVITE that rings for `limits.RINGING` is cancelled. One that is refused because it proves nothing is sent again with
what is asked for, as the same call with the next CSeq (§22.2), and one whose session interval was too small (422) once
more with a larger one; its user hears nothing of that.

A provisional answer of a phone makes an early dialog (`early.py`); a description of its media in one that it wants
acknowledged is the answer to our offer, and those behind it say nothing new (§13.2.1).
"""

from __future__ import annotations

from functools import partial

from edge.sip import screen
from edge.sip.call import Calls
from edge.sip.client_transaction import InviteClient
from edge.sip.counts import REQUESTS_SENT
from edge.sip.dialog import Dialog
from edge.sip.early import Early, read_rseq
from edge.sip.events import CallAnswered, CallFailed, CallProgress
from edge.sip.extension import RELIABLE, supported
from edge.sip.handle import Call, OutgoingCall, sdp_of, served_by
from edge.sip.invitation import Field, Invitation
from edge.sip.limits import CLIENT_TRANSACTIONS, DIALOGS, FORKS, RINGING
from edge.sip.message import REASONS, Address, Malformed, Response
from edge.sip.peer import Peer
from edge.sip.prover import Prover, Rounds
from edge.sip.reason import read_cause
from edge.sip.session_timer import TOO_SMALL, least, opening
from edge.sip.terms import Terms
from edge.sip.text import name_addr
from edge.sip.wire import Fields, Wire

ELSEWHERE = 'SIP;cause=200;text="Call completed elsewhere"'  # RFC 3326 §3.1: for those who were slower


class Calling:
    """What an INVITE of ours says, each time it is sent."""

    __slots__ = (
        "fields",
        "from_",
        "hops",
        "number",
        "proof",
        "prover",
        "rounds",
        "routes",
        "sdp",
        "timer",
        "to",
        "uri",
    )

    def __init__(self, uri: str, from_: str, to: str, fields: Fields, sdp: bytes, hops: int, terms: Terms) -> None:
        fields = list(fields)
        self.uri = uri
        self.from_ = from_
        self.to = to
        self.routes = [field for field in fields if field[0].lower() == "route"]
        self.fields = [field for field in fields if field[0].lower() != "route"]
        self.sdp = sdp
        self.hops = hops
        self.number = 0  # its CSeq
        self.timer = opening(terms)
        self.prover: Prover | None = None  # of who we are, where the other side may ask
        self.rounds = Rounds()
        self.proof: tuple[Field, ...] = ()  # as it was sent last

    def raised(self, response: Response) -> bool:
        """A 422: ask for as long an interval as it wants (RFC 4028 §7.3). False: that was done before."""
        wanted, asked = least(response), dict(self.timer)
        if wanted <= int(asked.get("Min-SE", "0")):
            return False
        self.timer = (("Min-SE", str(wanted)),)
        if "Session-Expires" in asked:
            self.timer = (("Session-Expires", str(max(int(asked["Session-Expires"]), wanted))), *self.timer)
        return True


class Uac:
    """The INVITEs of ours."""

    __slots__ = ("_calls", "_wire")

    def __init__(self, wire: Wire, calls: Calls) -> None:
        self._wire = wire
        self._calls = calls

    def invite(
        self,
        *,
        peer: Peer,
        uri: str,
        from_: str,
        to: str,
        sdp: bytes,
        now: float,
        fields: Fields,
        max_forwards: int,
        stranger: bool,
        terms: Terms,
    ) -> OutgoingCall:
        wire = self._wire
        tag, call_id = wire.token(), wire.token()
        calling = Calling(uri, f"{name_addr(from_)};tag={tag}", name_addr(to), fields, sdp, max_forwards, terms)
        if terms.login is not None:
            calling.prover = Prover(terms.login, wire.token)
        outgoing = OutgoingCall(peer, call_id, tag, calling, stranger=stranger, terms=terms)
        if len(wire.clients) >= CLIENT_TRANSACTIONS or len(self._calls) >= DIALOGS:
            self._failed(outgoing, 503, now)
        else:
            self._send(outgoing, now)
        return outgoing

    def _send(self, outgoing: OutgoingCall, now: float) -> None:
        """The INVITE; another one with the next CSeq, if it was sent before (§8.1.3.5)."""
        wire, peer, calling = self._wire, outgoing.peer, outgoing._calling
        calling.number += 1
        branch = wire.branch()
        again = (
            ("Via", wire.via(peer, branch, outgoing.terms.advertise)),
            *calling.routes,
            ("Max-Forwards", str(calling.hops)),
            ("From", calling.from_),
            ("To", calling.to),
            ("Call-ID", outgoing.call_id),
        )
        if calling.prover is not None:
            calling.proof = calling.prover.fields("INVITE", calling.uri, calling.sdp)
        invitation = Invitation(calling.uri, again, calling.number, calling.proof)
        contact = wire.contact(peer, secure=calling.uri[:5].lower() == "sips:", advertise=outgoing.terms.advertise)
        more: list[Field] = [("Contact", contact), screen.ALLOW, supported(outgoing.terms)]
        if outgoing.terms.reliable == "required":
            more.append(("Require", RELIABLE))
        more += (*calling.timer, *calling.fields, screen.SDP_TYPE)
        outgoing._transaction = InviteClient(
            wire,
            (branch, "INVITE"),
            peer,
            invitation.request(tuple(more), calling.sdp),
            now,
            partial(self._responded, outgoing),
            partial(self._failed, outgoing),
            invitation=invitation,
            patience=RINGING,
        )

    def cancel(self, outgoing: OutgoingCall, now: float, reason: str | None) -> None:
        """Without effect after the final answer."""
        if outgoing._transaction is not None:
            outgoing._transaction.cancel(now, reason)

    def _responded(self, outgoing: OutgoingCall, response: Response, now: float) -> None:
        status = response.status
        if status >= 300:
            if self._is_worth_another(outgoing, response):
                self._leave_early(outgoing)
                outgoing._early.clear()
                self._send(outgoing, now)
                return
            reasons = ",".join(response.headers.all("reason"))
            self._fail(outgoing, status, response.reason, read_cause(reasons), _alternatives(response))
        elif status >= 200:
            self._answered(outgoing, response, now)
        else:
            self._progressed(outgoing, response, now)

    def _is_worth_another(self, outgoing: OutgoingCall, response: Response) -> bool:
        """Whether a refusal only wanted something else said."""
        calling = outgoing._calling
        if outgoing.cancelled or len(self._wire.clients) >= CLIENT_TRANSACTIONS:
            return False
        if response.status == TOO_SMALL:
            return calling.raised(response)
        return calling.prover is not None and calling.prover.takes(response, calling.rounds)

    def _progressed(self, outgoing: OutgoingCall, response: Response, now: float) -> None:
        """A 1xx. One that wants a PRACK is told of once, in its turn, and not at all if there can be none."""
        early = self._early(outgoing, response)
        sdp = sdp_of(response)
        if early is not None and early.agreed:
            sdp = None  # §13.2.1
        if (rseq := read_rseq(response)) is not None:
            if early is None or not early.follows(rseq):
                return
            early.agreed = early.agreed or sdp is not None
            rack = ("RAck", f"{rseq} {response.cseq.number} INVITE")
            self._calls.send(early._dialog, "PRACK", now, (rack,), _ignore, _ignore)
        self._wire.events.append(CallProgress(outgoing, response.status, sdp, response.to_tag))

    def _early(self, outgoing: OutgoingCall, response: Response) -> Early | None:
        """The early dialog of a 1xx (§12.1.2); None for one that makes none."""
        tag = response.to_tag
        if tag is None or response.status == 100:
            return None
        early = outgoing._early.get(tag)
        if early is None and len(outgoing._early) < FORKS and len(self._calls) < DIALOGS:
            dialog = Dialog.calling(
                response, outgoing._tag, outgoing.peer, stranger=outgoing.stranger, advertise=outgoing.terms.advertise
            )
            dialog.prover = outgoing._calling.prover
            early = outgoing._early[tag] = Early(outgoing, dialog)
            self._calls.enter(dialog, early)
        return early

    def _leave_early(self, outgoing: OutgoingCall) -> None:
        """All that rings is over: answered, or refused."""
        for early in outgoing._early.values():
            self._calls.leave_ringing(early)

    def _answered(self, outgoing: OutgoingCall, response: Response, now: float) -> None:
        """A 2xx: the first, a repeat, or one from another branch of a fork (§13.2.2.4)."""
        wire = self._wire
        tag = response.to_tag
        ack = outgoing._acks.get(tag)
        if ack is not None:
            wire.out.append(ack)
            return
        dialog = Dialog.calling(
            response, outgoing._tag, outgoing.peer, stranger=outgoing.stranger, advertise=outgoing.terms.advertise
        )
        dialog.prover = outgoing._calling.prover
        data = dialog.request(wire, "ACK", response.cseq.number, wire.branch(), outgoing._calling.proof)
        REQUESTS_SENT["ACK"]()
        ack = outgoing._acks[tag] = dialog.peer, data
        wire.out.append(ack)
        early = outgoing._early.get(tag or "")
        if early is not None:  # §13.2.2.4: all of it is new but what was counted
            dialog.counts_on(early._dialog)
        self._leave_early(outgoing)
        call = Call(dialog, outgoing.peer, served_by(response), outgoing.terms, outgoing._calling.sdp)
        self._calls.enter(dialog, call)
        transaction = outgoing._transaction
        if transaction is not None and transaction.cancelled:
            self._calls.end_unseen(call, now, transaction.reason)
            self._fail(outgoing, 487, REASONS[487])
        elif outgoing._done:
            self._calls.end_unseen(call, now, ELSEWHERE)
        else:
            outgoing._over()
            self._calls.begun(call, response, now)
            agreed = early is not None and early.agreed
            wire.events.append(CallAnswered(outgoing, call, None if agreed else sdp_of(response)))

    def _failed(self, outgoing: OutgoingCall, status: int, _now: float) -> None:
        if outgoing.cancelled:
            status = 487
        self._fail(outgoing, status, REASONS[status])

    def _fail(
        self,
        outgoing: OutgoingCall,
        status: int,
        reason: str,
        cause: int | None = None,
        contacts: tuple[str, ...] = (),
    ) -> None:
        if not outgoing._done:
            outgoing._over()
            self._leave_early(outgoing)
            self._wire.events.append(CallFailed(outgoing, status, reason, cause, contacts))


def _ignore(_outcome: Response | int, _now: float) -> None:
    """What became of a PRACK says nothing: the INVITE's own answer does."""


def _alternatives(response: Response) -> tuple[str, ...]:
    """Where a 3xx says to go, best first (§8.1.3.4)."""
    if response.status >= 400:
        return ()
    try:
        contacts = response.contacts
    except Malformed:
        return ()
    return tuple(str(contact.uri) for contact in sorted(contacts, key=_rank))


def _rank(contact: Address) -> float:
    """From 0, the best, to 1. Without a q it is the best: then the order as written decides."""
    try:
        return 1.0 - min(max(float(contact.params.get("q") or 1.0), 0.0), 1.0)
    except ValueError:
        return 0.0
