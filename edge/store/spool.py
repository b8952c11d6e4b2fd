"""A spool: rows on their way into SQL, in files until SQL has them.

The lazy queue of the writer (`writer.py`) is memory: a process that is killed loses it, and while SQL is away it has an
end. So what must not be lost is also appended to a file, milliseconds later, by a thread of its own: the loop, which
has audio to send, never waits for a disk. What is written is in the hands of the system, so the death of the process
costs nothing of it.

A spool is segments, one after another; each is a line of JSON that names its columns, and a line for each row. About
once a second a segment is closed, and once the writer says that all it was handed before is in SQL, the segment goes.
While SQL is away they stay, are brought onto the disk itself (a power cut), and grow up to a bound; beyond it the
oldest go, counted. Rows that the writer had no room for, and those that a dead process left behind, are read back from
their segments and written then. A row that is written twice is there once: its statement ignores conflicts.

Several processes may share the folder: each holds a lock on a file of its name, and takes over the segments of those
whose lock nobody holds any more.

What is not nice: a row of the last ten milliseconds before a kill, or of the last second before a power cut, is lost.
"""

from __future__ import annotations

import asyncio
import errno
import fcntl
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar

import orjson

from edge.errors import Unavailable
from edge.log import get_logger
from edge.metrics import counter, gauge
from edge.store.metadata import new_id, storable
from edge.store.statement import Statement, insert
from edge.store.writer import Row, Writer

T = TypeVar("T")

GATHER_SECONDS: Final = 0.01  # rows of this time are one write
LOOK_SECONDS: Final = 1.0  # between two looks at what SQL has by now
ADOPT_SECONDS: Final = 10.0  # between two looks for what the dead have left
SEGMENT_BYTES: Final = 8 << 20  # a segment that is larger is closed
REPLAY_ROWS: Final = 500  # that are read back at once: the rows of calls of now need room too

ROWS = gauge("spool_rows", "Rows in the spool that are not known to be in SQL yet.")
BYTES = gauge("spool_bytes", "Size of the spool.")
FATE = counter(
    "spool_detours_total", "Rows of the spool that took no straight way, by what became of them", ["outcome"]
)
_REPLAYED = FATE.labels("replayed")  # read back, and written
_DROPPED = FATE.labels("dropped")  # the oldest, when the spool was full
_FAILED = FATE.labels("failed")  # the disk did not take them
_BROKEN = FATE.labels("broken")  # cannot be read back

_log = get_logger("store")


class Segment:
    """One file. `again`: SQL may lack rows of it even when the writer has written all it was handed."""

    __slots__ = ("again", "path", "rows", "size")

    def __init__(self, path: Path, rows: int = 0, size: int = 0, *, again: bool = False) -> None:
        self.path = path
        self.rows = rows
        self.size = size
        self.again = again


class _Work:
    """Something for the thread to do, in its turn among the rows."""

    __slots__ = ("done", "what")

    def __init__(self, what: Callable[[], Any], done: asyncio.Future[Any]) -> None:
        self.what = what
        self.done = done


