"""What a session waits for: one thing at a time, and never past its own end.

A flow does one thing at a time, so at most one method waits at any moment, always on one future. Who ends the session
resolves that future with its `SessionEnded`; nothing here is ever cancelled but by the shutdown of the daemon.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from edge.flows.session import SessionEnded

T = TypeVar("T")


class Waiting:
    """The one who waits. `ended` is set once the session is over: from then on nobody waits any more."""

    __slots__ = ("_future", "ended")

    def __init__(self) -> None:
        self.ended: SessionEnded | None = None
        self._future: asyncio.Future[None] | None = None

    def alive(self) -> None:
        """Raise SessionEnded when the session is over."""
        if self.ended is not None:
            raise self.ended

    def wake(self) -> None:
        """Have who waits look again."""
        if self._future is not None and not self._future.done():
            self._future.set_result(None)

    def break_off(self) -> None:
        """The session is over: who waits is told so."""
        if self._future is not None and not self._future.done():
            assert self.ended is not None
            self._future.set_exception(self.ended)

    async def wait(self, seconds: float | None = None) -> None:
        """Wait until `wake`, the time is over, or the session."""
        loop = asyncio.get_running_loop()
        self._future = future = loop.create_future()
        timer = loop.call_later(seconds, self.wake) if seconds is not None else None
        try:
            await future
        finally:
            self._future = None
            if timer is not None:
                timer.cancel()

    async def until(self, true: Callable[[], bool], seconds: float) -> bool:
        """Wait until it is true, looking at each `wake`; false when the time was over first."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        while not true():
            left = deadline - loop.time()
            if left <= 0:
                return False
            await self.wait(left)
        return True

    async def during(self, work: Coroutine[Any, Any, T]) -> T:
        """What the work returns; SessionEnded at once when the session ends first, and the work is given up then."""
        task = asyncio.get_running_loop().create_task(work)
        task.add_done_callback(lambda _: self.wake())
        try:
            while not task.done():
                await self.wait()
        finally:
            task.cancel()
        self.alive()
        return task.result()
