"""Calls that we make (RFC 3261 §13.2, §9.1): INVITE, its answers, the ACK to each 200, CANCEL.

The offer is in the INVITE. A CANCEL waits for the first 1xx; if the 200 was faster, the call gets its ACK and a BYE.
When a proxy forked our INVITE and more than one phone answered, the first has the call and the others get ACK and BYE.
An INVITE that rings for `limits.RINGING` is cancelled. One that is refused because it proves nothing is sent again with
what is asked for, as the same call with the next CSeq (§22.2); its user hears nothing of that.
"""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

from edge.sip import screen
from edge.sip.call import Calls
from edge.sip.client_transaction import InviteClient
from edge.sip.counts import REQUESTS_SENT
from edge.sip.dialog import Dialog
from edge.sip.events import CallAnswered, CallFailed, CallProgress
from edge.sip.handle import Call, OutgoingCall, sdp_of, served_by
from edge.sip.invitation import Field, Invitation
from edge.sip.limits import CLIENT_TRANSACTIONS, DIALOGS, RINGING
from edge.sip.message import REASONS, Address, Malformed, Response
from edge.sip.peer import Peer
from edge.sip.prover import Prover, Rounds
from edge.sip.reason import read_cause
from edge.sip.terms import Terms
from edge.sip.text import name_addr
from edge.sip.wire import Fields, Wire

SEQUENCE = 1  # the CSeq of an INVITE of ours


class Asking(NamedTuple):
    """What an INVITE of ours says each time that it is sent."""

    uri: str
    lines: tuple[Field, ...]  # Route, Max-Forwards, From, To, Call-ID
    more: tuple[Field, ...]
    sdp: bytes
    rounds: Rounds


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
        branch, tag, call_id = wire.branch(), wire.token(), wire.token()
        outgoing = OutgoingCall(peer, call_id, tag, stranger=stranger)
        if len(wire.clients) >= CLIENT_TRANSACTIONS or len(self._calls) >= DIALOGS:
            self._failed(outgoing, 503, now)
            return outgoing
        fields = list(fields)
        routes = [field for field in fields if field[0].lower() == "route"]
        others = [field for field in fields if field[0].lower() != "route"]
        lines = (
            *routes,
            ("Max-Forwards", str(max_forwards)),
            ("From", f"{name_addr(from_)};tag={tag}"),
            ("To", name_addr(to)),
            ("Call-ID", call_id),
        )
        contact = wire.contact(peer, secure=uri[:5].lower() == "sips:")
        more = (("Contact", contact), screen.ALLOW, screen.SUPPORTED, *others, screen.SDP_TYPE)
        asking = outgoing._asking = Asking(uri, lines, more, sdp, Rounds())
        if terms.login is not None:
            outgoing._prover = Prover(terms.login, wire.token)
        self._send(outgoing, asking, SEQUENCE, branch, now)
        return outgoing

    def _send(self, outgoing: OutgoingCall, asking: Asking, number: int, branch: str, now: float) -> None:
        wire, peer, prover = self._wire, outgoing.peer, outgoing._prover
        proof = () if prover is None else prover.fields("INVITE", asking.uri, asking.sdp)
        lines = (("Via", wire.via(peer, branch)), *asking.lines)
        invitation = outgoing._invitation = Invitation(asking.uri, lines, number, proof)
        outgoing._transaction = InviteClient(
            wire,
            (branch, "INVITE"),
            peer,
            invitation.request(asking.more, asking.sdp),
            now,
            partial(self._responded, outgoing),
            partial(self._failed, outgoing),
            invitation=invitation,
            patience=RINGING,
        )

    def _asked(self, outgoing: OutgoingCall, response: Response, now: float) -> bool:
        """Whether a refusal only wanted to know who we are, and the call was sent again."""
        prover, asking, wire = outgoing._prover, outgoing._asking, self._wire
        if prover is None or asking is None or outgoing.cancelled or len(wire.clients) >= CLIENT_TRANSACTIONS:
            return False
        if not prover.takes(response, asking.rounds):
            return False
        self._send(outgoing, asking, response.cseq.number + 1, wire.branch(), now)
        return True

    def cancel(self, outgoing: OutgoingCall, now: float, reason: str | None) -> None:
        """Without effect after the final answer."""
        if outgoing._transaction is not None:
            outgoing._transaction.cancel(now, reason)

    def _responded(self, outgoing: OutgoingCall, response: Response, now: float) -> None:
        status = response.status
        if status >= 300:
            if self._asked(outgoing, response, now):
                return
            reasons = ",".join(response.headers.all("reason"))
            self._fail(outgoing, status, response.reason, read_cause(reasons), _alternatives(response))
        elif status >= 200:
            self._answered(outgoing, response, now)
        else:
            self._wire.events.append(CallProgress(outgoing, status, sdp_of(response), response.to_tag))

    def _answered(self, outgoing: OutgoingCall, response: Response, now: float) -> None:
        """A 2xx: the first, a repeat, or one from another branch of a fork (§13.2.2.4)."""
        wire = self._wire
        tag = response.to_tag
        ack = outgoing._acks.get(tag)
        if ack is None:
            dialog = Dialog.calling(response, outgoing._tag, outgoing.peer, stranger=outgoing.stranger)
            dialog.prover = outgoing._prover
            asked = outgoing._invitation
            proof = () if asked is None else asked.proof
            data = dialog.request(wire, "ACK", response.cseq.number, wire.branch(), proof)
            REQUESTS_SENT["ACK"]()
            ack = outgoing._acks[tag] = dialog.peer, data
            wire.out.append(ack)
            call = Call(dialog, outgoing.peer, served_by(response))
            self._calls.enter(dialog, call)
            if outgoing.cancelled or outgoing._done:
                self._calls.end_unseen(call, now)
                self._fail(outgoing, 487, REASONS[487])
            else:
                outgoing._over()
                wire.events.append(CallAnswered(outgoing, call, sdp_of(response)))
        else:
            wire.out.append(ack)

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
            self._wire.events.append(CallFailed(outgoing, status, reason, cause, contacts))


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
