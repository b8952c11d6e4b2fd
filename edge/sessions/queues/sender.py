"""A sender: gives one channel (a carrier of texts, webhooks, emails) what is due, and writes down what became of each.

The channel's error says whether to try again. If so, the wait doubles each time, up to a bound, and is spread a little,
so that what failed together does not come back together. What is in one lane (the texts between two numbers) leaves in
the order it was put in, except that one that waits for its next try is overtaken.

Before anything is handed to the channel the sender asks, in the same turn of the loop, whether it still may: whether
the claims of this process hold, or its lease where the channel has one. A process that was frozen, or cut off from SQL,
so does not send what another has taken over meanwhile. Nor does it change such a row: a wait, a failure and another way
are written only while the row is claimed by this process. That something was sent is written whoever has it, for it is
so, and must not happen again.

A channel that is busy pauses as a whole (`gate.py`): what waits for it is not tried, so these are no failed tries, and
keeps its order. What gets too old meanwhile is given up.

What a channel does not take may have another way out: the backlog says which, and has it moved there.
"""

from __future__ import annotations

import asyncio
import collections
import heapq
import time
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from functools import partial
from itertools import count
from typing import Any, Final, Generic, NamedTuple

from pydantic import Field, PositiveFloat, PositiveInt

from edge.errors import Unavailable
from edge.log import get_logger
from edge.sessions.queues.books import Alone, Along, Books, Over, Pacing, Send, T, Ways
from edge.sessions.queues.claims import PAUSES
from edge.sessions.queues.gate import Gate
from edge.sessions.queues.lanes import Again, Lanes
from edge.settings import Section
from edge.sms.carrier import Busy, NotNow, SendError
from edge.store.metadata import micros, storable
from edge.store.writer import Row, Writer

log = get_logger("outbox")

OUTCOMES: Final = ("sent", "failed", "retried", "moved")
LATE: Final = 200  # items given up, or moved, at a time
SPREAD: Final = 0.2  # a wait is up to this part longer or shorter


class SenderSection(Section):
    """How often and how long it is tried to send something."""

    at_once: PositiveInt = Field(
        default=32, description="How many one channel, such as a carrier, is given at the same time."
    )
    held: PositiveInt = Field(
        default=10_000, description="How many of one channel wait in memory; more stay in the database."
    )
    first_wait_seconds: PositiveFloat = Field(
        default=1.0, description="The wait before the second try; it doubles with each further one."
    )
    longest_wait_seconds: PositiveFloat = Field(default=900.0, description="No wait is longer than this.")
    attempts: PositiveInt = Field(default=100, description="Tries before it is given up as failed.")
    give_up_hours: PositiveFloat = Field(default=24.0, description="Age at which it is given up as failed.")


class _Held(NamedTuple, Generic[T]):
    """An item in memory, and when its row was claimed, in microseconds."""

    item: T
    claimed: int


