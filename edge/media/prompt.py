"""Prompts: audio that is read from a file below one directory, or fetched from a URL, and kept.

The rules:

- A file name is relative to the directory and never leaves it, with all links resolved. `..`, an absolute path, a link
  that leads out, a directory, a pipe: Invalid, naming the source.
- What was read is kept by path, modification time and size, so a changed file is heard at once, or at the latest after
  `RECHECK_SECONDS`: no call looks at the disk while an answer is younger than that.
- What was fetched is kept for `REFETCH_SECONDS`. When it cannot be fetched again, what was there before is played on.
- Several calls that want the same source at the same time cause one load.

Reading and decoding happen in a thread: `in_thread` runs a function there. It is given, as are `shared` (`shelf.py`)
and the clock: this file knows no event loop.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, NamedTuple, Protocol, TypeVar

from edge.errors import EdgeError, Fault, Invalid
from edge.media.audio import MAX_FILE_BYTES, Audio, read_wav, ready, wav_seconds
from edge.media.shelf import Shared, Shelf

CACHE_BYTES = 256 * 1024 * 1024  # of PCM and its encodings; the one longest unused goes first
RECHECK_SECONDS = 1.0  # a file is not looked at again before
REFETCH_SECONDS = 300.0  # a URL is not fetched again before
MAX_SOURCE = 2048  # characters of a file name or URL

T = TypeVar("T")

Fetch = Callable[[str], Awaitable[bytes]]
Identity = tuple[str, int, int]  # real path, modification time in ns, size


class InThread(Protocol):
    """Runs a function in a thread and awaits what it returns or raises."""

    async def __call__(self, function: Callable[..., T], /, *args: Any) -> T: ...


class _Kept(NamedTuple):
    audio: Audio
    identity: Identity | None  # None: it was fetched
    checked: float


class Prompts:
    """The prompts of one directory. `now` gives monotonic seconds; `fetch` the body behind an http(s) URL."""

    def __init__(
        self,
        directory: Path,
        fetch: Fetch,
        *,
        in_thread: InThread,
        shared: Shared,
        now: Callable[[], float],
        cache_bytes: int = CACHE_BYTES,
    ) -> None:
        self._directory = directory
        self._fetch = fetch
        self._in_thread = in_thread
        self._now = now
        self._shelf: Shelf[_Kept] = Shelf(cache_bytes, shared)

    async def load(self, source: str) -> Audio:
        """The audio of a file name or http(s) URL. Raises Invalid, naming it and the place; what `fetch` raises."""
        kept = self._shelf.find(source)
        if kept is not None:
            fresh = RECHECK_SECONDS if kept.identity else REFETCH_SECONDS
            if self._now() < kept.checked + fresh:
                return kept.audio
        return await self._shelf.once(source, lambda: self._load(source))

    async def _load(self, source: str) -> Audio:
        if is_url(source):
            return await self._load_url(source)
        kept = self._shelf.find(source)
        identity, audio = await self._in_thread(read_file, self._directory, source, kept and kept.identity)
        if audio is None:
            assert kept is not None
            audio = kept.audio
        self._keep(source, _Kept(audio, identity, self._now()))
        return audio

    async def _load_url(self, source: str) -> Audio:
        try:
            audio = await self._in_thread(_decode, await self._fetch(source), source)
        except EdgeError:
            kept = self._shelf.find(source)
            if kept is None:
                raise
            audio = kept.audio
        self._keep(source, _Kept(audio, None, self._now()))
        return audio

    def _keep(self, source: str, kept: _Kept) -> None:
        self._shelf.keep(source, kept, kept.audio.cost)


def is_url(source: str) -> bool:
    return source[:7].lower() == "http://" or source[:8].lower() == "https://"


def check_name(source: str) -> None:
    """Raise Invalid when the source can be neither a URL of ours nor a file below the directory, whatever is there."""
    what = ""
    if not source or len(source) > MAX_SOURCE:
        what = f"is empty or longer than {MAX_SOURCE} characters"
    elif "\0" in source:
        what = "holds a NUL"
    elif is_url(source):
        return
    elif "://" in source:
        what = "is neither a file name nor an http or https URL"
    elif source.startswith("/"):
        what = "is absolute; file names are relative to the prompts directory"
    elif ".." in source.split("/"):
        what = "leaves the prompts directory"
    if what:
        raise _wrong(source, what)


def read_file(directory: Path, source: str, known: Identity | None) -> tuple[Identity, Audio | None]:
    """The file's identity and audio; None for the audio when the identity is the known one. Blocks. Raises Invalid."""
    identity, data = _read(directory, source, known)
    return identity, None if data is None else _decode(data, source)


def read_seconds(directory: Path, source: str) -> float:
    """How long the file lasts; its samples are not looked at. Blocks. Raises Invalid."""
    _, data = _read(directory, source, None)
    return wav_seconds(data or b"", source)


def _read(directory: Path, source: str, known: Identity | None) -> tuple[Identity, bytes | None]:
    """The file's identity and bytes; None for the bytes when the identity is the known one."""
    check_name(source)
    try:
        root = os.path.realpath(directory)
        path = os.path.realpath(os.path.join(root, source))
        if not path.startswith(root + os.sep):
            raise _wrong(source, "leaves the prompts directory")
        # The path has no links any more; without O_NONBLOCK a pipe would wait for its writer.
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise _wrong(source, f"cannot be opened: {reason}") from None
    try:
        found = os.fstat(handle)
        if not stat.S_ISREG(found.st_mode):
            raise _wrong(source, "is not a file")
        identity = (path, found.st_mtime_ns, found.st_size)
        if identity == known:
            return identity, None
        if found.st_size > MAX_FILE_BYTES:
            raise _wrong(source, f"{found.st_size} bytes are more than {MAX_FILE_BYTES}")
        with open(handle, "rb", closefd=False) as file:
            data = file.read(MAX_FILE_BYTES + 1)
    finally:
        os.close(handle)
    return identity, data


def _decode(data: bytes, source: str) -> Audio:
    return ready(read_wav(data, source))


def _wrong(source: str, what: str) -> Invalid:
    shown = source[:200].replace("\0", "\\0")
    return Invalid(f"{shown}: {what}", faults=[Fault(shown, what)], reason="INVALID_PROMPT")
