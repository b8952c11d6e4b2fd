"""What the tests of texts stand on: a database with its tables, a clock that is set, pauses that tests end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from edge.errors import Unavailable
from edge.sessions.outside import Reach
from edge.sessions.tables import calls, conversations, deliveries, events, leases, memories, messages
from edge.sessions.texts.tables import early_reports, opt_outs, outbox, parked_runs, sent_parts, text_parts
from edge.store.engine import StoreSection, open_engine, writing
from edge.store.metadata import metadata
from edge.store.reader import Reader
from edge.store.writer import Statement, Writer

TABLES = [
    calls,
    messages,
    text_parts,
    conversations,
    opt_outs,
    outbox,
    sent_parts,
    early_reports,
    deliveries,
    events,
    parked_runs,
    memories,
    leases,
]


class Clock:
    """A wall clock that only moves when told to."""

    def __init__(self) -> None:
        self.now = datetime(2026, 8, 1, 9, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def move(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


class Pauses:
    """Stands in for `asyncio.sleep`: who pauses waits until `end`, or, when `short`, for one turn of the loop."""

    def __init__(self, *, short: bool = False) -> None:
        self.short = short
        self.taken: list[float] = []
        self._waiting: list[asyncio.Future[None]] = []

    async def __call__(self, seconds: float) -> None:
        self.taken.append(seconds)
        if self.short and seconds < 10:
            await asyncio.sleep(0)
            return
        future = asyncio.get_running_loop().create_future()
        self._waiting.append(future)
        await future

    async def end(self) -> None:
        """End all pauses now under way, and let happen what follows."""
        waiting, self._waiting = self._waiting, []
        for future in waiting:
            if not future.done():
                future.set_result(None)
        await asyncio.sleep(0)


@dataclass(frozen=True)
class Ground:
    """A database."""

    engine: AsyncEngine
    writer: Writer
    reader: Reader

    async def rows(self, table: sa.Table) -> list[dict[str, Any]]:
        """All rows, oldest first."""
        return await self._select(sa.select(table).order_by(table.c.tm_create, table.c.id))

    async def rows_of(self, table: sa.Table) -> list[dict[str, Any]]:
        """All rows of a table without ids, in any order."""
        return await self._select(sa.select(table))

    async def empty(self) -> None:
        """Delete all rows."""
        async with writing(self.engine) as connection:
            for table in TABLES:
                await connection.execute(sa.delete(table))

    async def _select(self, query: sa.Select[Any]) -> list[dict[str, Any]]:
        async with self.engine.connect() as connection:
            return [dict(row) for row in (await connection.execute(query)).mappings()]


async def make_tables(url: str) -> None:
    """The tables of texts in an empty database."""
    engine = await open_engine(url)
    async with writing(engine) as connection:
        await connection.run_sync(metadata.create_all, tables=TABLES)
    await engine.dispose()


@asynccontextmanager
async def ground(url: str) -> AsyncIterator[Ground]:
    """The database at a URL, whose tables are there, emptied."""
    engine = await open_engine(url)
    writer = Writer(StoreSection(url=url))
    await writer.start()
    reader = Reader(StoreSection(url=url))
    await reader.start()
    try:
        here = Ground(engine, writer, reader)
        await here.empty()
        yield here
    finally:
        await reader.close()
        await writer.close()
        await engine.dispose()


class Frail:
    """A writer that fails when told to: with `Unavailable` before or after it wrote, or by never coming back."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self.away = False  # every put is Unavailable
        self.refuses: set[str] = set()  # statements that are Unavailable
        self.forgetful: set[str] = set()  # statements that are written, but not said to be
        self.puts: list[str] = []  # statements, in order
        self.dies_at: tuple[int, bool] | None = None  # which put never returns; True: after it wrote
        self.dead = asyncio.Event()

    async def put(self, statement: Statement, rows: Sequence[tuple[Any, ...]]) -> int:
        return sum(await self.put_each(statement, rows))

    async def put_each(self, statement: Statement, rows: Sequence[tuple[Any, ...]]) -> list[bool]:
        return await self._put(statement, lambda: self._writer.put_each(statement, rows))

    async def _put(self, statement: Statement, write: Callable[[], Awaitable[list[bool]]]) -> list[bool]:
        place = len(self.puts)
        self.puts.append(statement.name)
        if self.dies_at is not None and place >= self.dies_at[0]:
            if place == self.dies_at[0] and self.dies_at[1]:
                await write()
            self.dead.set()
            await asyncio.Event().wait()
        if self.away or statement.name in self.refuses:
            raise Unavailable("the database is away")
        written = await write()
        if statement.name in self.forgetful:
            self.forgetful.discard(statement.name)
            raise Unavailable("the database went away")
        return written

    async def put_with(
        self, statement: Statement, row: tuple[Any, ...], then: Sequence[tuple[Statement, tuple[Any, ...]]]
    ) -> bool:
        return (await self._put(statement, lambda: self._with(statement, row, then)))[0]

    async def _with(
        self, statement: Statement, row: tuple[Any, ...], then: Sequence[tuple[Statement, tuple[Any, ...]]]
    ) -> list[bool]:
        return [await self._writer.put_with(statement, row, then)]

    def put_later(self, statement: Statement, rows: Sequence[tuple[Any, ...]]) -> None:
        self._writer.put_later(statement, rows)

    async def flush(self) -> None:
        if self.away:
            raise Unavailable("the database is away")
        await self._writer.flush()

    def as_writer(self) -> Writer:
        return cast("Writer", self)


async def end(tasks: Sequence[asyncio.Task[None]]) -> None:
    """Cancel tasks, and wait until they are over."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def until(condition: Any) -> None:
    """Let the loop turn until something is so; a second is more than any of it takes."""
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.001)


def reach(**parts: Any) -> Reach:
    """What the daemon shares, as far as a test has it."""
    whole: dict[str, Any] = {field.name: parts.get(field.name) for field in fields(Reach)}
    return Reach(**whole)
