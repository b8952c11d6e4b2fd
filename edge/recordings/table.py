"""Recordings in SQL: a row from before the first sample until the recording is deleted.

    recording   under way; after a crash its process finds it at its next start, and closes it as interrupted
    waiting     over, in the spool of its process (`node`), on its way into its format and its storage
    stored      where it is to be: in the storage named by `place`
    failed      given up by its storage, or empty: it stays in the spool, if there is a file at all

Names of fields are the platform's; `public` shows what only the edge knows below `edge`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final, Literal, Protocol, TypeAlias

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from edge.recordings.take import Ending, Format
from edge.recordings.timeline import RATE
from edge.store.engine import reading
from edge.store.metadata import NIL, Instant, Uuid, instant_text, metadata, micros
from edge.store.page import SIZE_MAX, Place, newest
from edge.store.writer import Row, Statement, Then, Writer, insert

State = Literal["recording", "waiting", "stored", "failed"]
Ids: TypeAlias = list[str]
OnEnd = Literal["none", "pending", "done"]

IDS: Final = 500  # asked for at a time
SPOOL: Final = ""  # the place of a recording that is in the spool of its node

recordings = sa.Table(
    "recordings",
    metadata,
    sa.Column("id", Uuid, primary_key=True),
    sa.Column("customer_id", Uuid, nullable=False),
    sa.Column("reference_type", sa.String(16), nullable=False),  # call
    sa.Column("reference_id", Uuid, nullable=False),
    sa.Column("format", sa.String(8), nullable=False),
    sa.Column("recording_name", sa.Text, nullable=False),
    sa.Column("filename", sa.Text, nullable=False),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("ending", sa.String(16), nullable=False),  # why it was over; "" while it is not
    sa.Column("error", sa.Text, nullable=False),
    sa.Column("on_end_flow_id", Uuid, nullable=False),
    sa.Column("on_end", sa.String(8), nullable=False),  # none pending done: whether that flow still has to run
    sa.Column("node", sa.Text, nullable=False),
    sa.Column("place", sa.String(16), nullable=False),
    sa.Column("frames", sa.BigInteger, nullable=False),  # its length
    sa.Column("bytes", sa.BigInteger, nullable=False),  # of the file
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("due", Instant, nullable=False),  # the next of them
    sa.Column("tm_start", Instant, nullable=False),
    sa.Column("tm_end", Instant),
    sa.Column("tm_create", Instant, nullable=False),
    sa.Column("tm_update", Instant),
    sa.Index("ix_recordings_customer_id_tm_create", "customer_id", "tm_create"),
    sa.Index("ix_recordings_reference_id", "reference_id"),
    sa.Index("ix_recordings_tm_create", "tm_create"),
    sa.Index(
        "ix_recordings_pending",
        "node",
        sqlite_where=sa.text("on_end = 'pending'"),
        postgresql_where=sa.text("on_end = 'pending'"),
    ),
    sa.Index(
        "ix_recordings_open",
        "node",
        "due",
        sqlite_where=sa.text("state IN ('recording', 'waiting')"),
        postgresql_where=sa.text("state IN ('recording', 'waiting')"),
    ),
)


@dataclass(frozen=True, slots=True)
class Recording:
    """One row."""

    id: str
    customer_id: str
    reference_id: str
    format: Format
    node: str
    tm_start: datetime
    tm_create: datetime
    due: datetime
    recording_name: str
    filename: str
    reference_type: str = "call"
    state: State = "recording"
    ending: Ending | Literal[""] = ""
    error: str = ""
    on_end_flow_id: str = NIL
    on_end: OnEnd = "none"
    place: str = SPOOL
    frames: int = 0
    bytes: int = 0
    attempts: int = 0
    tm_end: datetime | None = None
    tm_update: datetime | None = None

    @classmethod
    def begun(
        cls, id: str, customer_id: str, call_id: str, format: Format, now: datetime, *, node: str, on_end_flow_id: str
    ) -> Recording:
        """One of a call that begins now."""
        name = f"call_{call_id}_{now:%Y%m%dT%H%M%SZ}_{id[-6:]}"
        return cls(
            id=id,
            customer_id=customer_id,
            reference_id=call_id,
            format=format,
            node=node,
            tm_start=now,
            tm_create=now,
            due=now,
            recording_name=name,
            filename=f"{name}.{format}",
            on_end_flow_id=on_end_flow_id,
            on_end="none" if on_end_flow_id == NIL else "pending",
        )

    @property
    def seconds(self) -> float:
        return self.frames / RATE

    @property
    def path(self) -> str:
        """Its name in a storage."""
        return f"{self.customer_id}/{self.filename}"


_COLUMNS: Final = tuple(column.name for column in recordings.columns)

BEGIN: Final = insert("recordings.begin", "recordings", _COLUMNS, "ON CONFLICT DO NOTHING")
END: Final = Statement.of(
    "recordings.end",
    "UPDATE recordings SET state = ?, ending = ?, error = ?, frames = ?, tm_end = ?, tm_update = ?"
    " WHERE id = ? AND state = 'recording'",
)
AGAIN: Final = Statement.of(
    "recordings.again",
    "UPDATE recordings SET attempts = ?, due = ?, tm_update = ? WHERE id = ? AND state = 'waiting'",
)
OVER: Final = Statement.of(
    "recordings.over",
    "UPDATE recordings SET state = ?, place = ?, format = ?, filename = ?, bytes = ?, error = ?, tm_update = ?"
    " WHERE id = ? AND state = 'waiting'",
)
FOLLOWED: Final = Statement.of("recordings.followed", "UPDATE recordings SET on_end = 'done' WHERE id = ?")
DELETE: Final = Statement.of("recordings.delete", "DELETE FROM recordings WHERE id = ?")


class Told(Protocol):
    """Who wants to know that a recording is where it stays, or that there will be none."""

    async def finished(self, recording: Recording, /) -> Sequence[Then]:
        """What is to be written with that, see `Writer.put_with`. Raises Unavailable."""

    def written(self, recording: Recording, /) -> None:
        """It is written."""


class Untold:
    """Nobody does."""

    async def finished(self, _recording: Recording, /) -> Sequence[Then]:
        return ()

    def written(self, _recording: Recording, /) -> None:
        pass


class RecordingTable:
    """Reads and writes. All methods raise Unavailable."""

    def __init__(self, engine: AsyncEngine, writer: Writer, told: Told | None = None) -> None:
        self._engine = engine
        self._writer = writer
        self._told = told or Untold()

    async def get(self, recording_id: str, customer_id: str | None = None) -> Recording | None:
        """One. `customer_id` None: whoever it belongs to."""
        query = sa.select(recordings).where(recordings.c.id == recording_id)
        if customer_id is not None:
            query = query.where(recordings.c.customer_id == customer_id)
        return next(iter(await self._read(query)), None)

    async def list(
        self,
        customer_id: str | None,
        *,
        reference_id: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        after: Place | None = None,
        size: int = SIZE_MAX,
    ) -> Sequence[Recording]:
        """Newest first, `since` ≤ tm_create < `until`, from behind the place `after` on; of None: everybody's."""
        query = sa.select(recordings)
        if customer_id is not None:
            query = query.where(recordings.c.customer_id == customer_id)
        if reference_id is not None:
            query = query.where(recordings.c.reference_id == reference_id)
        table = recordings.c
        return await self._read(
            newest(query, table.tm_create, table.id, since=since, until=until, behind=after, size=size)
        )

    async def of(self, reference_ids: Sequence[str]) -> Mapping[str, Sequence[str]]:
        """The ids of the recordings of these calls, first one first."""
        query = sa.select(recordings.c.reference_id, recordings.c.id).where(
            recordings.c.reference_id.in_(reference_ids)
        )
        found: dict[str, Ids] = {}
        async with reading(self._engine) as connection:
            rows = await connection.execute(query.order_by(recordings.c.tm_create, recordings.c.id))
            for reference_id, recording_id in rows:
                found.setdefault(reference_id, []).append(recording_id)
        return found

    async def left(self, node: str, state: State) -> Sequence[Recording]:
        """All that are in a state at one process; there are few in any that is open."""
        return await self._read(sa.select(recordings).where(recordings.c.node == node, recordings.c.state == state))

    async def unfollowed(self, node: str) -> Sequence[Recording]:
        """Those of one process whose flow has still to run."""
        mine = (recordings.c.node == node, recordings.c.on_end == sa.literal_column("'pending'"))
        done = recordings.c.state.in_(("stored", "failed"))
        return await self._read(sa.select(recordings).where(*mine, done).order_by(recordings.c.tm_create).limit(IDS))

    async def waiting(self, node: str, now: datetime, size: int) -> Sequence[Recording]:
        """Those that wait and are due, longest first."""
        query = sa.select(recordings).where(
            recordings.c.node == node, recordings.c.state == sa.literal_column("'waiting'"), recordings.c.due <= now
        )
        return await self._read(query.order_by(recordings.c.due, recordings.c.id).limit(size))

    async def backlog(self, node: str) -> tuple[int, datetime | None]:
        """How many wait, and when the first of them is due."""
        query = sa.select(sa.func.count(), sa.func.min(recordings.c.due)).where(
            recordings.c.node == node, recordings.c.state == sa.literal_column("'waiting'")
        )
        async with reading(self._engine) as connection:
            count, due = (await connection.execute(query)).one()
        return count, due

    async def old(
        self, node: str, shared: str | None, places: Sequence[str], before: datetime, size: int
    ) -> Sequence[Recording]:
        """Those made before a time that this process can delete: its own in these places, all in a shared one."""
        reached = sa.and_(recordings.c.node == node, recordings.c.place.in_(places))
        if shared is not None:
            reached = sa.or_(reached, recordings.c.place == shared)
        done = recordings.c.state.in_(("stored", "failed"))
        return await self._read(
            sa.select(recordings)
            .where(recordings.c.tm_create < before, done, reached)
            .order_by(recordings.c.tm_create)
            .limit(size)
        )

    async def needed(self, ids: Iterable[str]) -> set[str]:
        """Which of these have their file in a spool."""
        wanted, found = sorted(ids), set[str]()
        async with reading(self._engine) as connection:
            for at in range(0, len(wanted), IDS):
                part = recordings.c.id.in_(wanted[at : at + IDS])
                query = sa.select(recordings.c.id).where(part, recordings.c.place == SPOOL)
                found |= set((await connection.execute(query)).scalars())
        return found

    async def begin(self, recording: Recording) -> None:
        values = {name: getattr(recording, name) for name in _COLUMNS}
        row = (micros(value) if isinstance(value, datetime) else value for value in values.values())
        await self._writer.put(BEGIN, [tuple(row)])

    async def end(
        self, recording: Recording, state: State, ending: Ending, error: str, frames: int, ended: datetime
    ) -> None:
        when = micros(ended)
        row = (state, ending, error, frames, when, when, recording.id)
        over = replace(recording, state=state, ending=ending, error=error, frames=frames, tm_end=ended, tm_update=ended)
        await self._finish(END, row, over)

    async def again(self, recording_id: str, attempts: int, due: datetime, now: datetime) -> None:
        await self._writer.put(AGAIN, [(attempts, micros(due), micros(now), recording_id)])

    async def over(self, recording: Recording, now: datetime) -> None:
        """It is stored, or given up: state, place, format, file name, size and error are as the recording has them."""
        r = recording
        row = (r.state, r.place, r.format, r.filename, r.bytes, r.error, micros(now), r.id)
        await self._finish(OVER, row, replace(r, tm_update=now))

    async def _finish(self, statement: Statement, row: Row, recording: Recording) -> None:
        """Write how a recording goes on; if it does not, with what tells of that."""
        then = await self._told.finished(recording) if recording.state in ("stored", "failed") else ()
        if await self._writer.put_with(statement, row, then) and then:
            self._told.written(recording)

    async def followed(self, recording_id: str) -> None:
        """The flow that was to run at its end has run."""
        await self._writer.put(FOLLOWED, [(recording_id,)])

    async def delete(self, recording_id: str) -> None:
        await self._writer.put(DELETE, [(recording_id,)])

    def forget(self, recording_id: str) -> None:
        """Delete a row some time soon; there may be none."""
        self._writer.put_later(DELETE, [(recording_id,)])

    async def _read(self, query: sa.Select[Any]) -> Sequence[Recording]:
        async with reading(self._engine) as connection:
            return [Recording(**row) for row in (await connection.execute(query)).mappings()]


def public(recording: Recording) -> dict[str, Any]:
    """A recording as the API shows it."""
    r = recording
    return {
        "id": r.id,
        "customer_id": r.customer_id,
        "reference_type": r.reference_type,
        "reference_id": r.reference_id,
        "status": "recording" if r.state == "recording" else "ended",
        "format": r.format,
        "recording_name": r.recording_name,
        "filenames": [r.filename],
        "on_end_flow_id": r.on_end_flow_id,
        "tm_start": instant_text(r.tm_start),
        "tm_end": instant_text(r.tm_end) if r.tm_end is not None else None,
        "tm_create": instant_text(r.tm_create),
        "tm_update": instant_text(r.tm_update) if r.tm_update is not None else None,
        "edge": {
            "state": r.state,
            "ending": r.ending,
            "error": r.error,
            "storage": r.place,
            "node": r.node,
            "seconds": r.seconds,
            "bytes": r.bytes,
            "attempts": r.attempts,
        },
    }
