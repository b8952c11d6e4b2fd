"""The inbox: texts are in SQL before their carriers hear "received", and then run their flows at least once.

1. `accept` inserts the row; (carrier, carrier_id) is unique among incoming ones, so the second of two equal texts finds
   the first and gets its answer, also when both arrive at once, here or at another process.
2. A row with a flow is `pending` until its run is over. Runs of one pair of numbers go one after another, in the order
   in which the texts were kept; of all pairs, so many at once.
3. What a dead process left pending is taken up by the next one of its name at once, or by another when the claim has
   run out. That a run begins is written down before it does: a text whose run takes the process down with it a few
   times is `failed`, and the daemon lives.

Memory holds a bounded number of pending texts. While there are more, new ones are kept in SQL only, and are read from
there when there is room again; until SQL is read up, no newer text overtakes them.

What is not nice: a run cut off by a crash is repeated from its first step. What it sent is not sent again (the outbox
knows it), but a step that waited, waits again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final, NamedTuple, TypeVar

from pydantic import Field, PositiveInt
from sqlalchemy.ext.asyncio import AsyncEngine

from edge.errors import Unavailable
from edge.log import get_logger
from edge.metrics import gauge
from edge.sessions.conversation import said
from edge.sessions.queues.claims import NOBODY, PAUSES, RENEW_SECONDS, Claims
from edge.sessions.queues.lanes import Lanes
from edge.sessions.tables import messages
from edge.sessions.texts.incoming import BEGIN, COLUMNS, DONE, KEEP, Incoming, Performed, known, pending
from edge.sessions.texts.news import News, NoNews
from edge.settings import Section
from edge.store.metadata import micros, storable
from edge.store.writer import Then, Writer

log = get_logger("inbox")

T = TypeVar("T")

PENDING = gauge("texts_pending", "Texts kept whose flow has not come to its end, as far as this process holds them.")

PAGE: Final = 500  # rows read at a time when taking up what was left


class InboxSection(Section):
    """Texts that come in."""

    runs: PositiveInt = Field(default=256, description="Texts whose flows run at the same time; others wait.")
    held: PositiveInt = Field(
        default=10_000,
        description="Texts with a flow to run kept in memory; more stay in the database until there is room.",
    )
    attempts: PositiveInt = Field(
        default=5,
        description="Runs of one text that may end with the whole process before the text is given up as failed.",
    )


class Accepted(NamedTuple):
    """A text that is in SQL. `new`: it was not there before."""

    text: Incoming
    new: bool


Perform = Callable[[Incoming], Awaitable[Performed]]


class Inbox:
    """Keeps texts and has their flows run. `start` before the first `accept`; `close` leaves the rest for next time.

    `perform` runs the flow of one text. It raises Unavailable when it cannot even begin, and is then asked again later;
    whatever else it raises is the end of that text's run. `node` is this process's name in claims: stable over
    restarts, and nobody else's at the same time. `news` tells of new texts.
    """

    def __init__(
        self,
        section: InboxSection,
        engine: AsyncEngine,
        writer: Writer,
        perform: Perform,
        *,
        node: str,
        news: News | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._section = section
        self._engine = engine
        self._writer = writer
        self._perform = perform
        self._claims = Claims(writer, node, "messages")
        self._news = news or NoNews()
        self._clock = clock
        self._pause = pause
        self._lanes = Lanes(section.runs)
        self._held: set[str] = set()
        self._arriving: dict[tuple[str, str], asyncio.Future[Accepted]] = {}
        self._behind = False  # there are pending rows in SQL that are not held
        self._left = 0  # how many were ever left to SQL, to see whether any was while it was read
        self._leaving = 0  # of those, how many are not there yet
        self._unsure = False  # a row may have been kept though nobody was told
        self._reading = asyncio.Event()
        self._one_reads = asyncio.Lock()
        self._tending: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Take up what was left pending. Raises Unavailable."""
        await self._claims.recover()
        await self._catch_up()
        self._tending = [asyncio.create_task(self._tend()), asyncio.create_task(self._refill())]

    async def close(self) -> None:
        """Stop the runs under way; they begin anew with the next start."""
        for task in self._tending:
            task.cancel()
        await asyncio.gather(*self._tending, return_exceptions=True)
        await self._lanes.close()
        try:
            await self._claims.leave()
        except Unavailable as error:
            log.warning("pending texts stay claimed for a while", error=error.message)
        PENDING.dec(len(self._held))
        self._held.clear()

    def wake(self) -> None:
        """Look soon for texts whose flow somebody wants run again."""
        self._reading.set()

    async def idle(self) -> None:
        """Wait until no run of a text is left."""
        await self._lanes.idle()

    async def accept(self, text: Incoming, then: Sequence[Then] = ()) -> Accepted:
        """Keep a text, and with it, if it is new, what belongs to it; it is durable when this returns.

        Raises Unavailable when that cannot be.
        Whoever gives up waiting does not know: it may be kept nevertheless, and run.
        """
        identity = (text.carrier, text.carrier_id)
        first = self._arriving.get(identity)
        if first is not None:
            return (await asyncio.shield(first))._replace(new=False)
        result = self._arriving[identity] = asyncio.get_running_loop().create_future()
        try:
            accepted = await self._keep(text, then)
        except BaseException:
            result.set_exception(Unavailable("the text was not kept"))
            result.exception()  # seen, even if nobody else waits for it
            raise
        finally:
            del self._arriving[identity]
        result.set_result(accepted)
        return accepted

    async def _keep(self, text: Incoming, then: Sequence[Then]) -> Accepted:
        told = text.direction == "inbound" and not text.refusal and await self._news.hears(text.customer_id)
        hold = text.has_work and self._room()
        begun = hold and self._lanes.free(text.pair)
        if begun:
            text = replace(text, attempts=1)
        row = text.row(self._claims.node, self._claims.until(self._clock())) if hold else text.row(*NOBODY)
        if hold:
            self._hold(text.id)
        elif text.has_work:
            self._leaving += 1
        if text.direction == "inbound":
            then = (*said(text, came=True), *then)
        kept: bool | None = None
        try:
            kept = await self._writer.put_with(KEEP, row, (*then, *self._news.created(COLUMNS, row)) if told else then)
        finally:
            if kept is None:
                self._unsure = True
            if hold and not kept:
                self._drop(text.id)
            elif not hold and text.has_work:
                self._leave_in_sql()
        if not kept:
            return Accepted(await known(self._engine, text.carrier, text.carrier_id, text.direction), False)
        if told:
            self._news.written(text.customer_id)
        if hold:
            self._lanes.add(text.pair, lambda: self._run(text, begun=begun))
        return Accepted(text, True)

    # Running

    async def _run(self, text: Incoming, *, begun: bool) -> None:
        if not begun and not await self._insist(lambda: self._writer.put(BEGIN, [(text.id, self._claims.node)])):
            self._drop(text.id)  # another process took it over
            return
        try:
            performed = await self._insist(lambda: self._perform(text))
        except Exception as error:
            log.exception("run of a text failed", message_id=text.id)
            performed = Performed("failed", f"{type(error).__name__}: {error}")
        await self._finish(text.id, "done", performed)

    async def _finish(self, row_id: str, state: str, performed: Performed) -> None:
        p, now = performed, micros(self._clock())
        row = (state, p.outcome, storable(p.error), p.cut_by, storable(p.steps), p.flow_version, now, row_id)
        await self._insist(lambda: self._writer.put(DONE, [row]))
        self._drop(row_id)

    async def _insist(self, attempt: Callable[[], Awaitable[T]]) -> T:
        """Try until it is not Unavailable."""
        tries = 0
        while True:
            try:
                return await attempt()
            except Unavailable as error:
                if tries == 0:
                    log.warning("a text waits", error=error.message)
                await self._pause(PAUSES[min(tries, len(PAUSES) - 1)])
                tries += 1

    # What is held, and what is left in SQL

    def _room(self) -> bool:
        return not self._behind and len(self._held) < self._section.held

    def _hold(self, row_id: str) -> None:
        self._held.add(row_id)
        PENDING.inc()

    def _drop(self, row_id: str) -> None:
        if row_id not in self._held:
            return
        self._held.remove(row_id)
        PENDING.dec()
        if self._behind and len(self._held) <= self._section.held // 2:
            self._reading.set()

    def _leave_in_sql(self) -> None:
        self._leaving -= 1
        self._left += 1
        self._behind = True
        if len(self._held) <= self._section.held // 2:
            self._reading.set()

    async def _tend(self) -> None:
        """Hold on to what we have, and look for what the dead have left."""
        while True:
            await self._pause(RENEW_SECONDS)
            try:
                if self._held:
                    await self._claims.renew(self._clock())
                if self._unsure:
                    await self._find_strays()
                await self._catch_up()
            except Unavailable as error:
                log.warning("claims on texts not renewed", error=error.message)
            except Exception:
                log.exception("pending texts not looked after")

    async def _refill(self) -> None:
        """Read on when there is room again."""
        while True:
            await self._reading.wait()
            self._reading.clear()
            try:
                await self._insist(self._catch_up)
            except Exception:
                log.exception("pending texts not read")

    async def _catch_up(self) -> None:
        """Take pending rows that nobody claims, oldest first, while there is room."""
        async with self._one_reads:
            after = (-1, "")
            while True:
                left, room = self._left, self._section.held - len(self._held)
                if room <= 0:
                    self._behind = True
                    return
                now = self._clock()
                rows = await pending(self._engine, messages.c.claimed_until < now, after, min(PAGE, room))
                if rows:
                    after = (rows[-1].tm_create, rows[-1].id)
                    free = [text for text in rows if text.id not in self._held]
                    for text, ours in zip(free, await self._claims.take([t.id for t in free], now), strict=True):
                        if ours:
                            await self._take_up(text)
                elif self._left == left:
                    self._behind = self._leaving > 0
                    return
                else:
                    after = (-1, "")

    async def _find_strays(self) -> None:
        """Take what is claimed by us and not held: rows that nobody was told about when they were kept."""
        async with self._one_reads:
            self._unsure = False
            try:
                await self._writer.flush()  # with what those who gave up waiting have handed in
                after = (-1, "")
                while rows := await pending(self._engine, messages.c.claimed_by == self._claims.node, after, PAGE):
                    after = (rows[-1].tm_create, rows[-1].id)
                    for text in rows:
                        if text.id not in self._held:
                            await self._take_up(text)
            except BaseException:
                self._unsure = True
                raise

    async def _take_up(self, text: Incoming) -> None:
        self._hold(text.id)
        if text.attempts >= self._section.attempts:
            log.error("text given up", message_id=text.id, attempts=text.attempts)
            error = f"given up: {text.attempts} runs ended together with the process"
            await self._finish(text.id, "failed", Performed("failed", error))
            return
        self._lanes.add(text.pair, lambda: self._run(text, begun=False))
