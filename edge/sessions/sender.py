"""A sender: gives one carrier its texts when they are due, and writes down what became of each.

A carrier's error says whether to try again. If so, the wait doubles each time, up to a bound, and is spread a little,
so that what failed together does not come back together. Texts between two numbers leave in the order they were put in,
except that one that waits for its next try is overtaken.
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import count
from typing import Any, Final

from pydantic import Field, PositiveFloat, PositiveInt

from edge.errors import Unavailable
from edge.log import get_logger
from edge.metrics import counter, gauge
from edge.sessions.inbox import PAUSES
from edge.sessions.lanes import Lanes
from edge.settings import Section
from edge.sms.carrier import Carrier, NotNow, SendError
from edge.sms.text import OutgoingText
from edge.store.metadata import NIL, micros
from edge.store.writer import Statement, Writer

log = get_logger("outbox")

TEXTS = counter("texts_total", "Texts by carrier and by what became of them.", ("carrier", "direction", "outcome"))
DEPTH = gauge("outbox_depth", "Texts that wait to be sent, of all processes.", ("carrier",))
OLDEST = gauge("outbox_oldest_seconds", "Age of the oldest text that waits to be sent.", ("carrier",))
SENT_OUTCOMES: Final = ("sent", "failed", "retried")

SPREAD: Final = 0.2  # a wait is up to this part longer or shorter


class OutboxSection(Section):
    """Texts that go out."""

    at_once: PositiveInt = Field(default=32, description="Texts that one carrier is given at the same time.")
    held: PositiveInt = Field(
        default=10_000, description="Waiting texts of one carrier kept in memory; more stay in the database."
    )
    first_wait_seconds: PositiveFloat = Field(
        default=1.0, description="The wait before the second try; it doubles with each further one."
    )
    longest_wait_seconds: PositiveFloat = Field(default=900.0, description="No wait is longer than this.")
    attempts: PositiveInt = Field(default=100, description="Tries before a text is given up as failed.")
    give_up_hours: PositiveFloat = Field(default=24.0, description="Age at which a text is given up as failed.")


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A message to send, as its rows say it. `tm_create` in microseconds."""

    id: str
    customer_id: str
    carrier: str
    number: str
    peer: str
    text: str
    tm_create: int
    route: str = ""
    number_id: str = NIL
    conversation_id: str = NIL
    reference_id: str = NIL
    attempts: int = 0  # tries made


OVER: Final = Statement.of(
    "outbox.over",
    "UPDATE outbox SET state = ?, attempts = ?, carrier_id = ?, code = ?, error = ?, tm_update = ?, claimed_until = 0"
    " WHERE id = ? AND state = 'queued'",
)
AGAIN: Final = Statement.of(
    "outbox.again",
    "UPDATE outbox SET attempts = ?, due = ?, code = ?, error = ?, tm_update = ? WHERE id = ? AND state = 'queued'",
)