class Sender(Generic[T]):
    """What this process holds of one channel, by id in `held`; `behind` is that SQL has more.

    `node` is this process's name in claims. `chance` gives numbers from 0 to 1. `wants_more` is called when there is
    room again for rows in SQL. `may` says whether a row that was claimed at some time is ours to send now; what is not
    is dropped, and `stray` called.
    """

    def __init__(
        self,
        name: str,
        send: Send[T],
        books: Books,
        section: SenderSection,
        writer: Writer,
        clock: Callable[[], datetime],
        pause: Callable[[float], Awaitable[None]],
        chance: Callable[[], float],
        wants_more: Callable[[], None],
        along: Along[T] | None = None,
        may: Callable[[int], bool] = lambda _: True,
        stray: Callable[[], None] = lambda: None,
        ways: Ways[T] | None = None,
        pacing: Pacing[T] | None = None,
        ticks: Callable[[], float] = time.monotonic,
        node: str = "",
    ) -> None:
        self.name = name
        self._node = node
        self._along: Along[T] = along or Alone()
        self._deliver = send
        self._books = books
        self._section = section
        self._writer = writer
        self._clock = clock
        self._pause = pause
        self._chance = chance
        self._wants_more = wants_more
        self.may = may
        self._stray = stray
        self._ways = ways
        self._pacing = pacing
        self._gate = Gate(ticks, *((pacing.rate, pacing.per_group) if pacing is not None else ()))
        self._lanes = Lanes(section.at_once, self._gate)
        self._busy: Busy | None = None  # what the channel said, while it pauses
        self._queue: list[tuple[int, int, T]] = []  # a heap: due, order of entry, item
        self._entry = count()
        self._changed = asyncio.Event()
        self._counted = {outcome: books.count(name, outcome) for outcome in OUTCOMES}
        self.depth = books.depth.labels(name)
        books.paused.labels(name).set(0)
        self.held: dict[str, _Held[T]] = {}
        self._at_work: dict[str, asyncio.Task[Any] | None] = {}  # by id: with the channel, or None: being written down
        self._landed = asyncio.Event()  # something is with the channel no more
        self._owners: collections.Counter[str] = collections.Counter()
        self.last_sent: datetime | None = None
        self.behind = False  # there are rows in SQL that found no room here

    @property
    def paused(self) -> bool:
        """Whether the channel is busy, and all that is for it waits."""
        return self._busy is not None

    @property
    def room(self) -> int:
        return self._section.held - len(self.held)

    def held_of(self, customer_id: str) -> int:
        """How many of an account are held."""
        return self._owners[customer_id]

    def hold(self, item: T, claimed: int) -> bool:
        """Make room for a row; False: there is none, it is here already, or it is not ours to send."""
        if item.id in self.held or self.room <= 0 or not self.may(claimed):
            return False
        self.held[item.id] = _Held(item, claimed)
        self._owners[item.customer_id] += 1
        return True

    def drop(self, item: T) -> None:
        if self.held.pop(item.id, None) is not None:
            owner = item.customer_id
            self._owners[owner] -= 1
            if not self._owners[owner]:
                del self._owners[owner]
        if self.behind and self.room >= self._section.held // 2:
            self.behind = False
            self._wants_more()

    def add(self, item: T, due: int) -> None:
        """Have a held one sent when it is due."""
        heapq.heappush(self._queue, (due, next(self._entry), item))
        if self._queue[0][2] is item:
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
            item = heapq.heappop(self._queue)[2]
            work = partial(self._send, item)
            if self._pacing is None:
                self._lanes.add(item.lane, work)
            else:
                self._lanes.add(item.lane, work, group=self._pacing.group(item), units=self._pacing.units(item))
        return (self._queue[0][0] - now) / 1e6 if self._queue else None

    def forget(self) -> None:
        """Drop what is not ours to send any more, except what something is being done about."""
        held = [held for held in self.held.values() if held.item.id not in self._at_work]
        for item, claimed in held:
            if not self.may(claimed):
                self.drop(item)

    async def stop(self, seconds: float) -> None:
        """Give nothing more to the channel, for it is not ours any more. What it has been given it may answer for so
        long; what became of that is written down however long it takes.
        """
        self._queue.clear()
        self._lanes.clear()
        self.forget()
        try:
            async with asyncio.timeout(seconds):
                await self._until_landed()
        except TimeoutError:
            for task in self._at_work.values():
                if task is not None:
                    task.cancel()
            await self._until_landed()

    async def _until_landed(self) -> None:
        while any(self._at_work.values()):
            self._landed.clear()
            await self._landed.wait()

    async def idle(self) -> None:
        await self._lanes.idle()

    async def close(self) -> None:
        await self._lanes.close()

    async def look_after(self) -> None:
        """While the channel pauses: give up what has become too old, and have moved what has another way."""
        busy = self._busy
        if busy is None:
            return
        oldest = micros(self._clock()) - int(self._section.give_up_hours * 3_600_000_000)
        waiting = (item for item, _ in self.held.values() if item.id not in self._at_work)
        late = [item for item in waiting if item.since < oldest or self._other(item, busy) is not None][:LATE]
        for item in late:
            self._at_work[item.id] = None
        await asyncio.gather(*(self._end_waiting(item, busy) for item in late))

    async def _end_waiting(self, item: T, busy: Busy) -> None:
        try:
            if self._lost(item):
                return
            to = self._other(item, busy)
            if to is not None:
                await self._move(item, to, item.attempts, busy)
            else:
                await self._fail(item, item.attempts, busy)
        finally:
            del self._at_work[item.id]

    def _other(self, item: T, error: SendError) -> str | None:
        return self._ways.other(item, error) if self._ways is not None else None

    async def _move(self, item: T, to: str, tries: int, error: SendError) -> None:
        ways = self._ways
        assert ways is not None
        log.warning(f"{self._books.what} goes another way", id=item.id, channel=self.name, to=to, error=error.sentence)
        await self._insist(lambda: ways.move(item, to, tries, error), item.id)
        self._counted["moved"].inc()
        self.depth.dec()
        self.drop(item)

    async def _send(self, item: T) -> Again | None:
        held = self.held.get(item.id)
        if held is None or held.item is not item or item.id in self._at_work or self._lost(item):
            self._gate.returned()
            return None  # it was let go of while it waited for its turn
        tries = item.attempts + 1
        self._at_work[item.id] = asyncio.current_task()
        try:
            try:
                receipt = await self._deliver(item)
            finally:
                self._at_work[item.id] = None
                self._landed.set()
        except Busy as error:
            return self._wait_for_channel(item, error)
        except SendError as error:
            self._there()
            await self._failed(item, tries, error)
        except Exception as error:
            self._gate.returned()
            log.exception("a channel failed", channel=self.name, id=item.id)
            await self._failed(item, tries, NotNow(f"a fault of ours: {type(error).__name__}"))
        except asyncio.CancelledError:
            self._gate.returned()
            self.drop(item)
            raise
        else:
            self._there()
            ids = (receipt,) if isinstance(receipt, str) else receipt
            self.last_sent = self._clock()
            await self._over(item, tries, "sent", ids)
        finally:
            del self._at_work[item.id]
        return None

    def _wait_for_channel(self, item: T, error: Busy) -> Again | None:
        """The channel takes nothing now: the item stays where it was."""
        wait = self._gate.busy(error.after)
        if wait is not None:
            if self._busy is None:
                log.warning("a channel is busy, all that is for it waits", channel=self.name, error=error.sentence)
            self._busy = error
            self._books.paused.labels(self.name).set(1)
        return None if self._lost(item) else "again"

    def _there(self) -> None:
        """The channel answered, so it takes things again if it did not."""
        if self._gate.answered():
            log.info("a channel is there again", channel=self.name)
            self._busy = None
            self._books.paused.labels(self.name).set(0)
            self._lanes.look()

    def _lost(self, item: T) -> bool:
        """Whether an item is not ours to send any more; then it is dropped."""
        held = self.held.get(item.id)
        if held is not None and self.may(held.claimed):
            return False
        self.drop(item)
        self._stray()
        return True

    async def _failed(self, item: T, tries: int, error: SendError) -> None:
        if self._lost(item):
            return  # whose it is now will hear the same
        to = self._other(item, error)
        if to is not None:
            await self._move(item, to, tries, error)
            return
        now, what = self._clock(), self._books.what
        due = now + timedelta(seconds=self._wait(tries, error))
        last = micros(due) >= item.since + self._section.give_up_hours * 3_600_000_000
        if not error.retry or tries >= self._section.attempts or last:
            await self._fail(item, tries, error)
            return
        self._counted["retried"].inc()
        log.info(f"{what} waits", id=item.id, channel=self.name, tries=tries, error=error.sentence)
        said = (storable(error.code), storable(error.sentence), micros(now))
        row = (tries, micros(due), *said, item.id, self.name, self._node)
        if not await self._insist(lambda: self._writer.put(self._books.again, [row]), item.id):
            self._taken_over(item)
            return
        again = item.tried(tries)
        self.held[item.id] = self.held[item.id]._replace(item=again)
        self.add(again, micros(due))

    async def _fail(self, item: T, tries: int, error: SendError) -> None:
        sentence = error.sentence if not error.retry else f"given up after {tries} tries: {error.sentence}"
        log.warning(f"{self._books.what} not sent", id=item.id, channel=self.name, error=sentence, code=error.code)
        await self._over(item, tries, "failed", (), error.code, sentence)

    def _wait(self, tries: int, error: SendError) -> float:
        section = self._section
        wait = min(section.longest_wait_seconds, section.first_wait_seconds * 2.0 ** min(tries - 1, 60))
        if isinstance(error, NotNow) and error.after is not None:
            wait = max(wait, error.after)
        return wait * (1 + SPREAD * (2 * self._chance() - 1))

    async def _over(
        self, item: T, tries: int, state: str, ids: tuple[str, ...], code: str = "", error: str = ""
    ) -> None:
        over = Over(self.name, state, ids, storable(code), storable(error), micros(self._clock()), tries)
        row: Row = (state, tries, ids[0] if ids else "", over.code, over.error, over.when, item.id)
        statement = self._books.over
        if state == "failed":
            statement, row = self._books.failed, (*row, self.name, self._node)

        writes = 0

        async def write() -> bool:
            nonlocal writes
            along = await self._along.along(item, over)
            writes += 1
            return await self._writer.put_with(statement, row, along)

        if not await self._insist(write, item.id) and writes == 1:  # else the one before may have done it
            self._taken_over(item)
            return
        self._counted[state].inc()
        self.depth.dec()
        self.drop(item)
        await self._along.settle(item, over)

    def _taken_over(self, item: T) -> None:
        log.warning(f"{self._books.what} is another process's by now", id=item.id, channel=self.name)
        self.drop(item)

    async def _insist(self, write: Callable[[], Awaitable[object]], item_id: str) -> bool:
        """Write until SQL takes it: what was sent must not be sent again because SQL was away. Whether the last
        write changed something.
        """
        tries = 0
        while True:
            try:
                return bool(await write())
            except Unavailable as error:
                if tries == 0:
                    log.warning("what was sent cannot be written down", id=item_id, error=error.message)
                await self._pause(PAUSES[min(tries, len(PAUSES) - 1)])
                tries += 1
