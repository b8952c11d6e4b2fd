"""The desk that every text comes to, whatever door it came in by: looked up, kept, answered; then its flow runs.

    number active, with a message flow      kept, received, run
    number active, without a message flow   kept and counted, received
    number or its account suspended         kept as rejected, SIP 403
    number released                         kept as rejected, SIP 410
    anything else that is not ours          kept as rejected, SIP 404 (or 484, 416 for what is no number)

Over HTTP a rejected text is answered 200 all the same, so that its carrier does not try again for ever. A text that
cannot be looked up or kept is not answered but refused for now (Unavailable, 503): its carrier tries again.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any, Final, Protocol

from prometheus_client import Counter

from edge.errors import EdgeError, Invalid, NotFound, NumberReleased, NumberSuspended, NumberUnknown, Unavailable
from edge.flows.executor import execute
from edge.flows.flow import Flow
from edge.flows.parked import from_json, to_json
from edge.flows.run import Run
from edge.log import enabled, get_logger
from edge.numbers.e164 import read_dialed
from edge.numbers.number import Number
from edge.sessions.conversation import conversation_id
from edge.sessions.following import complete, fall_back
from edge.sessions.memory import peer_of, recall
from edge.sessions.outside import Reach
from edge.sessions.route import answers_on
from edge.sessions.texts.inbox import Inbox
from edge.sessions.texts.incoming import Incoming, Performed
from edge.sessions.texts.opting import Opting
from edge.sessions.texts.outbox import TEXTS
from edge.sessions.texts.parking import Parking, timer_id_of
from edge.sessions.texts.session import MessageSession, TextSending, run_id
from edge.sessions.texts.variables import TextVariables
from edge.sms.text import Text, Verdict
from edge.store.metadata import NIL, json_text, micros, new_id
from edge.store.tiers import Found
from edge.store.writer import Then

log = get_logger("sessions")

OUTCOMES: Final = ("received", "unbound", "rejected", "suspended", "duplicate", "unavailable")


class Numbers(Protocol):
    """The number directory, as far as texts need it."""

    async def find(self, number: str, /) -> Found[Number]: ...


class TextDesk:
    """Takes texts in. Raises Unavailable for one that could not be kept.

    `account` raises NumberSuspended when the account of a number may not be reached; without it all may. `opting`
    knows keywords; without it there are none.
    """

    def __init__(
        self,
        numbers: Numbers,
        inbox: Inbox,
        account: Callable[[Number], Awaitable[object]] | None = None,
        opting: Opting | None = None,
    ) -> None:
        self._numbers = numbers
        self._inbox = inbox
        self._account = account
        self._opting = opting
        self._counted: dict[tuple[str, str], Counter] = {}  # series by carrier and outcome, bound once
        self.last: dict[str, datetime] = {}  # when the last text of each carrier came that was kept

    async def receive(self, text: Text) -> Verdict:
        """Keep a text; its carrier may be told the verdict as soon as this returns."""
        try:
            incoming = await self._read(text)
            then: tuple[Then, ...] = ()
            if self._opting is not None and incoming.keyword:
                then = await self._opting.kept_with(incoming, by_carrier=text.keyword != "")
            kept, new = await self._inbox.accept(incoming, then)
        except Unavailable:
            self._count(text.carrier, "unavailable")
            raise
        self._count(text.carrier, _outcome(kept) if new else "duplicate")
        self.last[text.carrier] = text.received_at
        if enabled("info"):
            log.info("text", message_id=kept.id, carrier=kept.carrier, refusal=kept.refusal or None, repeated=not new)
        return Verdict(kept.id, kept.refused_with, repeated=not new)

    async def refuses(self, text: Text) -> bool:
        """Whether `receive` would refuse a text, had it come now. Raises Unavailable."""
        return (await self._read(text)).refusal != ""

    def _count(self, carrier: str, outcome: str) -> None:
        series = self._counted.get((carrier, outcome))
        if series is None:
            series = self._counted[carrier, outcome] = TEXTS.labels(carrier, "inbound", outcome)
        series.inc()

    async def _read(self, text: Text) -> Incoming:
        number: Number | None = None
        source = ""
        refusal: type[EdgeError] | None
        try:
            dialed = read_dialed(text.destination, text.country)
        except Unavailable:
            raise
        except EdgeError as error:
            dialed, refusal = text.destination, type(error)
        else:
            number, source = await self._numbers.find(dialed)
            refusal = _refusal(number, text)
            if number is not None and refusal is None and self._account is not None:
                try:
                    await self._account(number)
                except NumberSuspended:
                    refusal = NumberSuspended
        ours = number if refusal is None or refusal is NumberSuspended else None
        peer = peer_of(text.source, text.country)
        opting = self._opting
        keyword = opting.read(text.body, ours, dialed, peer) if opting is not None and ours is not None else None
        told = text.keyword != "" and opting is not None and ours is not None
        return Incoming(
            id=new_id(),
            carrier=text.carrier,
            carrier_id=text.id,
            number=dialed,
            peer=peer,
            text=text.body,
            media=text.media,
            route=text.route,
            tm_create=micros(text.received_at),
            refusal=refusal.__name__ if refusal is not None else "",
            customer_id=ours.customer_id if ours is not None else NIL,
            number_id=ours.id if ours is not None else NIL,
            conversation_id=conversation_id(ours.customer_id, dialed, peer) if ours is not None else NIL,
            flow_id=ours.message_flow_id if ours is not None else NIL,
            lookup_source=source,
            parts=text.parts,
            keyword=text.keyword if told else keyword.kind if keyword is not None else "",
        )


def _refusal(number: Number | None, text: Text) -> type[EdgeError] | None:
    if number is None or (text.account is not None and number.customer_id != text.account):
        return NumberUnknown
    if text.trunk_id and not answers_on(number, text.trunk_id):
        return NumberUnknown
    match number.status:
        case "active":
            return None
        case "suspended":
            return NumberSuspended
        case "released":
            return NumberReleased
        case _:  # ordered and not yet ours, or never
            return NumberUnknown


def _outcome(text: Incoming) -> str:
    if text.refusal:
        return "suspended" if text.refused_with is NumberSuspended else "rejected"
    return "received" if text.has_flow else "unbound"


class TextRuns:
    """Runs the flows of texts; `perform` is what the inbox calls."""

    def __init__(
        self,
        numbers: Numbers,
        sending: TextSending,
        reach: Reach,
        parking: Parking,
        clock: Callable[[], datetime],
        opting: Opting | None = None,
    ) -> None:
        self._opting = opting
        self._numbers = numbers
        self._sending = sending
        self._reach = reach
        self._parking = parking
        self._clock = clock

    async def perform(self, text: Incoming) -> Performed:
        """Run the flow of a text until it ends or waits for the next one, or go on with the one that waited for it.

        Raises Unavailable when something it needs cannot be had now.
        """
        parked = await self._parking.find(text)
        if parked is not None and parked.message_id == text.id:
            return parked.performed  # it was here, and the process ended before that was written down
        if text.direction == "timer" and (parked is None or timer_id_of(parked.message_id) != text.id):
            return Performed("ended", "a text came in time")
        number = (await self._numbers.find(text.number)).value
        if number is not None and number.id != text.number_id:
            number = None  # it is somebody else's by now, and nothing about it this flow's business
        if self._opting is not None and (asked := await self._opting.perform(text, number)) is not None:
            return asked
        waiting = parked.state if parked is not None else None
        if text.direction == "timer" and (number is None or number.status != "active"):
            await self._parking.put(text, gone := Performed("failed", f"{text.number} is active no more"), None, 0)
            return gone
        try:
            run = await self._run(text, number, waiting)
        except (NotFound, Invalid) as gone:
            performed = Performed("failed", gone.message)
            if waiting is not None:
                await self._parking.put(text, performed, None, 0)
            return performed
        flow = run.flow
        session = MessageSession(text, run, self._sending, self._reach)
        await recall(run, session)
        await execute(run, session)
        outcome, error = run.outcome or "", _told(text, run)
        if number is not None and await fall_back(run, session, number.fallback_flow_id):
            error = error or _told(text, run)
        if enabled("info"):
            log.info("text flow ended", message_id=text.id, outcome=outcome, error=error or None)
        performed = Performed(
            outcome=outcome,
            error=error,
            cut_by=run.cut_by or "",
            steps=json_text(run.record()["log"]),
            flow_version=flow.version,
        )
        if run.parked is not None:
            await self._parking.put(text, performed, to_json(run), run.parked.seconds)
        else:
            await complete(run, session, flow)
            if waiting is not None:
                await self._parking.put(text, performed, None, 0)
        return performed

    async def _run(self, text: Incoming, number: Number | None, waiting: dict[str, Any] | None) -> Run:
        """The run that waits for this text, or one of the number's flow. Raises NotFound, Unavailable."""
        given = TextVariables(text, number)
        if waiting is None:
            flow = await self._flow(text, number)
            return Run(flow, id=run_id(text.id), medium="message", clock=self._clock, variables=given)
        run = await from_json(waiting, self._version, clock=self._clock, variables=given)
        timed_out = text.direction == "timer"
        run.resume(timed_out=timed_out)
        run.variables.set_system("edge.text_receive.outcome", "timeout" if timed_out else "received")
        return run

    async def _flow(self, text: Incoming, number: Number | None) -> Flow:
        """The flow that was bound when the text came, in the version that its sender gets."""
        flows, flow_id = self._reach.flows, text.flow_id
        if number is not None and number.message_flow_id == flow_id and number.message_flow_release is not None:
            return await self._version(flow_id, number.message_flow_release.pick(f"{number.number} {text.peer}"))
        found = (await flows.find(flow_id)).value
        if found is None or found.customer_id != text.customer_id:
            raise NotFound(f"there is no flow {flow_id} any more")
        return found

    async def _version(self, flow_id: str, version: int) -> Flow:
        found = (await self._reach.flows.find_version(flow_id, version)).value
        if found is None:
            raise NotFound(f"there is no flow {flow_id} any more")
        return found


def _told(text: Incoming, run: Run) -> str:
    """What went wrong in a flow, if anything did."""
    if run.exception is not None and not isinstance(run.exception, EdgeError):
        log.error("flow of a text failed", message_id=text.id, error=run.error, exc_info=run.exception)
    return run.error or ""
