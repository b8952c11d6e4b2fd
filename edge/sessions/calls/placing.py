"""Calls of their own: ordered by a flow or over the API, rung, and once one is answered its flow runs as that of a call
that came to us. Nobody waits for them; what became of one is in its record.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

from edge.errors import EdgeError, Invalid
from edge.flows.dial import CallOrder, Dial
from edge.flows.flow import Flow
from edge.flows.run import Run
from edge.media.sdp import Direction
from edge.numbers.number import Number
from edge.sessions.calls import limits
from edge.sessions.calls.book import CallBook
from edge.sessions.calls.call import Call, Desk
from edge.sessions.calls.leg import Leg, attempt_of
from edge.sessions.calls.variables import CallVariables
from edge.sessions.calls.ways import Ways
from edge.sessions.origin import Origin
from edge.sessions.outside import Master
from edge.store.metadata import NIL

NO_ANSWER: Final = "noanswer"

Serve = Callable[[Leg, Run], None]  # runs a flow for a call that was answered, to its record


class Placing:
    """Makes them; one for the daemon. `desk` is what their sessions will use."""

    def __init__(self, ways: Ways, book: CallBook, desk: Callable[[], Desk], serve: Serve) -> None:
        self._ways = ways
        self._book = book
        self._desk = desk
        self._serve = serve

    async def call(self, origin: Origin, order: CallOrder, master: Master | None = None) -> list[Leg]:
        """Begin the calls of an order, chained to a session if one is given. Raises EdgeError, saying why, when none
        could be begun."""
        source = order.source or origin.number
        if not source:
            raise Invalid("no source, and there is no number to call from")
        number = await self._ways.owned(source, origin.customer_id)
        dial = Dial(order.destinations, source=source, anonymous=order.anonymous, trunk=order.trunk)
        ways = await self._ways.find(Origin(origin.customer_id, source, path=origin.path), dial)
        made: list[Leg] = []
        fault: EdgeError | None = None
        for way in ways:
            try:
                if isinstance(way, EdgeError):
                    raise way
                self._book.require_room(origin.customer_id, way.trunk, way.max_calls)
                placed = _Placed(number, order, self._book, self._serve)
                of = master.id if master is not None else NIL
                attempt = attempt_of(way, origin.customer_id, number.id, number.number, of)
                attempt.flow_id, attempt.flow_version = order.flow.id, order.flow.version
                leg = Leg(self._desk(), attempt, placed, origin.path)
                self._book.enter(leg)
                placed.ring(leg)
                leg.invite_or_fail(way, None)
                made.append(leg)
                if master is not None:
                    master.chain(leg)
            except EdgeError as error:
                fault = fault or error
        if not made and fault is not None:
            raise fault
        return made


class _Placed:
    """One of them until it is answered: its watcher."""

    talking = False

    def __init__(self, number: Number, order: CallOrder, book: CallBook, serve: Serve) -> None:
        self._number = number
        self._order = order
        self._book = book
        self._serve = serve
        self._timer: asyncio.TimerHandle | None = None

    def ring(self, leg: Leg) -> None:
        """It may ring for so long."""
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(limits.PLACED_SECONDS, leg.hang_up, NO_ANSWER)

    def rang(self, leg: Leg, *, early: bool) -> None:
        """Nobody is there to hear it."""

    def answered(self, leg: Leg) -> None:
        self._quiet()
        leg.join(None)
        flow, variables = self._order.flow, CallVariables(leg.attempt, self._number)
        run = Run(flow, id=leg.id, medium="call", clock=_now, variables=variables)
        for name, value in self._order.variables.items():
            run.variables.set(name, value)
        self._serve(leg, run)

    def ended(self, call: Call) -> None:
        self._quiet()
        self._book.leave(call)

    def pressed(self, call: Call, digits: str, *, relayed: bool) -> None:
        """Before the answer keys mean nothing."""

    def described(self, call: Call, direction: Direction) -> None:
        """Before the answer there is nothing to be described anew."""

    def _quiet(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def check_variables(flow: Flow, variables: dict[str, str]) -> None:
    """Raises Invalid, Forbidden for variables that a run of this flow cannot begin with."""
    run = Run(flow, id="", medium="call", clock=_now)
    for name, value in variables.items():
        run.variables.set(name, value)


def _now() -> datetime:
    return datetime.now(UTC)
