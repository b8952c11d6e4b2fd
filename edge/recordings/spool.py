"""The spool: the folder in which calls are recorded. All that touches its disk is done by one thread, not by the loop.

What is written is in the hands of the system at once, so the death of the process costs nothing of it. The header is
written with each piece, but after it: the one thing to put right after a crash is the header of the last piece
(`wav.complete`). Against a power cut the files are brought onto the disk itself in turn, as many after each write as
`SYNC_SECONDS` allow: all of them, unless they are very many or the disk is slow.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple, TypeVar

from edge.errors import Exhausted, Unavailable
from edge.recordings import wav
from edge.recordings.limits import SYNC_SECONDS
from edge.recordings.timeline import Frames

T = TypeVar("T")


class Piece(NamedTuple):
    """What is to be written of one take, and the open file."""

    file: int
    frames: Frames


class Spool:
    """The folder, and the room that has to be left on its disk."""

    def __init__(self, folder: Path, free_bytes: int) -> None:
        self.folder = folder
        self._free_bytes = free_bytes
        self._turn = 0  # whose file was brought onto the disk last
        self._thread = ThreadPoolExecutor(1, "recordings")

    def path(self, recording_id: str, format: str = "wav") -> Path:
        return self.folder / f"{recording_id}.{format}"

    async def make(self) -> None:
        """Have the folder. Raises Unavailable."""
        await self._do(lambda: self.folder.mkdir(parents=True, exist_ok=True))

    async def open(self, recording_id: str) -> int:
        """Begin a file. Raises Exhausted when there is too little room, Unavailable."""
        if not await self.roomy(1):
            raise Exhausted(f"the disk of {self.folder} has too little room for another recording")
        return await self._do(lambda: _open(self.path(recording_id)))

    async def roomy(self, part: float) -> bool:
        """Whether the disk still has this part of the room it shall have. Raises Unavailable."""
        if not self._free_bytes:
            return True
        found = await self._do(lambda: os.statvfs(self.folder))
        return found.f_bavail * found.f_frsize >= self._free_bytes * part

    async def write(self, pieces: Sequence[Piece]) -> list[str]:
        """Write all pieces; of each, what went wrong, "" for nothing."""
        return await self._do(lambda: self._write(pieces))

    async def finish(self, file: int, recording_id: str) -> int:
        """Close a file that is at its end, and have it on the disk; its frames. Raises Unavailable."""
        return await self._do(lambda: _finish(file, self.path(recording_id)))

    async def complete(self, recording_id: str) -> int | None:
        """Put right what a crash left; its frames, None when there is no such file. Raises Unavailable."""
        return await self._do(lambda: _complete(self.path(recording_id)))

    async def remove(self, recording_id: str, file: int | None = None) -> None:
        """Delete all files of a recording. Raises Unavailable."""
        await self._do(lambda: _remove(self.folder, recording_id, file))

    async def ids(self) -> set[str]:
        """The recordings that have a file here. Raises Unavailable."""
        return await self._do(lambda: {path.stem for path in self.folder.iterdir() if path.is_file()})

    def close(self) -> None:
        """Let the thread end once it has done what it has."""
        self._thread.shutdown(wait=True)

    def _write(self, pieces: Sequence[Piece]) -> list[str]:
        said = [_told(_write_piece, piece) for piece in pieces]
        until = time.monotonic() + SYNC_SECONDS
        for _ in pieces:
            if time.monotonic() > until:
                break
            self._turn = turn = (self._turn + 1) % len(pieces)
            said[turn] = said[turn] or _told(_sync, pieces[turn])
        return said

    async def _do(self, work: Callable[[], T]) -> T:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, work)
        except OSError as error:
            raise Unavailable(f"{error.filename or self.folder}: {error.strerror}") from error


def _open(path: Path) -> int:
    file = os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600)
    try:
        os.pwrite(file, wav.header(0), 0)
    except OSError:
        os.close(file)
        path.unlink()
        raise
    return file


def _told(work: Callable[[Piece], None], piece: Piece) -> str:
    """What went wrong; "" for nothing."""
    try:
        work(piece)
    except OSError as error:
        return error.strerror or str(error)
    return ""


def _write_piece(piece: Piece) -> None:
    wav.write(piece.file, piece.frames.place, piece.frames.stereo())


def _sync(piece: Piece) -> None:
    os.fdatasync(piece.file)


def _finish(file: int, path: Path) -> int:
    os.close(file)
    return wav.complete(path)


def _complete(path: Path) -> int | None:
    return wav.complete(path) if path.exists() else None


def _remove(folder: Path, recording_id: str, file: int | None) -> None:
    if file is not None:
        os.close(file)
    for path in folder.glob(f"{recording_id}.*"):
        path.unlink(missing_ok=True)
