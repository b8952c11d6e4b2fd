"""Names looked up, in threads of their own.

The system's resolver blocks, for as long as somebody's name server takes not to answer. Who asks gives up before, but
the thread does not. So these are not the threads that read prompts and recordings: names that a customer made up keep
other names waiting, and nobody's call.
"""

from __future__ import annotations

import asyncio
import socket
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, Final

THREADS: Final = 32

_THREADS: Final = ThreadPoolExecutor(THREADS, "names")


async def look_up(
    host: str,
    port: int,
    *,
    kind: socket.SocketKind,
    family: socket.AddressFamily = socket.AF_UNSPEC,
    flags: int = 0,
) -> list[tuple[Any, ...]]:
    """What `socket.getaddrinfo` says. Raises OSError."""
    ask = partial(socket.getaddrinfo, host, port, family, kind, 0, flags)
    return await asyncio.get_running_loop().run_in_executor(_THREADS, ask)
