"""A backlog: rows in SQL to be sent, each by its channel, until the other side takes it or there is no more hope.

The outbox of texts is one, the deliveries of webhooks and emails another. Nothing polls: what is put goes to its
channel's sender (`sender.py`) in memory. SQL is read at the start, for what other processes have left, and for rows
that found no room in memory.

A channel that has a lease (`leases.py`) is sent by whoever holds that. The others put rows that nobody claims, and the
holder looks for them a few times a second on a database that processes share. Who takes the lease over takes all of
the channel's rows, whoever had claimed them.

What is not nice: when the process dies between the other side's yes and the row that says so, the row is sent again.
Its id is the same, so whoever looks at ids can tell.
"""

from __future__ import annotations

import asyncio
import random
import time
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Final, Generic, NamedTuple, TypedDict, TypeVar, Unpack

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from edge.errors import Unavailable
from edge.log import get_logger
from edge.sessions.queues.books import Alone, Along, Books, Item, Over, Pacing, Send, Ways
from edge.sessions.queues.claims import NOBODY, PAUSES, RENEW_SECONDS, Claims
from edge.sessions.queues.leases import ANSWER_SECONDS, Lease
from edge.sessions.queues.sender import Sender, SenderSection
from edge.store.engine import reading
from edge.store.metadata import micros
from edge.store.writer import Writer

log = get_logger("outbox")

T = TypeVar("T", bound=Item)

PAGE: Final = 500  # rows read at a time
NOBODY_SENT: Final = "nobody sent it in time"
LOOK_SECONDS: Final = 0.25  # how often the one sender of a channel looks for what other processes have put


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
    """How time passes: `clock` tells it, `ticks` too, in seconds and never set, `pause` waits, `chance` gives numbers
    from 0 to 1 that spread the waits.
    """

    ticks: Callable[[], float]
    clock: Callable[[], datetime]
    pause: Callable[[float], Awaitable[None]]
    chance: Callable[[], float]


