"""The router: takes what the SIP agent tells and hands it to the session it is about.

An offered call becomes a `Call`, and one coroutine (`_serve`) sees it from here to its record. It is stepped eagerly,
so a call whose number and flow are in memory and whose flow does not wait is over before the next datagram is read. All
errors of a call end here: those that know their answer give it, any other ends that call with a 500 and is logged.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from typing import Any, Final

from edge import errors
from edge.errors import EdgeError, FlowUnbound, Forbidden, NumberUnknown
from edge.flows.eager import start
from edge.flows.executor import execute
from edge.flows.flow import Flow, require_medium
from edge.flows.run import Run
from edge.flows.session import SessionEnded
from edge.log import get_logger
from edge.metrics import tally
from edge.numbers.number import Number
from edge.sessions.calls.after_call import AfterCall
from edge.sessions.calls.arrival import arrived, dialed, entered, salvaged
from edge.sessions.calls.book import CallBook
from edge.sessions.calls.call import Call, Desk
from edge.sessions.calls.caller import INSIDE, Parties, identify
from edge.sessions.calls.leg import Leg
from edge.sessions.calls.offered import OfferedCall
from edge.sessions.calls.record import Attempt
from edge.sessions.calls.unproven import Unproven
from edge.sessions.calls.variables import CallVariables
from edge.sessions.calls.vouching import NotVerified, Vouching
from edge.sessions.entrance import Entrance, Entry
from edge.sessions.following import complete, fall_back
from edge.sessions.memory import peer_of, recall
from edge.sessions.proofs import NotProven, Proofs
from edge.sessions.route import Routes, answers_on, bound, reachable
from edge.sip.authentication import FAILED, REQUIRED
from edge.sip.events import (
    CallAnswered,
    CallConfirmed,
    CallEnded,
    CallFailed,
    CallOffered,
    CallProgress,
    CallRefused,
    DigitsReceived,
    Event,
    InfoAnswered,
    Offer,
    OfferCancelled,
    OfferConfirmed,
    ReferProgress,
    ReinviteAnswered,
    ReinviteFailed,
    Reoffered,
    TextOffer,
    TextOffered,
)
from edge.sip.message import Malformed
from edge.store.metadata import NIL
from edge.trunks.trunk import Trunk

log = get_logger("calls")

OURS: Final = frozenset({"active", "suspended"})  # calls to such a number are records of its account
AGENT: Final = "Protocol"  # the reason of a record when the agent refused by itself; its status says what for
REASONS: Final = tuple(
    name for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, EdgeError)
)
REFUSED = tally(
    "calls_refused_total", "Calls refused before their flow ran, by the error that refused them.", ("reason",)
)
_REFUSED: Final = {reason: REFUSED.labels(reason) for reason in REASONS}


class Router:
    """One for the daemon. `take_text` sees to an offered MESSAGE; `other` gets the news of requests of our own."""

    def __init__(
        self,
        *,
        entrance: Entrance,
        routes: Routes,
        desk: Desk,
        book: CallBook,
        take_text: Callable[[TextOffer], None],
        other: Callable[[Event], None],
        proofs: Proofs,
        unproven: Unproven,
        vouching: Vouching,
    ) -> None:
        self._entrance = entrance
        self._proofs = proofs
        self._unproven = unproven
        self._vouching = vouching
        self._routes = routes
        self._desk = desk
        self._book = book
        self._take_text = take_text
        self._other = other
        self._tasks: set[asyncio.Task[None]] = set()
        self.waiting = 0  # calls whose number or flow is still to be found

    def handle(self, event: Event) -> None:
        match event:
            case CallOffered(offer):
                self._offered(offer)
            case CallRefused():
                self._turned_away(event)
            case TextOffered(text):
                self._take_text(text)
            case OfferCancelled(offer, reason, status):
                if offer.owner is not None:
                    offer.owner.cancelled(status, reason)
            case OfferConfirmed(offer, body):
                if offer.owner is not None:
                    offer.owner.confirmed(body)
            case DigitsReceived(handle) | CallConfirmed(handle) | CallEnded(handle):
                self._tell(handle.owner, event)
            case Reoffered(reoffer):
                self._tell(reoffer.call.owner, event)
            case ReferProgress(handle) | ReinviteAnswered(handle) | InfoAnswered(handle):
                self._tell(handle.owner, event)
            case CallProgress(outgoing) | CallAnswered(outgoing) | CallFailed(outgoing):
                self._tell_leg(outgoing.owner, event)
            case ReinviteFailed():
                pass  # the session goes on as it was
            case _:
                self._other(event)

    def _tell(self, call: Call | None, event: Event) -> None:
        """News for a call; one that is over does not hear it any more."""
        if call is None:
            return
        match event:
            case CallConfirmed(_, body):
                call.confirmed(body)
            case CallEnded(_, by, reason, status):
                call.closed(by, reason, status)
            case DigitsReceived(_, digits):
                call.informed(digits)
            case Reoffered(reoffer):
                call.reoffered(reoffer)
            case ReferProgress(_, status, final):
                call.transferred(status, final)
            case ReinviteAnswered(_, body, _, refresh):
                call.reanswered(body, refresh=refresh)
            case InfoAnswered(_, status):
                call.info_answered(status)

    def _tell_leg(self, leg: Leg | None, event: Event) -> None:
        """News of a call that we make."""
        if leg is None:
            return
        match event:
            case CallProgress(_, status, body):
                leg.progressed(status, body)
            case CallAnswered(_, call, body):
                leg.picked_up(call, body)
            case CallFailed(_, status, _, cause):
                leg.failed(status, cause)

    async def close(self) -> None:
        """Cancel what still runs: flows that do something else than serve their ended call."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _offered(self, offer: Offer) -> None:
        attempt = arrived(offer.request, offer.peer)
        entry: Entry | None = offer.terms.whose
        if entry is not None:
            entered(attempt, entry, offer.request)
            if entry.auth and self._unproven:
                self._unproven.back(attempt.call_id)
        elif offer.peer.inside:
            identify(attempt, offer.request, INSIDE)
        call = offer.owner = OfferedCall(offer, self._desk, attempt)
        self._book.enter(call)
        self._start(self._serve(call))

    def _turned_away(self, refused: CallRefused) -> None:
        """An INVITE that came no further than the agent leaves a record all the same."""
        request, peer = refused.request, refused.peer
        try:
            attempt = arrived(request, peer)
            entry = self._entrance.find(request, peer)
        except Malformed:
            attempt, entry = salvaged(request, peer), None
        if entry is not None:
            entered(attempt, entry, request)
        try:
            dialed(attempt)
        except EdgeError:
            pass
        attempt.sip_code, attempt.outcome = refused.status, "rejected"
        attempt.reason, attempt.error = refused.why or AGENT, refused.what
        attempt.hangup_by, attempt.hangup_reason = "local", "rejected"
        if refused.why == REQUIRED:
            self._unproven.wait(attempt)
            return
        if refused.why == FAILED:
            self._unproven.back(attempt.call_id)
        self._book.note(attempt)

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = start(work)
        if task is not None:
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _serve(self, call: OfferedCall) -> None:
        """One call from its offer to its record."""
        run: Run | None = None
        flow: Flow | None = None
        try:
            self.waiting += 1
            try:
                run, fallback = await self._begin(call)
            finally:
                self.waiting -= 1
            flow = run.flow
            await execute(run, call)
            call.attempt.flow_outcome = run.outcome or ""
            if run.error:
                _note(call, run)
            if fallback != NIL and await fall_back(run, call, fallback):
                _note(call, run)
            self._conclude(call, run)
        except SessionEnded:
            pass  # given up while we were looking
        except NotProven as error:
            call.attempt.reason = type(error).__name__
            call.attempt.error = error.message
            call.refuse(error.sip, fields=error.fields)
        except NotVerified as error:
            verdict = error.verdict
            call.attempt.reason, call.attempt.error = type(error).__name__, error.message
            call.refuse(verdict.status, fields=(("Reason", verdict.reason),), phrase=verdict.phrase)
        except EdgeError as error:
            call.attempt.reason = reason = type(error).__name__
            _REFUSED[reason].inc()
            call.attempt.error = error.message
            call.refuse(error.sip, error.cause, "no flow bound" if isinstance(error, FlowUnbound) else "")
        except asyncio.CancelledError:
            if not call.answered:
                call.attempt.reason = "Draining"
            call.hang_up("normal", status=503)
            raise
        except Exception as error:
            call.attempt.error = f"{type(error).__name__}: {error}"
            log.exception("call failed", call_id=call.attempt.call_id)
            self._fail(call)
        finally:
            self._book.leave(call, run)
        if run is not None and flow is not None and flow.on_complete_flow_id != NIL:
            await self._complete(call, run, flow)

    async def _complete(self, call: Call, run: Run, flow: Flow) -> None:
        over = AfterCall(
            call.id, call.customer_id, self._desk, number_id=call.number_id, peer=call.peer, origin=call.origin
        )
        with self._book.busy():
            await complete(run, over, flow)

    def serve(self, leg: Leg, run: Run) -> None:
        """A call that we made was answered: run its flow."""
        self._start(self._serve_leg(leg, run))

    async def _serve_leg(self, leg: Leg, run: Run) -> None:
        """From its answer to its record."""
        flow = run.flow
        try:
            if flow.recalls:
                leg.attempt.peer = peer_of(leg.attempt.destination, None)
                await recall(run, leg)
            await execute(run, leg)
            leg.attempt.flow_outcome = run.outcome or ""
            _note(leg, run)
            self._conclude(leg, run)
        except SessionEnded:
            pass
        except asyncio.CancelledError:
            leg.hang_up("normal")
            raise
        except Exception as error:
            leg.attempt.error = f"{type(error).__name__}: {error}"
            log.exception("call failed", call_id=leg.attempt.call_id)
            self._fail(leg)
        finally:
            self._book.leave(leg, run)
        if flow.on_complete_flow_id != NIL:
            await self._complete(leg, run, flow)

    async def _begin(self, call: OfferedCall) -> tuple[Run, str]:
        """Find the number and its flow, and make the run; with it the id of the flow that takes over if it fails.

        Raises EdgeError, or SessionEnded when the caller gave up.
        """
        attempt = call.attempt
        inside = call.inside
        entry: Entry | None = call.offer.terms.whose
        if entry is not None and entry.proof is not None:
            await self._proofs.settle(call.offer.request, entry)
        if entry is None and not inside:  # who is rung by its URI may answer, and not call
            raise Forbidden("calls are taken from trunks only")
        e164 = dialed(attempt)
        found = await self._routes.number(e164)
        attempt.lookup_source = found.source
        if entry is not None and found.value is not None and found.value.trunk_ids:
            self._require_trunk(attempt, found.value, entry.trunk)
        if found.value is not None and found.value.status in OURS:
            attempt.number_id, attempt.customer_id = found.value.id, found.value.customer_id
        if inside:
            call.reached(e164)
        number = reachable(found, e164)
        account = await self._routes.account(number)
        if account.webhook_uri:
            attempt.account = account
        if entry is not None and self._vouching.wants(entry.trunk):
            await self._vouching.settle(attempt, call.offer.request, entry.trunk)
        attempt.flow_id = bound(number, "call")
        fallback = number.fallback_flow_id
        try:
            release = number.call_flow_release
            if release is None:
                flow = await self._routes.flow(attempt.flow_id, number.customer_id)
            else:
                flow = await self._routes.version(attempt.flow_id, release.pick(f"{e164} {attempt.source}"), number)
        except EdgeError as error:
            if fallback == NIL:
                raise
            attempt.error = error.message
            flow, fallback = await self._routes.flow(fallback, number.customer_id), NIL
            require_medium(flow, "call")
        else:
            attempt.flow_version = flow.version
        if call.ended is not None:
            raise call.ended
        if attempt.account is not None:
            self._desk.tell("call_created", attempt)
        trusted = INSIDE if entry is None else entry.trunk.trusted_headers
        parties = Parties(call.offer.request, trusted, attempt)
        run = Run(flow, id=attempt.id, medium="call", clock=_now, variables=CallVariables(attempt, number, parties))
        if flow.recalls:
            attempt.peer = peer_of(attempt.shown_source, attempt.country)
            await recall(run, call)
        return run, fallback

    def _require_trunk(self, attempt: Attempt, number: Number, trunk: Trunk) -> None:
        """Raises NumberUnknown for a number that does not answer on that trunk: for its carrier it is none of ours."""
        if not answers_on(number, trunk.id):
            attempt.nearest = self._entrance.nearest(number, trunk)
            raise NumberUnknown(attempt.nearest)

    def _conclude(self, call: Call, run: Run) -> None:
        """The flow is over; so is the call, if it is still up."""
        if run.outcome in ("failed", "cut"):
            self._fail(call)
        else:
            call.hang_up("normal")

    def _fail(self, call: Call) -> None:
        """The end of a call that we could not serve."""
        unanswered = call.ended is None and not call.answered
        if unanswered:
            call.attempt.reason = "FlowFailed"
        call.hang_up("failed", status=500)
        if unanswered:
            call.attempt.outcome = "failed"


def _note(call: Call, run: Run) -> None:
    """What went wrong in a flow goes into the record; the first of several faults counts."""
    if run.exception is not None and not isinstance(run.exception, EdgeError):
        log.error("flow failed", call_id=call.attempt.call_id, error=run.error, exc_info=run.exception)
    if run.error and not call.attempt.error:
        call.attempt.error = run.error


def _now() -> datetime:
    return datetime.now(UTC)
