"""The keeper: brings each finished take into its format and its storage, whatever it takes, and deletes old ones.

Once a recording is where it stays, the flow runs that was to run at its end (`follow`); after a crash it runs again.

What is to be done stands in SQL alone, so a restart goes on where the process was; every step can be done twice. The
file stays in the spool until the row says that the storage has it. A storage that is away is tried again, later each
time; a recording that cannot be encoded stays a WAV; one that its storage never takes stays in the spool. None is lost.

Not nice: what a process that never comes back has left in its spool waits there for a process of its name.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from edge.errors import Conflict, EdgeError, Unavailable
from edge.log import get_logger
from edge.metrics import counter, gauge
from edge.recordings import file
from edge.recordings.encoding import CONTENT_TYPES, encode, lacking
from edge.recordings.limits import ENCODE_TRIES, FOLLOWING_AT_ONCE, STORED_AT_ONCE
from edge.recordings.section import RecordingsSection
from edge.recordings.spool import Spool
from edge.recordings.storage import Storage
from edge.recordings.table import SPOOL, Recording, RecordingTable, State
from edge.store.metadata import new_id

log = get_logger("recordings")

STORED = counter("recordings_stored_total", "Recordings brought to their storage, by how that went.", ("outcome",))
_STORED, _RETRIED, _FAILED = (STORED.labels(outcome) for outcome in ("stored", "retried", "failed"))
WAITING = gauge("recordings_waiting", "Finished recordings on their way to their storage, at the last look.")

LOOK_SECONDS: Final = 60.0  # between two looks at what is due, when nobody says that there is something
PURGE_SECONDS: Final = 3600.0
PURGE_BATCH: Final = 100


class Keeper:
    """One for the daemon. `start` before the first take; `close` leaves what is under way for the next start."""

    def __init__(
        self,
        section: RecordingsSection,
        spool: Spool,
        storage: Storage,
        table: RecordingTable,
        *,
        node: str,
        follow: Callable[[Recording], Awaitable[None]],
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._section = section
        self._spool = spool
        self._storage = storage
        self._table = table
        self._node = node
        self._follow = follow
        self._few_follow = asyncio.Semaphore(FOLLOWING_AT_ONCE)
        self._following: set[asyncio.Task[None]] = set()
        self._clock = clock
        self._news = asyncio.Event()
        self._one_looks = asyncio.Lock()
        self._busy: set[str] = set()
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Put right what a crash left, and go on with what waits. Raises Unavailable."""
        await self._spool.make()
        await self._storage.open()
        await self.recover()
        for recording in await self._table.unfollowed(self._node):
            self._begin_following(recording)
        self._tasks = [asyncio.create_task(self._work()) for _ in range(STORED_AT_ONCE)]
        self._tasks.append(asyncio.create_task(self._purge()))

    async def close(self) -> None:
        tasks = [*self._tasks, *self._following]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._storage.close()

    def look(self) -> None:
        """There is something to do."""
        self._news.set()

    # For the API

    def read(self, recording: Recording, first: int, count: int) -> AsyncGenerator[bytes, None]:
        """A part of the file, in pieces. Raises Conflict while there is none yet, Unavailable, NotFound."""
        if recording.state in ("recording", "waiting"):
            raise Conflict("the recording is not ready yet", reason="RECORDING_NOT_READY")
        self._require_reach(recording)
        if recording.place == SPOOL:
            return file.read(self._spool.path(recording.id, recording.format), first, count)
        return self._storage.read(recording.path, first, count)

    async def delete(self, recording: Recording) -> None:
        """Delete the file and its row. Raises Conflict while it is being made or stored, Unavailable."""
        if recording.state == "recording" or recording.id in self._busy:
            raise Conflict("the recording is still being made", reason="RECORDING_NOT_READY")
        self._require_reach(recording)
        self._busy.add(recording.id)
        try:
            if recording.place == SPOOL:
                await self._spool.remove(recording.id)
            else:
                await self._storage.delete(recording.path)
            await self._table.delete(recording.id)
        finally:
            self._busy.discard(recording.id)

    def _require_reach(self, recording: Recording) -> None:
        """Raise Unavailable for a file that this process cannot get at."""
        storage = self._storage
        if recording.place not in (SPOOL, storage.kind):
            raise Unavailable(f"the recording lies in a storage that is not configured: {recording.place}")
        if recording.node != self._node and not (recording.place == storage.kind and storage.shared):
            raise Unavailable(f"the recording lies at another process: {recording.node}")

    # After a crash

    async def recover(self) -> None:
        """Close the takes that ended with the process, and delete files that no row needs. Raises Unavailable."""
        for recording in await self._table.left(self._node, "recording"):
            frames = await self._spool.complete(recording.id)
            if frames is None:  # the file was never begun
                await self._table.delete(recording.id)
                continue
            ended = recording.tm_start + timedelta(seconds=replace(recording, frames=frames).seconds)
            state: State = "waiting" if frames else "failed"
            error = "" if frames else "nothing was recorded"
            await self._table.end(recording, state, "interrupted", error, frames, ended)
            log.warning("recording found interrupted", recording_id=recording.id, frames=frames)
        ids = await self._spool.ids()
        for recording_id in ids - await self._table.needed(ids):
            await self._spool.remove(recording_id)

    # What waits

    async def _work(self) -> None:
        while True:
            try:
                self._news.clear()
                recording = await self._next()
                if recording is None:
                    await self._rest()
                else:
                    self._news.set()  # there may be more, for others
                    await self._bring(recording)
            except Unavailable as error:
                log.warning("recordings wait", error=error.message)
                await asyncio.sleep(self._section.first_wait_seconds)
            except Exception:
                log.exception("recordings wait")
                await asyncio.sleep(LOOK_SECONDS)

    async def _next(self) -> Recording | None:
        """The next that is due, from now on busy."""
        async with self._one_looks:
            before = set(self._busy)  # what was read of those may be of yesterday
            for recording in await self._table.waiting(self._node, self._clock(), len(before) + 1):
                if recording.id not in before:
                    self._busy.add(recording.id)
                    return recording
        return None

    async def _rest(self) -> None:
        count, due = await self._table.backlog(self._node)
        WAITING.set(count)
        seconds = LOOK_SECONDS
        if due is not None and due > (now := self._clock()):
            seconds = min(seconds, (due - now).total_seconds())
        try:
            async with asyncio.timeout(seconds):
                await self._news.wait()
        except TimeoutError:
            pass

    async def _bring(self, recording: Recording) -> None:
        try:
            await self._store(await self._encoded(recording))
        except EdgeError as error:
            await self._put_off(recording, error.message)
        except Exception as error:  # a fault of ours costs this one its turn, not the others theirs
            log.exception("recording not stored", recording_id=recording.id)
            await self._put_off(recording, f"{type(error).__name__}: {error}")
        finally:
            self._busy.discard(recording.id)
            self._news.set()

    async def _encoded(self, recording: Recording) -> Recording:
        """The recording in its format; as the WAV that it is when that cannot be made. Raises Unavailable."""
        wanted = recording.format
        source, target = self._spool.path(recording.id), self._spool.path(recording.id, wanted)
        if target.exists() or not source.exists():
            return recording
        error = lacking(wanted)
        if not error:
            part = self._spool.path(recording.id, f"{new_id()}.part")  # an encoder of before a crash may still write
            try:
                await encode(source, part, wanted)
                part.replace(target)
                return recording
            except (Unavailable, OSError) as fault:
                if recording.attempts + 1 < ENCODE_TRIES:
                    raise Unavailable(str(fault)) from fault
                error = str(fault)
        log.error("recording stays a WAV", recording_id=recording.id, error=error)
        return replace(recording, format="wav", filename=f"{recording.recording_name}.wav", error=error)

    async def _store(self, recording: Recording) -> None:
        path = self._spool.path(recording.id, recording.format)
        size = _size(path)
        if not size:
            await self._finish(replace(recording, state="failed", error=f"{path.name} is not there any more"))
            return
        await self._storage.put(recording.path, path, CONTENT_TYPES[recording.format])
        await self._finish(replace(recording, state="stored", place=self._storage.kind, bytes=size))
        await self._spool.remove(recording.id)

    async def _put_off(self, recording: Recording, error: str) -> None:
        section, now = self._section, self._clock()
        if now - recording.tm_create > timedelta(hours=section.give_up_hours):
            recording = replace(recording, format="wav", filename=f"{recording.recording_name}.wav")
            size = _size(self._spool.path(recording.id))
            await self._finish(replace(recording, state="failed", bytes=size, error=error))
            return
        _RETRIED.inc()
        wait = min(section.first_wait_seconds * 2**recording.attempts, section.longest_wait_seconds)
        log.warning("recording not stored yet", recording_id=recording.id, error=error, again_in=wait)
        await self._table.again(recording.id, recording.attempts + 1, now + timedelta(seconds=wait), now)

    async def _finish(self, recording: Recording) -> None:
        await self._table.over(recording, self._clock())
        if recording.state == "failed":
            _FAILED.inc()
            log.error("recording not stored", recording_id=recording.id, error=recording.error)
        else:
            _STORED.inc()
        if recording.on_end == "pending":
            self._begin_following(recording)

    def _begin_following(self, recording: Recording) -> None:
        task = asyncio.get_running_loop().create_task(self._run_following(recording))
        self._following.add(task)
        task.add_done_callback(self._following.discard)

    async def _run_following(self, recording: Recording) -> None:
        async with self._few_follow:
            try:
                await self._insist(recording, lambda: self._follow(recording))
            except Exception:
                log.exception("flow after a recording failed", recording_id=recording.id)
            await self._insist(recording, lambda: self._table.followed(recording.id))

    async def _insist(self, recording: Recording, attempt: Callable[[], Awaitable[None]]) -> None:
        """Try until it is not Unavailable."""
        while True:
            try:
                return await attempt()
            except Unavailable as error:
                log.warning("flow after a recording waits", recording_id=recording.id, error=error.message)
                await asyncio.sleep(self._section.first_wait_seconds)

    # What is old

    async def _purge(self) -> None:
        while True:
            try:
                if self._section.keep_days:
                    await self.purge(self._clock() - timedelta(days=self._section.keep_days))
            except Unavailable as error:
                log.warning("old recordings stay for now", error=error.message)
            except Exception:
                log.exception("old recordings stay for now")
            await asyncio.sleep(PURGE_SECONDS)

    async def purge(self, before: datetime) -> None:
        """Delete what this process can of the time before; what will not go now is left. Raises Unavailable."""
        shared = self._storage.kind if self._storage.shared else None
        gone = True
        while gone:
            gone = False
            for recording in await self._table.old(
                self._node, shared, (SPOOL, self._storage.kind), before, PURGE_BATCH
            ):
                try:
                    await self.delete(recording)
                    gone = True
                except EdgeError as error:
                    log.warning("old recording stays for now", recording_id=recording.id, error=error.message)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
