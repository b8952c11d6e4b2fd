"""The one SQL writer: rows go to the database's driver in groups, past SQLAlchemy.

*Urgent* rows (`put`, `put_each`) are durable when the call returns: whoever waits at the same time shares one commit,
and a commit begins as soon as the queue is drained, on SQLite some milliseconds after the last one at the earliest.
*Lazy* rows (`put_later`: call records) go with the next urgent commit, or when 250 ms have passed or 500 are waiting.
Rows are written in the order in which they were handed in; what belongs to a row (`put_with`) may come after other rows
of its group.

While the database is away, locked or full, urgent rows fail at once with `Unavailable`, and lazy ones wait in memory
up to a bound; what is over the bound is dropped and counted. A row that the database refuses (a broken constraint)
fails alone: the group is done again, each part by itself.

What is not nice: a lazy row that is refused has nobody to tell, so it is counted, logged once per statement, and gone.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, TypeAlias

from edge.errors import EdgeError, Internal, Unavailable
from edge.log import get_logger
from edge.metrics import counter, gauge, histogram
from edge.store.engine import StoreSection, is_sqlite
from edge.store.statement import Statement, insert

__all__ = ["Job", "Outcome", "Row", "Statement", "Then", "Writer", "WriterBackend", "insert"]

GROUP_ROWS = 1000  # rows of one commit at most, so that nobody waits long for strangers' rows
LAZY_BATCH = 500  # this many lazy rows are reason enough for a commit
RETRY_SECONDS = 0.25  # between two tries to write lazy rows while the database is away

Row = tuple[Any, ...]
Then: TypeAlias = tuple[Statement, Row]  # what is written with something else, see `Writer.put_with`

_WRITTEN = counter("store_rows_total", "Rows handed to the writer, by what became of them", ["kind", "outcome"])
_LAZY_WRITTEN = _WRITTEN.labels("lazy", "written")
_LAZY_DROPPED = _WRITTEN.labels("lazy", "dropped")
_LAZY_REFUSED = _WRITTEN.labels("lazy", "refused")
_URGENT_WRITTEN = _WRITTEN.labels("urgent", "written")
_URGENT_FAILED = _WRITTEN.labels("urgent", "failed")
_LAZY_WAITING = gauge("store_lazy_rows", "Lazy rows that wait to be written")
COMMIT_SECONDS = histogram("store_commit_seconds", "Duration of one group commit")

_log = get_logger("store")


class Job:
    """Rows for one statement. `done` is there for urgent ones; a job without rows is a barrier.

    `then` is written, in the same transaction, if the rows inserted or changed anything. `spooled`: the rows are in a
    file too (`spool.py`).
    """

    __slots__ = ("done", "inserted", "rows", "spooled", "statement", "then")

    def __init__(
        self,
        statement: Statement | None,
        rows: Sequence[Row],
        done: asyncio.Future[list[bool]] | None,
        then: Sequence[Then] = (),
        *,
        spooled: bool = False,
    ) -> None:
        self.statement = statement
        self.rows = rows
        self.done = done
        self.then = then
        self.spooled = spooled
        self.inserted: list[bool] = []

    @property
    def following(self) -> Sequence[Then]:
        """What is to be written now that the rows are."""
        return self.then if self.then and any(self.inserted) else ()

    def apart(self) -> list[Job]:
        """Each row of a lazy job by itself, the last one first."""
        return [Job(self.statement, [row], None, spooled=self.spooled) for row in reversed(self.rows)]


class Outcome:
    """What became of one group: urgent jobs done or failed, lazy rows written, held for the next try, or refused."""

    __slots__ = ("done", "failed", "held", "lazy_rows", "refused", "spooled_rows")

    def __init__(self) -> None:
        self.done: list[Job] = []
        self.failed: list[tuple[Job, EdgeError]] = []
        self.lazy_rows = 0
        self.spooled_rows = 0  # of them and of the refused
        self.held: list[Job] = []
        self.refused: dict[str, int] = {}

    def written(self, job: Job) -> None:
        if job.done is not None:
            self.done.append(job)
        else:
            self.lazy_rows += len(job.rows)
            self.spooled_rows += len(job.rows) * job.spooled

    def refuse(self, job: Job, error: Exception) -> None:
        """The database would not take it, now or ever."""
        name = job.statement.name if job.statement else ""
        if job.done is not None:
            self.failed.append((job, Internal(f"the database refused {name}: {error}")))
        else:
            self.refused[name] = self.refused.get(name, 0) + len(job.rows)
            self.spooled_rows += len(job.rows) * job.spooled

    @classmethod
    def outage(cls, jobs: Sequence[Job], error: Exception) -> Outcome:
        """Nothing was written: urgent jobs fail, lazy ones are kept."""
        outcome = cls()
        outcome.held = [job for job in jobs if job.done is None]
        outcome.failed = [
            (job, Unavailable(f"cannot write to the database: {error}")) for job in jobs if job.done is not None
        ]
        return outcome


class WriterBackend(ABC):
    """One database's side of the writer. It reports each group to `written`, on the loop."""

    @abstractmethod
    async def start(self) -> None: ...

    @abstractmethod
    def send(self, jobs: list[Job]) -> None:
        """Take jobs in order; called on the loop, never blocks."""

    @abstractmethod
    async def close(self) -> None: ...


