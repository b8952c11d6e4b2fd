"""What is loaded once for many: in the threads and tasks of a running daemon."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from edge.media.audio import Audio
from edge.media.prompt import Fetch, Prompts
from edge.media.section import MediaSection


def open_prompts(section: MediaSection, fetch: Fetch) -> Prompts:
    """The prompts of a running daemon: threads and tasks of its event loop."""
    return Prompts(
        section.prompts,
        fetch,
        in_thread=asyncio.to_thread,
        shared=shared,
        now=time.monotonic,
        cache_bytes=section.prompt_cache_mb * 1024 * 1024,
    )


def shared(coroutine: Coroutine[Any, Any, Audio]) -> Callable[[], Awaitable[Audio]]:
    """A coroutine, begun, as something that several can await (see `shelf.py`)."""
    task = asyncio.ensure_future(coroutine)
    task.add_done_callback(_retrieve)
    return lambda: asyncio.shield(task)


def _retrieve(task: asyncio.Task[Audio]) -> None:
    if not task.cancelled():
        task.exception()  # whoever still waits gets it; if nobody does, it is no news
