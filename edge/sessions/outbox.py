"""The outbox: texts leave through a row in SQL, and are tried until their carrier takes them or there is no more hope.

`put` writes two rows under one id, the outbox's first: a message without a row there was never accepted. The id comes
from whoever sends, and a second `put` of it changes nothing, whether the first one is still waiting or long sent.

Nothing polls: what is put goes to its carrier's sender (`sender.py`) in memory. SQL is read at the start, for what
other processes have left, and for rows that found no room in memory.

What is not nice: when the process dies between a carrier's yes and the row that says so, the text is sent again. Its id
is the same, so a carrier or receiver that looks at ids can tell.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from edge.errors import Unavailable
from edge.log import get_logger
from edge.sessions.claims import NOBODY, RENEW_SECONDS, Claims
from edge.sessions.sender import DEPTH, OLDEST, OutboxSection, Outgoing, Sender
from edge.sessions.tables import messages, outbox
from edge.sms.carrier import Carrier
from edge.store.engine import reading
from edge.store.metadata import NIL, micros
from edge.store.writer import Statement, Writer, insert

log = get_logger("outbox")

PAGE: Final = 500  # rows read at a time


QUEUE: Final = insert(
    "outbox.queue",
    "outbox",
    (
        "id",
        "carrier",
        "state",
        "attempts",
        "due",
        "claimed_by",
        "claimed_until",
        "carrier_id",
        "code",
        "error",
        "tm_create",
    ),
    "ON CONFLICT DO NOTHING",
)
_MESSAGE: Final = ("id", "customer_id", "carrier", "number", "peer", "text", "tm_create", "route", "number_id")
KEEP: Final = insert(
    "outbox.keep",
    "messages",
    (
        *(*_MESSAGE, "conversation_id", "reference_id", "direction", "carrier_id", "refusal", "lookup_source"),
        *("flow_id", "flow_version", "flow_state", "attempts", "claimed_by", "claimed_until"),
        *("outcome", "error", "cut_by", "steps"),
    ),
    "ON CONFLICT DO NOTHING",
)
_REST: Final = ("outbound", "", "", "", NIL, 0, "none", 0, *NOBODY, "", "", "", "[]")
EXPIRE: Final = Statement.of(
    "outbox.expire",
    "UPDATE outbox SET state = 'failed', error = ?, tm_update = ?"
    " WHERE state = 'queued' AND tm_create < ? AND claimed_until < ?",
)


class _Waiting(NamedTuple):
    text: Outgoing
    due: int  # microseconds since the epoch


class Outbox:
    """Keeps texts until their carriers have them. `start` before the first `put`; `close` leaves the rest for later.

    `node` is this process's name in claims, see `inbox.py`.
    """

    def __init__(
        self,
        section: OutboxSection,
        engine: AsyncEngine,
        writer: Writer,
        carriers: Mapping[str, Carrier],
        *,
        node: str,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._section = section
        self._engine = engine
        self._writer = writer
        self._claims = Claims(writer, node, "outbox")
        self._clock = clock
        self._pause = pause
        self._senders = {
            name: Sender(carrier, section, writer, clock, pause, chance, self._look_again)
            for name, carrier in carriers.items()
        }
        self._reading = asyncio.Event()
        self._one_reads = asyncio.Lock()
        self._unsure = False  # a row may have been kept though nobody was told
        self._tending: list[asyncio.Task[None]] = []

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
            log.warning("waiting texts stay claimed for a while", error=error.message)

    async def put(self, text: Outgoing) -> bool:
        """Take a text over; it is durable when this returns. False: it was put before.

        Raises Unavailable when SQL cannot keep it. Whoever gives up waiting does not know: it may be sent nevertheless.
        """
        sender = self._senders.get(text.carrier)
        now = self._clock()
        hold = sender is not None and sender.hold(text.id)
        node, until = (self._claims.node, self._claims.until(now)) if hold else NOBODY
        queued = (text.id, text.carrier, "queued", 0, micros(now), node, until, "", "", "", text.tm_create)
        kept = (*(getattr(text, name) for name in _MESSAGE), text.conversation_id, text.reference_id, *_REST)
        new = 0
        done = False
        try:
            new = await self._writer.put(QUEUE, [queued])
            await self._writer.put(KEEP, [kept])
            done = True
        finally:
            if not (done and new):
                self._unsure = True  # a row may be there whose message is not, or that nobody holds
                if hold and sender is not None:
                    sender.drop(text.id)
        if not new:
            self._look_again()
        elif hold and sender is not None:
            sender.add(text, micros(now))
        elif sender is not None:
            sender.behind = True
        if new and sender is not None:
            sender.depth.inc()
        return bool(new)

    async def idle(self) -> None:
        """Wait until all that is due was tried."""
        for sender in self._senders.values():
            await sender.idle()

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
                log.warning("claims on waiting texts not renewed", error=error.message)
            except Exception:
                log.exception("waiting texts not looked after")

    async def _refill(self) -> None:
        while True:
            await self._reading.wait()
            self._reading.clear()
            try:
                await self._catch_up()
            except Unavailable:
                continue  # `_tend` will see to it
            except Exception:
                log.exception("waiting texts not read")

    async def _catch_up(self) -> None:
        """Take waiting rows that nobody claims, oldest first, while their carriers have room."""
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

    async def _fill(self, sender: Sender, unsure: bool) -> None:
        """Take the rows of one carrier; also those that are ours and not held, when that may be."""
        sender.behind = False
        now = self._clock()
        free = outbox.c.claimed_until < now
        if unsure:
            free = sa.or_(free, outbox.c.claimed_by == self._claims.node)
        after = (-1, "")
        while rows := await self._waiting(sender.name, free, after):
            after = (rows[-1].text.tm_create, rows[-1].text.id)
            rows = [row for row in rows if row.text.id not in sender.held]
            full = len(rows) > sender.room
            rows = rows[: max(0, sender.room)]
            for row, ours in zip(rows, await self._claims.take([row.text.id for row in rows], now), strict=True):
                if ours and sender.hold(row.text.id):
                    sender.add(row.text, row.due)
            if full:
                sender.behind = True
                return

    async def _waiting(self, carrier: str, which: sa.ColumnElement[bool], after: tuple[int, str]) -> list[_Waiting]:
        place = sa.tuple_(outbox.c.tm_create, outbox.c.id) > sa.tuple_(
            sa.literal(after[0], sa.BigInteger), sa.literal(after[1], sa.Text)
        )
        query = (
            sa.select(
                *(messages.c[name] for name in (*_MESSAGE, "conversation_id", "reference_id")),
                *(outbox.c.attempts, outbox.c.due),
            )
            .join(messages, messages.c.id == outbox.c.id)
            .where(outbox.c.state == sa.literal_column("'queued'"), outbox.c.carrier == carrier, place, which)
            .order_by(outbox.c.tm_create, outbox.c.id)
            .limit(PAGE)
        )
        async with reading(self._engine) as connection:
            return [_waiting(row) for row in (await connection.execute(query)).mappings()]

    async def _expire(self) -> None:
        """Fail what nobody sends and nobody will: its carrier was taken out of the configuration."""
        now = self._clock()
        old = now - timedelta(hours=self._section.give_up_hours)
        error = "no carrier took it in time"
        count = await self._writer.put(EXPIRE, [(error, micros(now), micros(old), micros(now))])
        if count:
            log.warning("texts given up", count=count, error=error)

    async def _measure(self) -> None:
        query = (
            sa.select(outbox.c.carrier, sa.func.count(), sa.func.min(outbox.c.tm_create))
            .where(outbox.c.state == sa.literal_column("'queued'"))
            .group_by(outbox.c.carrier)
        )
        async with reading(self._engine) as connection:
            found = {carrier: (n, oldest) for carrier, n, oldest in await connection.execute(query)}
        now = self._clock()
        for name in self._senders:
            n, oldest = found.get(name, (0, now))
            DEPTH.labels(name).set(n)
            OLDEST.labels(name).set(max(0.0, (now - oldest).total_seconds()))


def _waiting(row: sa.RowMapping) -> _Waiting:
    values = dict(row)
    due = micros(values.pop("due"))
    values["tm_create"] = micros(values["tm_create"])
    return _Waiting(Outgoing(**values), due)
