"""Parked runs: flows of texts that wait for the next text of the same person, in SQL and not in memory.

There is one row for each number of ours and person. It says which text brought it to where it is, and what became of
that text's run; so a text whose run is repeated after a crash finds that it has been here already, and neither begins
anew nor takes itself for the next one.

When the time of a parked run is over, a *timer* is put into the inbox: a row among the texts that nobody sent and
nobody is shown. It goes the way of any text, in order with them and kept over a crash, and if a text was faster it
finds the run gone and does nothing.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from edge.errors import Unavailable
from edge.log import get_logger
from edge.sessions.texts.incoming import Incoming, Performed
from edge.sessions.texts.tables import parked_runs
from edge.store.engine import reading, writing
from edge.store.metadata import json_text, micros, name_id
from edge.store.reader import Lookup, Reader
from edge.store.statement import Statement, insert
from edge.store.writer import Writer

log = get_logger("sessions")

LOOK_SECONDS: Final = 1.0
TIMERS: Final = 200  # put into the inbox at a time
_NAMESPACE: Final = uuid.UUID("0d9b4c8e-57f5-5d0f-8c44-9a7d0e3f2b61")

_BY_PAIR: Final = (
    "SELECT wanted.value AS key, p.message_id, p.state, p.performed FROM {keys} "
    "JOIN parked_runs p ON p.number_id = substr(wanted.value, 1, 36) AND p.peer = substr(wanted.value, 38)"
)
BY_PAIR: Final = Lookup(
    "parked_runs.by_pair",
    _BY_PAIR.format(keys="json_each(?) wanted"),
    _BY_PAIR.format(keys="unnest($1::text[]) wanted(value)"),
)
_COLUMNS: Final = ("number_id", "peer", "message_id", "state", "performed", "timer", "due", "tm_update")
PUT: Final = insert(
    "parked_runs.put",
    "parked_runs",
    _COLUMNS,
    "ON CONFLICT (number_id, peer) DO UPDATE SET "
    + ", ".join(f"{name} = excluded.{name}" for name in _COLUMNS if name not in ("number_id", "peer")),
)
TIMED: Final = Statement.of(
    "parked_runs.timed", "UPDATE parked_runs SET due = 0 WHERE number_id = ? AND peer = ? AND message_id = ?"
)

Accept = Callable[[Incoming], Awaitable[Any]]  # `Inbox.accept`


@dataclass(frozen=True, slots=True)
class Parked:
    """What the last text of a person came to. `state` is None when no run waits for the next one."""

    message_id: str
    state: dict[str, Any] | None
    performed: Performed


class Parking:
    """The parked runs. All methods raise Unavailable."""

    def __init__(self, engine: AsyncEngine, reader: Reader, writer: Writer, clock: Callable[[], datetime]) -> None:
        self._engine = engine
        self._reader = reader
        self._writer = writer
        self._clock = clock

    async def find(self, text: Incoming) -> Parked | None:
        """What the last text of the pair that a text belongs to left behind."""
        rows = await self._reader.get(BY_PAIR, f"{text.number_id} {text.peer}")
        if not rows:
            return None
        _, message_id, state, performed = rows[0]
        return Parked(message_id, json.loads(state) if state else None, Performed(**json.loads(performed)))

    async def put(self, text: Incoming, performed: Performed, state: dict[str, Any] | None, seconds: float) -> None:
        """Keep what a text's run came to; with a state it waits for so many seconds at most."""
        now = self._clock()
        due = now + timedelta(seconds=seconds)
        timer = timer_of(text, due)
        row = (
            *(text.number_id, text.peer, text.id),
            json_text(state) if state is not None else "",
            json_text(asdict(performed)),
            json_text(asdict(timer)) if state is not None else "",
            micros(due) if state is not None else 0,
            micros(now),
        )
        await self._writer.put(PUT, [row])

    async def watch(self, accept: Accept, pause: Callable[[float], Awaitable[None]]) -> None:
        """Put the timers that are due into the inbox, for ever."""
        while True:
            await pause(LOOK_SECONDS)
            try:
                await self.look(accept)
            except Unavailable:
                continue  # the next look will do
            except Exception:
                log.exception("timers not looked after")

    async def look(self, accept: Accept) -> None:
        """Put the timers that are due now into the inbox."""
        query = (
            sa.select(parked_runs.c.number_id, parked_runs.c.peer, parked_runs.c.message_id, parked_runs.c.timer)
            .where(parked_runs.c.due > 0, parked_runs.c.due <= micros(self._clock()))
            .order_by(parked_runs.c.due)
            .limit(TIMERS)
        )
        async with reading(self._engine) as connection:
            found = (await connection.execute(query)).all()
        for number_id, peer, message_id, timer in found:
            try:
                await accept(Incoming(**json.loads(timer)))
                await self._writer.put(TIMED, [(number_id, peer, message_id)])
            except Unavailable:
                raise
            except Exception as error:  # of this one; an edge of another version may know better
                log.error("timer not read", message_id=message_id, error=f"{type(error).__name__}: {error}")

    async def purge(self, before: datetime, batch: int) -> int:
        """Delete up to `batch` rows where nothing waits and nothing happened since; returns how many went."""
        pair = sa.tuple_(parked_runs.c.number_id, parked_runs.c.peer)
        old = sa.select(parked_runs.c.number_id, parked_runs.c.peer)
        old = old.where(parked_runs.c.tm_update < before, parked_runs.c.state == "").limit(batch)
        async with writing(self._engine) as connection:
            result = await connection.execute(sa.delete(parked_runs).where(pair.in_(old)))
        return result.rowcount


def timer_of(text: Incoming, due: datetime) -> Incoming:
    """The timer of the run that a text has parked."""
    timer_id = timer_id_of(text.id)
    return replace(
        text, id=timer_id, direction="timer", carrier_id=timer_id, text="", media=(), tm_create=micros(due), attempts=0
    )


def timer_id_of(message_id: str) -> str:
    return name_id(_NAMESPACE, message_id)
