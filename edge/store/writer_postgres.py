"""The writer on PostgreSQL: one task with one asyncpg connection, the twin of `writer_sqlite`.

Rows of one statement that follow each other travel in one batch. Whether a row was inserted comes back by number: each
urgent statement is given `RETURNING $n`, with the row's place in the batch as its last parameter.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from itertools import groupby
from typing import Any

import asyncpg  # type: ignore[import-untyped]

from edge.errors import Unavailable
from edge.log import get_logger
from edge.store.engine import BUSY_SECONDS, asyncpg_dsn, is_outage
from edge.store.statement import Statement
from edge.store.writer import COMMIT_SECONDS, GROUP_ROWS, RETRY_SECONDS, Job, Outcome, Row, WriterBackend

_log = get_logger("store")


class PostgresWriter(WriterBackend):
    def __init__(self, url: str, written: Callable[[Outcome], None]) -> None:
        self._dsn = asyncpg_dsn(url)
        self._written = written
        self._jobs: deque[Job] = deque()
        self._wake = asyncio.Event()
        self._closing = False
        self._connection: Any = None  # asyncpg is not typed

    async def start(self) -> None:
        try:
            self._connection = await self._open()
        except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            raise Unavailable(f"cannot connect to the database: {error}") from error
        self._task = asyncio.create_task(self._work(), name="sql-writer")

    def send(self, jobs: list[Job]) -> None:
        self._jobs += jobs
        self._wake.set()

    async def close(self) -> None:
        self._closing = True
        self._wake.set()
        await self._task
        self._drop()

    async def _open(self) -> Any:
        connection = await asyncpg.connect(self._dsn, timeout=BUSY_SECONDS, command_timeout=BUSY_SECONDS)
        # A process that is frozen in a transaction must not keep others from its rows for as long as that lasts.
        await connection.execute(f"SET idle_in_transaction_session_timeout = {int(BUSY_SECONDS * 1000)}")
        return connection

    async def _work(self) -> None:
        held: list[Job] = []
        while True:
            if held and not self._jobs:
                try:
                    async with asyncio.timeout(RETRY_SECONDS):
                        await self._wake.wait()
                except TimeoutError:
                    pass
            elif not self._jobs:
                if self._closing:
                    return
                await self._wake.wait()
            self._wake.clear()
            batch, rows = list(held), sum(len(job.rows) for job in held)
            while self._jobs and rows < GROUP_ROWS:
                job = self._jobs.popleft()
                batch.append(job)
                rows += len(job.rows)
            outcome = await self._write(batch)
            held = outcome.held
            self._written(outcome)
            if self._closing and not self._jobs:
                return

    async def _write(self, batch: list[Job]) -> Outcome:
        if not any(job.rows for job in batch):
            outcome = Outcome()
            outcome.done = batch
            return outcome
        started = time.perf_counter()
        try:
            if self._connection is None or self._connection.is_closed():  # the server was there again before we asked
                self._connection = await self._open()
            try:
                async with self._connection.transaction():
                    outcome = await self._group(batch)
            except (asyncpg.PostgresError, asyncpg.InterfaceError) as error:
                if is_outage(error):
                    raise
                async with self._connection.transaction():
                    outcome = await self._apart(batch)
            COMMIT_SECONDS.observe(time.perf_counter() - started)
            return outcome
        except Exception as error:  # whatever it is, those who wait must hear of it
            if not is_outage(error):
                _log.error("the database writer failed", error=f"{type(error).__name__}: {error}")
            self._drop()
            return Outcome.outage(batch, error)

    async def _group(self, batch: list[Job]) -> Outcome:
        outcome = Outcome()
        for (statement, lazy), grouped in groupby(batch, key=lambda job: (job.statement, job.done is None)):
            jobs = list(grouped)
            if statement is not None:
                await (self._lazy if lazy else self._urgent)(statement, jobs)
            for job in jobs:
                outcome.written(job)
        await self._following(batch, shared=True)
        return outcome

    async def _apart(self, batch: list[Job]) -> Outcome:
        """Each job under a savepoint of its own, and each row of a lazy job that is refused."""
        outcome = Outcome()
        todo = list(reversed(batch))
        while todo:
            job = todo.pop()
            try:
                if job.statement is not None:
                    async with self._connection.transaction():
                        await (self._lazy if job.done is None else self._urgent)(job.statement, [job])
                        await self._following([job], shared=True)
                outcome.written(job)
            except (asyncpg.PostgresError, asyncpg.InterfaceError) as error:
                if is_outage(error):
                    raise
                if job.done is None and len(job.rows) > 1:
                    todo += job.apart()
                else:
                    outcome.refuse(job, error)
        return outcome

    async def _lazy(self, statement: Statement, jobs: list[Job]) -> None:
        await self._connection.executemany(statement.postgres, [row for job in jobs for row in job.rows])

    async def _urgent(self, statement: Statement, jobs: list[Job]) -> None:
        rows = [row for job in jobs for row in job.rows]
        if not rows:
            return
        text = f"{statement.postgres} RETURNING ${len(rows[0]) + 1}::int"
        changed = await self._connection.fetchmany(text, [(*row, place) for place, row in enumerate(rows)])
        places = {record[0] for record in changed}
        place = 0
        for job in jobs:
            job.inserted = [place + offset in places for offset in range(len(job.rows))]
            place += len(job.rows)
        await self._following(jobs, shared=False)

    async def _following(self, jobs: list[Job], *, shared: bool) -> None:
        """Write what belongs to the rows that are new; what is shared in an order that all processes keep."""
        following: dict[Statement, list[Row]] = {}
        for job in jobs:
            for then, row in job.following:
                if then.shared is shared:
                    following.setdefault(then, []).append(row)
        for then, rows in sorted(following.items(), key=lambda item: item[0].name) if shared else following.items():
            await self._connection.executemany(then.postgres, sorted(rows) if shared else rows)

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.terminate()
