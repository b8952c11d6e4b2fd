"""A call that was offered to us: from its INVITE to the final answer; from then on it is like any other (`call.py`)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from edge.errors import EdgeError, Invalid, LoopDetected
from edge.flows.session import SessionEnded
from edge.media import sdp
from edge.media.g711 import Codec
from edge.sessions.calls import limits
from edge.sessions.calls.call import Call, Desk, Fields, warning
from edge.sessions.calls.causes import reason_of
from edge.sessions.calls.record import Attempt, wall_micros
from edge.sessions.entrance import Entry
from edge.sip.dialog import MAX_FORWARDS
from edge.sip.events import Offer
from edge.sip.party import is_withheld
from edge.sip.reason import read_text

DECLINED: Final = 603
GIVEN_UP: Final = 487
PATH_FIELD: Final = "x-edge-path"  # the numbers of ours a call passed through; from within the edge only
STATUS_OF_REASON: Final[dict[str, int]] = {  # a hangup before the answer
    "normal": 603,
    "cancel": 603,
    "timeout": 603,
    "amd": 603,
    "failed": 408,
    "busy": 486,
    "noanswer": 480,
    "dialout": 480,
}


class OfferedCall(Call):
    """One INVITE of theirs."""

    __slots__ = ("_path", "_rings", "offer")

    def __init__(self, offer: Offer, desk: Desk, attempt: Attempt) -> None:
        super().__init__(desk, attempt)
        entry: Entry | None = offer.terms.whose
        self._trunk = None if entry is None else entry.trunk
        self.offer = offer
        self._path: tuple[str, ...] = ()  # of a call from within the edge
        self._rings = False

    @property
    def codec(self) -> Codec | None:
        if self._agreed is not None or self.offer.sdp is None:
            return super().codec
        try:
            return sdp.preferred(sdp.read(self.offer.sdp), () if self._trunk is None else self._trunk.codecs)
        except EdgeError:  # the answer says so
            return None

    @property
    def path(self) -> tuple[str, ...]:
        return self._path or (self.attempt.number,)

    @property
    def hops_left(self) -> int:
        left = self.offer.request.max_forwards
        return MAX_FORWARDS if left is None else left

    @property
    def inside(self) -> bool:
        """Whether it comes from within the edge, from a flow that calls a number of ours."""
        return self.offer.peer.inside

    @property
    def private(self) -> bool:
        return self.attempt.withheld or is_withheld(self.offer.request)

    def reached(self, number: str) -> None:
        """A call from within the edge came to this number of ours. Raises LoopDetected when it was here before, or
        passed through too many. What others say they passed through is not believed."""
        said = self.offer.request.headers.get(PATH_FIELD)
        before = tuple(said.split(",")) if said else ()
        self._path = (*before, number)
        if number in before:
            raise LoopDetected(f"the call has come to {number} before")
        if len(before) >= limits.HOPS:
            raise LoopDetected(f"the call has passed through {len(before)} numbers already")

    def ring(self) -> None:
        if self.ended is None and self._dialog is None and self._stream is None and not self._rings:
            self._rings = True
            self.attempt.tm_ringing = wall_micros()
            endpoint = self._desk.endpoint
            endpoint.agent.ring(self.offer, endpoint.now())
            endpoint.flush()

    def refuse(
        self, status: int, cause: int | None = None, text: str = "", fields: Fields = (), phrase: str | None = None
    ) -> None:
        """Answer the offer with a final status, unless the call is answered or over. `phrase` is that of its line."""
        if self.ended is not None or self._dialog is not None:
            return
        if cause is not None:  # RFC 3326
            self.attempt.hangup_cause = cause
            fields = (("Reason", reason_of(cause, text)), *fields)
        self.attempt.sip_code, self.attempt.outcome = status, "rejected"
        if not self.attempt.reason:
            self.attempt.reason = "Flow"
        endpoint = self._desk.endpoint
        endpoint.agent.reject(self.offer, status, endpoint.now(), reason=phrase, fields=fields)
        self._end("local", "rejected")

    def cancelled(self, status: int, reason: str | None) -> None:
        """The caller gave up before the answer, and the agent has said 487. Or it has given up itself: nobody answered
        for very long, or a provisional answer was not acknowledged."""
        self.attempt.sip_code = status
        if status == GIVEN_UP:
            self.attempt.outcome, self.attempt.reason = "cancelled", "Cancelled"
            self._end("remote", "cancel", reason)
        else:
            self.attempt.outcome = "failed" if status >= 500 else "rejected"
            self.attempt.reason = "Timeout"
            self.attempt.error = self.attempt.error or read_text(reason)
            self._end("local", "timeout", reason)

    def let_go(self) -> None:
        super().let_go()
        self.offer.owner = None

    # Inside

    def _pick_up(self) -> None:
        self._open()
        endpoint = self._desk.endpoint
        self._dialog = endpoint.agent.answer(self.offer, self._body, endpoint.now())
        self._dialog.owner = self
        self.attempt.tm_progressing = wall_micros()
        self.attempt.sip_code, self.attempt.outcome = 200, "answered"
        endpoint.flush()
        if self.attempt.account is not None:
            self._desk.tell("call_progressing", self.attempt)

    def _divert(self, destinations: Sequence[str]) -> SessionEnded:
        spent = self.offer.request.max_forwards == 0  # RFC 7332 §3: the agent then says 483
        self.attempt.sip_code, self.attempt.outcome = (483, "rejected") if spent else (302, "redirected")
        if spent:
            self.attempt.reason = "MaxForwards"
        endpoint = self._desk.endpoint
        endpoint.agent.redirect(self.offer, destinations, endpoint.now())
        return self._end("local", "redirect")

    def _give_up(self, reason: str, status: int | None, cause: int) -> None:
        self.refuse(status or STATUS_OF_REASON.get(reason, DECLINED), cause)
        self.attempt.hangup_reason = reason

    def _open_early(self) -> None:
        """Early media go behind a 183 (RFC 3960); one that is acknowledged may carry our offer (RFC 3262 §5)."""
        if self.offer.sdp is None and not self.offer.reliable:
            raise Invalid("an INVITE without SDP has no media before its answer")
        self._open()
        endpoint = self._desk.endpoint
        endpoint.agent.progress(self.offer, self._body, endpoint.now())
        self.attempt.tm_ringing = wall_micros()
        endpoint.flush()

    def _open(self) -> None:
        """Take a port and agree on media, once. What the offer makes impossible is answered here, for good."""
        if self._stream is not None:
            return
        media = self._desk.media
        try:
            offered = sdp.read(self.offer.sdp) if self.offer.sdp is not None else None
            stream = media.open(self._host(offered), self.typed, self._silent, near=self.offer.peer.remote[0])
        except EdgeError as error:
            raise self._impossible(error, "") from None
        local = self._local_side(stream, self.offer.peer)
        try:
            if offered is None:
                self._offering, self._body = local, sdp.offer(local)
            else:
                self._body, agreed = sdp.answer(offered, local)
                self._stream = stream
                self._agree(agreed)
        except EdgeError as error:
            stream.close()
            raise self._impossible(error, local.host) from None
        self._stream, self._local = stream, local

    def _host(self, offered: sdp.Description | None) -> str:
        """The address of ours for media: that of the signalling, unless they name one of the other family."""
        peer = self.offer.peer
        theirs = None if offered is None else sdp.named(offered, () if self._trunk is None else self._trunk.codecs)
        if theirs is None or (":" in theirs) == (":" in peer.local[0]):
            return peer.local[0]
        try:
            return self._desk.endpoint.local_for(peer._replace(remote=(theirs, peer.remote[1])))[0]
        except OSError:  # the answer says so
            return peer.local[0]

    def _impossible(self, error: EdgeError, host: str) -> SessionEnded:
        self.attempt.error, self.attempt.reason = error.message, type(error).__name__
        self.refuse(error.sip, error.cause, fields=warning(error, host))
        return self.ended or SessionEnded("local", "rejected")
