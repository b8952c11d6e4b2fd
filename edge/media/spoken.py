"""Speech kept as WAV files in one folder, up to so many bytes, so that a restart need not speak all of it again.

A name is the key and nothing else, so what was said is in no file name. A file comes into being whole, under its name,
or not at all; it is its owner's only. What was longest unused goes first: reading sets the time of the file. Several
processes may share a folder; the folder is looked through only now and then, so it may be a little too full. All of it
blocks, and belongs into a thread.
"""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from pathlib import Path

from edge.errors import Invalid
from edge.media.audio import Audio, read_wav, write_wav

ROOM = 0.9  # of the limit is left when something had to go, so that not each new file has to look for another old one
LOOK = 0.05  # of the limit may be written before the folder is looked through again
STALE_NS = 3600 * 10**9  # a file that was begun so long ago will not be finished

_ENDING = ".wav"
_BEGUN = ".part"


class SpokenFiles:
    """The files of one folder, which is made when the first one is written."""

    def __init__(self, folder: Path, max_bytes: int) -> None:
        self._folder = folder
        self._max_bytes = max_bytes
        self._until_look = 0.0  # bytes

    def read(self, key: str) -> Audio | None:
        """What is kept under the key. A file that is no audio is as good as none, and deleted."""
        path = self._path(key)
        try:
            data = path.read_bytes()
            os.utime(path)
        except OSError:
            return None
        try:
            return read_wav(data, path.name)
        except Invalid:
            with suppress(OSError):
                path.unlink()
            return None

    def write(self, key: str, audio: Audio) -> None:
        """Keep it, and delete what is too much. Raises OSError."""
        if not self._max_bytes:
            return
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        data = write_wav(audio.pcm)
        handle, name = tempfile.mkstemp(_BEGUN, "", self._folder)
        try:
            with open(handle, "wb") as file:
                file.write(data)
            os.replace(name, self._path(key))
        except OSError:
            with suppress(OSError):
                os.unlink(name)
            raise
        self._until_look -= len(data)
        if self._until_look < 0:
            self._until_look = min(self._max_bytes * LOOK, self._max_bytes - self._trim())

    def _path(self, key: str) -> Path:
        return self._folder / f"{key}{_ENDING}"

    def _trim(self) -> float:
        """Delete what is too much; the bytes that are left."""
        files: list[tuple[int, int, str]] = []  # time, size, path
        with os.scandir(self._folder) as entries:
            for entry in entries:
                with suppress(OSError):  # another process was quicker
                    found = entry.stat(follow_symlinks=False)
                    if entry.name.endswith((_ENDING, _BEGUN)):
                        files.append((found.st_mtime_ns, found.st_size, entry.path))
        files.sort()
        total = sum(size for _, size, _ in files)
        newest = files[-1][0] if files else 0
        room = self._max_bytes * ROOM if total > self._max_bytes else total
        for changed, size, path in files:
            stale = path.endswith(_BEGUN) and changed < newest - STALE_NS
            if total <= room and not stale:
                continue
            with suppress(OSError):
                os.unlink(path)
            total -= size
        return total
