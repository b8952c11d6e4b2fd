"""Notices: word that a cached key changed.

They come from two places, this process's own commits (`store.cache_outbox`) and Redis's tracking (`store.redis`), and
go to the `Tiers` of the key's kind. Keys carry the version of the values' shape, so that during a rolling upgrade the
old and the new process never read each other's.
"""

from __future__ import annotations

from collections.abc import Callable

PREFIX = "edge:v1:"


def cache_key(kind: str, key: str) -> str:
    """`edge:v1:number:+14155550100`. A kind has no colon in it; a key may."""
    return f"{PREFIX}{kind}:{key}"


class Notices:
    """Hands each notice to the one listener of its kind; `None` (everything may have changed) to all."""

    def __init__(self) -> None:
        self._listeners: dict[str, list[Callable[[str | None], None]]] = {}

    def listen(self, kind: str, callback: Callable[[str | None], None]) -> None:
        """Call back with the key (without prefix and kind) that changed, or None when any may have."""
        self._listeners.setdefault(kind, []).append(callback)

    def tell(self, full_key: str | None) -> None:
        """A key of `cache_key` changed; None: notices may have been missed. Foreign keys are ignored."""
        if full_key is None:
            for callbacks in self._listeners.values():
                for callback in callbacks:
                    callback(None)
            return
        if full_key.startswith(PREFIX):
            kind, _, key = full_key[len(PREFIX) :].partition(":")
            for callback in self._listeners.get(kind, ()):
                callback(key)
