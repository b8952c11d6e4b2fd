"""An incoming text as a row: the value, the statements that write it, the queries that find it again."""

from __future__ import annotations

from dataclasses import dataclass, fields
from operator import attrgetter
from typing import Any, Final, Literal

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from edge import errors
from edge.errors import EdgeError, Unavailable
from edge.sessions.tables import messages
from edge.store.engine import reading
from edge.store.metadata import NIL, json_text, micros
from edge.store.writer import Statement, insert


@dataclass(frozen=True, slots=True)
class Incoming:
    """A text as its row in SQL says it, as far as anybody needs it while it is at work. `tm_create` in microseconds."""

    id: str
    carrier: str
    carrier_id: str
    number: str
    peer: str
    text: str
    route: str
    tm_create: int
    refusal: str = ""
    customer_id: str = NIL
    number_id: str = NIL
    conversation_id: str = NIL
    flow_id: str = NIL
    lookup_source: str = ""
    attempts: int = 0
    media: tuple[str, ...] = ()  # URLs of what came beside the words
    direction: str = "inbound"  # or "timer": nobody sent it, see `parking.py`
    parts: int = 1
    keyword: Literal["", "stop", "start", "help"] = ""  # of no row: its words say it again, see `opting.py`

    @property
    def has_flow(self) -> bool:
        return self.flow_id != NIL and not self.refusal

    @property
    def has_work(self) -> bool:
        """Whether anything is to be done about it once it is kept."""
        return self.has_flow or self.keyword != ""

    @property
    def pair(self) -> tuple[str, str]:
        """Whose texts are run one after another."""
        return self.number, self.peer

    def row(self, claimed_by: str, claimed_until: int) -> tuple[Any, ...]:
        """What `KEEP` writes."""
        state = "pending" if self.has_work else "none"
        media = json_text(self.media) if self.media else "[]"
        return (*_plain(self), media, NIL, 0, state, claimed_by, claimed_until, "", "", "", "[]")

    @property
    def refused_with(self) -> type[EdgeError] | None:
        """What its carrier is told."""
        return getattr(errors, self.refusal) if self.refusal else None


@dataclass(frozen=True, slots=True)
class Performed:
    """What became of a run, for the row. `steps` is JSON."""

    outcome: str
    error: str = ""
    cut_by: str = ""
    steps: str = "[]"
    flow_version: int = 0


_FIELDS: Final = tuple(f.name for f in fields(Incoming) if f.name != "keyword")
_PLAIN: Final = tuple(name for name in _FIELDS if name != "media")
_plain: Final = attrgetter(*_PLAIN)
_SELECTED: Final = tuple(messages.c[name] for name in _FIELDS)
COLUMNS: Final = (
    *_PLAIN,
    *("media", "reference_id", "flow_version", "flow_state", "claimed_by", "claimed_until"),
    *("outcome", "error", "cut_by", "steps"),
)
KEEP: Final = insert("inbox.keep", "messages", COLUMNS, "ON CONFLICT DO NOTHING")
BEGIN: Final = Statement.of(
    "inbox.begin",
    "UPDATE messages SET attempts = attempts + 1 WHERE id = ? AND flow_state = 'pending' AND claimed_by = ?",
)
DONE: Final = Statement.of(
    "inbox.done",
    "UPDATE messages SET flow_state = ?, outcome = ?, error = ?, cut_by = ?, steps = ?, flow_version = ?,"
    " tm_update = ?, claimed_until = 0 WHERE id = ? AND flow_state = 'pending'",
)


async def known(engine: AsyncEngine, carrier: str, carrier_id: str, direction: str) -> Incoming:
    """The text of that identity. Raises Unavailable when SQL is away, or the text not there."""
    query = sa.select(*_SELECTED).where(
        messages.c.direction == direction,
        messages.c.carrier == carrier,
        messages.c.carrier_id == carrier_id,
    )
    async with reading(engine) as connection:
        row = (await connection.execute(query)).mappings().one_or_none()
    if row is None:  # it was purged just now
        raise Unavailable("the text that this one repeats is gone")
    return _incoming(row)


async def pending(
    engine: AsyncEngine, which: sa.ColumnElement[bool], after: tuple[int, str], size: int
) -> list[Incoming]:
    """Texts whose flow is still to be run, oldest first, from behind (tm_create, id) on. Raises Unavailable."""
    place = sa.tuple_(messages.c.tm_create, messages.c.id) > sa.tuple_(
        sa.literal(after[0], sa.BigInteger), sa.literal(after[1], sa.Text)
    )
    query = (
        sa.select(*_SELECTED)
        .where(messages.c.flow_state == sa.literal_column("'pending'"), place, which)
        .order_by(messages.c.tm_create, messages.c.id)
        .limit(size)
    )
    async with reading(engine) as connection:
        return [_incoming(row) for row in (await connection.execute(query)).mappings()]


def _incoming(row: sa.RowMapping) -> Incoming:
    values = dict(row)
    values["tm_create"] = micros(values["tm_create"])
    values["media"] = tuple(values["media"])
    return Incoming(**values)
