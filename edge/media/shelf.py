"""A shelf: what is kept in memory by key, up to so many bytes. What was longest unused goes first.

Many who want the same key at the same time cause one piece of work. `shared` turns a coroutine into something that
several can await, one of which may be cancelled without harm to the others.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Generic, TypeVar

from edge.media.audio import Audio

E = TypeVar("E")

Shared = Callable[[Coroutine[Any, Any, Audio]], Callable[[], Awaitable[Audio]]]


class Shelf(Generic[E]):
    """Entries by key; each is put there with the bytes it takes. One that is too large alone is kept alone."""

    def __init__(self, max_bytes: int, shared: Shared) -> None:
        self._max_bytes = max_bytes
        self._shared = shared
        self._kept: OrderedDict[str, tuple[E, int]] = OrderedDict()
        self._bytes = 0
        self._making: dict[str, Callable[[], Awaitable[Audio]]] = {}

    def find(self, key: str) -> E | None:
        """What is kept under the key; it counts as used."""
        kept = self._kept.get(key)
        if kept is None:
            return None
        self._kept.move_to_end(key)
        return kept[0]

    def keep(self, key: str, entry: E, size: int) -> None:
        """Keep this under the key, in the place of what was there."""
        self._drop(key)
        self._kept[key] = entry, size
        self._bytes += size
        while self._bytes > self._max_bytes and len(self._kept) > 1:
            self._drop(next(iter(self._kept)))

    async def once(self, key: str, make: Callable[[], Coroutine[Any, Any, Audio]]) -> Audio:
        """What `make` returns or raises, asked once for all who want the key meanwhile."""
        waiting = self._making.get(key)
        if waiting is None:
            waiting = self._making[key] = self._shared(self._make(key, make()))
        return await waiting()

    async def _make(self, key: str, work: Coroutine[Any, Any, Audio]) -> Audio:
        try:
            return await work
        finally:
            self._making.pop(key, None)

    def _drop(self, key: str) -> None:
        old = self._kept.pop(key, None)
        if old is not None:
            self._bytes -= old[1]
