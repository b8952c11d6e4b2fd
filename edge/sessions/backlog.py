"""A backlog: rows in SQL to be sent, each by its channel, until the other side takes it or there is no more hope.

The outbox of texts is one, the deliveries of webhooks and emails another. Nothing polls: what is put goes to its
channel's sender (`sender.py`) in memory. SQL is read at the start, for what other processes have left, and for rows
that found no room in memory.

What is not nice: when the process dies between the other side's yes and the row that says so, the row is sent again.
Its id is the same, so whoever looks at ids can tell.
"""

from __future__ import annotations

import asyncio
import random
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Generic, NamedTuple, TypedDict, TypeVar, Unpack

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from edge.errors import Unavailable
from edge.log import get_logger
from edge.sessions.claims import NOBODY, RENEW_SECONDS, Claims
from edge.sessions.sender import Along, Books, Item, Send, Sender, SenderSection
from edge.store.engine import reading
from edge.store.metadata import micros
from edge.store.writer import Writer

log = get_logger("outbox")

T = TypeVar("T", bound=Item)

PAGE: Final = 500  # rows read at a time


class Waiting(NamedTuple, Generic[T]):
    """A row that is to be sent, and when: microseconds since the epoch."""

    item: T
    due: int


class Claim(NamedTuple):
    """What a new row says of when it is due and who has it."""

    due: int
    by: str
    until: int


class Pace(TypedDict, total=False):
    """How time passes: `clock` tells it, `pause` waits, `chance` gives numbers from 0 to 1 that spread the waits."""

    clock: Callable[[], datetime]
    pause: Callable[[float], Awaitable[None]]
    chance: Callable[[], float]


