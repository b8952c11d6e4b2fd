"""Sending a file, or the part of it that a client asks for (RFC 9110 §14): what a player needs to skip about."""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Final, NamedTuple

from aiohttp import web

from edge.api.operation import Download, Lines
from edge.api.refusal import RangeRefused
from edge.errors import EdgeError
from edge.log import get_logger

NDJSON: Final = "application/x-ndjson"
CHUNK: Final = 32_768  # bytes of lines that are sent together
SEND_SECONDS: Final = 3600.0  # for one file: a client that takes longer is gone

_RANGE: Final = re.compile(r"^bytes=(?:(\d{1,18})-(\d{1,18})?|-(\d{1,18}))$", re.IGNORECASE)
_log = get_logger("api")


def held(filename: str, content_type: str, body: bytes) -> Download:
    """A file that is in memory."""

    async def read(first: int, count: int) -> AsyncGenerator[bytes, None]:
        yield body[first : first + count]

    tag = hashlib.sha256(body).hexdigest()[:32]
    return Download(filename=filename, content_type=content_type, size=len(body), tag=tag, read=read)


class Part(NamedTuple):
    """From one byte on, so many."""

    first: int
    length: int


def part_of(header: str | None, size: int) -> Part | None:
    """What a Range header asks for; None: all. What is no single range of bytes is not looked at (§14.2).

    Raises RangeRefused for one that begins behind the end.
    """
    found = _RANGE.match(header.replace(" ", "")) if header is not None else None
    if found is None:
        return None
    first, last, end = (int(text) if text is not None else None for text in found.groups())
    if first is None:  # the last bytes
        count = min(end or 0, size)
        if not count:
            raise RangeRefused(size)
        return Part(size - count, count)
    if last is not None and last < first:
        return None
    if first >= size:
        raise RangeRefused(size)
    return Part(first, min(size - 1 if last is None else last, size - 1) - first + 1)


async def send(request: web.Request, file: Download, headers: Mapping[str, str]) -> web.StreamResponse:
    """Send it. Raises EdgeError as long as nothing was sent; a file that ends too early closes the connection."""
    tag = f'"{file.tag}"'
    wanted = request.headers.get("Range") if request.headers.get("If-Range", tag) == tag else None
    part = part_of(wanted, file.size)
    first, count = part or Part(0, file.size)
    response = web.StreamResponse(status=206 if part is not None else 200, headers=headers)
    response.content_type = file.content_type
    response.content_length = count
    response.headers["Accept-Ranges"] = "bytes"
    response.headers["ETag"] = tag
    response.headers["Cache-Control"] = "private"
    response.headers["Content-Disposition"] = f'inline; filename="{file.filename}"'
    response.headers["X-Content-Type-Options"] = "nosniff"
    if part is not None:
        response.headers["Content-Range"] = f"bytes {first}-{first + count - 1}/{file.size}"
    if request.method == "HEAD" or not count:
        await response.prepare(request)
        return response
    async with aclosing(file.read(first, count)) as pieces:
        piece = await anext(pieces, b"")
        await response.prepare(request)
        try:
            async with asyncio.timeout(SEND_SECONDS):
                while piece:
                    count -= len(piece)
                    await response.write(piece)
                    piece = await anext(pieces, b"")
        except ConnectionError:  # the client went away
            raise
        except (EdgeError, OSError) as error:
            _log.error("file not sent to its end", path=request.path, error=str(error) or type(error).__name__)
    if count and request.transport is not None:
        request.transport.abort()
    return response


async def send_lines(request: web.Request, found: Lines, headers: Mapping[str, str]) -> web.StreamResponse:
    """Send values as they are read, many lines at once. Raises EdgeError as long as nothing was sent; what fails later
    closes the connection."""
    response = web.StreamResponse(headers=headers)
    response.content_type = NDJSON
    response.headers["Cache-Control"] = "private"
    if request.method == "HEAD":
        await response.prepare(request)
        return response
    async with aclosing(found.read()) as values:
        value = await anext(values, None)
        await response.prepare(request)
        waiting = bytearray()
        try:
            async with asyncio.timeout(SEND_SECONDS):
                while value is not None:
                    waiting += value.model_dump_json().encode() + b"\n"
                    if len(waiting) >= CHUNK:
                        await response.write(bytes(waiting))
                        waiting.clear()
                    value = await anext(values, None)
                await response.write(bytes(waiting))
        except ConnectionError:  # the client went away
            raise
        except (EdgeError, OSError) as error:
            _log.error("lines not sent to their end", path=request.path, error=str(error) or type(error).__name__)
            if request.transport is not None:
                request.transport.abort()
    return response
