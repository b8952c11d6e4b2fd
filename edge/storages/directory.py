"""A directory: one file for each recording, in a folder for each account.

[recordings.storage]
kind = "directory"
path = "/srv/recordings"
"""

from __future__ import annotations

import asyncio
import errno
import os
import shutil
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Literal

from pydantic import Field

from edge.errors import Unavailable
from edge.recordings.file import read
from edge.recordings.storage import Storage, StorageSection


class DirectorySection(StorageSection):
    """A directory of this machine."""

    kind: Literal["directory"] = Field(default="directory", description="The kind of storage: directory or s3.")
    path: Path = Field(default=Path("var/recordings"), description="The directory; it is made when it is not there.")


class Directory(Storage):
    """Where the spool is on the same disk, nothing is copied."""

    kind = "directory"
    section = DirectorySection
    shared = False

    def __init__(self, section: DirectorySection) -> None:
        self._path = section.path

    async def put(self, name: str, path: Path, content_type: str) -> None:
        try:
            await asyncio.to_thread(_put, path, self._path / name)
        except OSError as error:
            raise Unavailable(f"{self._path / name}: {error.strerror}") from error

    def read(self, name: str, first: int, count: int) -> AsyncGenerator[bytes, None]:
        return read(self._path / name, first, count)

    async def delete(self, name: str) -> None:
        try:
            await asyncio.to_thread((self._path / name).unlink, missing_ok=True)
        except OSError as error:
            raise Unavailable(f"{self._path / name}: {error.strerror}") from error


def _put(source: Path, target: Path) -> None:
    """A link if that can be, else a copy; either is there whole or not at all."""
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f".{target.name}")
    part.unlink(missing_ok=True)
    try:
        os.link(source, part)
    except OSError as error:
        if error.errno not in (errno.EXDEV, errno.EPERM, errno.ENOTSUP, errno.EMLINK):
            raise
        shutil.copyfile(source, part)
        with part.open("rb") as file:
            os.fsync(file.fileno())
    part.replace(target)
    folder = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(folder)  # a rename is kept when its folder is
    finally:
        os.close(folder)
