"""Leases: what of several processes on one database only one may do, such as to hold a carrier's connections.

A lease is a row: who has it, and until when by the clock of the database, so that the clocks of hosts do not matter.
Taking and renewing it is one conditional UPDATE, so of two who try one succeeds. The holder reckons its own time from
before it asked, on a clock that nobody sets; so it believes in less than it has. Some time before the end of that it
stops what the lease allowed, and whatever keeps it from renewing (SQL is away, the loop is blocked, the process was
frozen) it has stopped, or does not begin again, before the lease can be somebody else's.

When a holder is killed, its lease runs out and another takes it. The name outlives the process, see `claims.py`: one
that starts again under it has its leases back at once.

What is not nice: a database whose clock is set forward hands leases on early, one that is set back late.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from typing import Any, Final

from edge.errors import Unavailable
from edge.log import get_logger
from edge.metrics import gauge
from edge.sms import carrier
from edge.store.writer import Statement, Writer, insert

log = get_logger("leases")

HELD = gauge("lease_held", "1 while this process has the lease.", ("name",))

SECONDS: Final = 6.0  # from a renewal on; so long the lease of a dead process is nobody else's
RENEW_SECONDS: Final = 2.0
WATCH_SECONDS: Final = 1.0  # how often those who do not have it, or could not renew it, ask
ANSWER_SECONDS: Final = 0.75  # for texts under way to be answered, when the right to send is about to end
SPARE_SECONDS: Final = 0.25  # for the loop, which is late now and then
LEAVE_SECONDS: Final = ANSWER_SECONDS + carrier.LEAVE_SECONDS + SPARE_SECONDS  # before the end: one after the other
AGAIN_SECONDS: Final = (1.0, 2.0, 5.0, 10.0)  # before work that ended is begun again; then the last one, for ever

_NOW_SQLITE: Final = "CAST((julianday('now') - 2440587.5) * 86400000000 AS INTEGER)"  # microseconds since the epoch
_NOW_POSTGRES: Final = "(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000)::bigint"

ENTER: Final = insert("lease.enter", "leases", ("name", "holder", "until"), "ON CONFLICT DO NOTHING")
TAKE: Final = Statement(  # a holder that was frozen may have locked the row: nobody waits for that
    "lease.take",
    f"UPDATE leases SET holder = ?, until = {_NOW_SQLITE} + ?"  # noqa: S608
    f" WHERE name = ? AND (holder = ? OR until < {_NOW_SQLITE})",
    f"UPDATE leases SET holder = $1, until = {_NOW_POSTGRES} + $2::bigint WHERE name IN (SELECT name FROM leases"  # noqa: S608
    f" WHERE name = $3 AND (holder = $4 OR until < {_NOW_POSTGRES}) FOR UPDATE SKIP LOCKED)",
)
LEAVE: Final = Statement.of("lease.leave", "UPDATE leases SET until = 0 WHERE name = ? AND holder = ?")

Work = Callable[[], Coroutine[Any, Any, None]]


class Lease:
    """One lease, as this process has it or not."""

    def __init__(self, name: str, clock: Callable[[], float], pause: Callable[[float], Awaitable[None]]) -> None:
        self.name = name
        self._clock = clock
        self._pause = pause
        self._until = 0.0  # on our clock
        self._works: list[tuple[str, Work]] = []
        self._task: asyncio.Task[None] | None = None
        self._leaving = False
        self._timer: asyncio.TimerHandle | None = None
        HELD.labels(name).set(0)

    @property
    def held(self) -> bool:
        """Whether what the lease allows may be begun in this turn of the loop."""
        return self._clock() < self._until

    def during(self, what: str, work: Work) -> None:
        """Have work done while the lease is ours. It is cancelled in time before that ends, one after another in the
        order of these calls; if it ends by itself it is begun again.
        """
        self._works.append((what, work))

    def extend(self, since: float) -> None:
        """It is ours for `SECONDS` from a time on our clock."""
        self._until = since + SECONDS - LEAVE_SECONDS
        self.look()

    def look(self) -> None:
        """Begin or stop what the lease allows, as it is now."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self.held:
            self._timer = asyncio.get_running_loop().call_later(self._until - self._clock(), self.look)
            if self._task is None:
                log.info("lease taken", name=self.name)
                HELD.labels(self.name).set(1)
                self._task = asyncio.create_task(self._occupy())
                self._task.add_done_callback(self._left)
        elif self._task is not None and not self._leaving:
            self._leaving = True  # once: a second cancellation would cut short what is taking leave
            self._task.cancel()

    async def leave(self) -> None:
        """Stop all that the lease allows; returns once it is over."""
        self._until = 0.0
        self.look()
        while self._task is not None:
            await asyncio.wait([self._task])

    def _left(self, task: asyncio.Task[None]) -> None:
        log.info("lease left", name=self.name)
        HELD.labels(self.name).set(0)
        self._task, self._leaving = None, False
        self.look()  # it may be ours again by now

    async def _occupy(self) -> None:
        tasks = [(what, asyncio.create_task(insist(what, work, self._pause))) for what, work in self._works]
        try:
            await asyncio.Event().wait()
        finally:
            end = self._clock() + LEAVE_SECONDS
            for what, task in tasks:
                await _end(what, task, end - self._clock())


