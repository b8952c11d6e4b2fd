"""Calls that we make (RFC 3261 §13.2, §9.1): INVITE, its answers, the ACK to each 200, CANCEL.

The offer is in the INVITE. A CANCEL waits for the first 1xx; if the 200 was faster, the call gets its ACK and a BYE.
When a proxy forked our INVITE and more than one phone answered, the first has the call and the others get ACK and BYE.
An INVITE that rings for `limits.RINGING` is cancelled.
"""

from __future__ import annotations

from functools import partial

from edge.sip import screen
from edge.sip.call import Calls
from edge.sip.client_transaction import InviteClient, PlainClient
from edge.sip.counts import REQUESTS_SENT
from edge.sip.dialog import MAX_FORWARDS, Dialog
from edge.sip.events import CallAnswered, CallFailed, CallProgress
from edge.sip.handle import Call, OutgoingCall, sdp_of, served_by
from edge.sip.limits import CLIENT_TRANSACTIONS, RINGING
from edge.sip.message import REASONS, Response, request_bytes
from edge.sip.peer import Peer
from edge.sip.text import name_addr
from edge.sip.timers import GIVE_UP
from edge.sip.wire import Fields, Wire

SEQUENCE = 1  # the CSeq of an INVITE of ours


class Uac:
    """The INVITEs of ours."""

    __slots__ = ("_calls", "_wire")

    def __init__(self, wire: Wire, calls: Calls) -> None:
        self._wire = wire
        self._calls = calls

    def invite(
        self, *, peer: Peer, uri: str, from_: str, to: str, sdp: bytes, now: float, fields: Fields = ()
    ) -> OutgoingCall:
        wire = self._wire
        branch, tag, call_id = wire.branch(), wire.token(), wire.token()
        again = [
            ("Via", wire.via(peer, branch)),
            ("Max-Forwards", MAX_FORWARDS),
            ("From", f"{name_addr(from_)};tag={tag}"),
            ("To", name_addr(to)),
            ("Call-ID", call_id),
        ]
        outgoing = OutgoingCall(peer, uri, call_id, tag, branch, again)
        if len(wire.clients) >= CLIENT_TRANSACTIONS:
            self._failed(outgoing, 503, now)
            return outgoing
        lines = [
            *again,
            ("CSeq", f"{SEQUENCE} INVITE"),
            ("Contact", wire.contact(peer)),
            screen.ALLOW,
            screen.SUPPORTED,
        ]
        data = request_bytes("INVITE", uri, [*lines, *fields, screen.SDP_TYPE], sdp)
        outgoing._transaction = InviteClient(
            wire,
            (branch, "INVITE"),
            peer,
            data,
            now,
            partial(self._responded, outgoing),
            partial(self._failed, outgoing),
            partial(_acknowledge_refusal, outgoing),
        )
        return outgoing

    def cancel(self, outgoing: OutgoingCall, now: float) -> None:
        """Without effect after the final answer."""
        if outgoing._done or outgoing._cancelled:
            return
        outgoing._cancelled = True
        if outgoing._ringing:
            self._send_cancel(outgoing, now)

    def _send_cancel(self, outgoing: OutgoingCall, now: float) -> None:
        fields = [*outgoing._fields, ("CSeq", f"{SEQUENCE} CANCEL")]  # §9.1: as in the INVITE, the branch too
        data = request_bytes("CANCEL", outgoing._uri, fields)
        key = (outgoing._branch, "CANCEL")
        PlainClient(self._wire, key, outgoing.peer, data, now, _ignore, _ignore)
        outgoing._transaction.wait(now, GIVE_UP)  # §9.1: an old server may never send its 487

    def _responded(self, outgoing: OutgoingCall, response: Response, now: float) -> None:
        status = response.status
        if status >= 300:
            self._fail(outgoing, status, response.reason)
        elif status >= 200:
            self._answered(outgoing, response, now)
        else:
            if not outgoing._ringing:
                outgoing._ringing = True
                outgoing._transaction.wait(now, RINGING, partial(self.cancel, outgoing))
                if outgoing._cancelled:
                    self._send_cancel(outgoing, now)
            self._wire.events.append(CallProgress(outgoing, status, sdp_of(response)))

    def _answered(self, outgoing: OutgoingCall, response: Response, now: float) -> None:
        """A 2xx: the first, a repeat, or one from another branch of a fork (§13.2.2.4)."""
        wire = self._wire
        tag = response.to_tag
        ack = outgoing._acks.get(tag)
        if ack is None:
            dialog = Dialog.calling(response, outgoing._tag, outgoing.peer)
            data = dialog.request(wire, "ACK", SEQUENCE, wire.branch())
            REQUESTS_SENT["ACK"]()
            ack = outgoing._acks[tag] = dialog.peer, data
            wire.out.append(ack)
            call = Call(dialog, outgoing.peer, served_by(response))
            self._calls.enter(dialog, call)
            if outgoing._done or outgoing._cancelled:
                self._calls.end_unseen(call, now)
                self._fail(outgoing, 487, REASONS[487])
            else:
                outgoing._done = True
                wire.events.append(CallAnswered(outgoing, call, sdp_of(response)))
        else:
            wire.out.append(ack)

    def _failed(self, outgoing: OutgoingCall, status: int, _now: float) -> None:
        if outgoing._cancelled:
            status = 487
        self._fail(outgoing, status, REASONS[status])

    def _fail(self, outgoing: OutgoingCall, status: int, reason: str) -> None:
        if not outgoing._done:
            outgoing._done = True
            self._wire.events.append(CallFailed(outgoing, status, reason))


def _acknowledge_refusal(outgoing: OutgoingCall, response: Response) -> bytes:
    """The ACK to a 300–699 (§17.1.1.3): as the INVITE, with the To of the answer."""
    fields = [(name, value) for name, value in outgoing._fields if name != "To"]
    fields += [("To", response.headers.first["to"]), ("CSeq", f"{SEQUENCE} ACK")]
    REQUESTS_SENT["ACK"]()
    return request_bytes("ACK", outgoing._uri, fields)


def _ignore(_outcome: Response | int, _now: float) -> None:
    """What became of a CANCEL says nothing: the INVITE's own answer does."""
