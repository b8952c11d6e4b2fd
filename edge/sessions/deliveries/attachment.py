"""What an email can have attached: recordings of the same account, read when it is sent."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import NamedTuple, Protocol

from edge.errors import NotFound
from edge.recordings.encoding import CONTENT_TYPES
from edge.recordings.table import Recording


class Attached(NamedTuple):
    """A file, in pieces that come when they are asked for."""

    filename: str
    content_type: str
    size: int
    pieces: AsyncIterator[bytes]


class Recordings(Protocol):
    """The table of recordings, as far as emails need it."""

    async def get(self, recording_id: str, customer_id: str | None = None) -> Recording | None: ...


class Files(Protocol):
    """Who has the files of recordings."""

    def read(self, recording: Recording, first: int, count: int) -> AsyncIterator[bytes]: ...


class Attachments:
    """Finds recordings, and opens their files."""

    def __init__(self, recordings: Recordings, files: Files) -> None:
        self._recordings = recordings
        self._files = files

    async def find(self, recording_id: str, customer_id: str) -> Recording:
        """Raises NotFound for a recording that the account does not have, Unavailable."""
        found = await self._recordings.get(recording_id, customer_id)
        if found is None:
            raise NotFound(f"there is no recording {recording_id[:60]}", reason="RECORDING_NOT_FOUND")
        return found

    async def open(self, recording_id: str, customer_id: str) -> Attached:
        """The file of a recording. Raises NotFound, Conflict while it is being made, Unavailable; its pieces too."""
        found = await self.find(recording_id, customer_id)
        pieces = self._files.read(found, 0, found.bytes)
        return Attached(found.filename, CONTENT_TYPES[found.format], found.bytes, pieces)
