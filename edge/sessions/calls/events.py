"""Events of calls: written with the records of calls, some time soon, so that a call waits for none of them.

    call_created       its number and its flow are known, or we have begun to make it
    call_progressing   it was answered
    call_hangup        it is over; its data are those of its record

A crash may lose the last quarter of a second of them, as it may of records. Of an incoming call the account is told as
it stood when the call came.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final

from edge.accounts.customer import Customer, CustomerDirectory
from edge.accounts.event import EventType
from edge.errors import Unavailable
from edge.log import get_logger
from edge.sessions.calls.record import Attempt, withheld
from edge.sessions.events.event import KEEP, Event
from edge.sessions.events.journal import Journal
from edge.store.metadata import NIL
from edge.store.writer import Writer

log = get_logger("events")

LATER: Final = 0.1  # seconds after rows should have been written until they are looked for

Tell = Callable[[EventType, Attempt], None]


def silent(_type: EventType, _attempt: Attempt) -> None:
    """Tells nobody."""


class CallEvents:
    """One for the daemon. `form` makes of a call in its public form what the API shows; `lazy_seconds` is how long the
    writer takes to write what it is given for later."""

    def __init__(
        self,
        journal: Journal,
        accounts: CustomerDirectory,
        writer: Writer,
        form: Callable[[Mapping[str, Any]], Mapping[str, Any]],
        clock: Callable[[], datetime],
        lazy_seconds: float,
    ) -> None:
        self._journal = journal
        self._accounts = accounts
        self._writer = writer
        self._form = form
        self._clock = clock
        self._wait = lazy_seconds + LATER
        self._soon: set[str] = set()  # accounts whose events will be looked for
        self._asking: set[asyncio.Task[None]] = set()

    def tell(self, type: EventType, attempt: Attempt) -> None:
        """Something happened to a call. Never waits."""
        account = attempt.account
        if account is None:
            if attempt.direction != "outgoing" or attempt.customer_id == NIL:
                return
            found = self._accounts.peek(attempt.customer_id, time.monotonic())
            if found is None:
                task = asyncio.create_task(self._ask(type, attempt, _shown(type, attempt), self._clock()))
                self._asking.add(task)
                task.add_done_callback(self._asking.discard)
                return
            account = found.value
        if account is not None and account.hears(type):
            self._write(type, account, _shown(type, attempt), self._clock())

    async def close(self) -> None:
        """Wait until it is known who is to be told."""
        if self._asking:
            await asyncio.wait(self._asking)

    async def _ask(self, type: EventType, attempt: Attempt, shown: Mapping[str, Any], now: datetime) -> None:
        try:
            account = (await self._accounts.find(attempt.customer_id)).value
        except Unavailable as error:
            log.warning("an event of a call is lost", type=type, call_id=attempt.call_id, error=error.message)
            return
        if account is not None and account.hears(type):
            self._write(type, account, shown, now)

    def _write(self, type: EventType, account: Customer, shown: Mapping[str, Any], now: datetime) -> None:
        event = Event(account.id, type, shown["id"], "", self._form(shown), now)
        self._writer.put_later(KEEP, [event.row()])
        if account.id not in self._soon:
            self._soon.add(account.id)
            asyncio.get_running_loop().call_later(self._wait, self._look, account.id)

    def _look(self, customer_id: str) -> None:
        self._soon.discard(customer_id)
        self._journal.written(customer_id)


def _shown(type: EventType, attempt: Attempt) -> dict[str, Any]:
    """What the API shows its account of a call now, or of its record."""
    shown = dict(withheld(attempt.recorded() if type == "call_hangup" else attempt.public()))
    ids = list(attempt.recording_ids)
    return {**shown, "recording_ids": ids, "recording_id": ids[-1]} if ids else shown
