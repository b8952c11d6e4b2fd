"""A call that we make: from our INVITE to its final answer; from then on it is like any other (`call.py`).

It goes on the record as outgoing, whatever becomes of it. Given up before the answer it is cancelled; the answer may be
on its way then, or even here and not told yet, and such a call is ended as soon as it is up.

Where its trunk has further targets it goes on to the next when one says 503 or 408, cannot be reached, or says nothing
at all for some seconds; not once it rings, and not for any other refusal, which the next one would repeat. It stays one
call with one record.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from ipaddress import ip_address
from typing import NamedTuple, Protocol

from edge.errors import EdgeError, Invalid
from edge.flows.session import SessionEnded
from edge.http import is_public
from edge.media import sdp
from edge.media.g711 import CODECS, Codec
from edge.sessions.calls.call import Call, Desk, Joined
from edge.sessions.calls.causes import reason_of
from edge.sessions.calls.record import Attempt, wall_micros
from edge.sip.dialog import MAX_FORWARDS
from edge.sip.events import Call as Dialog
from edge.sip.events import OutgoingCall
from edge.sip.peer import Peer, shown
from edge.sip.terms import DEFAULT, Terms
from edge.store.metadata import new_id
from edge.trunks.resolve import FAILED_OVER
from edge.trunks.trunk import Trunk

ELSEWHERE = "elsewhere"  # why a call is given up: another one was answered
ELSEWHERE_SAID = 'SIP;cause=200;text="Call completed elsewhere"'  # RFC 3326 §3.1: so that no phone calls it missed
FAIL_OVER = frozenset({408, 503})  # RFC 3263 §4.3: nobody there, or not now; what else is said would be said again
NOBODY_THERE = 408
FAIL_OVER_SECONDS = 4.0  # without a word from a target (T1 eight times), where there is another
RINGS = 180  # the first provisional answer that says more than that the call was received


class Way(NamedTuple):
    """How a destination is reached: where the INVITE goes, and what it says. `from_` and `to` are name-addrs."""

    peer: Peer
    uri: str
    from_: str
    to: str
    fields: tuple[tuple[str, str], ...]
    hops: int  # its Max-Forwards
    trunk: str  # "" for one that leads to no trunk
    source: str  # who calls, as the record has it
    destination: str  # E.164, or the URI where there is no number
    max_calls: int | None = None  # that the trunk may have at once
    terms: Terms = DEFAULT  # how we deal with the other side
    carrier: Trunk | None = None  # whose the trunk is, and what was agreed with him
    withheld: bool = False  # the source is a caller's who keeps his number from whom he calls
    stranger: bool = False  # the host of a URI: what it says of its addresses is believed as far as the Internet goes
    further: tuple[Way, ...] = ()  # other targets of the same trunk, in order, where this one does not take it


def attempt_of(way: Way, customer_id: str, number_id: str, number: str, master: str) -> Attempt:
    """What is known of a call before it is made. `number` is the account's own that is at work."""
    attempt = Attempt(
        id=new_id(),
        call_id="",
        remote="",
        dialed="",
        source=way.source,
        source_name="",
        tm_create=wall_micros(),
    )
    called(attempt, way)
    attempt.direction = "outgoing"
    attempt.customer_id, attempt.number_id, attempt.number = customer_id, number_id, number
    attempt.trunk, attempt.destination, attempt.master_call_id = way.trunk, way.destination, master
    if way.withheld:
        attempt.privacy = "id"
    if way.carrier is not None:
        attempt.trunk_id = way.carrier.id
    return attempt


def called(attempt: Attempt, way: Way) -> None:
    """Where it goes, as the record has it."""
    attempt.remote, attempt.dialed = "" if way.peer.inside else way.peer.remote[0], way.uri
    attempt.transport, attempt.local = way.peer.transport, shown(way.peer.local)


class Watcher(Joined, Protocol):
    """Who made the call, and wants to know how it goes. `ended` comes once, whatever the end was."""

    def rang(self, leg: Leg, *, early: bool) -> None:
        """It rings; `early`: and it plays something already."""

    def answered(self, leg: Leg) -> None:
        """It is up, and its media are agreed on."""