class Spool:
    """One for a table and a process. `start` before use; `also` is given, in the thread, the rows that were put."""

    def __init__(
        self,
        folder: Path,
        limit_bytes: int,
        table: str,
        columns: Sequence[str],
        writer: Writer,
        also: Callable[[Sequence[Row]], None] | None = None,
    ) -> None:
        self.folder = folder
        self._limit = limit_bytes
        self._table = table
        self._columns = tuple(columns)
        self._keep = self._statement(self._columns)
        self._writer = writer
        self._also = also
        self._missed = False  # the writer had no room for a row since the last look
        self._behind = False  # SQL was away at the last look
        self._todo: deque[Row | _Work] = deque()
        self._wake = threading.Event()
        self._stirred = False  # the thread was told that something waits
        self._ended = False
        # What follows is the thread's
        self._name = ""
        self._lock = -1
        self._file = -1
        self._current: Segment | None = None
        self._count = 0
        self._closed: list[Segment] = []  # oldest first
        self._adopted: dict[Path, int] = {}  # locks of the dead that we hold
        self._failing = False

    # On the loop

    async def start(self) -> None:
        """Raises Unavailable when the folder cannot be used."""
        self._loop = asyncio.get_running_loop()
        try:
            await asyncio.to_thread(self._claim)
        except OSError as error:
            raise Unavailable(f"cannot use the spool {self.folder}: {error.strerror or error}") from error
        ROWS.set_function(lambda: self.rows)
        BYTES.set_function(self._size)
        threading.Thread(target=self._run, name="spool", daemon=True).start()

    @property
    def rows(self) -> int:
        """How many are in the spool, about."""
        return sum(segment.rows for segment in self._all())

    def put(self, row: Row) -> None:
        """A row for SQL. Never waits, never raises."""
        if not self._writer.put_later(self._keep, [row], spooled=True):
            self._missed = True
        self._todo.append(row)
        if not self._stirred:
            self._stirred = True
            self._wake.set()

    async def watch(self, sleep: Callable[[float], Any]) -> None:
        """Let go of what SQL has, again and again."""
        adopt = 0.0
        while True:
            if adopt <= 0:
                adopt = ADOPT_SECONDS
                await self._do(self._adopt)
            await self.look()
            await sleep(LOOK_SECONDS)
            adopt -= LOOK_SECONDS

    async def look(self) -> bool:
        """Bring everything of now into SQL, and let go of it. False: SQL does not take it."""
        missed, self._missed = self._missed, False
        closed = await self._do(partial(self._rotate, missed))
        if not closed:
            return True
        try:
            await self._writer.flush()
            for segment in closed:
                if segment.again:
                    await self._replay(segment)
                await self._do(partial(self._remove, segment))
        except (Unavailable, OSError) as error:
            if not self._behind:
                _log.warning("rows wait in the spool", rows=self.rows, folder=str(self.folder), error=str(error))
            self._behind = True
            await self._do(self._sync)
            return False
        if self._behind:
            self._behind = False
            _log.info("the spool is in the database again")
        return True

    async def close(self) -> None:
        """Write what waits, if SQL takes it; what it does not is there at the next start."""
        if self._lock < 0:
            return
        missed, self._missed = self._missed, False
        closed = await self._do(partial(self._rotate, missed))
        try:
            await self._writer.flush()
            for segment in closed:
                if not segment.again:
                    await self._do(partial(self._remove, segment))
        except (Unavailable, OSError) as error:
            _log.warning("rows stay in the spool", rows=self.rows, folder=str(self.folder), error=str(error))
        await self._do(self._leave)

    async def _replay(self, segment: Segment) -> None:
        """Write the rows of a segment. Raises Unavailable."""
        columns, rows, broken = await self._do(partial(self._read, segment))
        statement = self._keep if columns == self._columns else self._statement(columns)
        for start in range(0, len(rows), REPLAY_ROWS):
            batch = rows[start : start + REPLAY_ROWS]
            while not self._writer.put_later(statement, batch, spooled=True):
                await self._writer.flush()
            await self._writer.flush()
            _REPLAYED.inc(len(batch))
        if broken:
            _BROKEN.inc(broken)
            _log.warning("rows of the spool cannot be read", rows=broken, file=str(segment.path))

    def _statement(self, columns: Sequence[str]) -> Statement:
        return insert(f"{self._table}.keep", self._table, columns, "ON CONFLICT DO NOTHING")

    async def _do(self, what: Callable[[], T]) -> T:
        done: asyncio.Future[T] = self._loop.create_future()
        self._todo.append(_Work(what, done))
        self._stirred = True
        self._wake.set()
        return await done

    def _all(self) -> Iterable[Segment]:
        current = self._current
        return [*self._closed, current] if current is not None else list(self._closed)

    def _size(self) -> int:
        return sum(segment.size for segment in self._all())

    # In the thread

    def _run(self) -> None:
        while not self._ended:
            self._wake.wait()
            time.sleep(GATHER_SECONDS)  # in the thread: nobody waits for it, and many rows become one write
            self._wake.clear()
            self._stirred = False  # from here on whoever puts a row wakes us again
            rows: list[Row] = []
            while self._todo:
                item = self._todo.popleft()
                if isinstance(item, tuple):
                    rows.append(item)
                    continue
                self._write(rows)
                rows = []
                self._perform(item)
            self._write(rows)

    def _perform(self, work: _Work) -> None:
        try:
            result, error = work.what(), None
        except Exception as raised:  # whoever waits must hear of it
            result, error = None, raised
        self._loop.call_soon_threadsafe(_settle, work.done, result, error)

    def _write(self, rows: list[Row]) -> None:
        if not rows:
            return
        try:
            self._append(b"".join(map(_line, rows)), len(rows))
            self._failing = False
        except (OSError, TypeError, ValueError) as error:  # the latter two: a value that JSON has no word for
            _FAILED.inc(len(rows))
            self._let_go()  # its last line may be torn
            if not self._failing:
                self._failing = True
                _log.error("rows cannot be spooled", folder=str(self.folder), error=str(error))
        if self._also is not None:
            try:
                self._also(rows)
            except Exception:
                _log.exception("rows not passed on", rows=len(rows))

    def _append(self, data: bytes, rows: int) -> None:
        """Raises OSError."""
        segment = self._current
        if segment is None:
            self._count += 1
            path = self.folder / f"{self._name}-{self._count:06}.rows"
            self._file = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_APPEND, 0o600)
            segment = self._current = Segment(path)
            _write_all(self._file, orjson.dumps({"table": self._table, "columns": self._columns}) + b"\n")
        _write_all(self._file, data)
        segment.rows += rows
        segment.size += len(data)
        if segment.size >= SEGMENT_BYTES:
            self._let_go()
            self._bound()

    def _let_go(self) -> None:
        """Close the segment of now."""
        if self._current is not None:
            os.close(self._file)
            self._closed.append(self._current)
            self._current = None

    def _bound(self) -> None:
        """The oldest go when there are too many."""
        while self._closed and self._size() > self._limit:
            oldest = self._closed[0]
            _DROPPED.inc(oldest.rows)
            _log.error("the spool is full, its oldest rows go", rows=oldest.rows, folder=str(self.folder))
            self._remove(oldest)

    def _rotate(self, missed: bool) -> list[Segment]:
        """Close the segment of now, unless others wait already; all that are closed."""
        if not self._closed or missed:
            self._let_go()
        if missed:
            for segment in self._closed:
                segment.again = True
        return list(self._closed)

    def _sync(self) -> None:
        """Onto the disk itself."""
        try:
            if self._current is not None:
                os.fdatasync(self._file)
            for segment in self._closed[-1:]:
                file = os.open(segment.path, os.O_RDONLY)
                os.fdatasync(file)
                os.close(file)
        except OSError as error:
            _log.warning("the spool is not on its disk", folder=str(self.folder), error=error.strerror or str(error))

    def _remove(self, segment: Segment) -> None:
        if segment in self._closed:
            self._closed.remove(segment)
        segment.path.unlink(missing_ok=True)
        self._forget_dead()

    def _read(self, segment: Segment) -> tuple[tuple[str, ...], list[Row], int]:
        """Columns, rows, and how many lines are none; of columns that we do not know nothing is read."""
        try:
            lines = segment.path.read_bytes().splitlines()
        except OSError:  # the bound was faster
            return self._columns, [], 0
        header = _read_line(lines[0]) if lines else None
        if not isinstance(header, dict) or header.get("table") != self._table:
            return self._columns, [], len(lines)
        columns = header.get("columns", [])
        places = [place for place, name in enumerate(columns) if name in self._columns]
        rows, broken = [], 0
        for line in lines[1:]:
            row = _read_line(line)
            if isinstance(row, list) and len(row) == len(columns):
                rows.append(tuple(row[place] for place in places))
            else:
                broken += 1
        return tuple(columns[place] for place in places), rows, broken

    # Whose segments they are

    def _claim(self) -> None:
        """Have the folder, and a name that is ours as long as we live. Raises OSError."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        while True:
            name = new_id()
            path = self.folder / f"{name}.lock"
            lock = os.open(path, os.O_CREAT | os.O_RDWR, 0o600)
            if _locked(lock) and _is_file(lock, path):  # not taken for a dead one's by somebody who was faster
                self._name, self._lock = name, lock
                return
            os.close(lock)

    def _adopt(self) -> None:
        """Take over what the dead have left."""
        try:
            for path in sorted(self.folder.glob("*.lock")):
                if path.stem != self._name and path not in self._adopted:
                    self._adopt_one(path)
            known = {path.stem for path in self.folder.glob("*.lock")}
            mine = {segment.path for segment in self._all()}
            for path in sorted(self.folder.glob("*.rows")):
                owner = path.stem.rpartition("-")[0]
                dead = owner not in known or any(lock.stem == owner for lock in self._adopted)
                if dead and path not in mine:
                    size = path.stat().st_size
                    self._closed.append(Segment(path, _count_rows(path), size, again=True))
            self._closed.sort(key=lambda segment: segment.path)
            self._forget_dead()
            self._bound()
        except OSError as error:
            _log.warning("what is left in the spool stays there", folder=str(self.folder), error=str(error))

    def _adopt_one(self, path: Path) -> None:
        try:
            lock = os.open(path, os.O_RDWR)
        except FileNotFoundError:
            return
        if _locked(lock):
            self._adopted[path] = lock
        else:
            os.close(lock)

    def _forget_dead(self) -> None:
        """Those whose segments are gone."""
        if not self._adopted:
            return
        owners = {segment.path.stem.rpartition("-")[0] for segment in self._closed}
        for path, lock in list(self._adopted.items()):
            if path.stem not in owners:
                path.unlink(missing_ok=True)
                os.close(lock)
                del self._adopted[path]

    def _leave(self) -> None:
        self._ended = True
        self._let_go()
        if not any(segment.path.stem.startswith(self._name) for segment in self._closed):
            (self.folder / f"{self._name}.lock").unlink(missing_ok=True)
        for lock in (self._lock, *self._adopted.values()):
            os.close(lock)
        self._lock = -1


def _settle(done: asyncio.Future[Any], result: Any, error: Exception | None) -> None:
    if done.done():
        return
    if error is not None:
        done.set_exception(error)
    else:
        done.set_result(result)


def _line(row: Row) -> bytes:
    try:
        return orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE)
    except orjson.JSONEncodeError:  # a text that is none
        return orjson.dumps([storable(value) if isinstance(value, str) else value for value in row]) + b"\n"


def _read_line(line: bytes) -> Any:
    try:
        return orjson.loads(line)
    except orjson.JSONDecodeError:
        return None


def _count_rows(path: Path) -> int:
    return max(0, path.read_bytes().count(b"\n") - 1)


def _write_all(file: int, data: bytes) -> None:
    """Raises OSError, also for a part."""
    if os.write(file, data) != len(data):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _locked(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _is_file(file: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file), path.stat())
    except FileNotFoundError:
        return False