class Sender:
    """The texts of one carrier that this process holds. `held` are their ids, `behind` that SQL has more.

    `chance` gives numbers from 0 to 1. `wants_more` is called when there is room again for rows in SQL.
    """

    def __init__(
        self,
        carrier: Carrier,
        section: OutboxSection,
        writer: Writer,
        clock: Callable[[], datetime],
        pause: Callable[[float], Awaitable[None]],
        chance: Callable[[], float],
        wants_more: Callable[[], None],
    ) -> None:
        self._carrier = carrier
        self._section = section
        self._writer = writer
        self._clock = clock
        self._pause = pause
        self._chance = chance
        self._wants_more = wants_more
        self._lanes = Lanes(section.at_once)
        self._queue: list[tuple[int, int, Outgoing]] = []  # a heap: due, order of entry, text
        self._entry = count()
        self._changed = asyncio.Event()
        self._counted = {o: TEXTS.labels(carrier.name, "outbound", o) for o in SENT_OUTCOMES}
        self.depth = DEPTH.labels(carrier.name)
        self.held: set[str] = set()
        self.behind = False  # there are rows in SQL that found no room here

    @property
    def name(self) -> str:
        return self._carrier.name

    @property
    def room(self) -> int:
        return self._section.held - len(self.held)

    def hold(self, row_id: str) -> bool:
        """Make room for a row; False: there is none, or it is here already."""
        if row_id in self.held or self.room <= 0:
            return False
        self.held.add(row_id)
        return True

    def drop(self, row_id: str) -> None:
        self.held.discard(row_id)
        if self.behind and self.room >= self._section.held // 2:
            self.behind = False
            self._wants_more()

    def add(self, text: Outgoing, due: int) -> None:
        """Have a held text sent when it is due."""
        heapq.heappush(self._queue, (due, next(self._entry), text))
        if self._queue[0][2] is text:
            self._changed.set()

    async def work(self) -> None:
        """Send for ever."""
        while True:
            wait = self.begin_due()
            self._changed.clear()
            try:
                async with asyncio.timeout(wait):
                    await self._changed.wait()
            except TimeoutError:
                pass

    def begin_due(self) -> float | None:
        """Begin to send all that is due; returns the seconds until something else is."""
        now = micros(self._clock())
        while self._queue and self._queue[0][0] <= now:
            text = heapq.heappop(self._queue)[2]
            self._lanes.add((text.number, text.peer), lambda text=text: self._send(text))  # type: ignore[misc]
        return (self._queue[0][0] - now) / 1e6 if self._queue else None

    async def idle(self) -> None:
        await self._lanes.idle()

    async def close(self) -> None:
        await self._lanes.close()

    async def _send(self, text: Outgoing) -> None:
        tries = text.attempts + 1
        try:
            receipt = await self._carrier.send(
                OutgoingText(text.id, text.customer_id, text.number, text.peer, text.text, text.route)
            )
        except SendError as error:
            await self._failed(text, tries, error)
        except Exception as error:
            log.exception("carrier failed", carrier=self._carrier.name, message_id=text.id)
            await self._failed(text, tries, NotNow(f"a fault of ours: {type(error).__name__}"))
        else:
            await self._over(text, ("sent", tries, receipt.carrier_id, "", ""))

    async def _failed(self, text: Outgoing, tries: int, error: SendError) -> None:
        now = self._clock()
        due = now + timedelta(seconds=self._wait(tries, error))
        last = micros(due) >= text.tm_create + self._section.give_up_hours * 3_600_000_000
        if not error.retry or tries >= self._section.attempts or last:
            sentence = error.sentence if not error.retry else f"given up after {tries} tries: {error.sentence}"
            log.warning(
                "text not sent", message_id=text.id, carrier=self._carrier.name, error=sentence, code=error.code
            )
            await self._over(text, ("failed", tries, "", error.code, sentence))
            return
        self._counted["retried"].inc()
        log.info("text waits", message_id=text.id, carrier=self._carrier.name, tries=tries, error=error.sentence)
        await self._write(AGAIN, (tries, micros(due), error.code, error.sentence, micros(now), text.id))
        self.add(replace(text, attempts=tries), micros(due))

    def _wait(self, tries: int, error: SendError) -> float:
        section = self._section
        wait = min(section.longest_wait_seconds, section.first_wait_seconds * 2.0 ** min(tries - 1, 60))
        if isinstance(error, NotNow) and error.after is not None:
            wait = max(wait, error.after)
        return wait * (1 + SPREAD * (2 * self._chance() - 1))

    async def _over(self, text: Outgoing, result: tuple[str, int, str, str, str]) -> None:
        await self._write(OVER, (*result, micros(self._clock()), text.id))
        self._counted[result[0]].inc()
        self.depth.dec()
        self.drop(text.id)

    async def _write(self, statement: Statement, row: tuple[Any, ...]) -> None:
        """Write until SQL takes it: what was sent must not be sent again because SQL was away."""
        tries = 0
        while True:
            try:
                await self._writer.put(statement, [row])
            except Unavailable as error:
                if tries == 0:
                    log.warning("a sent text cannot be written down", message_id=row[-1], error=error.message)
                await self._pause(PAUSES[min(tries, len(PAUSES) - 1)])
                tries += 1
            else:
                return
