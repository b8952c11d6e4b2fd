"""Records as lines of JSON: each one is appended to a file of its day once its call is over, for who ships logs.

A line is what `GET /v1.0/calls/{id}` says of the call. It is written by the thread of the spool (`store/spool.py`), so
it costs calls nothing but its processor time. Files are `calls-2026-11-23.jsonl`, after it has its size
`calls-2026-11-23.1.jsonl` and so on, by the days of UTC. Several edges may write into one folder.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import orjson
from pydantic import Field, NonNegativeInt, PositiveInt

from edge.log import get_logger
from edge.metrics import counter
from edge.sessions.calls.record import recorded
from edge.settings import Section
from edge.store.writer import Row

NAME: Final = re.compile(r"calls-(\d{4}-\d\d-\d\d)(?:\.\d+)?\.jsonl")

_LINES = counter("record_lines_total", "Records written as lines of JSON, by what became of them", ["outcome"])
_WRITTEN, _FAILED = _LINES.labels("written"), _LINES.labels("failed")
_log = get_logger("calls")


class RecordsSection(Section):
    """The records of calls. They are kept in SQL; on their way there they are in a spool, in the data folder."""

    spool_mb: PositiveInt = Field(
        default=1024,
        description="Records that wait for a database that is away are kept in files of this size at the most; then"
        " the oldest go, counted. A record is about 600 bytes.",
    )
    lines: Path | None = Field(
        default=None,
        description="Folder in which each record is appended to a file of its day too, as a line of JSON. Empty: none.",
    )
    lines_mb: PositiveInt = Field(default=256, description="A file that is larger is followed by another one.")
    lines_days: NonNegativeInt = Field(
        default=30, description="Files are deleted after this many days; 0 keeps them for ever."
    )


def open_lines(section: RecordsSection, clock: Callable[[], datetime]) -> RecordLines | None:
    """The files, if they are wanted."""
    if section.lines is None:
        return None
    return RecordLines(section.lines, section.lines_mb * 1_000_000, section.lines_days, clock)


class RecordLines:
    """The files in one folder. Called by one thread."""

    def __init__(self, folder: Path, limit_bytes: int, keep_days: int, clock: Callable[[], datetime]) -> None:
        self._folder = folder
        self._limit = limit_bytes
        self._keep_days = keep_days
        self._clock = clock
        self._day = ""
        self._file = -1
        self._failing = False

    def __call__(self, rows: Sequence[Row]) -> None:
        """Append records. What goes wrong is counted, and logged once until it goes well again."""
        try:
            data = b"".join(orjson.dumps(recorded(row), option=orjson.OPT_APPEND_NEWLINE) for row in rows)
            self._open()
            if os.write(self._file, data) != len(data):
                raise OSError("the disk is full")
            _WRITTEN.inc(len(rows))
            self._failing = False
        except (OSError, ValueError) as error:
            _FAILED.inc(len(rows))
            if not self._failing:
                self._failing = True
                _log.error("records not written as lines", folder=str(self._folder), error=str(error))

    def _open(self) -> None:
        """Have the file of now open: of this day, not too large, and not moved away. Raises OSError."""
        day = self._clock().astimezone(UTC).date().isoformat()
        if self._file >= 0:
            known = os.fstat(self._file)
            if day == self._day and known.st_nlink and known.st_size < self._limit:
                return
            os.close(self._file)
            self._file = -1
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if day != self._day:
            self._day = day
            self._purge()
        number = 0
        while True:
            path = self._folder / f"calls-{day}{f'.{number}' if number else ''}.jsonl"
            file = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)
            if os.fstat(file).st_size < self._limit:
                self._file = file
                return
            os.close(file)
            number += 1

    def _purge(self) -> None:
        if not self._keep_days:
            return
        first = (self._clock().astimezone(UTC).date() - timedelta(days=self._keep_days)).isoformat()
        for path in self._folder.iterdir():
            found = NAME.fullmatch(path.name)
            if found is not None and found[1] < first:
                path.unlink(missing_ok=True)
