"""A recorder and its keeper on a real database and a real folder, with clocks and pauses that the test holds."""

from __future__ import annotations

import asyncio
import wave
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from edge.errors import Unavailable
from edge.recordings.keeper import Keeper
from edge.recordings.recorder import Recorder, Tape
from edge.recordings.section import RecordingsSection
from edge.recordings.spool import Spool
from edge.recordings.table import Recording, RecordingTable, recordings
from edge.recordings.take import Wish
from edge.storages.directory import Directory, DirectorySection
from edge.store.engine import StoreSection, open_engine
from edge.store.metadata import new_id
from edge.store.writer import Writer
from tests.recordings.sound import SAMPLES, STEP, packet
from tests.sessions.ground import Clock, Frail, Pauses, until

NODE = "here"
CUSTOMER = new_id()


class Shelf(Directory):
    """A directory that is away when told to."""

    def __init__(self, section: DirectorySection) -> None:
        super().__init__(section)
        self.away = False
        self.asked = 0

    async def put(self, name: str, path: Path, content_type: str) -> None:
        self.asked += 1
        if self.away:
            raise Unavailable("the shelf is away")
        await super().put(name, path, content_type)


class Studio:
    """Where calls are recorded. `seconds` is what the takes go by, `clock` the time of day."""

    def __init__(self, folder: Path, engine: AsyncEngine, writer: Frail, node: str = NODE, **section: Any) -> None:
        self.folder = folder
        self.engine = engine
        self.writer = writer
        self.seconds = 1000.0
        self.clock = Clock()
        self.pauses = Pauses()
        shelf = DirectorySection(path=folder / "kept")
        self.section = RecordingsSection.model_validate(
            {"storage": shelf, "spool": folder / node, "free_mb": 0, **section}
        )
        self.shelf = Shelf(shelf)
        self.spool = Spool(self.section.spool, self.section.free_mb * 1_000_000)
        self.table = RecordingTable(engine, writer.as_writer())
        self.followed: list[Recording] = []
        self.keeper = Keeper(
            self.section, self.spool, self.shelf, self.table, node=node, follow=self._follow, clock=self.clock
        )
        self.recorder = Recorder(
            self.section,
            self.spool,
            self.table,
            node=node,
            closed=self.keeper.look,
            clock=lambda: self.seconds,
            wall=self.clock,
            pause=self.pauses,
        )

    async def _follow(self, recording: Recording) -> None:
        self.followed.append(recording)

    async def begin(self, call: str = "", on_end_flow_id: str = "", **wish: Any) -> Tape:
        more = {"on_end_flow_id": on_end_flow_id} if on_end_flow_id else {}
        return await self.recorder.begin(CUSTOMER, call or new_id(), Wish(**wish), **more)

    def speak(self, tape: Tape, packets: int, *, first: int = 0) -> None:
        """The caller says so many packets, in their time."""
        for number in range(first, first + packets):
            tape.heard(SAMPLES * number, packet(number % 1000))
            self.seconds += STEP

    async def round(self) -> None:
        """One round of the recorder, to its end."""
        await until(lambda: self.pauses._waiting)
        await self.pauses.end()
        await until(lambda: self.pauses._waiting or not self.recorder._tapes)

    async def closed(self, tape: Tape) -> Recording:
        """The row of a take that is over."""
        await self.round()
        await until(lambda: not self.recorder._pending)
        return await self.row(tape)

    async def row(self, tape: Tape | Recording) -> Recording:
        found = await self.table.get(tape.recording.id if isinstance(tape, Tape) else tape.id)
        assert found is not None
        return found

    async def rows(self) -> list[dict[str, Any]]:
        async with self.engine.connect() as connection:
            return [dict(row) for row in (await connection.execute(sa.select(recordings))).mappings()]

    async def comes(self, tape: Tape | Recording, state: str) -> Recording:
        """Its row, once it is in that state."""
        async with asyncio.timeout(20):
            while (row := await self.row(tape)).state != state:
                await asyncio.sleep(0.005)
        return row

    def spooled(self) -> list[str]:
        return sorted(path.name for path in self.section.spool.iterdir())


def frames_of(path: Path) -> bytes:
    with wave.open(str(path)) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (2, 2, 8000)
        return bytes(file.readframes(file.getnframes()))


async def contents(pieces: AsyncIterator[bytes]) -> bytes:
    return b"".join([piece async for piece in pieces])


@asynccontextmanager
async def studio(
    url: str, folder: Path, node: str = NODE, *, start: bool = True, **section: Any
) -> AsyncIterator[Studio]:
    """A studio at work on a migrated database."""
    engine = await open_engine(url)
    writer = Writer(StoreSection(url=url, lazy_ms=1))
    await writer.start()
    made = Studio(folder, engine, Frail(writer), node, **section)
    try:
        if start:
            await made.keeper.start()
            await made.recorder.start()
        yield made
    finally:
        await made.recorder.close()
        await made.keeper.close()
        made.spool.close()
        await writer.close()
        await engine.dispose()
