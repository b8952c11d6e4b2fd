"""Runs a flow by a script and writes the transcript."""

from __future__ import annotations

import asyncio
from collections import ChainMap
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final, cast

from edge.errors import EdgeError, Fault, Invalid, Unavailable
from edge.flows.executor import execute
from edge.flows.flow import Flow, require_medium
from edge.flows.session import Medium, Session
from edge.flows.variables import Variables, is_reserved, quoted
from edge.numbers.number import Number
from edge.sessions.calls.variables import CallVariables
from edge.sessions.conversation import conversation_id
from edge.sessions.following import complete, fall_back
from edge.sessions.memory import recall
from edge.sessions.simulation.call import SimulatedCall
from edge.sessions.simulation.outside import FindFlow, FindResources, SimulatedOutside
from edge.sessions.simulation.prompt import Lengths
from edge.sessions.simulation.script import Script
from edge.sessions.simulation.session import SimulatedSession
from edge.sessions.simulation.stage import Stage
from edge.sessions.simulation.text import SimulatedText
from edge.sessions.simulation.transcript import Asked, Outcomes, Part, Transcript
from edge.sessions.simulation.watch import WatchedRun
from edge.sessions.texts.incoming import Incoming
from edge.sessions.texts.manners import MannersSection
from edge.sessions.texts.variables import TextVariables
from edge.sms.keywords import Keywords, Kind
from edge.store.metadata import NIL, micros

RUNS_MAX: Final = 100  # of one simulation
SECONDS: Final = 30.0  # of real time that one simulation may take


async def simulate(
    flow: Flow,
    script: Script,
    *,
    lengths: Lengths,
    find_flow: FindFlow,
    find_resources: FindResources | None = None,
    keywords: Keywords | None = None,
    manners: MannersSection | None = None,
) -> Transcript:
    """Without `find_resources` there are the calendars and lists of callers of the script only, and without `keywords`
    and `manners` those that are built in.

    Raises Invalid for a script that does not fit the flow, Unavailable for a simulation that takes too long.
    """
    medium = _medium(flow, script)
    simulation = _Simulation(
        *(flow, script, medium, lengths, find_flow, find_resources),
        keywords or Keywords(),
        manners or MannersSection(),
    )
    try:
        async with asyncio.timeout(SECONDS):
            await (simulation.call() if medium == "call" else simulation.texts())
    except TimeoutError:
        raise Unavailable(f"the simulation took more than {SECONDS:.0f} s") from None
    return simulation.transcript()


def _medium(flow: Flow, script: Script) -> Medium:
    medium: Medium
    if script.medium is not None:
        medium = script.medium
    elif len(flow.media) == 1:
        (medium,) = flow.media
    else:
        medium = "message" if script.texts else "call"
    require_medium(flow, medium, "medium")
    if medium == "message" and not script.texts:
        raise _wrong("texts", "the flow is for texts: say at least one that comes")
    if medium == "message" and script.digits:
        raise _wrong("digits", "the flow is for texts: nobody types keys")
    if medium == "call" and script.texts:
        raise _wrong("texts", "the flow is for a call: no texts come")
    return medium


def _wrong(where: str, what: str) -> Invalid:
    return Invalid("the script does not fit the flow", faults=[Fault(where, what)], reason="INVALID_SCRIPT")


