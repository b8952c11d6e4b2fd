"""The recorder: starts takes, writes what they hold a few times a second, and closes them.

    start    a row in SQL and a file in the spool, before the first sample: a crash finds both or, at worst, a row alone
    round    every `ROUND_SECONDS` what is new of all takes is written by one job of the spool's thread, and each take
             is asked whether it is due to end; a disk that cannot follow gets no second job meanwhile
    close    the file is brought to its end, the row says why and when, and the keeper takes over

What ends a take from outside (a stop, the end of the call) only says so; the next round closes it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Final, TypeVar

from edge.errors import Exhausted, Unavailable
from edge.log import get_logger
from edge.metrics import counter, gauge
from edge.recordings.encoding import require
from edge.recordings.limits import ROUND_SECONDS, TAKES
from edge.recordings.section import RecordingsSection
from edge.recordings.spool import Piece, Spool
from edge.recordings.table import Recording, RecordingTable, State
from edge.recordings.take import ENDINGS, Ending, Take, Wish
from edge.recordings.timeline import RATE
from edge.store.metadata import NIL, new_id

log = get_logger("recordings")

T = TypeVar("T")

ACTIVE = gauge("recordings_active", "Recordings under way.")
ENDED = counter("recordings_total", "Recordings that came to their end, by what ended them.", ("reason",))
_ENDED: Final = {ending: ENDED.labels(ending) for ending in ENDINGS}
RETRY_SECONDS: Final = 1.0  # between two tries to say in SQL that a take is over


class Tape:
    """One take of one call, as a tap of its stream. `recording` is its row as it was begun.

    `ended` is called once, when the take ends by itself or by `end`.
    """

    __slots__ = ("_clock", "_take", "ended", "file", "recording")

    def __init__(self, recording: Recording, file: int, wish: Wish, longest: float, clock: Callable[[], float]) -> None:
        self.recording = recording
        self.file = file
        self.ended: Callable[[], None] = _nobody
        self._clock = clock
        self._take = Take(wish, clock(), longest)

    def heard(self, timestamp: int, pcm: bytes) -> None:
        self._take.put("left", timestamp, pcm, self._clock())

    def said(self, timestamp: int, pcm: bytes) -> None:
        self._take.put("right", timestamp, pcm, self._clock())

    def press(self, keys: str) -> None:
        """The caller pressed keys, of which one may be the end."""
        if any(self._take.press(key) for key in keys):
            self.end("key")

    @property
    def ending(self) -> Ending | None:
        return self._take.ending

    @property
    def seconds(self) -> float:
        """How much of it was written."""
        return self._take.seconds

    def end(self, ending: Ending) -> None:
        """It is over. Only the first end counts."""
        if self._take.ending is None:
            self._take.end(ending, self._clock())
        ended, self.ended = self.ended, _nobody
        ended()

    def look(self) -> None:
        """End it when it is due."""
        ending = self._take.ending or self._take.due(self._clock())
        if ending is not None:
            self.end(ending)

    def piece(self) -> Piece:
        """What is new."""
        return Piece(self.file, self._take.take(self._clock()))


def _nobody() -> None:
    return None


class Recorder:
    """One for the daemon. `closed` is called with each recording that is in SQL as waiting."""

    def __init__(
        self,
        section: RecordingsSection,
        spool: Spool,
        table: RecordingTable,
        *,
        node: str,
        closed: Callable[[], None],
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], datetime] = lambda: datetime.now(UTC),
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._section = section
        self._spool = spool
        self._table = table
        self._node = node
        self._closed = closed
        self._clock = clock
        self._wall = wall
        self._pause = pause
        self._tapes: set[Tape] = set()
        self._starting = 0
        self._some = asyncio.Event()
        self._pending: set[asyncio.Task[Any]] = set()
        self._working: asyncio.Task[None] | None = None
        ACTIVE.set_function(lambda: len(self._tapes))

    async def start(self) -> None:
        """Have the spool, and work from now on. Raises Unavailable."""
        await self._spool.make()
        self._working = asyncio.create_task(self._work())

    async def close(self) -> None:
        """End all takes. Their rows say so, unless SQL is away: then the next start finds them."""
        for tape in self._tapes:
            tape.end("interrupted")
        if self._working is not None:
            self._working.cancel()
            await asyncio.gather(self._working, return_exceptions=True)
        try:
            await self._round()
        except Exception:
            log.exception("recordings not written")
        if self._pending:
            await asyncio.wait(self._pending, timeout=RETRY_SECONDS)
        for task in self._pending:
            task.cancel()
        await asyncio.gather(*self._pending, return_exceptions=True)

    async def begin(self, customer_id: str, call_id: str, wish: Wish, *, on_end_flow_id: str = NIL) -> Tape:
        """Begin a take: what its tape is told from now on is recorded.

        Raises Invalid for a format that cannot be made here, Exhausted at a limit, Unavailable.
        """
        require(wish.format)
        if len(self._tapes) + self._starting >= TAKES:
            raise Exhausted(f"{TAKES} recordings are under way")
        now = self._wall()
        recording = Recording.begun(
            new_id(), customer_id, call_id, wish.format, now, node=self._node, on_end_flow_id=on_end_flow_id
        )
        self._starting += 1
        starting = self._keep(asyncio.get_running_loop().create_task(self._begin(recording, wish)))
        try:
            return await asyncio.shield(starting)
        except asyncio.CancelledError:
            starting.add_done_callback(self._discard)
            raise

    async def _begin(self, recording: Recording, wish: Wish) -> Tape:
        try:
            await self._table.begin(recording)
            file = await self._spool.open(recording.id)
        except BaseException:
            self._table.forget(recording.id)  # it may be there all the same
            raise
        finally:
            self._starting -= 1
        tape = Tape(recording, file, wish, self._section.longest_seconds, self._clock)
        self._tapes.add(tape)
        self._some.set()
        return tape

    def _discard(self, starting: asyncio.Task[Tape]) -> None:
        """A take that nobody waited for is as if it had never begun."""
        if starting.cancelled() or starting.exception() is not None:
            return
        tape = starting.result()
        self._tapes.discard(tape)
        self._table.forget(tape.recording.id)
        self._keep(asyncio.get_running_loop().create_task(self._spool.remove(tape.recording.id, tape.file)))

    def _keep(self, task: asyncio.Task[T]) -> asyncio.Task[T]:
        """Have a task known until it is done."""
        self._pending.add(task)
        task.add_done_callback(self._pending.discard)
        return task

    async def _work(self) -> None:
        while True:
            await self._some.wait()
            await self._pause(ROUND_SECONDS)
            try:
                await self._round()
            except Exception:
                log.exception("recordings not written")

    async def _round(self) -> None:
        """Write what is new of all takes, and close those that are over."""
        if not self._tapes:
            self._some.clear()
            return
        full = await self._full()
        tapes = list(self._tapes)
        for tape in tapes:
            if full:
                tape.end("disk")
            tape.look()
        over = [tape for tape in tapes if tape.ending is not None]
        said = await self._spool.write([tape.piece() for tape in tapes])
        errors = {tape: error for tape, error in zip(tapes, said, strict=True) if error}
        for tape in over:
            self._close(tape, errors.get(tape, ""))
        for tape in errors.keys() - set(over):
            tape.end("disk")
            self._close(tape, errors[tape])

    async def _full(self) -> bool:
        try:
            return not await self._spool.roomy(0.5)
        except Unavailable as error:
            log.error("recordings end", error=error.message)
            return True

    def _close(self, tape: Tape, error: str) -> None:
        if tape not in self._tapes:  # discarded meanwhile
            return
        self._tapes.discard(tape)
        self._keep(asyncio.get_running_loop().create_task(self._finish(tape, error)))

    async def _finish(self, tape: Tape, error: str) -> None:
        """Bring the file to its end, and say so until SQL has it."""
        recording = tape.recording
        ending = tape.ending or "interrupted"
        _ENDED[ending].inc()
        try:
            frames = await self._spool.finish(tape.file, recording.id)
        except Unavailable as fault:  # what was written before is there all the same
            frames, error = round(tape.seconds * RATE), error or fault.message
        if error:
            log.error("recording cut short", recording_id=recording.id, error=error)
        ended = recording.tm_start + timedelta(seconds=tape.seconds)
        state: State = "waiting" if frames else "failed"
        error = error or ("" if frames else "nothing was recorded")
        while True:
            try:
                await self._table.end(recording, state, ending, error, frames, ended)
                return self._closed()
            except Unavailable:
                await self._pause(RETRY_SECONDS)
            except Exception:  # the next start finds it, as one that was interrupted
                log.exception("recording not closed", recording_id=recording.id)
                return None
