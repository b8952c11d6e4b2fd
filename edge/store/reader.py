"""Keyed look-ups past SQLAlchemy, the third tier of the directory: the keys of one turn of the loop are one query.

A `Lookup` is a SELECT over many keys at once whose first column is the key; on SQLite the keys are one JSON
parameter, on PostgreSQL one text array. SQLite runs it in a thread with a connection of its own, PostgreSQL over one
asyncpg connection. Whoever asked and got no answer within the deadline gets `Unavailable`.
"""

from __future__ import annotations

import asyncio
import json
import queue
import sqlite3
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from edge.errors import Unavailable
from edge.store.engine import StoreSection, asyncpg_dsn, is_outage, is_sqlite, sqlite_path, sqlite_pragmas

Row = tuple[Any, ...]
Rows = Mapping[str, list[Row]]

KEYS_MAX = 500  # of one query


@dataclass(frozen=True, slots=True)
class Lookup:
    """One named query over many keys. The only parameter is the keys: `json_each(?)` in `sqlite`, `ANY($1::text[])` in
    `postgres`; the first column of each row is the key it belongs to."""

    name: str
    sqlite: str
    postgres: str


class _Batch:
    __slots__ = ("lookup", "timer", "waiting")

    def __init__(self, lookup: Lookup) -> None:
        self.lookup = lookup
        self.waiting: dict[str, list[asyncio.Future[list[Row]]]] = {}
        self.timer: asyncio.TimerHandle | None = None

    def answer(self, rows: Rows) -> None:
        self._end()
        for key, futures in self.waiting.items():
            found = rows.get(key, [])
            for future in futures:
                if not future.done():
                    future.set_result(found)

    def fail(self, error: Exception) -> None:
        self._end()
        for futures in self.waiting.values():
            for future in futures:
                if not future.done():
                    future.set_exception(error)

    def _end(self) -> None:
        if self.timer is not None:
            self.timer.cancel()


class ReaderBackend(ABC):
    """One database's side: runs batches, each answered or failed once, on the loop."""

    @abstractmethod
    async def start(self) -> None: ...

    @abstractmethod
    def send(self, batch: _Batch) -> None: ...

    @abstractmethod
    async def close(self) -> None: ...


class Reader:
    """The look-ups of one process. `start` before use; raises Unavailable when the database cannot be opened."""

    def __init__(self, section: StoreSection) -> None:
        self._seconds = section.read_seconds
        self._batches: dict[Lookup, _Batch] = {}
        self._backend: ReaderBackend = (
            _SqliteReader(section.url) if is_sqlite(section.url) else _PostgresReader(section.url)
        )

    async def start(self) -> None:
        self._loop = asyncio.get_running_loop()
        await self._backend.start()

    def get(self, lookup: Lookup, key: str) -> asyncio.Future[list[Row]]:
        """The rows of a key, in the query's order. The future raises Unavailable when SQL is away or too slow."""
        future: asyncio.Future[list[Row]] = self._loop.create_future()
        batch = self._batches.get(lookup)
        if batch is None:
            if not self._batches:
                self._loop.call_soon(self._send)
            batch = self._batches[lookup] = _Batch(lookup)
        batch.waiting.setdefault(key, []).append(future)
        if len(batch.waiting) >= KEYS_MAX:
            del self._batches[lookup]
            self._send_one(batch)
        return future

    async def close(self) -> None:
        await self._backend.close()

    def _send(self) -> None:
        batches, self._batches = self._batches, {}
        for batch in batches.values():
            self._send_one(batch)

    def _send_one(self, batch: _Batch) -> None:
        late = Unavailable(f"the database did not answer within {self._seconds:g} s")
        batch.timer = self._loop.call_later(self._seconds, batch.fail, late)
        self._backend.send(batch)


def _by_key(rows: Sequence[Any]) -> Rows:
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(row[0], []).append(tuple(row))
    return found


class _SqliteReader(ReaderBackend):
    def __init__(self, url: str) -> None:
        self._path = sqlite_path(url)
        self._queue: queue.SimpleQueue[_Batch | None] = queue.SimpleQueue()

    async def start(self) -> None:
        self._loop = asyncio.get_running_loop()
        try:
            self._connection: sqlite3.Connection | None = self._open()
        except (sqlite3.Error, OSError) as error:
            raise Unavailable(f"cannot open the database {self._path}: {error}") from error
        self._stopped: asyncio.Future[None] = self._loop.create_future()
        self._thread = threading.Thread(target=self._work, name="sql-reader", daemon=True)
        self._thread.start()

    def send(self, batch: _Batch) -> None:
        self._queue.put(batch)

    async def close(self) -> None:
        self._queue.put(None)
        await self._stopped
        self._thread.join()

    def _open(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False)
        for pragma in [*sqlite_pragmas(), "PRAGMA query_only=ON"]:
            connection.execute(pragma)
        return connection

    def _work(self) -> None:
        while (batch := self._queue.get()) is not None:
            report: Callable[[], None]
            try:
                if self._connection is None:
                    self._connection = self._open()
                keys = json.dumps(list(batch.waiting))
                rows = self._connection.execute(batch.lookup.sqlite, (keys,)).fetchall()
                report = partial(batch.answer, _by_key(rows))
            except sqlite3.Error as error:
                report = partial(batch.fail, self._failure(error))
            self._loop.call_soon_threadsafe(report)
        if self._connection is not None:
            self._connection.close()
        self._loop.call_soon_threadsafe(self._stopped.set_result, None)

    def _failure(self, error: sqlite3.Error) -> Exception:
        if not is_outage(error):
            return error
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        return Unavailable(f"cannot read from the database: {error}")


class _PostgresReader(ReaderBackend):
    def __init__(self, url: str) -> None:
        self._dsn = asyncpg_dsn(url)
        self._queue: asyncio.Queue[_Batch] = asyncio.Queue()
        self._connection: Any = None  # asyncpg is not typed

    async def start(self) -> None:
        import asyncpg  # type: ignore[import-untyped]

        try:
            self._connection = await self._open()
        except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            raise Unavailable(f"cannot connect to the database: {error}") from error
        self._task = asyncio.create_task(self._work(), name="sql-reader")

    def send(self, batch: _Batch) -> None:
        self._queue.put_nowait(batch)

    async def close(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        self._drop()

    async def _open(self) -> Any:
        import asyncpg

        return await asyncpg.connect(self._dsn, timeout=2, command_timeout=2)

    async def _work(self) -> None:
        while True:
            batch = await self._queue.get()
            try:
                if self._connection is None or self._connection.is_closed():
                    self._connection = await self._open()
                batch.answer(_by_key(await self._connection.fetch(batch.lookup.postgres, list(batch.waiting))))
            except Exception as error:  # whatever it is, those who wait must hear of it
                if is_outage(error):
                    self._drop()
                    batch.fail(Unavailable(f"cannot read from the database: {error}"))
                else:
                    batch.fail(error)

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.terminate()