class _Simulation:
    """One simulation, from its script to its transcript."""

    def __init__(
        self,
        flow: Flow,
        script: Script,
        medium: Medium,
        lengths: Lengths,
        find_flow: FindFlow,
        find_resources: FindResources | None,
        keywords: Keywords,
        manners: MannersSection,
    ) -> None:
        self._manners = manners
        self._keywords = keywords
        self._flow = flow
        self._script = script
        self._medium = medium
        self._lengths = lengths
        self._find_flow = find_flow
        self._find_resources = find_resources
        self._begins = script.begins(datetime.now(UTC))
        self._stage = Stage(self._begins.astimezone(UTC))  # in a zone of its own a clock may jump
        self._assumed: list[str] = []
        if script.at is not None and script.at.tzinfo is None:
            self._assumed.append("the time it begins is in UTC: it has no zone")
        self._runs: list[Outcomes] = []
        self._reached: set[str] = set()
        self._variables: dict[str, str] = {}
        self._number = Number(
            id=NIL, customer_id=flow.customer_id, number=script.called, name="", tm_create=self._stage.begins
        )

    async def call(self) -> None:
        script, stage = self._script, self._stage
        outside = SimulatedOutside(stage, script, self._manners, self._find_flow, self._find_resources)
        call = SimulatedCall(stage, script, outside, self._number, self._lengths)
        call.attempt.flow_id, call.attempt.flow_version = self._flow.id, self._flow.version
        run = self._run(call.id, CallVariables(call.attempt, self._number))
        await self._serve(run, call)
        if run.ended is None:
            if run.outcome in ("failed", "cut"):
                call.hang_up("failed", 500)
            else:
                call.hang_up("normal")
        call.over(run.ended.by if run.ended is not None else "local")
        if call.untyped:
            stage.note(f"the caller never came to type {call.untyped}", "outside")
        self._over(run, "session", 0.0)
        await self._complete(run, SimulatedSession(stage, script, outside, call.customer_id))

    async def texts(self) -> None:
        script, stage = self._script, self._stage
        outside = SimulatedOutside(stage, script, self._manners, self._find_flow, self._find_resources)
        run: WatchedRun | None = None
        due = 0.0
        for index, body in enumerate([*script.texts, None]):  # after the last one nothing comes any more
            at = max(stage.now, index * script.every)
            while run is not None and run.parked is not None and (body is None or due <= at):
                stage.now = max(stage.now, due)
                run = await self._text(outside, run, None)
                due = stage.now + (run.parked.seconds if run.parked is not None else 0.0)
                if len(self._runs) > RUNS_MAX:
                    self._assumed.append("nothing new comes of waiting on for texts: the simulation ends while it does")
                    return
            if body is not None:
                stage.now = max(stage.now, at)
                if self._is_keyword(outside, body):
                    continue
                run = await self._text(outside, run, body)
                due = stage.now + (run.parked.seconds if run.parked is not None else 0.0)

    async def _text(self, outside: SimulatedOutside, waiting: WatchedRun | None, body: str | None) -> WatchedRun:
        """What one text leads to: a run, or that the one which waits goes on; None: none came in time."""
        script, stage = self._script, self._stage
        begins = stage.now
        session = SimulatedText(stage, script, outside, self._number.customer_id)
        text = Incoming(
            id=session.id,
            carrier="simulation",
            carrier_id=session.id,
            number=script.called,
            peer=script.source,
            text=body or "",
            media=script.media if body is not None else (),
            route="",
            tm_create=micros(stage.clock()),
            conversation_id=conversation_id(self._flow.customer_id, script.called, script.source),
            flow_id=self._flow.id,
        )
        given = TextVariables(text, self._number)
        if waiting is not None and waiting.parked is not None:
            run = waiting
            run.variables = Variables(self._overlaid(given), run.variables.own())
            run.variables.set_system("edge.text_receive.outcome", "timeout" if body is None else "received")
            run.resume(timed_out=body is None)
        else:
            run = self._run(session.id, given)
        await self._serve(run, session)
        self._over(run, "session" if body is not None else "timeout", begins, body)
        if run.parked is None:
            await self._complete(run, session)
        return run

    def _is_keyword(self, outside: SimulatedOutside, body: str) -> bool:
        """Whether a text is a keyword and no flow runs for it (`texts/opting.py`); then it has been answered."""
        script, stage, manners = self._script, self._stage, outside.manners
        found = self._keywords.find(body, script.called, script.source)
        if found is None or (found.kind == "start" and not manners.stopped):
            return False
        news = found.kind != "stop" or not manners.stopped
        if found.kind != "help":
            manners.stopped = found.kind == "stop"
        stage.turn(None, 0)
        stage.note(f"{found.word} is a keyword")
        if news and found.answer:
            try:
                manners.permit(script.called, script.source, stage.id(), confirms=True)
                stage.note(f"replies: {quoted(found.answer)}")
            except EdgeError as error:
                stage.note(f"does not reply: {error.message}")
        outcomes: dict[Kind, tuple[Asked, str]] = {
            "stop": ("opted_out", "the sender has opted out" if news else "the sender had opted out before"),
            "start": ("opted_in", "the sender gets texts again"),
            "help": ("helped", "the sender was helped"),
        }
        outcome, why = outcomes[found.kind]
        self._runs.append(
            Outcomes(
                kind="keyword",
                begins=round(stage.now, 3),
                text=body,
                outcome=outcome,
                why=why,
                error=None,
                cut_by=None,
                steps=0,
                seconds=0.0,
                events=stage.take_events(),
            )
        )
        return True

    async def _serve(self, run: WatchedRun, session: Session) -> None:
        await recall(run, session)
        await execute(run, session)
        await fall_back(run, session, self._script.fallback_flow_id or NIL)

    async def _complete(self, run: WatchedRun, session: Session) -> None:
        """What the flow names for its completion, when its session is over."""
        if self._flow.on_complete_flow_id == NIL:
            return
        begins = self._stage.now
        await complete(run, session, self._flow)
        self._over(run, "completion", begins)

    def _run(self, id: str, given: Mapping[str, str]) -> WatchedRun:
        return WatchedRun(self._flow, self._stage, id=id, medium=self._medium, variables=self._overlaid(given))

    def _overlaid(self, given: Mapping[str, str]) -> Mapping[str, str]:
        return ChainMap(dict(self._script.variables), cast(dict[str, str], given))  # those are only read

    def _over(self, run: WatchedRun, kind: Part, begins: float, text: str | None = None) -> None:
        self._reached |= {step.id for step in self._flow.steps if step in run.reached}
        self._variables |= {name: value for name, value in run.variables.own().items() if not is_reserved(name)}
        self._runs.append(
            Outcomes(
                kind=kind,
                begins=round(begins, 3),
                text=text,
                outcome=run.outcome,
                why=_why(run),
                error=run.error,
                cut_by=run.cut_by,
                steps=run.steps,
                seconds=round(self._stage.now - begins, 3),
                events=self._stage.take_events(),
            )
        )

    def transcript(self) -> Transcript:
        script, flow = self._script, self._flow
        return Transcript(
            flow_id=flow.id,
            flow_version=flow.version,
            flow=flow.name,
            medium=self._medium,
            caller=script.source,
            called=script.called,
            at=self._begins,
            assumed=tuple(self._assumed),
            runs=tuple(self._runs),
            dropped=self._stage.dropped,
            variables=self._variables,
            reached=tuple(step.id for step in flow.steps if step.id in self._reached),
            never_reached=tuple(step.id for step in flow.steps if step.id not in self._reached),
        )


def _why(run: WatchedRun) -> str:
    if run.ended is None:
        return ""
    if run.ended.by == "remote":
        return "the caller hung up"
    return "the caller was sent elsewhere" if run.ended.reason == "redirect" else "hung up by the flow"