class Writer:
    """The writer of one process. `start` before use; raises Unavailable when the database cannot be opened."""

    def __init__(self, section: StoreSection) -> None:
        self._limit = section.lazy_rows
        self._lazy_seconds = section.lazy_ms / 1000
        self._lazy: list[Job] = []  # not yet sent
        self._lazy_unsent = 0
        self._lazy_waiting = 0  # sent or not, until written
        self._spooled_waiting = 0  # of them
        self._timer: asyncio.TimerHandle | None = None
        self._refused_before: set[str] = set()
        self._closed = False
        self._backend: WriterBackend
        if is_sqlite(section.url):
            from edge.store.writer_sqlite import SqliteWriter

            self._backend = SqliteWriter(section.url, self._written)
        else:
            from edge.store.writer_postgres import PostgresWriter

            self._backend = PostgresWriter(section.url, self._written)

    async def start(self) -> None:
        self._loop = asyncio.get_running_loop()
        await self._backend.start()

    async def put(self, statement: Statement, rows: Sequence[Row]) -> int:
        """Write rows; returns how many were inserted or changed, once they are durable.

        All rows of one call are written or none. Raises Unavailable when the database is away, Internal when a row is
        refused.
        """
        return sum(await self.put_each(statement, rows))

    async def put_each(self, statement: Statement, rows: Sequence[Row]) -> list[bool]:
        """Like `put`, but says of each row whether it was inserted or changed. False: a conflict, it was known."""
        if not rows:
            return []
        done: asyncio.Future[list[bool]] = self._loop.create_future()
        self._send(Job(statement, rows, done))
        return await done

    async def put_with(self, statement: Statement, row: Row, then: Sequence[Then]) -> bool:
        """Write a row and, if that inserted or changed something, what belongs to it: all of it is written or nothing.

        Says whether it did. Raises as `put`.
        """
        done: asyncio.Future[list[bool]] = self._loop.create_future()
        self._send(Job(statement, (row,), done, then))
        return (await done)[0]

    def put_later(self, statement: Statement, rows: Sequence[Row], *, spooled: bool = False) -> bool:
        """Write rows some time soon. Never waits, never raises; False for what is over the bound: it is dropped and
        counted, or still in the spool."""
        count = len(rows)
        if self._lazy_waiting + count > self._limit:
            if not spooled:
                _LAZY_DROPPED.inc(count)
            return False
        self._lazy_waiting += count
        if spooled:
            self._spooled_waiting += count
        lazy = self._lazy
        if lazy and lazy[-1].statement is statement and lazy[-1].spooled is spooled:
            lazy[-1].rows += rows  # type: ignore[operator]  # a lazy job's rows are always our own list
        else:
            lazy.append(Job(statement, list(rows), None, spooled=spooled))
        self._lazy_unsent += count
        if self._lazy_unsent >= LAZY_BATCH:
            self._send(None)
        elif self._timer is None:
            self._timer = self._loop.call_later(self._lazy_seconds, self._send, None)
        return True

    async def flush(self) -> None:
        """Wait until all that was handed in before is durable. Raises Unavailable when it cannot be written now."""
        done: asyncio.Future[list[bool]] = self._loop.create_future()
        self._send(Job(None, (), done))
        await done

    async def close(self) -> None:
        """Write what waits, and stop. Lazy rows that cannot be written, and are in no spool, are lost and counted."""
        if self._closed:
            return
        try:
            await self.flush()
        except Unavailable as error:
            lost = self._lazy_waiting - self._spooled_waiting
            _LAZY_DROPPED.inc(lost)
            if lost:
                _log.error("rows lost", rows=lost, error=error.message)
        self._closed = True
        await self._backend.close()

    def _send(self, job: Job | None) -> None:
        if self._closed:
            if job is not None and job.done is not None:
                job.done.set_exception(Unavailable("the database is closed"))
            return
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        jobs, self._lazy, self._lazy_unsent = self._lazy, [], 0
        if job is not None:
            jobs.append(job)
        if jobs:
            self._backend.send(jobs)

    def _written(self, outcome: Outcome) -> None:
        for job in outcome.done:
            if job.done is not None and not job.done.done():
                job.done.set_result(job.inserted)
        for job, error in outcome.failed:
            if job.done is not None and not job.done.done():
                job.done.set_exception(error)
        _URGENT_WRITTEN.inc(sum(len(job.rows) for job in outcome.done))
        _URGENT_FAILED.inc(sum(len(job.rows) for job, _ in outcome.failed))
        _LAZY_WRITTEN.inc(outcome.lazy_rows)
        self._lazy_waiting -= outcome.lazy_rows
        self._spooled_waiting -= outcome.spooled_rows
        for name, rows in outcome.refused.items():
            self._lazy_waiting -= rows
            _LAZY_REFUSED.inc(rows)
            if name not in self._refused_before:
                self._refused_before.add(name)
                _log.error("the database refuses a record", statement=name, rows=rows)
        _LAZY_WAITING.set(self._lazy_waiting)
