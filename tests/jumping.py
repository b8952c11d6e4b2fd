"""A loop whose clock jumps: where nothing is to be done until some time, it is that time at once.

What comes by sockets of this machine is there when it is looked for, so whole conversations and their timeouts pass in
milliseconds, at the times that the loop tells.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

LOOK: float = 0.002  # real seconds in which something may come that was sent before

T = TypeVar("T")


class Selector(selectors.DefaultSelector):
    """Waits for nothing that is not there by now."""

    def __init__(self) -> None:
        super().__init__()
        self.skipped = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None or timeout <= 0:
            return super().select(timeout)
        found = super().select(min(timeout, LOOK))
        if not found:
            self.skipped += max(0.0, timeout - LOOK)
        return found


class Loop(asyncio.SelectorEventLoop):
    """Tells the time with what was skipped."""

    def __init__(self) -> None:
        self._jumps = Selector()
        super().__init__(self._jumps)

    def time(self) -> float:
        return super().time() + self._jumps.skipped


def run(story: Coroutine[Any, Any, T]) -> T:
    """Have a story happen on such a loop."""
    with asyncio.Runner(loop_factory=Loop) as runner:
        return runner.run(story)
