"""Where forks are opened and ended, and which stream has which."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from functools import partial
from typing import Final

from edge.errors import Conflict, EdgeError, Exhausted
from edge.flows.external_media import ExternalMedia
from edge.http import Guard
from edge.media.transport.stream import Stream
from edge.sessions.calls.external_media.fork import STARTED, Fork
from edge.sessions.calls.external_media.rtp import RtpFork
from edge.sessions.calls.external_media.websocket import WebSocketFork
from edge.store.metadata import new_id

FORKS_PER_CALL: Final = 4
FORKS: Final = 1_000  # of all calls


class ForkDesk:
    """All forks of a process. Their sockets are the guard's, who says which addresses may be reached."""

    def __init__(self, guard: Guard) -> None:
        self._guard = guard
        self._forks: dict[Stream, list[Fork]] = {}
        self._count = 0
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self, stream: Stream, media: ExternalMedia, told: Mapping[str, str]) -> str:
        """Open a fork of the stream; its id. `told` is what a WebSocket's server learns of the call.

        Raises Exhausted when there are too many, Conflict for a second one that speaks, StreamClosed, and what the
        guard says of a host that cannot be reached or must not.
        """
        fork: WebSocketFork | RtpFork
        kind = WebSocketFork if media.is_websocket else RtpFork
        forks = self._forks.setdefault(stream, [])
        fork = kind(new_id(), media, partial(self._ended, stream))
        try:
            self._admit(forks, media)
            forks.append(fork)
            self._count += 1
            if isinstance(fork, WebSocketFork):
                await fork.open(self._guard, told)
                task = asyncio.create_task(fork.run(), name="fork")
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
            else:
                await fork.open(self._guard)
            fork.join(stream)
        except BaseException as error:
            if isinstance(error, EdgeError):
                STARTED.labels(kind.kind, "failed").inc()
            fork.end("failed")
            raise
        return fork.id

    def typed(self, stream: Stream, keys: str) -> None:
        """Tell the forks of a stream of keys that came on it."""
        for fork in self._forks.get(stream, ()):
            fork.typed(keys)

    def stop(self, stream: Stream, why: str) -> int:
        """End all forks of a stream; how many there were."""
        forks = list(self._forks.get(stream, ()))
        for fork in forks:
            fork.end(why)
        return len(forks)

    async def close(self) -> None:
        """End all of them, and wait for their goodbyes."""
        for stream in list(self._forks):
            self.stop(stream, "hangup")
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _admit(self, forks: list[Fork], media: ExternalMedia) -> None:
        if len(forks) >= FORKS_PER_CALL:
            raise Exhausted(f"the call has {FORKS_PER_CALL} forks already")
        if self._count >= FORKS:
            raise Exhausted(f"{FORKS} forks are open already")
        if media.speak and any(fork.media.speak for fork in forks):
            raise Conflict("another fork speaks to the caller already; this one may only listen")

    def _ended(self, stream: Stream, fork: Fork) -> None:
        forks = self._forks.get(stream, [])
        if fork in forks:
            forks.remove(fork)
            self._count -= 1
        if not forks:
            self._forks.pop(stream, None)