class Backlog(ABC, Generic[T]):
    """Keeps what is to be sent. `start` before the first row is put; `close` leaves the rest for later.

    `channels` says for each name how to send; `node` is this process's name in claims, see `inbox.py`; `along` what
    else happens when something is over.
    """

    def __init__(
        self,
        books: Books,
        section: SenderSection,
        engine: AsyncEngine,
        writer: Writer,
        channels: Mapping[str, Send[T]],
        *,
        node: str,
        along: Along[T] | None = None,
        **pace: Unpack[Pace],
    ) -> None:
        clock, pause = pace.get("clock", lambda: datetime.now(UTC)), pace.get("pause", asyncio.sleep)
        chance = pace.get("chance", random.random)
        self._books = books
        self._section = section
        self._engine = engine
        self._writer = writer
        self._claims = Claims(writer, node, books.table.name)
        self._clock = clock
        self._pause = pause
        self._senders = {
            name: Sender(name, send, books, section, writer, clock, pause, chance, self._look_again, along)
            for name, send in channels.items()
        }
        self._reading = asyncio.Event()
        self._one_reads = asyncio.Lock()
        self._unsure = False  # a row may have been kept though nobody was told
        self._tending: list[asyncio.Task[None]] = []

    @abstractmethod
    async def _waiting(
        self, channel: str, which: sa.ColumnElement[bool], after: tuple[int, str]
    ) -> Sequence[Waiting[T]]:
        """The next page of rows that wait for a channel, see `_select`. Raises Unavailable."""

    async def start(self) -> None:
        """Take up what was left. Raises Unavailable."""
        await self._claims.recover()
        await self._catch_up()
        await self._measure()
        self._tending = [
            asyncio.create_task(self._tend()),
            asyncio.create_task(self._refill()),
            *(asyncio.create_task(sender.work()) for sender in self._senders.values()),
        ]

    async def close(self) -> None:
        """Stop; what is being sent right now may be sent again by the next start."""
        for task in self._tending:
            task.cancel()
        await asyncio.gather(*self._tending, return_exceptions=True)
        for sender in self._senders.values():
            await sender.close()
        try:
            await self._claims.leave()
        except Unavailable as error:
            log.warning(f"{self._books.what}s that wait stay claimed for a while", error=error.message)

    async def idle(self) -> None:
        """Wait until all that is due was tried."""
        for sender in self._senders.values():
            await sender.idle()

    async def _put(self, item: T, channel: str, keep: Callable[[Claim], Awaitable[int]]) -> bool:
        """Have `keep` write the row of something new, and send it when it did. False: it was put before.

        `keep` returns how many rows are new. Whoever gives up waiting does not know: it may be sent nevertheless.
        """
        sender = self._senders.get(channel)
        now = self._clock()
        hold = sender is not None and sender.hold(item)
        claim = Claim(micros(now), *((self._claims.node, self._claims.until(now)) if hold else NOBODY))
        new = 0
        done = False
        try:
            new = await keep(claim)
            done = True
        finally:
            if not (done and new):
                self._unsure = True  # a row may be there that is not whole, or that nobody holds
                if hold and sender is not None:
                    sender.drop(item)
        if not new:
            self._look_again()
        elif hold and sender is not None:
            sender.add(item, claim.due)
        elif sender is not None:
            sender.behind = True
        if new and sender is not None:
            sender.depth.inc()
        return bool(new)

    # What is left in SQL

    def _look_again(self) -> None:
        self._reading.set()

    async def _tend(self) -> None:
        """Hold on to what we have, look for what the dead have left, give up what is too old, and measure."""
        while True:
            await self._pause(RENEW_SECONDS)
            try:
                if any(sender.held for sender in self._senders.values()):
                    await self._claims.renew(self._clock())
                await self._catch_up()
                await self._expire()
                await self._measure()
            except Unavailable as error:
                log.warning(f"claims on {self._books.what}s that wait not renewed", error=error.message)
            except Exception:
                log.exception(f"{self._books.what}s that wait not looked after")

    async def _refill(self) -> None:
        while True:
            await self._reading.wait()
            self._reading.clear()
            try:
                await self._catch_up()
            except Unavailable:
                continue  # `_tend` will see to it
            except Exception:
                log.exception(f"{self._books.what}s that wait not read")

    async def _catch_up(self) -> None:
        """Take waiting rows that nobody claims, oldest first, while their channels have room."""
        async with self._one_reads:
            unsure, self._unsure = self._unsure, False
            try:
                if unsure:
                    await self._writer.flush()  # with what those who gave up waiting have handed in
                for sender in self._senders.values():
                    await self._fill(sender, unsure)
            except BaseException:
                self._unsure = unsure or self._unsure
                raise

    async def _fill(self, sender: Sender[T], unsure: bool) -> None:
        """Take the rows of one channel; also those that are ours and not held, when that may be."""
        sender.behind = False
        now = self._clock()
        table = self._books.table
        free = table.c.claimed_until < now
        if unsure:
            free = sa.or_(free, table.c.claimed_by == self._claims.node)
        after = (-1, "")
        while rows := await self._waiting(sender.name, free, after):
            after = (rows[-1].item.tm_create, rows[-1].item.id)
            rows = [row for row in rows if row.item.id not in sender.held]
            full = len(rows) > sender.room
            rows = rows[: max(0, sender.room)]
            for row, ours in zip(rows, await self._claims.take([row.item.id for row in rows], now), strict=True):
                if ours and sender.hold(row.item):
                    sender.add(row.item, row.due)
            if full:
                sender.behind = True
                return

    def _select(
        self, columns: Sequence[sa.Column[Any]], channel: str, which: sa.ColumnElement[bool], after: tuple[int, str]
    ) -> sa.Select[Any]:
        """Rows of a channel that wait and are such, oldest first, a page from behind (tm_create, id) on."""
        table = self._books.table
        place = sa.tuple_(table.c.tm_create, table.c.id) > sa.tuple_(
            sa.literal(after[0], sa.BigInteger), sa.literal(after[1], sa.Text)
        )
        return (
            sa.select(*columns)
            .where(table.c.state == sa.literal_column("'queued'"), self._books.channel == channel, place, which)
            .order_by(table.c.tm_create, table.c.id)
            .limit(PAGE)
        )

    async def _expire(self) -> None:
        """Fail what nobody sends and nobody will: its channel was taken out of the configuration."""
        now = self._clock()
        old = now - timedelta(hours=self._section.give_up_hours)
        error = "nobody sent it in time"
        count = await self._writer.put(self._books.expire, [(error, micros(now), micros(old), micros(now))])
        if count:
            log.warning(f"{self._books.what}s given up", count=count, error=error)

    async def _measure(self) -> None:
        table, channel = self._books.table, self._books.channel
        query = (
            sa.select(channel, sa.func.count(), sa.func.min(table.c.tm_create))
            .where(table.c.state == sa.literal_column("'queued'"))
            .group_by(channel)
        )
        async with reading(self._engine) as connection:
            found = {name: (n, oldest) for name, n, oldest in await connection.execute(query)}
        now = self._clock()
        for name in self._senders:
            n, oldest = found.get(name, (0, now))
            self._books.depth.labels(name).set(n)
            self._books.oldest.labels(name).set(max(0.0, (now - oldest).total_seconds()))
