"""What flows remember of a person: one memory for each number of ours and who calls or texts it, for a time.

A flow sets `memory.NAME` as it sets any variable, and every later call or text of the same person to the same number
can read it. What is set is in SQL before the next step runs. A number that is released and created again has another
id, so a new owner never sees what an old one knew; who withholds his number is nobody, and nothing is remembered of
him.

Only a flow that has the word `memory.` in it, or enters flows that might, asks SQL at its start.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Final

import sqlalchemy as sa
from pydantic import Field, PositiveFloat
from sqlalchemy.ext.asyncio import AsyncEngine

from edge.errors import EdgeError, Invalid, Unavailable
from edge.flows import limits
from edge.flows.run import Run
from edge.flows.session import Session
from edge.log import get_logger
from edge.numbers.e164 import read_dialed
from edge.sessions.tables import memories
from edge.settings import Section
from edge.store.engine import writing
from edge.store.metadata import micros
from edge.store.reader import Lookup, Reader
from edge.store.statement import Statement, insert
from edge.store.writer import Writer

log = get_logger("sessions")

NOBODY: Final = frozenset({"", "anonymous", "restricted", "unavailable", "unknown"})

_BY_PAIR: Final = (
    "SELECT wanted.value AS key, m.name, m.value, m.tm_expire FROM {keys} "
    "JOIN memories m ON m.number_id = substr(wanted.value, 1, 36) AND m.peer = substr(wanted.value, 38)"
)
BY_PAIR: Final = Lookup(
    "memories.by_pair",
    _BY_PAIR.format(keys="json_each(?) wanted"),
    _BY_PAIR.format(keys="unnest($1::text[]) wanted(value)"),
)
_COLUMNS: Final = ("number_id", "peer", "name", "value", "tm_expire")
REMEMBER: Final = insert(
    "memories.remember",
    "memories",
    _COLUMNS,
    "ON CONFLICT (number_id, peer, name) DO UPDATE SET value = excluded.value, tm_expire = excluded.tm_expire",
)
FORGET: Final = Statement.of("memories.forget", "DELETE FROM memories WHERE number_id = ? AND peer = ? AND name = ?")


class MemorySection(Section):
    """What flows remember of a person (variables that begin with `memory.`)."""

    days: PositiveFloat = Field(default=30.0, description="So long after it was set, a value is forgotten.")


class Memory:
    """The memories of all pairs. `recall` and `remember` raise Unavailable."""

    def __init__(
        self, section: MemorySection, engine: AsyncEngine, reader: Reader, writer: Writer, clock: Callable[[], datetime]
    ) -> None:
        self._section = section
        self._engine = engine
        self._reader = reader
        self._writer = writer
        self._clock = clock

    async def recall(self, number_id: str, peer: str) -> dict[str, str]:
        """What is remembered: `memory.NAME` → value."""
        if peer.lower() in NOBODY:
            return {}
        now = micros(self._clock())
        rows = await self._reader.get(BY_PAIR, f"{number_id} {peer}")
        return {name: value for _, name, value, expires in rows if expires > now}

    async def remember(self, number_id: str, peer: str, name: str, value: str) -> None:
        """Keep a value, an empty one not. Raises Invalid for more than one can have."""
        if peer.lower() in NOBODY:
            raise Invalid("nothing is remembered of who is not known by a number")
        if len(value) > limits.MEMORY_CHARACTERS:
            raise Invalid(f"the value of {name} has more than {limits.MEMORY_CHARACTERS} characters")
        if not value:
            await self._writer.put(FORGET, [(number_id, peer, name)])
            return
        known = await self.recall(number_id, peer)
        if name not in known and len(known) >= limits.MEMORIES:
            raise Invalid(f"at most {limits.MEMORIES} values are remembered of one person")
        until = micros(self._clock() + timedelta(days=self._section.days))
        await self._writer.put(REMEMBER, [(number_id, peer, name, value, until)])

    async def purge(self, _before: datetime, batch: int) -> int:
        """Delete up to `batch` values whose time is over; returns how many went."""
        pair = sa.tuple_(memories.c.number_id, memories.c.peer, memories.c.name)
        old = sa.select(memories.c.number_id, memories.c.peer, memories.c.name)
        old = old.where(memories.c.tm_expire < self._clock()).limit(batch)
        async with writing(self._engine) as connection:
            result = await connection.execute(sa.delete(memories).where(pair.in_(old)))
        return result.rowcount


def peer_of(source: str, country: str | None) -> str:
    """Who calls or texts, in the form that both have: E.164 where it can be read so, else as it was written."""
    try:
        return read_dialed(source, country)
    except EdgeError:
        return source


async def recall(run: Run, session: Session) -> None:
    """Give a run what is remembered, if its flow may ask for it. A call goes on without it when SQL is away."""
    if not run.flow.recalls:
        return
    try:
        remembered: Mapping[str, str] = await session.outside.recall()
    except Unavailable as error:
        log.warning("nothing is remembered for now", session_id=session.id, error=error.message)
        return
    for name, value in remembered.items():
        run.variables.set_system(name, value)
