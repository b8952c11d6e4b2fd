"""Lanes: work that must be done in order for each pair of numbers, and as much at once as is allowed.

A lane is what waits under one key. Of each lane one piece is at work at a time, of all lanes at most `limit`; lanes
take turns, so that one with a long queue does not hold up the others. An idle lane does not exist.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Hashable

from edge.log import get_logger

log = get_logger("sessions")

Work = Callable[[], Awaitable[None]]


class Lanes:
    """Work by key. What work raises is logged and does not stop its lane."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._lanes: dict[Hashable, deque[Work]] = {}
        self._ready: deque[Hashable] = deque()  # lanes with work and none of it being done
        self._tasks: set[asyncio.Task[None]] = set()
        self._closed = False

    def add(self, key: Hashable, work: Work) -> None:
        """Put work at the end of a lane. It begins in a later turn of the loop."""
        lane = self._lanes.get(key)
        if lane is not None:
            lane.append(work)
            return
        self._lanes[key] = deque((work,))
        self._ready.append(key)
        self._begin()

    def free(self, key: Hashable) -> bool:
        """Whether work added now would begin at once."""
        return key not in self._lanes and len(self._tasks) < self._limit and not self._ready

    async def idle(self) -> None:
        """Wait until nothing is left to do."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def close(self) -> None:
        """Cancel what is at work, forget what waits."""
        self._closed = True
        self._lanes.clear()
        self._ready.clear()
        for task in self._tasks:
            task.cancel()
        await self.idle()

    def _begin(self) -> None:
        while self._ready and len(self._tasks) < self._limit and not self._closed:
            key = self._ready.popleft()
            task = asyncio.get_running_loop().create_task(self._do(key, self._lanes[key].popleft()))
            self._tasks.add(task)
            task.add_done_callback(self._done)

    async def _do(self, key: Hashable, work: Work) -> None:
        try:
            await work()
        except Exception:
            log.exception("work on a text failed")
        finally:
            if lane := self._lanes.get(key):
                self._ready.append(key)
            elif lane is not None:
                del self._lanes[key]

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._begin()
