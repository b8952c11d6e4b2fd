"""The book of calls: every call that rings or is up, in both directions, each until its record is written."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache

from edge.errors import Exhausted
from edge.flows.run import Entry, Run
from edge.log import enabled, get_logger
from edge.metrics import gauge
from edge.sessions.calls import limits
from edge.sessions.calls.call import Call
from edge.sessions.calls.events import Tell, silent
from edge.sessions.calls.guests import Guests
from edge.sessions.calls.record import Attempt, CallRecords, wall_micros
from edge.store.metadata import json_text

log = get_logger("calls")

ACTIVE = gauge("calls_active", "Calls that are ringing or answered.")


class CallBook:
    """One for the daemon."""

    def __init__(self, records: CallRecords, guests: Guests, tell: Tell = silent) -> None:
        self._records = records
        self._tell = tell
        self._guests = guests
        self._calls: dict[str, Call] = {}  # by id
        self._outgoing: Counter[str] = Counter()  # by account
        self._of_trunk: Counter[str] = Counter()  # calls of both directions, by the name of their trunk
        self._busy = 0
        self._idle = asyncio.Event()
        self._idle.set()
        ACTIVE.set_function(lambda: len(self._calls))

    @property
    def active(self) -> int:
        return len(self._calls)

    def of_trunk(self, name: str) -> int:
        """How many calls a trunk has now."""
        return self._of_trunk[name]

    def require_room(self, customer_id: str, trunk: str = "", max_calls: int | None = None) -> None:
        """Raises Exhausted when this account has as many calls of our making as it may, or the trunk as it may have."""
        if max_calls is not None and self._of_trunk[trunk] >= max_calls:
            raise Exhausted(f"trunk {trunk} has {max_calls} calls already")
        if self._outgoing[customer_id] >= limits.LEGS_PER_ACCOUNT:
            raise Exhausted(f"this account has {limits.LEGS_PER_ACCOUNT} outgoing calls already")

    def __iter__(self) -> Iterator[Call]:
        return iter(list(self._calls.values()))

    def find(self, call_id: str) -> Call | None:
        """The call of that id, if it is here."""
        return self._calls.get(call_id)

    async def idle(self) -> None:
        """Wait until no call is left, and nothing that is done for one."""
        await self._idle.wait()

    @contextmanager
    def busy(self) -> Iterator[None]:
        """Somebody is at work for a call that is over; the drain waits for it as for a call."""
        self._busy += 1
        self._idle.clear()
        try:
            yield
        finally:
            self._busy -= 1
            self._rest()

    def hang_up_all(self) -> None:
        """The end of the drain: BYE for what is answered, 503 for what is not, CANCEL for what we ring."""
        for call in list(self._calls.values()):
            if not call.answered:
                call.attempt.reason = "Draining"
            call.hang_up("normal", status=503)

    def enter(self, call: Call) -> None:
        self._calls[call.id] = call
        self._idle.clear()
        self._of_trunk[call.attempt.trunk] += 1
        if call.attempt.direction == "outgoing":
            self._outgoing[call.attempt.customer_id] += 1
            if _is_to_guest(call):
                self._guests.enter(call.attempt.remote)
            self._tell("call_created", call.attempt)

    def leave(self, call: Call, run: Run | None = None) -> None:
        """It is over, and its run too if it had one. Without effect for one that left before."""
        if self._calls.pop(call.id, None) is None:
            return
        self._rest()
        attempt = call.attempt
        self._of_trunk[attempt.trunk] -= 1
        if attempt.direction == "outgoing":
            self._outgoing[attempt.customer_id] -= 1
            if not self._outgoing[attempt.customer_id]:
                del self._outgoing[attempt.customer_id]
            if _is_to_guest(call):
                self._guests.leave(attempt.remote)
        attempt.tm_hangup = wall_micros()
        if run is not None:
            attempt.cut_by = run.cut_by or ""
            attempt.steps = _steps_text(tuple(run.log))
        call.let_go()
        self._records.keep(attempt)
        if attempt.account is not None or attempt.direction == "outgoing":
            self._tell("call_hangup", attempt)
        if not enabled("info"):
            return
        log.info(
            "call ended",
            call_id=attempt.call_id,
            direction=attempt.direction,
            trunk=attempt.trunk,
            source=attempt.shown_source,
            destination=attempt.destination or attempt.dialed,
            outcome=attempt.outcome,
            code=attempt.sip_code,
            by=attempt.hangup_by,
            error=attempt.error or None,
        )

    def note(self, attempt: Attempt) -> None:
        """The record of an attempt that never became a call."""
        attempt.tm_hangup = wall_micros()
        self._records.keep(attempt)

    def _rest(self) -> None:
        if not self._calls and not self._busy:
            self._idle.set()


def _is_to_guest(call: Call) -> bool:
    """Whether it went to the host of a SIP URI: by no trunk, and not within the edge."""
    return not call.attempt.trunk and bool(call.attempt.remote)


@lru_cache(maxsize=1024)
def _steps_text(log: tuple[Entry, ...]) -> str:
    """Remembered, since calls to one number mostly go one way."""
    return json_text([entry._asdict() for entry in log])
