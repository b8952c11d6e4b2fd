"""Changes that we want in a call that is up: our re-INVITEs (RFC 3261 §14.1).

A wish is an SDP. One re-INVITE is under way at a time, and none while theirs has no answer, our 200 or our refusal of
theirs no ACK; until then the wish waits, and a newer one takes its place. A wish that was replaced is never told of.

A 491 says that both sides wished at once. Who made the Call-ID then waits longer than the other, so that they do not
meet again; what is wanted after the pause is sent once more. A 481 or no answer at all is the end of the call
(§12.2.1.2). Any other refusal leaves the session as it was.

When the call ends, what waits is dropped, and what is on the wire runs out by itself: the other side owes it a 487
(§15.1.2), and a 200 that crossed the BYE still gets its ACK.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from math import inf

from edge.sip import screen
from edge.sip.client_transaction import InviteClient
from edge.sip.counts import REQUESTS_SENT
from edge.sip.events import ReinviteAnswered, ReinviteFailed
from edge.sip.extension import SUPPORTED
from edge.sip.handle import Call, sdp_of
from edge.sip.invitation import Invitation
from edge.sip.limits import CLIENT_TRANSACTIONS, REINVITE
from edge.sip.message import Response
from edge.sip.peer import Peer
from edge.sip.prover import Rounds
from edge.sip.session_timer import TOO_SMALL, SessionTimers
from edge.sip.timers import Timed
from edge.sip.wire import Wire

PENDING = 491
LOST = (408, 481)


class Change(Timed):
    """What its user wants of one call, and how far it is. Wakes at the end of the pause after a 491."""

    __slots__ = ("_go_on", "again", "refresh", "transaction", "wanted")

    def __init__(self, go_on: Callable[[float], None]) -> None:
        self.due = inf
        self.wanted: bytes | None = None  # to be sent, maybe again
        self.again = False  # what is wanted got a 491 before
        self.refresh = False  # what is wanted is nobody's wish, but keeps the session up
        self.transaction: InviteClient | None = None  # under way
        self._go_on = go_on

    def expire(self, now: float) -> None:
        self._go_on(now)


class _Sent:
    """One re-INVITE of ours on the wire."""

    __slots__ = ("ack", "call", "invitation", "refresh", "rounds", "sdp")

    def __init__(self, call: Call, invitation: Invitation, sdp: bytes, rounds: Rounds) -> None:
        self.call = call
        self.refresh = call._change is not None and call._change.refresh
        self.invitation = invitation
        self.sdp = sdp
        self.rounds = rounds
        self.ack: tuple[Peer, bytes] | None = None  # to its 2xx


class Reinvites:
    """The re-INVITEs of one agent."""

    __slots__ = ("_lost", "_timers", "_wire")

    def __init__(self, wire: Wire, timers: SessionTimers, lost: Callable[[Call, float], None]) -> None:
        """`lost` ends a call whose other side is gone."""
        self._wire = wire
        self._timers = timers
        self._lost = lost

    def want(self, call: Call, sdp: bytes, now: float, *, refresh: bool = False) -> None:
        if call._ended:
            return
        if call._change is None:
            call._change = Change(partial(self.go_on, call))
        call._change.wanted, call._change.again, call._change.refresh = sdp, False, refresh
        self.go_on(call, now)

    def go_on(self, call: Call, now: float) -> None:
        """Send what is wanted, unless something is in the way; called again when that is over."""
        change = call._change
        if change is None or change.transaction is not None or change.due != inf:
            return
        if call._answer is not None or call._reoffer is not None or call._refused is not None or call._late is not None:
            return
        if change.wanted is None:
            call._change = None
            return
        sdp, change.wanted = change.wanted, None
        if len(self._wire.clients) < CLIENT_TRANSACTIONS:
            change.transaction = self._send(call, sdp, now)
        else:
            call._change = None
            self._wire.events.append(ReinviteFailed(call, 503, sdp))
            self._unrefreshed(call, now)

    def _send(self, call: Call, sdp: bytes, now: float, rounds: Rounds | None = None) -> InviteClient:
        wire, dialog = self._wire, call._dialog
        dialog.local_seq += 1
        branch = wire.branch()
        uri, lines = dialog.opening(wire, branch)
        invitation = Invitation(uri, lines, dialog.local_seq, dialog.proof("INVITE", uri, sdp))
        fields = (
            dialog.contact(wire),
            screen.ALLOW,
            SUPPORTED,  # without 100rel, for there is nothing to ring
            *self._timers.asking(call),
            screen.SDP_TYPE,
        )
        sent = _Sent(call, invitation, sdp, rounds or Rounds())
        return InviteClient(
            wire,
            (branch, "INVITE"),
            dialog.peer,
            invitation.request(fields, sdp),
            now,
            partial(self._responded, sent),
            partial(self._refused, sent),
            dialog.fresh_peer() if dialog.peer.connection else None,
            invitation=invitation,
            patience=REINVITE,
        )

    def _responded(self, sent: _Sent, response: Response, now: float) -> None:
        if response.status == TOO_SMALL and self._timers.raised(sent.call, response):
            self._send_more(sent, now)
        elif response.status >= 300:
            change, prover = sent.call._change, sent.call._dialog.prover
            if change is not None and prover is not None and prover.takes(response, sent.rounds):
                change.transaction = self._send(sent.call, sent.sdp, now, sent.rounds)
            else:
                self._refused(sent, response.status, now)
        elif response.status >= 200:
            self._answered(sent, response, now)

    def _answered(self, sent: _Sent, response: Response, now: float) -> None:
        """A 2xx, or its repeat; each gets the ACK (§13.2.2.4)."""
        wire, call = self._wire, sent.call
        if sent.ack is not None:
            wire.out.append(sent.ack)
            return
        dialog = call._dialog
        dialog.retarget(response)
        asked = sent.invitation
        sent.ack = dialog.peer, dialog.request(wire, "ACK", asked.number, wire.branch(), asked.proof)
        REQUESTS_SENT["ACK"]()
        wire.out.append(sent.ack)
        change = call._change
        if change is not None:
            change.transaction = None
            call._agreed()
            call._said = sent.sdp
            self._timers.answered(call, response, now)
            wire.events.append(ReinviteAnswered(call, sdp_of(response), sent.sdp, sent.refresh))
            self.go_on(call, now)

    def _refused(self, sent: _Sent, status: int, now: float) -> None:
        """A refusal, or no answer."""
        call = sent.call
        change = call._change
        if change is None:  # the call has ended meanwhile
            return
        change.transaction = None
        if status == PENDING and (change.wanted is not None or not change.again):
            if change.wanted is None:
                change.wanted, change.again = sent.sdp, True
            self._wire.timers.set(change, now, self._pause(call))
        elif status in LOST:
            self._lost(call, now)
        else:
            self._wire.events.append(ReinviteFailed(call, status, sent.sdp))
            self._unrefreshed(call, now)
            self.go_on(call, now)

    def _send_more(self, sent: _Sent, now: float) -> None:
        """The session interval in it was too small: the same once more with a larger one (RFC 4028 §7.3)."""
        change = sent.call._change
        if change is not None:
            change.transaction = None
            change.wanted = change.wanted if change.wanted is not None else sent.sdp
            self.go_on(sent.call, now)

    def _unrefreshed(self, call: Call, now: float) -> None:
        """A re-INVITE that came to nothing refreshed nothing."""
        if call._session is not None:
            call._session.again(now)

    def _pause(self, call: Call) -> float:
        """Seconds, in steps of 10 ms: 2.1 to 4 when we made the Call-ID, else 0 to 2."""
        chance = self._wire.chance()
        return (210 + int(191 * chance)) / 100 if call._dialog.ours else int(201 * chance) / 100

    def drop(self, call: Call, now: float) -> None:
        """The call has ended."""
        change, call._change = call._change, None
        if change is not None:
            self._wire.timers.stop(change)
            if change.transaction is not None:
                change.transaction.abandon(now)