class Backlog(ABC, Generic[T]):
    """Keeps what is to be sent. `start` before the first row is put; `close` leaves the rest for later.

    `channels` says for each name how to send, and `leases` whether that takes a lease; `node` is this process's name in
    claims, see `claims.py`; `along` what else happens when something is over, `ways` where else
    it may go, `pacing` how fast a channel may be given things.
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
        leases: Mapping[str, Lease] | None = None,
        ways: Ways[T] | None = None,
        pacing: Mapping[str, Pacing[T]] | None = None,
        **pace: Unpack[Pace],
    ) -> None:
        clock, pause = pace.get("clock", lambda: datetime.now(UTC)), pace.get("pause", asyncio.sleep)
        chance = pace.get("chance", random.random)
        self._books = books
        self._section = section
        self._engine = engine
        self._writer = writer
        self._claims = Claims(writer, node, books.table.name, books.channel.name)
        self._along: Along[T] = along or Alone()
        self._leases = dict(leases or {})
        self._clock = clock
        self._pause = pause
        self._senders = {
            name: Sender(
                *(name, send, books, section, writer, clock, pause, chance),
                wants_more=self._look_again,
                may=self._may(name),
                stray=self._stray,
                along=along,
                ways=ways,
                pacing=(pacing or {}).get(name),
                ticks=pace.get("ticks", time.monotonic),
                node=node,
            )
            for name, send in channels.items()
        }
        for name, lease in self._leases.items():
            lease.during(f"sending by {name}", partial(self._own, self._senders[name]))
        self._reading = asyncio.Event()
        self._one_reads = asyncio.Lock()
        self._unsure = False  # a row may have been kept though nobody was told
        self._tending: list[asyncio.Task[None]] = []

    @abstractmethod
    async def _waiting(
        self, channel: str | None, which: sa.ColumnElement[bool], after: tuple[int, str]
    ) -> Sequence[Waiting[T]]:
        """The next page of rows that wait for a channel, see `_select`. Raises Unavailable."""

    async def start(self) -> None:
        """Take up what was left. Raises Unavailable."""
        await self._claims.recover()
        await self._claims.renew(self._clock(), any_held=False)
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

    def wake(self) -> None:
        """Look soon for rows that somebody put back."""
        self._look_again()

    async def idle(self) -> None:
        """Wait until all that is due was tried."""
        for sender in self._senders.values():
            await sender.idle()

    async def _put(self, item: T, channel: str, keep: Callable[[Claim], Awaitable[int]]) -> bool:
        """Have `keep` write the row of something new to a channel, and send it when it did. False: it was put before.

        `keep` returns how many rows are new. Whoever gives up waiting does not know: it may be sent nevertheless.
        """
        sender = self._senders.get(channel)
        now = self._clock()
        since = micros(now)
        mine = sender is not None and sender.may(since)
        hold = sender is not None and sender.hold(item, since)
        claim = Claim(since, *((self._claims.node, self._claims.until(now)) if hold else NOBODY))
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
        elif sender is not None and sender.may(since):
            if hold:
                sender.add(item, claim.due)
            else:
                sender.behind = True
            if not mine:  # it became so while the row was on its way
                self._look_again()
        elif hold and sender is not None:
            sender.drop(item)
            self._stray()
        if new and sender is not None:
            sender.depth.inc()
        return bool(new)

    # What is left in SQL

    def _look_again(self) -> None:
        self._reading.set()

    def _may(self, name: str) -> Callable[[int], bool]:
        """Whether a row of a channel, claimed at that time, is ours to send now."""
        lease = self._leases.get(name)
        return (lambda _: lease.held) if lease is not None else (lambda at: self._claims.sure(at, self._clock()))

    def _stray(self) -> None:
        """A row may be claimed by us that we do not hold."""
        self._unsure = True
        self._look_again()

    async def _tend(self) -> None:
        """Hold on to what we have, look for what the dead have left, give up what is too old, and measure."""
        while True:
            await self._pause(RENEW_SECONDS)
            try:
                await self._renew()
                await self._catch_up()
                await self._expire()
                await self._measure()
                for sender in self._senders.values():
                    await sender.look_after()
            except Unavailable as error:
                log.warning(f"claims on {self._books.what}s that wait not renewed", error=error.message)
            except Exception:
                log.exception(f"{self._books.what}s that wait not looked after")

    async def _renew(self) -> None:
        """Hold on to what we have; if that was too late, we do not know what we have, and it is to be read again."""
        if not self._claims.sure(0, self._clock()):
            for sender in self._senders.values():
                sender.forget()
            self._unsure = True
        await self._claims.renew(self._clock(), any_held=any(sender.held for sender in self._senders.values()))

    async def _own(self, sender: Sender[T]) -> None:
        """While a lease is ours: send what there is, and what others put."""
        try:
            await self._take_over(sender, sa.true())
            if self._engine.dialect.name == "sqlite":
                await asyncio.Event().wait()  # nobody else puts here; who does so for once is seen by `_tend`
            while True:
                await self._pause(LOOK_SECONDS)
                if not sender.behind:
                    await self._take_over(sender, self._books.table.c.claimed_until == sa.literal_column("0"))
        finally:
            await sender.stop(ANSWER_SECONDS)  # its rows stay claimed: who has the lease next takes them all

    async def _take_over(self, sender: Sender[T], which: sa.ColumnElement[bool]) -> None:
        """Take rows of a channel by right of its lease, when SQL lets us."""
        tries = 0
        while True:
            try:
                async with self._one_reads:
                    await self._fill(sender, which)
            except Unavailable as error:
                if tries == 0:
                    log.warning(f"{self._books.what}s not read", channel=sender.name, error=error.message)
                await self._pause(PAUSES[min(tries, len(PAUSES) - 1)])
                tries += 1
            else:
                return

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
            if not self._claims.sure(0, self._clock()):
                await self._renew()
            unsure, self._unsure = self._unsure, False
            try:
                if unsure:
                    await self._writer.flush()  # with what those who gave up waiting have handed in
                for name, sender in self._senders.items():
                    if sender.may(micros(self._clock())):
                        await self._fill(sender, self._free(name, unsure))
                        self._unsure = self._unsure or (unsure and sender.behind)
                    elif unsure and name in self._leases:
                        await self._claims.let_go(name)
            except BaseException:
                self._unsure = unsure or self._unsure
                raise

    def _free(self, channel: str, unsure: bool) -> sa.ColumnElement[bool]:
        """The rows of a channel that may be taken; also those that are ours, when some of them may not be held."""
        table = self._books.table
        free = table.c.claimed_until < self._clock()
        if channel in self._leases:
            free = sa.or_(free, table.c.claimed_by != self._claims.node)
        return sa.or_(free, table.c.claimed_by == self._claims.node) if unsure else free

    async def _fill(self, sender: Sender[T], which: sa.ColumnElement[bool]) -> None:
        """Take such rows of one channel."""
        sender.behind = False
        now = self._clock()
        after = (-1, "")
        while rows := await self._waiting(sender.name, which, after):
            after = (rows[-1].item.tm_create, rows[-1].item.id)
            rows = [row for row in rows if row.item.id not in sender.held]
            full = len(rows) > sender.room
            rows = rows[: max(0, sender.room)]
            for row, ours in zip(rows, await self._take(sender, [row.item.id for row in rows], now), strict=True):
                if ours and sender.hold(row.item, micros(now)):
                    sender.add(row.item, row.due)
                elif ours:
                    self._unsure = True  # there is no room for it any more, or it is not ours to send
            if full:
                sender.behind = True
                return

    async def _take(self, sender: Sender[T], ids: Sequence[str], now: datetime) -> list[bool]:
        lease = self._leases.get(sender.name)
        return await (self._claims.take(ids, now) if lease is None else self._claims.seize(ids, now, lease.name))

    def _select(
        self,
        columns: Sequence[sa.Column[Any]],
        channel: str | None,
        which: sa.ColumnElement[bool],
        after: tuple[int, str],
    ) -> sa.Select[Any]:
        """Rows of a channel, or of any, that wait and are such, oldest first, a page from behind (tm_create, id) on."""
        table = self._books.table
        place = sa.tuple_(table.c.tm_create, table.c.id) > sa.tuple_(
            sa.literal(after[0], sa.BigInteger), sa.literal(after[1], sa.Text)
        )
        if channel is not None:
            which = sa.and_(self._books.channel == channel, which)
        return (
            sa.select(*columns)
            .where(table.c.state == sa.literal_column("'queued'"), place, which)
            .order_by(table.c.tm_create, table.c.id)
            .limit(PAGE)
        )

    async def _expire(self) -> None:
        """Fail what nobody sends and nobody will: its channel was taken out of the configuration."""
        now, table = self._clock(), self._books.table
        old = now - timedelta(hours=self._section.give_up_hours)
        which = sa.and_(self._books.since < old, table.c.claimed_until < now)
        count, after = 0, (-1, "")
        while rows := await self._waiting(None, which, after):
            after = (rows[-1].item.tm_create, rows[-1].item.id)
            count += sum(await asyncio.gather(*(self._give_up(row.item, micros(now)) for row in rows)))
        if count:
            log.warning(f"{self._books.what}s given up", count=count, error=NOBODY_SENT)

    async def _give_up(self, item: T, now: int) -> bool:
        """Fail a row that nobody claims."""
        over = Over("", "failed", (), "", NOBODY_SENT, now, item.attempts)
        row = (NOBODY_SENT, now, item.id, now)
        given_up = await self._writer.put_with(self._books.expire, row, await self._along.along(item, over))
        if given_up:
            await self._along.settle(item, over)
        return given_up

    async def _measure(self) -> None:
        table, channel = self._books.table, self._books.channel
        query = (
            sa.select(channel, sa.func.count(), sa.func.min(self._books.since))
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
