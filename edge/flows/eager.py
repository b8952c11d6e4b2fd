"""Start a coroutine without a task, and give it one when it first waits.

Most runs for a redirect or a text never wait for anything, and a task costs more than such a run. So its coroutine is
stepped once by hand. When it comes back with something to wait for, a task takes over from exactly there.

Until then there is no current task: what runs must not ask for it. `asyncio.timeout`, `asyncio.TaskGroup` and aiohttp's
client do. A session that needs them makes a task of its own for it, or calls `breathe` first.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Generator
from contextvars import copy_context
from types import coroutine as generator_coroutine
from typing import Any


def start(coroutine: Coroutine[Any, Any, None], *, name: str | None = None) -> asyncio.Task[None] | None:
    """Step a coroutine at once. None: it is done. Otherwise the task that will see it to its end.

    What the coroutine raises before it waits is raised here. It gets a copy of the context, as a task does.
    """
    context = copy_context()
    try:
        awaited = context.run(coroutine.send, None)
    except StopIteration:
        return None
    return asyncio.get_running_loop().create_task(_Rest(coroutine, awaited), name=name, context=context)


@generator_coroutine
def breathe() -> Generator[None, None, None]:
    """Let the event loop have its turn. Afterwards there is a task."""
    yield


class _Rest(Coroutine[Any, Any, None]):
    """The rest of a coroutine that was stepped once: it first gives again what it waits for."""

    __slots__ = ("_awaited", "_coroutine", "_fresh")

    def __init__(self, coroutine: Coroutine[Any, Any, None], awaited: Any) -> None:
        self._coroutine = coroutine
        self._awaited = awaited
        self._fresh = True

    def send(self, value: Any) -> Any:
        if self._fresh:
            self._fresh = False
            awaited, self._awaited = self._awaited, None
            return awaited
        return self._coroutine.send(value)

    def throw(self, *error: Any) -> Any:
        if self._fresh:  # cancelled before its first turn: what it waits for is cancelled too, as a task would do
            self._fresh = False
            awaited, self._awaited = self._awaited, None
            if awaited is not None:
                awaited.cancel()
        return self._coroutine.throw(*error)

    def close(self) -> None:
        self._coroutine.close()

    def __await__(self) -> Generator[Any, None, None]:
        raise TypeError("only a task steps it")