class Leases:
    """The leases of one process. `node` is its name, see `claims.py`; `clock` is one that nobody sets."""

    def __init__(
        self,
        writer: Writer,
        names: Iterable[str],
        *,
        node: str,
        clock: Callable[[], float] = time.monotonic,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._writer = writer
        self._node = node
        self._clock = clock
        self._pause = pause
        self._leases = {name: Lease(name, clock, pause) for name in names}
        self._task: asyncio.Task[None] | None = None

    def __getitem__(self, name: str) -> Lease:
        return self._leases[name]

    async def start(self) -> None:
        """Take what is free, now and from now on. Raises Unavailable."""
        if not self._leases:
            return
        await self._writer.put(ENTER, [(name, "", 0) for name in self._leases])
        await self.ask()
        self._task = asyncio.create_task(self._tend())

    async def close(self) -> None:
        """Stop what they allow, and let go of them, so that another process has them at once."""
        if self._task is None:
            return
        self._task.cancel()
        await asyncio.wait([self._task])
        self._task = None
        await asyncio.gather(*(lease.leave() for lease in self._leases.values()))
        try:
            await self._writer.put(LEAVE, [(name, self._node) for name in self._leases])
        except Unavailable as error:
            log.warning("leases not let go of, they run out", error=error.message)

    async def ask(self) -> None:
        """Take or renew all of them that can be had. Raises Unavailable."""
        since, length = self._clock(), int(SECONDS * 1_000_000)
        rows = [(self._node, length, name, self._node) for name in self._leases]
        for lease, ours in zip(self._leases.values(), await self._writer.put_each(TAKE, rows), strict=True):
            if ours:
                lease.extend(since)

    async def _tend(self) -> None:
        while True:
            await self._pause(RENEW_SECONDS if all(lease.held for lease in self._leases.values()) else WATCH_SECONDS)
            try:
                await self.ask()
            except Unavailable as error:
                log.warning("leases not renewed", error=error.message)
            except Exception:
                log.exception("leases not renewed")


async def insist(what: str, work: Work, pause: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
    """Have work done for ever: when it ends or raises it is begun again, after pauses that grow."""
    times = 0
    while True:
        began = time.monotonic()
        try:
            await work()
            log.warning("work ended that goes on for ever", what=what)
        except Exception:
            log.exception("work failed that goes on for ever", what=what)
        times = 0 if time.monotonic() - began > AGAIN_SECONDS[-1] else times
        await pause(AGAIN_SECONDS[min(times, len(AGAIN_SECONDS) - 1)])
        times += 1


async def _end(what: str, task: asyncio.Task[None], seconds: float) -> None:
    """Cancel work, and wait for its end; if that takes longer than the lease lasts, somebody should know."""
    task.cancel()
    done, _ = await asyncio.wait([task], timeout=max(0.0, seconds))
    if not done:
        log.error("work does not stop in time", what=what)
        await asyncio.wait([task])
