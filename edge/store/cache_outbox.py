"""The cache outbox: a change to what is cached, and the promise to tell Redis about it, are one SQL transaction.

    async with cache.change() as change:
        await change.connection.execute(…)
        await change.put(cache_key("number", e164), version, body)      # body None: a tombstone

After the commit this process's own memory is told, then Redis, which tells every other process. A Redis that is down
is told later, from the table, until it took it; so one that comes back with yesterday's value is put right. Several
processes may push the same row: the version decides. Nothing is ever deleted in Redis, for deleting an absent key
tells nobody.

A row that is older than anything Redis could still hold has lost its point and is removed; that is what bounds the
table while there is no Redis at all.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import NamedTuple, Protocol, TypeVar

from sqlalchemy import BigInteger, Column, Index, Table, Text, delete, select, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from edge.errors import Unavailable
from edge.log import get_logger
from edge.metrics import counter
from edge.store.engine import reading, writing
from edge.store.metadata import Instant, metadata, micros
from edge.store.notice import Notices
from edge.store.redis import RedisTier

RETRY_SECONDS = 0.25  # between two tries while Redis is down
SWEEP_SECONDS = 30.0  # how often to look for rows that a dead process left behind
BATCH_ROWS = 500

cache_outbox = Table(
    "cache_outbox",
    metadata,
    Column("key", Text, primary_key=True),
    Column("version", BigInteger, nullable=False),
    Column("body", Text),
    Column("tm_create", Instant, nullable=False),
    Index("ix_cache_outbox_tm_create", "tm_create"),
)

_RECORD = text(
    "INSERT INTO cache_outbox (key, version, body, tm_create) VALUES (:key, :version, :body, :now) "
    "ON CONFLICT (key) DO UPDATE SET version = excluded.version, body = excluded.body, tm_create = excluded.tm_create "
    "WHERE excluded.version > cache_outbox.version"
)
_TAKEN = text("DELETE FROM cache_outbox WHERE key = :key AND version <= :version")

_PUSHED = counter("cache_pushes_total", "Changes told to Redis, by outcome", ["outcome"])
_TAKEN_COUNT = _PUSHED.labels("taken")
_POSTPONED = _PUSHED.labels("postponed")

_log = get_logger("store")


class CacheRow(NamedTuple):
    """One change as Redis will hold it. `body` None: a tombstone."""

    key: str
    version: int
    body: str | None


T_contra = TypeVar("T_contra", contravariant=True)


class Change:
    """A transaction that is being made. It commits at the end of the `async with` that gave it."""

    def __init__(self, connection: AsyncConnection, now: datetime) -> None:
        self.connection = connection
        self._now = now
        self.rows: list[CacheRow] = []
        self.afterwards: list[Callable[[], None]] = []  # called after the commit

    async def put(self, key: str, version: int, body: bytes | None) -> None:
        """Promise to tell the cache. `key` is a `cache_key`."""
        row = CacheRow(key, version, None if body is None else body.decode())
        await self.connection.execute(_RECORD, {**row._asdict(), "now": micros(self._now)})
        self.rows.append(row)


class Note(Protocol[T_contra]):
    """Somebody who writes down that something was made, changed or deleted, in the transaction that does it."""

    async def __call__(self, change: Change, value: T_contra, /) -> None: ...


async def unnoted(_change: Change, _value: object, /) -> None:
    """Nobody wants to know."""


class CacheWriter:
    """Keeps the promises of one process, and after a while those of processes that died.

    `ttl_seconds` is the life of a value in Redis. `redis` None: there is no such tier, and only this process's memory
    is told.
    """

    def __init__(
        self,
        engine: AsyncEngine,
        redis: RedisTier | None,
        notices: Notices,
        *,
        ttl_seconds: float = 600.0,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._engine = engine
        self._redis = redis
        self._notices = notices
        self._ttl = ttl_seconds
        self._clock = clock
        self._wake = asyncio.Event()
        self._taken: list[CacheRow] = []
        self._left = True  # whether rows may wait in the table; at the start a dead process may have left some
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        self._task = asyncio.create_task(self._work(), name="cache-outbox")

    async def close(self) -> None:
        """Stop; rows that Redis has not taken stay in the table for the next process."""
        if self._task is None:
            return
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        try:
            await self._remove_taken()
        except Unavailable:
            pass  # they are pushed again, which changes nothing

    @asynccontextmanager
    async def change(self) -> AsyncIterator[Change]:
        """A writing transaction, and the caches told once it is committed.

        Raises Unavailable when the database is away; a Redis that is away is nobody's error. An IntegrityError passes.
        """
        async with writing(self._engine) as connection:
            change = Change(connection, self._clock())
            yield change
        for row in change.rows:
            self._notices.tell(row.key)
        for call in change.afterwards:
            call()
        if change.rows and self._redis is not None:
            await self._push(self._redis, change.rows)
            self._wake.set()

    async def waiting(self) -> int:
        """Rows that Redis has not taken yet."""
        async with reading(self._engine) as connection:
            return int((await connection.execute(text("SELECT count(*) FROM cache_outbox"))).scalar_one())

    async def _push(self, redis: RedisTier, rows: Sequence[CacheRow]) -> bool:
        """Tell Redis; those that it took are due for removal. Says whether it took all."""
        ttl_ms = int(self._ttl * 1000)
        results = await asyncio.gather(
            *(
                redis.put_if_newer(row.key, row.version, row.body.encode() if row.body else None, ttl_ms)
                for row in rows
            ),
            return_exceptions=True,
        )
        complete = True
        for row, result in zip(rows, results, strict=True):
            if isinstance(result, Unavailable):
                complete = False
                _POSTPONED.inc()
            elif isinstance(result, BaseException):
                raise result
            else:
                self._taken.append(row)
                _TAKEN_COUNT.inc()
        if not complete:
            self._left = True
        return complete

    async def _work(self) -> None:
        while True:
            try:
                await self._remove_taken()
                if self._left and self._redis is not None and self._redis.up:
                    await self._push_left(self._redis)
            except Unavailable:
                pass  # SQL is away; whoever waits for it has said so
            try:
                async with asyncio.timeout(RETRY_SECONDS if self._left and self._redis is not None else SWEEP_SECONDS):
                    await self._wake.wait()
            except TimeoutError:
                if not self._left or self._redis is None:
                    await self._sweep()
            self._wake.clear()

    async def _push_left(self, redis: RedisTier) -> None:
        self._left = False
        async with reading(self._engine) as connection:
            found = await connection.execute(
                select(cache_outbox.c.key, cache_outbox.c.version, cache_outbox.c.body)
                .order_by(cache_outbox.c.tm_create)
                .limit(BATCH_ROWS)
            )
            rows = [CacheRow(*row) for row in found]
        if rows:
            complete = await self._push(redis, rows)
            await self._remove_taken()
            if complete:
                _log.info("redis was told what it missed", keys=len(rows))
                self._left = len(rows) == BATCH_ROWS
                if self._left:
                    self._wake.set()

    async def _remove_taken(self) -> None:
        taken, self._taken = self._taken, []
        if not taken:
            return
        try:
            async with writing(self._engine) as connection:
                await connection.execute(_TAKEN, [{"key": row.key, "version": row.version} for row in taken])
        except Unavailable:
            self._taken += taken
            raise

    async def _sweep(self) -> None:
        """Look at the table again: rows of a dead process, rows that have lost their point."""
        self._left = True
        oldest = self._clock() - timedelta(seconds=2 * self._ttl)
        try:
            async with writing(self._engine) as connection:
                await connection.execute(delete(cache_outbox).where(cache_outbox.c.tm_create < oldest))
        except Unavailable:
            pass