class Leg(Call):
    """One INVITE of ours. `refusal` (SIP) and `cause` (Q.850) say why it was not answered."""

    __slots__ = ("_codec", "_further", "_outgoing", "_path", "_patience", "_stranger", "_watcher", "cause", "refusal")

    def __init__(self, desk: Desk, attempt: Attempt, watcher: Watcher, path: tuple[str, ...]) -> None:
        super().__init__(desk, attempt)
        self.join(watcher)
        self.refusal = 0
        self.cause: int | None = None
        self._watcher = watcher
        self._path = path
        self._outgoing: OutgoingCall | None = None
        self._stranger = ""  # the address of one
        self._codec: Codec | None = None
        self._further: tuple[Way, ...] = ()  # where else it may go
        self._patience: asyncio.TimerHandle | None = None  # with a target that has not said a word

    @property
    def path(self) -> tuple[str, ...]:
        return self._path

    @property
    def hops_left(self) -> int:
        return MAX_FORWARDS

    @property
    def private(self) -> bool:
        return False

    def invite(self, way: Way, codec: Codec | None) -> None:
        """Take a port and send the INVITE, `codec` best. Raises Exhausted, Internal."""
        endpoint, media = self._desk.endpoint, self._desk.media
        self._codec, self._further = codec, way.further
        self._stranger = way.peer.remote[0] if way.stranger else ""
        stream = self._stream = media.open(way.peer.local[0], self.typed, self._silent, near=way.peer.remote[0])
        self._trunk = way.carrier
        self._local = self._local_side(stream, way.peer)
        self._body = sdp.offer(self._local, first=codec or CODECS[0])
        outgoing = self._outgoing = endpoint.agent.invite(
            peer=way.peer,
            uri=way.uri,
            from_=way.from_,
            to=way.to,
            sdp=self._body,
            now=endpoint.now(),
            fields=way.fields,
            max_forwards=way.hops,
            stranger=way.stranger,
            terms=way.terms,
        )
        outgoing.owner = self
        self.attempt.call_id = outgoing.call_id
        if way.further:
            self._patience = asyncio.get_running_loop().call_later(FAIL_OVER_SECONDS, self._unheard)
        endpoint.flush()

    def invite_or_fail(self, way: Way, codec: Codec | None) -> None:
        """The same; what makes it impossible is the end of the call as well."""
        try:
            self.invite(way, codec)
        except EdgeError as error:
            self.attempt.error, self.attempt.reason = error.message, type(error).__name__
            self.failed(error.sip, error.cause)
            raise

    # What the wire says

    def progressed(self, status: int, body: bytes | None) -> None:
        """A provisional answer."""
        self._hurry_no_more()
        if self.ended is not None or status < RINGS:
            return
        if self.attempt.tm_ringing is None:
            self.attempt.tm_ringing = wall_micros()
        try:
            early = body is not None and self._hear(body)
        except EdgeError:  # the final answer has another
            early = False
        self._watcher.rang(self, early=early)

    def picked_up(self, dialog: Dialog, body: bytes | None) -> None:
        """The 200; it is acknowledged already."""
        self._forget()
        endpoint = self._desk.endpoint
        if self.ended is not None:
            endpoint.agent.end(dialog, endpoint.now())
            return
        self._dialog = dialog
        dialog.owner = self
        self.attempt.tm_progressing = wall_micros()
        self.attempt.sip_code, self.attempt.outcome = 200, "answered"
        try:
            if body is not None:
                self._hear(body)
            elif self._agreed is None:
                raise Invalid("the answer has no session description")
        except EdgeError as error:
            self.attempt.error, self.attempt.outcome = error.message, "failed"
            self.refusal = error.sip
            self.hang_up("failed")
            return
        self._desk.tell("call_progressing", self.attempt)
        self._watcher.answered(self)

    def failed(self, status: int, cause: int | None) -> None:
        """The final answer, and it is no 200; or there was none."""
        self._forget()
        if self.ended is None and status in FAIL_OVER and self.attempt.tm_ringing is None and self._go_on():
            return
        if self.ended is None:
            self.refusal, self.cause = status, cause
            self.attempt.hangup_cause = cause or 0
            self.attempt.sip_code = status
            self.attempt.reason = self.attempt.reason or "Refused"
            self.attempt.outcome = "failed" if status == 408 or 500 <= status < 600 else "rejected"
            self._end("remote", "rejected")

    # Inside

    def _unheard(self) -> None:
        """The target has not said a word, and there is another."""
        outgoing, endpoint = self._outgoing, self._desk.endpoint
        if outgoing is not None and self.ended is None:
            self._forget()
            endpoint.agent.cancel(outgoing, endpoint.now())  # should it ring after all
            if not self._go_on():
                self.failed(NOBODY_THERE, None)

    def _go_on(self) -> bool:
        """To the next target, if there is one that can be asked."""
        further = self._further
        while further:
            way, further = further[0]._replace(further=further[1:]), further[1:]
            if self._stream is not None:
                self._stream.close()
                self._stream = None
            try:
                self.invite(way, self._codec)
            except EdgeError as error:
                self.attempt.error = error.message
                continue
            called(self.attempt, way)
            FAILED_OVER.labels(way.trunk).inc()
            return True
        return False

    def _hurry_no_more(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None

    def _hear(self, body: bytes) -> bool:
        """What they say about their media; true unless they send nothing."""
        assert self._local is not None
        agreed = sdp.accept(self._local, sdp.read(body))
        self._agree(agreed)
        return agreed.receives

    def _agree(self, agreed: sdp.Negotiated) -> None:
        if self._stranger:
            agreed = agreed._replace(remote=self._believed(agreed.remote), rtcp=self._believed(agreed.rtcp))
        super()._agree(agreed)

    def _believed(self, said: tuple[str, int] | None) -> tuple[str, int] | None:
        """Where a stranger may have his media: on the Internet, else where he was called (he is behind a NAT)."""
        if said is None or is_public(ip_address(said[0])):
            return said
        return self._stranger, said[1]

    def _forget(self) -> None:
        self._hurry_no_more()
        if self._outgoing is not None:
            self._outgoing.owner = None
            self._outgoing = None

    def _pick_up(self) -> None:
        raise self.ended or SessionEnded("local", "not answered yet")

    def _divert(self, destinations: Sequence[str]) -> SessionEnded:
        raise Invalid("a call that we make cannot be redirected before it is answered")

    def _give_up(self, reason: str, status: int | None, cause: int) -> None:
        """CANCEL. The agent keeps the rest of it from everybody, but for an answer that was faster."""
        self.attempt.sip_code, self.attempt.outcome, self.attempt.reason = 487, "cancelled", "Cancelled"
        self.refusal = 487
        self._hurry_no_more()
        if self._outgoing is not None:
            endpoint = self._desk.endpoint
            endpoint.agent.cancel(
                self._outgoing, endpoint.now(), reason=ELSEWHERE_SAID if reason == ELSEWHERE else reason_of(cause)
            )
        self._end("local", reason)

    def _open_early(self) -> None:
        raise Invalid("a call that we make has no media of ours before it is answered")
