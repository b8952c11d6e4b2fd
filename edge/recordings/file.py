"""Reading a part of a file, in pieces, without holding up the loop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path

from edge.errors import NotFound, Unavailable
from edge.recordings.limits import CHUNK_BYTES


async def read(path: Path, first: int, count: int) -> AsyncGenerator[bytes, None]:
    """So many bytes from one on. Raises NotFound, or Unavailable, before the first."""
    try:
        file = await asyncio.to_thread(path.open, "rb")
    except FileNotFoundError:
        raise NotFound(f"{path.name} is not there any more", reason="FILE_NOT_FOUND") from None
    except OSError as error:
        raise Unavailable(f"{path}: {error.strerror}") from error
    with file:
        file.seek(first)
        while count > 0 and (chunk := await asyncio.to_thread(file.read, min(count, CHUNK_BYTES))):
            count -= len(chunk)
            yield chunk
