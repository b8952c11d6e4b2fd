"""Opt-outs: who wants no more texts from a number of ours.

An opt-out belongs to a conversation (`conversation.py`), that is to an account, its number and a peer: whoever gets the
number next begins without it, and an account that gave its number back and got it again is still bound by it. One that
a text brought is written in the same commit as the text, so it is in force before the text's carrier hears that it was
received. One that was taken back stays as a row that says by whom and when.

To ask SQL about each text that is sent would cost more than to send it. So each process has a filter in memory (Bloom
1970) of all who may have opted out, and asks SQL only about them: about everybody who has, and about very few others.
What other processes write is read twice a second; clocks of theirs may be off by the time that is looked back each
time. One who took it back stays in the filter until it is made anew, which costs a question and nothing else.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final, NamedTuple

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from edge.errors import Unavailable
from edge.log import get_logger
from edge.sessions.conversation import conversation_id
from edge.sessions.texts.incoming import Incoming
from edge.sessions.texts.opt_out_events import OptOutEvents
from edge.sessions.texts.tables import opt_outs
from edge.store.engine import reading, writing
from edge.store.metadata import NIL, from_micros, micros
from edge.store.page import SIZE_MAX, Place
from edge.store.page import after as behind
from edge.store.reader import Lookup, Reader
from edge.store.statement import Statement, insert
from edge.store.writer import Row, Then, Writer

log = get_logger("sessions")

LOOK_SECONDS: Final = 0.5  # until what another process wrote is known here
LOOK_BACK: Final = timedelta(minutes=2)
PAGE: Final = 10_000  # ids read at a time
BITS_EACH: Final = 16  # of the filter, for each it has room for: one in 400 is taken for one of them wrongly
ROOM: Final = 4_096, 1 << 26  # whom the filter has room for: at least, and at most (128 MB)
PROBES: Final = 4
TEXT: Final = "text"  # who opted out, or took it back, by a text

BY_ID: Final = Lookup(
    "opt_outs.by_id",
    "SELECT id, message_id, tm_end FROM opt_outs WHERE id IN (SELECT value FROM json_each(?))",
    "SELECT id, message_id, tm_end FROM opt_outs WHERE id = ANY($1::text[])",
)
_COLUMNS: Final = ("id", "customer_id", "number_id", "number", "peer", "word", "message_id", "begun_by", "ended_by")
OUT: Final = replace(
    insert(
        "opt_out.out",
        "opt_outs",
        (*_COLUMNS, "tm_create", "tm_update"),
        "ON CONFLICT (id) DO UPDATE SET "
        + ", ".join(f"{name} = excluded.{name}" for name in (*_COLUMNS[2:], "tm_create", "tm_update"))
        + ", tm_end = NULL WHERE opt_outs.tm_end IS NOT NULL",
    ),
    shared=True,
)
IN: Final = Statement.of(
    "opt_out.in",
    "UPDATE opt_outs SET tm_end = ?, tm_update = ?, message_id = ?, ended_by = ? WHERE id = ? AND tm_end IS NULL",
    shared=True,
)


class OptOut(NamedTuple):
    """An opt-out as its row says it; `tm_end` None: it is in force."""

    id: str
    customer_id: str
    number_id: str
    number: str
    peer: str
    word: str
    message_id: str
    begun_by: str
    ended_by: str
    tm_create: datetime
    tm_end: datetime | None


class Standing(NamedTuple):
    """Whether somebody has opted out, and the text that brought that about: the nil UUID when none did."""

    out: bool
    message_id: str


class Filter:
    """Says of an id that it was certainly never added, or that it may have been."""

    def __init__(self, room: int) -> None:
        self.room = min(max(room, ROOM[0]), ROOM[1])
        self.added = 0
        self._mask = (1 << (self.room * BITS_EACH - 1).bit_length()) - 1
        self._bits = bytearray((self._mask + 1) // 8)

    def add(self, id: str) -> None:
        self.added += 1
        at, step = self._begin(id)
        for _ in range(PROBES):
            self._bits[at >> 3] |= 1 << (at & 7)
            at = (at + step) & self._mask

    def __contains__(self, id: str) -> bool:
        at, step = self._begin(id)
        for _ in range(PROBES):
            if not self._bits[at >> 3] & 1 << (at & 7):
                return False
            at = (at + step) & self._mask
        return True

    def _begin(self, id: str) -> tuple[int, int]:
        one = hash(id)
        return one & self._mask, (one >> 32) | 1


class OptOuts:
    """The opt-outs of all accounts. `start` before the first question. All methods raise Unavailable."""

    def __init__(
        self,
        engine: AsyncEngine,
        reader: Reader,
        writer: Writer,
        clock: Callable[[], datetime],
        events: OptOutEvents | None = None,
    ) -> None:
        self._events = events
        self._engine = engine
        self._reader = reader
        self._writer = writer
        self._clock = clock
        self._filter = Filter(0)
        self._meanwhile: set[str] | None = None  # who opted out while the filter is made anew
        self._since = clock()

    async def start(self) -> None:
        """Read who has opted out."""
        self._since = self._clock()
        meanwhile = self._meanwhile = set()
        try:
            fresh = await self._read()
        finally:
            self._meanwhile = None
        for id in meanwhile:
            fresh.add(id)
        self._filter = fresh

    async def _read(self) -> Filter:
        async with reading(self._engine) as connection:
            in_force = sa.select(sa.func.count()).where(opt_outs.c.tm_end.is_(None))
            fresh = Filter(2 * (await connection.execute(in_force)).scalar_one())
            last = ""
            while True:
                page = sa.select(opt_outs.c.id).where(opt_outs.c.tm_end.is_(None), opt_outs.c.id > last)
                ids = (await connection.execute(page.order_by(opt_outs.c.id).limit(PAGE))).scalars().all()
                for id in ids:
                    fresh.add(id)
                if len(ids) < PAGE:
                    break
                last = ids[-1]
        return fresh

    async def watch(self, pause: Callable[[float], Awaitable[None]]) -> None:
        """Learn of what other processes write, for ever."""
        while True:
            await pause(LOOK_SECONDS)
            try:
                await self.look()
            except Unavailable:
                continue  # nothing can be sent now either
            except Exception:
                log.exception("opt-outs not looked for")

    async def look(self) -> None:
        """Learn of what was written since the last look, and a while before."""
        began = self._clock()
        changed = sa.select(opt_outs.c.id).where(
            opt_outs.c.tm_update >= self._since - LOOK_BACK, opt_outs.c.tm_end.is_(None)
        )
        async with reading(self._engine) as connection:
            ids = (await connection.execute(changed)).scalars().all()
        for id in ids:
            if id not in self._filter:
                self._filter.add(id)
        self._since = began
        if self._filter.added > self._filter.room < ROOM[1]:
            await self.start()

    def _suspect(self, id: str) -> None:
        """He may have opted out in a moment: what says so is not written yet."""
        self._filter.add(id)
        if self._meanwhile is not None:
            self._meanwhile.add(id)

    # Questions

    def suspects(self, id: str) -> bool:
        """Whether it takes a question to SQL to know; False: he of the conversation has not opted out."""
        return id in self._filter

    async def holds(self, id: str) -> bool:
        """Whether he of the conversation has opted out."""
        return id in self._filter and (await self.standing(id)).out

    async def standing(self, id: str) -> Standing:
        """How it stands with a conversation."""
        rows = await self._reader.get(BY_ID, id)
        if not rows:
            return Standing(False, NIL)
        _, message_id, tm_end = rows[0]
        return Standing(tm_end is None, message_id)

    # Changes

    def told(self, text: Incoming, word: str) -> tuple[Then, ...]:
        """What is written with the row of a text that is a keyword, if that is new."""
        if text.keyword == "start":
            return ((IN, (text.tm_create, text.tm_create, text.id, TEXT, text.conversation_id)),)
        if text.keyword != "stop":
            return ()
        self._suspect(text.conversation_id)
        whose = (text.conversation_id, text.customer_id, text.number_id, text.number, text.peer)
        return ((OUT, (*whose, word, text.id, TEXT, "", text.tm_create, text.tm_create)),)

    async def tells(self, text: Incoming) -> tuple[Then, ...]:
        """What is written besides with the row of a text that is a keyword because its carrier says so: the event, for
        after a crash nobody would know that there is one to tell of (`announce`).
        """
        found = await self.get(text.conversation_id, None)
        in_force, when = found is not None and found.tm_end is None, from_micros(text.tm_create)
        if text.keyword == "start" and found is not None and in_force:
            return await self._told(found._replace(tm_end=when, ended_by=TEXT, message_id=text.id), text.id)
        if text.keyword != "stop" or in_force:
            return ()
        whose = (text.conversation_id, text.customer_id, text.number_id, text.number, text.peer)
        return await self._told(OptOut(*whose, "", text.id, TEXT, "", when, None), text.id)

    async def learned(
        self, customer_id: str, number_id: str, number: str, peer: str, *, message_id: str, by: str
    ) -> tuple[Then, ...]:
        """What is written with a text that failed because its receiver opted out elsewhere, if that is new here."""
        id, now = conversation_id(customer_id, number, peer), self._clock()
        found = await self.get(id, None)
        if found is not None and found.tm_end is None:
            return ()
        self._suspect(id)
        entered = OptOut(id, customer_id, number_id, number, peer, "", message_id, by, "", now, None)
        since = micros(found.tm_end) if found is not None and found.tm_end is not None else 0
        told = await self._told(entered, f"learned {since}")  # several texts may fail at once: one event
        return ((OUT, (*entered[:9], micros(now), micros(now))), *told)

    async def _told(self, changed: OptOut, what: object) -> tuple[Then, ...]:
        return await self._events.of(changed, what) if self._events is not None else ()

    async def announce(self, text: Incoming) -> None:
        """Tell of what a text changed. Told again after a crash, it is the same event."""
        found = await self.get(text.conversation_id, None)
        if self._events is not None and found is not None:
            for statement, row in await self._events.of(found, text.id):
                await self._writer.put(statement, [row])
            self._events.written(found.customer_id)

    async def enter(self, customer_id: str, number_id: str, number: str, peer: str, by: str) -> tuple[OptOut, bool]:
        """Enter one by hand, and say whether it is new."""
        id, now = conversation_id(customer_id, number, peer), self._clock()
        self._suspect(id)
        entered = OptOut(id, customer_id, number_id, number, peer, "", NIL, by, "", now, None)
        new = await self._change(entered, OUT, (*entered[:9], micros(now), micros(now)), now)
        found = await self.get(id, customer_id)
        if found is None:
            raise Unavailable("the opt-out was deleted meanwhile")
        return found, new

    async def end(self, id: str, by: str) -> bool:
        """Take one back by hand; False: it was not in force."""
        found, now = await self.get(id, None), self._clock()
        if found is None:
            return False
        ended = found._replace(tm_end=now, ended_by=by, message_id=NIL)
        return await self._change(ended, IN, (micros(now), micros(now), NIL, by, id), now)

    async def _change(self, changed: OptOut, statement: Statement, row: Row, now: datetime) -> bool:
        """Write what makes an opt-out like that; False: it was so before."""
        events = self._events
        new = await self._writer.put_with(statement, row, await self._told(changed, micros(now)))
        if new and events is not None:
            events.written(changed.customer_id)
        return new

    # Lists

    async def get(self, id: str, customer_id: str | None) -> OptOut | None:
        """One, also when it was taken back. `customer_id` None: whoever it belongs to."""
        found = await self._select(customer_id, opt_outs.c.id == id, size=1)
        return found[0] if found else None

    async def purge(self, before: datetime, batch: int) -> int:
        """Delete up to `batch` that were taken back before; returns how many went. What is in force stays."""
        async with writing(self._engine) as connection:
            result = await connection.execute(sa.delete(opt_outs).where(opt_outs.c.id.in_(_ended(before, batch))))
        return result.rowcount

    async def _select(
        self, customer_id: str | None, *conditions: sa.ColumnElement[bool], size: int
    ) -> Sequence[OptOut]:
        table = opt_outs.c
        query = sa.select(*(table[name] for name in OptOut._fields)).where(*conditions)
        if customer_id is not None:
            query = query.where(table.customer_id == customer_id)
        query = query.order_by(table.tm_create.desc(), table.id.desc()).limit(size)
        async with reading(self._engine) as connection:
            return [OptOut(*row) for row in await connection.execute(query)]

    async def list(
        self,
        customer_id: str | None,
        *,
        number: str | None = None,
        peer: str | None = None,
        ended: bool = False,
        after: Place | None = None,
        size: int = SIZE_MAX,
    ) -> Sequence[OptOut]:
        """Those in force, or those that were taken back; newest first, from behind the place `after` on."""
        table = opt_outs.c
        which: tuple[sa.ColumnElement[bool], ...] = (table.tm_end.is_not(None) if ended else table.tm_end.is_(None),)
        which += tuple(column == value for column, value in ((table.number, number), (table.peer, peer)) if value)
        if after is not None:
            which += (table.tm_create <= after.when, behind(after, table.tm_create, table.id))
        return await self._select(customer_id, *which, size=size)


def _ended(before: datetime, batch: int) -> sa.Select[tuple[str]]:
    return sa.select(opt_outs.c.id).where(opt_outs.c.tm_end < before).limit(batch)
