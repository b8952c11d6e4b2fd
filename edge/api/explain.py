"""Why a call went as it did, and what would become of one: each step of the way, in words and with its facts.

Of a call that was, or is up, its record tells (`sessions/calls/story.py`). What would become of one is found by the
very functions that calls go through (`sessions/calls/foresight.py`), and nothing runs. Where something was not found,
the nearest misses are told with it.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, Final, Literal

from pydantic import BeforeValidator, Field

from edge.api.auth import scope
from edge.api.calls import read_plus
from edge.api.field import Line, Model, Moment, Result
from edge.api.operation import AnyOperation, Ask, Nothing, Operation
from edge.errors import EdgeError, Fault, Forbidden, Invalid, NotFound, NumberUnknown, Unavailable
from edge.flows.flow import Flow
from edge.flows.session import Medium
from edge.numbers.table import NumberTable
from edge.sessions.calls.book import CallBook
from edge.sessions.calls.foresight import Foreseen, Question, foresee
from edge.sessions.calls.record import CallTable, Wanted, withheld
from edge.sessions.calls.story import Step, story, would_answer
from edge.sessions.entrance import Entrance
from edge.sessions.nearest import numbers_near, trunks_near
from edge.sessions.route import Routes
from edge.sip.strangers import Strangers
from edge.store.metadata import is_id
from edge.trunks.table import TrunkTable, read_address
from edge.trunks.trunk import Trunk

TOLD: Final = 10  # calls with one Call-ID
CallId = Annotated[str, Field(max_length=512, pattern=r"^[^\u0000-\u001f\u007f]*$")]
Simulate = Callable[[Flow, str, str, datetime | None], Awaitable[Sequence[str]]]  # flow, caller, called, when


class ExplainQuery(Model):
    """Either a call that was, by `call_id`, or one that might come."""

    call_id: CallId | None = Field(
        default=None, min_length=1, description="A call that was or is up: its SIP Call-ID, or our id of it."
    )
    number: Line | None = Field(
        default=None,
        description="As it would be dialed: +14155550100, 004420…, sip:…, tel:….",
        examples=["+14155550100"],
    )
    trunk: Line | None = Field(default=None, description="The trunk it would come by.")
    source: Line | None = Field(
        default=None, description="The address it would come from: which trunk is that? For admins."
    )
    transport: Literal["udp", "tcp", "tls"] = Field(default="udp", description="By which it would come from there.")
    medium: Medium = Field(default="call", description="Whether a call or a message would come.")
    caller: Annotated[Line, BeforeValidator(read_plus)] = Field(
        default="", description="Who would call or text: a split release has a version for everybody."
    )
    at: Moment | None = Field(
        default=None, description="When it would come; with it the flow of a call is tried out as of then."
    )


class ExplainedStep(Result):
    """One step of the way."""

    step: str = Field(description="Which one: source, caller, dialed, number, flow, answer ….")
    said: str = Field(description="What it comes to, in words.")
    facts: dict[str, Any] = Field(description="The values it speaks of, by their names in the record.")


class ExplainedCall(Result):
    """One call that was, or is up."""

    id: str = Field(description="Identity.")
    call_id: str = Field(description="SIP Call-ID.")
    direction: str = Field(description="incoming or outgoing.")
    tm_create: str = Field(description="When it began.")
    sip_code: int = Field(description="The final SIP status; 0: none yet.")
    outcome: str = Field(description="How it came out; while it is up: failed.")
    steps: list[ExplainedStep] = Field(description="Its way.")
    nearest: list[str] = Field(description="What was nearly it, where something was not found.")
    made: list[str] = Field(description="The calls that were made for it.")


class ExplainedNumber(Result):
    """The number that was found."""

    id: str = Field(description="Identity.")
    customer_id: str = Field(description="Its owner.")
    number: str = Field(description="E.164.")
    status: str = Field(description="Only an active number is routed.")
    name: str = Field(description="Free text.")


class ExplainedFlow(Result):
    """The flow that would run."""

    id: str = Field(description="Identity.")
    version: int = Field(description="The version a session starting now would run.")
    name: str = Field(description="Free text.")
    media: list[str] = Field(description="What it can run for: call, message.")
    actions: list[dict[str, Any]] = Field(description="Its steps.")


class ExplainedStranger(Result):
    """An address of no trunk that was here lately."""

    address: str = Field(description="Which.")
    seen: dict[str, int] = Field(description="Its datagrams and connections, by transport; none was answered.")
    seconds_ago: float = Field(description="How long ago the last one was.")
    banned_seconds: float = Field(description="For how long it is not looked at at all; 0: it is not banned.")


class Refused(Result):
    """What the carrier would be answered instead."""

    reason: str = Field(description="The error's name.")
    message: str = Field(description="Why.")
    sip: int = Field(description="SIP status; for a message without a flow 202, it is kept; 0: nothing is sent.")
    cause: int | None = Field(description="Q.850 cause in the Reason header.")


class Explanation(Result):
    """What was asked about, step by step."""

    dialed: str | None = Field(description="What was asked.")
    medium: Medium = Field(description="call or message.")
    trunk: str | None = Field(description="The trunk asked about, or the one that the source is of.")
    country: str | None = Field(description="Whose national forms are read.")
    e164: str | None = Field(description="The number it stands for.")
    source: str | None = Field(description="The tier that knew the number: memory, redis, sql or stale.")
    number: ExplainedNumber | None = Field(description="The number, when there is one.")
    flow: ExplainedFlow | None = Field(description="The flow that would run.")
    refused: Refused | None = Field(description="Why nothing would run.")
    steps: list[ExplainedStep] = Field(description="The way it would go.")
    nearest: list[str] = Field(description="What is nearly it, where something is not found.")
    stranger: ExplainedStranger | None = Field(description="What is known of a source that is of no trunk.")
    calls: list[ExplainedCall] = Field(description="The calls with that Call-ID, newest first.")


class Explain:
    """The one operation. `book`, `strangers` and `simulate` are there where a daemon runs."""

    def __init__(
        self,
        trunks: TrunkTable,
        entrance: Entrance,
        routes: Routes,
        table: CallTable,
        numbers: NumberTable,
        book: CallBook | None = None,
        strangers: Strangers | None = None,
        simulate: Simulate | None = None,
    ) -> None:
        self._trunks = trunks
        self._entrance = entrance
        self._routes = routes
        self._table = table
        self._numbers = numbers
        self._book = book
        self._strangers = strangers
        self._simulate = simulate

    async def explain(self, ask: Ask[ExplainQuery, Nothing]) -> Explanation:
        return await self.of(ask.query, scope(ask.asker))

    async def of(self, query: ExplainQuery, customer_id: str | None) -> Explanation:
        """For one account, or for an admin (None). Raises Invalid, Forbidden, NotFound, Unavailable."""
        if query.call_id is not None:
            if query.number is not None or query.source is not None:
                raise _wrong("call_id", "either a call that was, or one that might come")
            return _explanation(query, calls=await self._happened(query.call_id, customer_id))
        if query.source is not None and customer_id is not None:
            raise Forbidden("who sends from where is for admins to ask")
        if query.source is not None and read_address(query.source) is None:
            raise _wrong("source", "is no address")
        if query.number is None and query.source is None:
            raise _wrong("number", "is missing; or say call_id, or source")
        return await self._would(query, customer_id)

    # What happened

    async def _happened(self, call_id: str, customer_id: str | None) -> list[ExplainedCall]:
        live = [
            call.attempt.public()
            for call in self._book or ()
            if call_id in (call.attempt.call_id, call.id) and customer_id in (None, call.customer_id)
        ]
        found: list[Mapping[str, Any]] = [*live]
        if is_id(call_id):  # some write Call-IDs that look so as well
            one = await self._table.get(call_id, customer_id)
            found += [one] if one is not None else []
        found += await self._table.list(customer_id, wanted=Wanted(call_id=call_id), size=TOLD)
        if not found:
            raise NotFound("there is no such call", reason="CALL_NOT_FOUND")
        return [await self._told(one, customer_id, up=one in live) for one in found]

    async def _told(self, call: Mapping[str, Any], customer_id: str | None, *, up: bool) -> ExplainedCall:
        if customer_id is not None:
            call = withheld(call)
        edge = call["edge"]
        nearest = [edge["nearest"]] if edge["nearest"] else []
        if edge["reason"] == "NumberUnknown" and not nearest and call["destination"]["target"].startswith("+"):
            nearest += await self._near(call["destination"]["target"], customer_id)
        made = await self._table.made_for(call["id"])
        return ExplainedCall(
            id=call["id"],
            call_id=edge["call_id"],
            direction=call["direction"],
            tm_create=call["tm_create"],
            sip_code=edge["sip_code"],
            outcome=edge["outcome"],
            steps=_steps([*story(call), *([Step("now", f"it is {call['status']}", {})] if up else [])]),
            nearest=nearest,
            made=[one["id"] for one in made if customer_id in (None, one["customer_id"])],
        )

    async def _near(self, e164: str, customer_id: str | None) -> list[str]:
        return await numbers_near(self._numbers, e164, customer_id)

    # What would happen

    async def _would(self, query: ExplainQuery, customer_id: str | None) -> Explanation:
        trunk = self._trunk(query.trunk)
        address = query.source or ""
        question = Question(query.number or "", query.caller, trunk, address, query.transport, query.medium)
        seen = await foresee(question, self._entrance, self._routes, customer_id)
        attempt, entry = seen.attempt, seen.entry
        told = attempt.recorded()
        steps = story(told, over=False)
        nearest = [attempt.nearest] if attempt.nearest else []
        if trunk is None and not address:  # it comes from nowhere in particular
            steps = [one for one in steps if one.step != "source"]
        if query.number is None:  # only whose an address is was asked
            steps = [one for one in steps if one.step in ("source", "authentication")]
        elif seen.error is not None:
            steps.append(would_answer(told))
        if address and (entry is None or self._entrance_differs(trunk, address, query.transport)):
            nearest += trunks_near(self._trunks, address, query.transport)
        if isinstance(seen.error, NumberUnknown) and attempt.number and not attempt.nearest:
            nearest += await self._near(attempt.number, customer_id)
        number = seen.found.value if seen.found else None
        if seen.flow is not None and query.medium == "call":
            steps += await self._tried(seen.flow, query, attempt.number)
        country = attempt.country
        return _explanation(
            query,
            trunk=attempt.trunk or query.trunk,
            country=country,
            e164=attempt.number or None,
            source=seen.found.source if seen.found else None,
            number=ExplainedNumber.model_validate(number, from_attributes=True) if number else None,
            flow=_flow(seen.flow) if seen.flow else None,
            refused=_refused(seen) if query.number is not None or entry is None else None,
            steps=_steps(steps),
            nearest=nearest,
            stranger=self._stranger(address) if address and entry is None else None,
        )

    def _entrance_differs(self, trunk: Trunk | None, address: str, transport: str) -> bool:
        """Whether the address asked about is none of the trunk asked about."""
        return trunk is not None and self._trunks.find(address, transport) is not trunk

    async def _tried(self, flow: Flow, query: ExplainQuery, called: str) -> list[Step]:
        """What the flow would do with a caller who says nothing, tried out as of then."""
        if self._simulate is None or query.at is None:
            return []
        try:
            said = await self._simulate(flow, query.caller, called, query.at)
        except Unavailable:
            raise
        except EdgeError as error:
            return [Step("step", f"the flow cannot be tried out: {error.message}", {})]
        return [Step("step", one, {}) for one in said]

    def _stranger(self, address: str) -> ExplainedStranger | None:
        if self._strangers is None:
            return None
        now = time.monotonic()
        found = self._strangers.find(address)
        if found is None:
            return ExplainedStranger(address=address, seen={}, seconds_ago=0, banned_seconds=0)
        return ExplainedStranger(
            address=address,
            seen=found.seen,
            seconds_ago=round(now - found.last, 1),
            banned_seconds=round(max(found.banned_until - now, 0), 1),
        )

    def _trunk(self, name: str | None) -> Trunk | None:
        if name is None:
            return None
        trunk = self._trunks.named(name)
        if trunk is None:
            raise _wrong("trunk", "there is no such trunk")
        return trunk

    def operations(self) -> list[AnyOperation]:
        return [
            Operation(
                method="GET",
                path="/v1.0/explain",
                tag="explain",
                summary="Why did a call go as it did, or what would become of one?",
                detail="With `call_id`: each step of what happened. Else what would become of a call or text that dials"
                " `number`, from `trunk` or `source`; nothing runs. With `source` alone: whose address that is.",
                query=ExplainQuery,
                body=Nothing,
                result=Explanation,
                errors=(NotFound,),
                handler=self.explain,
            )
        ]


def _wrong(where: str, what: str) -> Invalid:
    return Invalid("the query is not usable", faults=[Fault(where, what)], reason="INVALID_REQUEST_PARAMETER")


def _explanation(query: ExplainQuery, **known: Any) -> Explanation:
    nothing = dict.fromkeys(("trunk", "country", "e164", "source", "number", "flow", "refused", "stranger"))
    lists: dict[str, list[Any]] = {"steps": [], "nearest": [], "calls": []}
    return Explanation(**{"dialed": query.number, "medium": query.medium, **nothing, **lists, **known})


def _steps(steps: Sequence[Step]) -> list[ExplainedStep]:
    return [ExplainedStep(step=one.step, said=one.said, facts=one.facts) for one in steps]


def _refused(seen: Foreseen) -> Refused | None:
    error = seen.error
    if error is None:
        return None
    return Refused(
        reason=type(error).__name__,
        message=error.message,
        sip=seen.attempt.sip_code,
        cause=error.cause if seen.refused else None,
    )


def _flow(flow: Flow) -> ExplainedFlow:
    return ExplainedFlow(
        id=flow.id,
        version=flow.version,
        name=flow.name,
        media=sorted(flow.media),
        actions=[dict(action) for action in flow.actions],
    )
