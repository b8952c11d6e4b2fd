"""The writer on SQLite: one thread with one connection of the standard library's driver.

The thread takes all that waits, runs it in one transaction, commits, and reports to the loop once. While it sits in the
commit's fsync (without the interpreter's lock), the next group gathers by itself; and from the beginning of one to that
of the next some milliseconds pass, in which it gathers too. So a row that comes alone is written at once, and many that
come one by one share commits, each of which costs as much as several rows and wakes thread and loop.
"""

from __future__ import annotations

import asyncio
import queue
import sqlite3
import threading
import time
from collections.abc import Callable
from itertools import chain

from edge.errors import Unavailable
from edge.log import get_logger
from edge.store.engine import is_outage, sqlite_path, sqlite_pragmas
from edge.store.statement import Statement
from edge.store.writer import COMMIT_SECONDS, GROUP_ROWS, RETRY_SECONDS, Job, Outcome, Row, WriterBackend

PACE_SECONDS = 0.005  # between the beginnings of two commits at least: longer costs whoever waits more than it saves
LOCK_SECONDS = 2.0  # the writer waits this long for another process's transaction
CHUNK_ROWS = 100  # rows of one multi-row INSERT: each step of the driver passes the interpreter's lock twice
PARAMETERS_MAX = 30_000  # SQLite's own limit is 32,766

_log = get_logger("store")


class SqliteWriter(WriterBackend):
    def __init__(self, url: str, written: Callable[[Outcome], None]) -> None:
        self._path = sqlite_path(url)
        self._written = written
        self._queue: queue.SimpleQueue[list[Job] | None] = queue.SimpleQueue()
        self._connection: sqlite3.Connection | None = None
        self._chunks: dict[tuple[str, int], str] = {}

    async def start(self) -> None:
        self._loop = asyncio.get_running_loop()
        try:
            self._connection = self._open()
        except (sqlite3.Error, OSError) as error:
            raise Unavailable(f"cannot open the database {self._path}: {error}") from error
        self._stopped = self._loop.create_future()
        self._thread = threading.Thread(target=self._work, name="sql-writer", daemon=True)
        self._thread.start()

    def send(self, jobs: list[Job]) -> None:
        self._queue.put(jobs)

    async def close(self) -> None:
        self._queue.put(None)
        await self._stopped
        self._thread.join()

    def _open(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False, cached_statements=256)
        for pragma in [*sqlite_pragmas(), f"PRAGMA busy_timeout={int(LOCK_SECONDS * 1000)}"]:
            connection.execute(pragma)
        return connection

    def _work(self) -> None:
        held: list[Job] = []
        running, due = True, 0.0
        while running:
            try:
                jobs = self._queue.get(timeout=RETRY_SECONDS if held else None)
            except queue.Empty:
                jobs = []
            if jobs is None:
                break
            if (early := due - time.monotonic()) > 0:
                time.sleep(early)  # in the thread: what comes meanwhile shares the commit
            due = time.monotonic() + PACE_SECONDS
            batch = [*held, *jobs]
            running = self._gather(batch)
            outcome = self._write(batch)
            held = outcome.held
            self._loop.call_soon_threadsafe(self._written, outcome)
        if self._connection is not None:
            self._connection.close()
        self._loop.call_soon_threadsafe(self._stopped.set_result, None)

    def _gather(self, batch: list[Job]) -> bool:
        """Add what waits in the queue. False: the end was among it."""
        rows = sum(len(job.rows) for job in batch)
        while rows < GROUP_ROWS:
            try:
                jobs = self._queue.get_nowait()
            except queue.Empty:
                return True
            if jobs is None:
                return False
            batch += jobs
            rows += sum(len(job.rows) for job in jobs)
        return True

    def _write(self, batch: list[Job]) -> Outcome:
        """One transaction. Only what the database refuses or cannot do now makes it more than one."""
        if not any(job.rows for job in batch):
            outcome = Outcome()
            outcome.done = batch
            return outcome
        try:
            return self._group(batch)
        except Exception as error:
            self._roll_back(error)
            if is_outage(error):
                return Outcome.outage(batch, error)
        try:
            return self._apart(batch)
        except Exception as error:  # whatever it is, those who wait must hear of it
            self._roll_back(error)
            if not is_outage(error):
                _log.error("the database writer failed", error=f"{type(error).__name__}: {error}")
            return Outcome.outage(batch, error)

    def _group(self, batch: list[Job]) -> Outcome:
        started = time.perf_counter()
        if self._connection is None:
            self._connection = self._open()
        connection, outcome = self._connection, Outcome()
        connection.execute("BEGIN IMMEDIATE")
        for job in batch:
            self._run(connection, job)
            outcome.written(job)
        connection.execute("COMMIT")
        COMMIT_SECONDS.observe(time.perf_counter() - started)
        return outcome

    def _apart(self, batch: list[Job]) -> Outcome:
        """The same, each job under a savepoint of its own, and each row of a lazy job that is refused."""
        if self._connection is None:
            self._connection = self._open()
        connection, outcome = self._connection, Outcome()
        connection.execute("BEGIN IMMEDIATE")
        todo = list(reversed(batch))
        while todo:
            job = todo.pop()
            connection.execute("SAVEPOINT job")
            try:
                self._run(connection, job)
                outcome.written(job)
            except (sqlite3.Error, OverflowError, ValueError) as error:  # the latter two: a value that cannot be bound
                if is_outage(error):
                    raise
                connection.execute("ROLLBACK TO job")
                if job.done is None and len(job.rows) > 1:
                    todo += job.apart()
                else:
                    outcome.refuse(job, error)
            connection.execute("RELEASE job")
        connection.execute("COMMIT")
        return outcome

    def _run(self, connection: sqlite3.Connection, job: Job) -> None:
        statement = job.statement
        if statement is None:
            return
        if job.done is not None:
            text = statement.sqlite
            job.inserted = [connection.execute(text, row).rowcount > 0 for row in job.rows]
            for following, row in job.following:
                connection.execute(following.sqlite, row)
        elif statement.row is None or len(job.rows) == 1:
            connection.executemany(statement.sqlite, job.rows)
        else:
            self._run_chunks(connection, statement, list(job.rows))

    def _run_chunks(self, connection: sqlite3.Connection, statement: Statement, rows: list[Row]) -> None:
        size = max(1, min(CHUNK_ROWS, PARAMETERS_MAX // max(1, len(rows[0]))))
        for start in range(0, len(rows), size):
            chunk = rows[start : start + size]
            key = (statement.sqlite, len(chunk))
            text = self._chunks.get(key) if len(chunk) == size else None
            if text is None:
                row = str(statement.row)
                text = statement.sqlite.replace(row, ", ".join([row] * len(chunk)), 1)
                if len(chunk) == size:
                    self._chunks[key] = text
            connection.execute(text, list(chain.from_iterable(chunk)))

    def _roll_back(self, error: Exception) -> None:
        """Leave the transaction; after an outage other than a lock also the connection, which may hold a dead file."""
        connection = self._connection
        if connection is None:
            return
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        try:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            if not is_outage(error) or code in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}:
                return
            connection.close()
        except sqlite3.Error:
            pass
        self._connection = None
