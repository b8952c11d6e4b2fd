"""The agent: the one object that is told datagrams and verbs, and gives datagrams and events back.

Six verbs for who carries messages:

    receive(data, peer, now)    one datagram, or one framed message
    lost(peer, now)             that peer cannot be reached, or that connection is gone
    handle_timer(now)           the time of `get_timer` has come
    to_send(now)                what is to be sent; call it after each of the others and after the user's verbs
    next_event()                what the user has to know, one at a time
    get_timer()                 when to call `handle_timer`

and the user's verbs below. `now` is in seconds of a monotonic clock and never goes back. Nothing waits and nothing is
raised for what came from the wire; a verb raises ValueError for a CR or LF in its arguments.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

from edge.sip import screen
from edge.sip.call import Calls
from edge.sip.counts import DISCARDED, REQUESTS, RESPONSES_RECEIVED
from edge.sip.dialog import MAX_FORWARDS
from edge.sip.digest import Login
from edge.sip.errand import Errand
from edge.sip.events import AskDone, CallRefused, Event
from edge.sip.handle import Call, Offer, OutgoingCall, Reoffer, TextOffer
from edge.sip.limits import DIALOGS, SERVER_TRANSACTIONS
from edge.sip.message import Malformed, Request, Response, check, parse, peek_ack
from edge.sip.peer import Peer
from edge.sip.prover import Prover
from edge.sip.screen import Refusal
from edge.sip.server_transaction import InviteServer
from edge.sip.terms import DEFAULT, Admit, Known, Refused, Terms, admit_all, known_to_nobody
from edge.sip.text import Texts, name_addr
from edge.sip.transaction import ServerKey, client_key, merge_key, server_key
from edge.sip.uac import Uac
from edge.sip.uas import Uas
from edge.sip.upgrade import anybody
from edge.sip.wire import Wire

NO_ADDRESSES: Mapping[str, str] = {}
INSIDE_ONLY = frozenset(("BYE", "INFO", "NOTIFY", "PRACK", "UPDATE"))  # methods that mean nothing outside of a dialog


class Agent:
    """A user agent for many calls and texts at once."""

    __slots__ = ("_admit", "_asked", "_calls", "_draining", "_errands", "_known", "_texts", "_uac", "_uas", "_wire")

    def __init__(
        self,
        token: Callable[[], str],
        *,
        prefix: str = "",
        advertise: Mapping[str, str] = NO_ADDRESSES,
        admit: Admit = admit_all,
        known: Known = known_to_nobody,
        takes_tcp: Callable[[Peer], bool] = anybody,
    ) -> None:
        """`token` gives a fresh random token each time (§19.3: 32 bits at the least); all names of ours begin with
        `prefix`. `advertise` says for a local address which one to write in Via and Contact instead. `admit` is asked
        about each INVITE and MESSAGE outside of a dialog that did not come from ourselves (`terms.py`), `known` on
        which terms one would be let in from where an OPTIONS came from. `takes_tcp` says whether a request that is too
        large for UDP may be tried by TCP there."""
        self._admit = admit
        self._known = known
        self._wire = Wire(token, prefix, advertise, takes_tcp)
        self._calls = Calls(self._wire)
        self._uas = Uas(self._wire, self._calls)
        self._uac = Uac(self._wire, self._calls)
        self._texts = Texts(self._wire)
        self._draining = False
        self._asked = 0  # requests of ours that belong to no call, ever
        self._errands: dict[int, Errand] = {}  # and those without their final answer

    # The six verbs

    def receive(self, data: bytes, peer: Peer, now: float) -> None:
        """One message from the wire."""
        ack = peek_ack(data)
        if ack is not None:  # most ACKs end here, unread
            transaction = self._wire.servers.get(ack)
            if (
                type(transaction) is InviteServer
                and transaction.peer.inside is peer.inside
                and transaction.acknowledged(now)
            ):
                REQUESTS["ACK"]()
                return
        try:
            message = parse(data)
        except Malformed as fault:
            if fault.request is not None:
                REQUESTS[fault.request.method]()
            self._malformed(fault, peer, now)
            return
        try:
            if isinstance(message, Request):
                self._request(message, peer, now)
            else:
                self._response(message, peer, now)
        except Malformed as fault:
            self._malformed(fault, peer, now)

    def to_send(self, now: float) -> list[tuple[Peer, bytes]]:
        """What is to be sent, in order. Each INVITE of this turn that nobody has answered gets its 100 here."""
        wire = self._wire
        if wire.fresh:
            self._uas.send_trying(now)
        out = wire.out
        wire.out = []
        return out

    def next_event(self) -> Event | None:
        events = self._wire.events
        return events.popleft() if events else None

    def get_timer(self) -> float | None:
        return self._wire.timers.next()

    def handle_timer(self, now: float) -> None:
        self._wire.timers.fire(now)

    def lost(self, peer: Peer, now: float) -> None:
        """A connection was closed, or a message to `peer` could not be sent. What waits for an answer from there fails
        with 503, or is tried on a new connection.
        """
        wire = self._wire
        if peer.connection:
            wire.disconnected(peer.connection)
        for client in [client for client in wire.clients.values() if client.peer == peer]:
            client.lost(now)

    # Who serves what

    def _malformed(self, fault: Malformed, peer: Peer, now: float) -> None:
        request = fault.request
        if request is None:
            DISCARDED["malformed"]()
            return
        self._wire.respond_statelessly(request, peer, fault.status, fault.fields)
        if request.method == "INVITE" and ";tag=" not in (request.headers.get("to") or "").lower():
            self._tell_once(request, peer, (fault.status, fault.fields), now, fault.what)

    def _tell_once(self, request: Request, peer: Peer, refusal: Refusal, now: float, what: str = "") -> None:
        """Tell of an INVITE that was answered without a look at what was refused before; not of its repeats."""
        headers, refusals = request.headers, self._wire.refusals
        key = headers.get("call-id"), headers.get("from"), -1, headers.get("cseq") or ""  # of no request that is sound
        branch = request.via.branch
        if refusals.find(key, branch, now) is None:
            refusals.remember(key, branch, refusal, now)
            self._wire.events.append(CallRefused(request, peer, refusal[0], what=what))

    def _response(self, response: Response, peer: Peer, now: float) -> None:
        RESPONSES_RECEIVED[response.status]()
        client = self._wire.clients.get(client_key(response))
        if client is None or client.peer.inside is not peer.inside or response.passed_others:  # §18.1.2, §8.1.3.3
            DISCARDED["stray"]()
        else:
            client.received(response, now)

    def _request(self, request: Request, peer: Peer, now: float) -> None:
        wire = self._wire
        method = request.method
        REQUESTS[method]()
        check(request)
        key = server_key(request)
        known = wire.servers.get(key)
        if known is not None and known.peer.inside is not peer.inside:
            DISCARDED["stray"]()
            return
        if known is not None and method != "ACK":
            known.repeated()
            return
        if method == "ACK":
            if type(known) is not InviteServer or not known.acknowledged(now):
                self._calls.acknowledged(request, peer, now)
            return
        if method == "CANCEL":
            self._uas.cancelled(request, key, peer, now)
            return
        if len(wire.servers) >= SERVER_TRANSACTIONS and method != "BYE":
            full = 503, (wire.retry_after(),)
            wire.respond_statelessly(request, peer, *full)
            if method == "INVITE" and request.to_tag is None:
                self._tell_once(request, peer, full, now, "too many transactions")
        elif request.to_tag is None and method not in INSIDE_ONLY:
            self._outside(request, key, peer, now)
        else:
            self._inside(request, key, peer, now)

    def _inside(self, request: Request, key: ServerKey, peer: Peer, now: float) -> None:
        """A request that says it belongs to a dialog, or has to."""
        whose = self._calls.find(request, peer)
        if whose is None:  # §12.2.2
            unserved = screen.method(request) if request.method not in INSIDE_ONLY else None
            self._wire.respond_statelessly(request, peer, *(unserved or (481, ())))
        elif request.method == "MESSAGE":  # RFC 3428 §9: a dialog of its own makes no difference
            self._texts.offered(request, key, merge_key(request), peer, now)
        else:
            self._calls.received(whose, request, key, peer, now)

    def _outside(self, request: Request, key: ServerKey, peer: Peer, now: float) -> None:
        """A request of its own."""
        wire = self._wire
        method = request.method
        merge = merge_key(request)
        if method == "INVITE" and wire.refusals and not peer.inside:
            known = wire.refusals.find(merge, request.via.branch, now)
            if known is not None:
                wire.respond_statelessly(request, peer, *known)
                return
        refusal: Refusal | None = screen.method(request) or screen.target(request)
        if refusal is None:
            if merge in wire.merged:
                refusal = 482, ()  # §8.2.2.2
            elif self._draining or (method == "INVITE" and len(self._calls) >= DIALOGS):
                refusal = 503, (wire.retry_after(),)
        terms, why = DEFAULT, ""
        if refusal is None and not peer.inside and method != "OPTIONS":
            answer = self._admit(request, peer, now)
            if isinstance(answer, Refused):
                fields = (*answer.fields, wire.retry_after()) if answer.later else answer.fields
                refusal, why = (answer.status, fields), answer.why
            else:
                terms = answer
        if refusal is None:
            refusal = screen.needs(request, terms)
        if refusal is None and method == "INVITE":
            refusal = screen.wants(request, terms)
        if refusal is not None:
            wire.respond_statelessly(request, peer, *refusal)
            if method == "INVITE":
                if not peer.inside:
                    wire.refusals.remember(merge, request.via.branch, refusal, now)
                wire.events.append(CallRefused(request, peer, refusal[0], why))
        elif method == "INVITE":
            self._uas.offered(request, key, merge, peer, terms)
        elif method == "MESSAGE":
            self._texts.offered(request, key, merge, peer, now, terms)
        else:
            wire.respond_statelessly(request, peer, 200, screen.options(self._known(request, peer)))

    def stats(self) -> dict[str, int]:
        """How many of each there are; all 0 some time after the last call."""
        wire = self._wire
        return {
            "transactions": len(wire.servers) + len(wire.clients),
            "unanswered": sum(client.waits for client in wire.clients.values()),
            "merged": len(wire.merged),
            "dialogs": len(self._calls),
            "texts": self._texts.pending,
            "timers": len(wire.timers),
        }

    # The user's verbs: calls offered to us. On an offer that is over they have no effect.

    def ring(self, offer: Offer, now: float) -> None:
        """180."""
        self._uas.provisional(offer, 180, b"", now)

    def progress(self, offer: Offer, sdp: bytes, now: float) -> None:
        """183 with a session description: early media."""
        self._uas.provisional(offer, 183, sdp, now)

    def answer(self, offer: Offer, sdp: bytes, now: float) -> Call:
        """200, repeated until its ACK. The call of an offer that is over has ended already."""
        return self._uas.answer(offer, sdp, now)

    def reject(
        self,
        offer: Offer,
        status: int,
        now: float,
        *,
        reason: str | None = None,
        fields: Sequence[tuple[str, str]] = (),
    ) -> None:
        """A status from 300 to 699; `reason` is the phrase in the status line, `fields` go into the header."""
        self._uas.refuse(offer, status, now, reason, fields)

    def redirect(self, offer: Offer, contacts: Sequence[str], now: float) -> None:
        """302 to some URIs, best first; 483 when Max-Forwards is used up."""
        self._uas.redirect(offer, contacts, now)

    # Calls

    def end(self, call: Call, now: float, *, reason: str | None = None) -> None:
        """BYE, once our 200 is acknowledged; `reason` is the value of its Reason field (RFC 3326)."""
        self._calls.end(call, now, reason)

    def give_up(self, asked: Call | Offer, now: float) -> None:
        """End a call, or refuse an offer with 500, whichever it is: a fault of ours happened."""
        if isinstance(asked, Offer):
            self._uas.refuse(asked, 500, now)
        else:
            self._calls.end(asked, now, None)

    def refer(self, call: Call, target: str, now: float) -> None:
        """REFER to a URI; `ReferProgress` tells how it goes, the last one with `final`."""
        self._calls.refer(call, target, now)

    def inform(self, call: Call, kind: str, body: bytes, now: float) -> None:
        """INFO with a body of that type; `InfoAnswered` tells what came of it, unless the call ends before."""
        self._calls.inform(call, kind, body, now)

    def accept(self, reoffer: Reoffer, sdp: bytes, now: float) -> None:
        """200 to a re-INVITE, UPDATE or PRACK."""
        self._calls.reoffers.accept(reoffer, sdp, now)

    def refuse(self, reoffer: Reoffer, status: int, now: float, *, fields: Sequence[tuple[str, str]] = ()) -> None:
        """The session goes on as it was."""
        self._calls.reoffers.refuse(reoffer, status, now, fields)

    def reinvite(self, call: Call, sdp: bytes, now: float) -> None:
        """Offer the other side a changed session; `ReinviteAnswered` or `ReinviteFailed` tells what came of it. What is
        wanted while another one is under way waits, and only the newest of it is sent.
        """
        self._calls.reinvite(call, sdp, now)

    # Texts

    def take_text(self, text: TextOffer, status: int, now: float, fields: Sequence[tuple[str, str]] = ()) -> None:
        """The final answer to a MESSAGE: 202 once it is kept, 404, 503 …"""
        self._texts.take(text, status, now, fields)

    def send_text(
        self,
        *,
        peer: Peer,
        uri: str,
        from_: str,
        to: str,
        body: bytes,
        now: float,
        content_type: str = "text/plain;charset=utf-8",
        login: Login | None = None,
        advertise: str | None = None,
    ) -> int:
        """Send a MESSAGE to `peer`; the id comes back in `TextDone`. `from_` and `to` are URIs or name-addrs, without a
        tag. `login` is what we prove where they ask us to, `advertise` the address that they know us by.
        """
        return self._texts.send(
            peer=peer,
            uri=uri,
            from_=from_,
            to=to,
            body=body,
            content_type=content_type,
            now=now,
            login=login,
            advertise=advertise,
        )

    # What belongs to no call

    def ask(
        self,
        method: str,
        *,
        peer: Peer,
        uri: str,
        from_: str,
        to: str,
        now: float,
        call_id: str | None = None,
        number: int = 1,
        fields: Sequence[tuple[str, str]] = (),
        prover: Prover | None = None,
        advertise: str | None = None,
    ) -> int:
        """Send an OPTIONS or a REGISTER to `peer`; the id comes back in `AskDone`. `from_` and `to` are as in `invite`.
        `call_id` and `number`, the CSeq, go on from request to request where one registration is kept up (§10.2);
        `prover` proves who we are, `advertise` is the address that they know us by.
        """
        wire = self._wire
        self._asked += 1
        lines = (
            ("From", f"{name_addr(from_)};tag={wire.token()}"),
            ("To", name_addr(to)),
            ("Call-ID", call_id or wire.token()),
        )
        errand = Errand(
            wire,
            method,
            peer=peer,
            uri=uri,
            lines=lines,
            number=number,
            done=partial(self._ask_done, self._asked),
            fields=tuple(fields),
            prover=prover,
            advertise=advertise,
        )
        self._errands[self._asked] = errand
        errand.send(now)
        return self._asked

    def drop(self, id: int) -> None:
        """Wait no more for the answer to an `ask`; it is not sent again. Without effect once there was one."""
        errand = self._errands.pop(id, None)
        if errand is not None:
            errand.drop()

    def _ask_done(self, id: int, errand: Errand, outcome: Response | int) -> None:
        self._errands.pop(id, None)
        status, response = (outcome, None) if isinstance(outcome, int) else (outcome.status, outcome)
        self._wire.events.append(AskDone(id, status, errand.number, response))

    def contact(self, peer: Peer, user: str = "", advertise: str | None = None) -> str:
        """Our Contact towards `peer`, for a REGISTER; `advertise` is the address that the other side knows us by."""
        return self._wire.contact(peer, user, advertise=advertise)

    # Calls of ours

    def invite(
        self,
        *,
        peer: Peer,
        uri: str,
        from_: str,
        to: str,
        sdp: bytes,
        now: float,
        fields: Sequence[tuple[str, str]] = (),
        max_forwards: int = MAX_FORWARDS,
        stranger: bool = False,
        terms: Terms = DEFAULT,
    ) -> OutgoingCall:
        """Send an INVITE to `peer`; `CallAnswered` or `CallFailed` tells its end, `CallProgress` what comes before.

        `from_` and `to` are URIs or name-addrs, without a tag. `fields` go into its header: who is asserted to call
        (RFC 3325), who diverted it (RFC 5806), Routes. `max_forwards` is less for a call that is passed on (§16.6).
        `stranger`: the peer belongs to nobody we know, see `dialog.py`. `terms` are those of the other side.
        """
        return self._uac.invite(
            peer=peer,
            uri=uri,
            from_=from_,
            to=to,
            sdp=sdp,
            now=now,
            fields=fields,
            max_forwards=max_forwards,
            stranger=stranger,
            terms=terms,
        )

    def cancel(self, outgoing: OutgoingCall, now: float, *, reason: str | None = None) -> None:
        """CANCEL, once there was a 1xx. A 200 that was faster is acknowledged and ended. `reason` is as in `end`."""
        self._uac.cancel(outgoing, now, reason)

    # The end

    def drain(self, now: float) -> None:
        """From now on new INVITEs, MESSAGEs and OPTIONS get 503 with a Retry-After; dialogs are served to their end."""
        self._draining = True
