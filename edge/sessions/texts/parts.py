"""The desk for parts of long texts: each is in SQL before its carrier hears "received"; a whole text goes on.

    open      waits for the others, or for its time to be over
    joined    sealed: with which others it makes a text is decided, and that text's id
    done      that text was accepted by the desk of all texts (`desk.py`)

1. `keep` writes the row, and looks at all open ones of the same two numbers (`sms/join.py` says what belongs together).
2. Whoever finds a text whole seals it: one conditional UPDATE of the part that came first, and in the same transaction
   the others. Of several processes that look at the same parts one succeeds, and its text is the only one made of them.
3. The last part is acknowledged once the text is accepted. If the process dies before that the carrier sends the part
   again, it is found joined, and the text is accepted under the same id, which the inbox knows if it has it.

What nobody sends again, and what is not whole when its time is over, a look every few seconds hands on, with marks for
the parts that are missing. A part that comes after that is a text of its own in the end: nothing that was acknowledged
is dropped. More texts under way between two numbers than a person can be writing are handed on early, oldest first, and
so is one that comes to too many parts, for one and the same may come again and again.

What is not nice: parts of two texts with one reference, on their way at the same time through two processes, can be
taken for each other's, as any phone would take them.
"""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any, Final, Literal, Protocol

import sqlalchemy as sa
from pydantic import Field, PositiveInt
from sqlalchemy.ext.asyncio import AsyncEngine

from edge.errors import Unavailable
from edge.log import get_logger
from edge.metrics import counter
from edge.sessions.texts.tables import text_parts
from edge.settings import Section
from edge.sms.join import Gathered, alone, gather
from edge.sms.part import Part
from edge.sms.split import PARTS_MAX
from edge.sms.text import Text, Verdict
from edge.store.engine import reading, writing
from edge.store.metadata import from_micros, micros, name_id
from edge.store.reader import Lookup, Reader
from edge.store.writer import Statement, Writer, insert

log = get_logger("sessions")

PARTS = counter("text_parts_total", "Parts of long texts by carrier and what became of them.", ("carrier", "outcome"))
JOINED = counter("texts_joined_total", "Texts put together from parts, by carrier and why.", ("carrier", "why"))

UNDER_WAY: Final = 64  # texts of which parts are missing, between two numbers by one carrier
UNDER_WAY_PARTS: Final = 1024  # parts of them, those that came under another id before too; all are read for each
LOOK_SECONDS: Final = 10.0
LOST_AFTER: Final = timedelta(seconds=60)  # a text that was sealed so long ago was accepted, or its process is dead
KEPT: Final = timedelta(hours=12)  # parts that are done, for carriers that repeat one; less than messages are kept
PAGE: Final = 200  # texts handed on in one look
PURGED: Final = 1000  # rows of one DELETE
TRIES: Final = 5  # to find a part sealed or seal it, before its carrier is told to come again
_NAMESPACE: Final = uuid.UUID("7c0f5d0a-3c53-5b0e-9a55-2f1f0f6f2d7e")

_FIELDS: Final = (
    *("carrier", "carrier_id", "source", "destination", "reference", "total", "number"),
    *("alphabet", "payload", "country", "route", "tm_create"),
)
_COLUMNS: Final = ("id", "pair", *_FIELDS, "state", "joined")
KEEP: Final = insert("text_parts.keep", "text_parts", _COLUMNS, "ON CONFLICT DO NOTHING")
_OPEN: Final = (
    f"SELECT wanted.value AS key, {', '.join(f'p.{name}' for name in _FIELDS)} FROM {{keys}} "  # noqa: S608
    "JOIN text_parts p ON p.pair = wanted.value WHERE p.state = 'open'"
)
OPEN: Final = Lookup(
    "text_parts.open", _OPEN.format(keys="json_each(?) wanted"), _OPEN.format(keys="unnest($1::text[]) wanted(value)")
)
SEAL: Final = Statement.of(
    "text_parts.seal",
    "UPDATE text_parts SET state = 'joined', joined = ?, tm_update = ? WHERE id = ? AND state = 'open'",
)
DONE: Final = Statement.of(
    "text_parts.done",
    "UPDATE text_parts SET state = 'done' WHERE carrier = ? AND joined = ? AND state = 'joined'",
)

Why = Literal["whole", "expired", "crowded"]


class PartsSection(Section):
    """Long texts that come in parts."""

    expire_seconds: PositiveInt = Field(
        default=1800,
        description="A text whose parts have not all come so long after the first is handed on without the others.",
    )


class Texts(Protocol):
    """The desk of all texts, as far as parts need it."""

    async def receive(self, text: Text) -> Verdict: ...

    async def refuses(self, text: Text) -> bool: ...


@dataclass(frozen=True, slots=True)
class Sealed:
    """Parts that make one text, and what that is known by."""

    joined: str
    parts: Gathered


class PartDesk:
    """Takes parts in. Raises Unavailable for one that could not be kept."""

    def __init__(
        self,
        section: PartsSection,
        engine: AsyncEngine,
        reader: Reader,
        writer: Writer,
        texts: Texts,
        clock: Callable[[], datetime],
    ) -> None:
        self._expiry = timedelta(seconds=section.expire_seconds)
        self._engine = engine
        self._reader = reader
        self._writer = writer
        self._texts = texts
        self._clock = clock

    async def keep(self, part: Part) -> Verdict:
        """Keep a part; its carrier may be told the verdict as soon as this returns.

        One for a number that takes no texts is refused as a text of its own, and what cannot be part of anything is
        received as one. Raises Invalid for what cannot be kept at all.
        """
        text = alone(part)
        if not 1 <= part.number <= part.total <= PARTS_MAX or part.total == 1 or await self._texts.refuses(text):
            PARTS.labels(part.carrier, "alone").inc()
            return await self._texts.receive(text)
        new = bool(await self._writer.put(KEEP, [row_of(part)]))
        PARTS.labels(part.carrier, "kept" if new else "repeated").inc()
        for _ in range(TRIES):
            under_way = gather(await self._open(_pair(part)))
            own = next((text for text in under_way if any(other.id == part.id for other in text.all)), None)
            if own is None:
                return replace(await self._accept(await self._sealed_with(part)), repeated=not new)
            if own.whole:
                if (sealed := await self._seal(own, "whole")) is not None:
                    return replace(await self._accept(sealed), repeated=not new)
                continue
            if (crowd := _crowd(under_way, own)) is not None:
                await self._hand_on(crowd, "crowded")
            return Verdict("", repeated=not new)
        raise Unavailable("others are at work on the parts of this text")

    # What is over time

    async def watch(self, pause: Callable[[float], Awaitable[None]]) -> None:
        """Hand on what is over time or was left behind, at once and for ever."""
        while True:
            try:
                await self.look()
            except Unavailable:
                pass  # the next look will do
            except Exception:
                log.exception("parts of texts not looked after")
            await pause(LOOK_SECONDS)

    async def look(self) -> None:
        """Hand on texts whose time is over, and those whose process died once they were sealed; forget old parts."""
        now = self._clock()
        for pair in await self._pairs(before=now - self._expiry):
            for text in gather(await self._open(pair)):
                if text.since <= now - self._expiry:
                    await self._safely(self._hand_on(text, "whole" if text.whole else "expired"))
        for carrier, joined in await self._left(before=now - LOST_AFTER):
            await self._safely(self._accept(await self._sealed(carrier, joined)))
        await self._forget(before=now - KEPT)

    async def _safely(self, work: Coroutine[Any, Any, object]) -> None:
        """One text that goes wrong does not keep the others waiting. Raises Unavailable."""
        try:
            await work
        except Unavailable:
            raise
        except Exception:
            log.exception("a text in parts not handed on")

    async def _hand_on(self, text: Gathered, why: Why) -> None:
        sealed = await self._seal(text, why)
        if sealed is None:
            return  # another process was faster, or a part came
        if not text.whole:
            log.warning("parts of a text are missing", carrier=text.head.carrier, id=sealed.joined, total=text.total)
        await self._accept(sealed)

    # Sealed and accepted

    async def _seal(self, text: Gathered, why: Why) -> Sealed | None:
        """Decide that these parts are one text; None when that was decided otherwise."""
        joined, now = text.id, micros(self._clock())
        parts = sorted(text.all, key=lambda part: part is not text.head)
        rows: list[tuple[Any, ...]] = [(joined, now, _key(part)) for part in parts]
        if not await self._writer.put_with(SEAL, rows[0], [(SEAL, row) for row in rows[1:]]):
            return None
        JOINED.labels(text.head.carrier, why).inc()
        return Sealed(joined, text)

    async def _accept(self, sealed: Sealed) -> Verdict:
        verdict = await self._texts.receive(sealed.parts.text(sealed.joined))
        self._writer.put_later(DONE, [(sealed.parts.head.carrier, sealed.joined)])
        return verdict

    # What SQL has

    async def _open(self, pair: str) -> list[Part]:
        return [_part(row[1:]) for row in await self._reader.get(OPEN, pair)]

    async def _sealed_with(self, part: Part) -> Sealed:
        """The text that a part was sealed into. Raises Unavailable when there is none, or it is gone."""
        async with reading(self._engine) as connection:
            joined = (
                await connection.execute(sa.select(text_parts.c.joined).where(text_parts.c.id == _key(part)))
            ).scalar()
        if not joined:
            raise Unavailable("the part is at work elsewhere")
        return await self._sealed(part.carrier, joined)

    async def _sealed(self, carrier: str, joined: str) -> Sealed:
        query = sa.select(*(text_parts.c[name] for name in _FIELDS)).where(
            text_parts.c.state != sa.literal_column("'open'"),
            text_parts.c.joined == joined,
            text_parts.c.carrier == carrier,
        )
        async with reading(self._engine) as connection:
            rows = (await connection.execute(query)).all()
        if not rows:  # they were forgotten just now
            raise Unavailable("the parts of this text are gone")
        parts = [_part((*row[:-1], micros(row[-1]))) for row in rows]
        text = Gathered(parts[0].total)
        for part in sorted(parts, key=lambda part: (part.received_at, part.id)):
            text.add(part)
        return Sealed(joined, text)

    async def _pairs(self, *, before: datetime) -> Sequence[str]:
        query = (
            sa.select(text_parts.c.pair)
            .where(text_parts.c.state == sa.literal_column("'open'"), text_parts.c.tm_create <= before)
            .group_by(text_parts.c.pair)
            .limit(PAGE)
        )
        async with reading(self._engine) as connection:
            return (await connection.execute(query)).scalars().all()

    async def _left(self, *, before: datetime) -> Sequence[tuple[str, str]]:
        query = (
            sa.select(text_parts.c.carrier, text_parts.c.joined)
            .where(text_parts.c.state == "joined", text_parts.c.tm_update <= before)
            .group_by(text_parts.c.carrier, text_parts.c.joined)
            .limit(PAGE)
        )
        async with reading(self._engine) as connection:
            return [(carrier, joined) for carrier, joined in (await connection.execute(query)).all()]

    async def _forget(self, *, before: datetime) -> None:
        old = sa.select(text_parts.c.id).where(text_parts.c.state == "done", text_parts.c.tm_update < before)
        async with writing(self._engine) as connection:
            await connection.execute(sa.delete(text_parts).where(text_parts.c.id.in_(old.limit(PURGED))))


def row_of(part: Part) -> tuple[Any, ...]:
    """What `KEEP` writes."""
    return (
        *(_key(part), _pair(part), part.carrier, part.id, part.source, part.destination),
        *(part.reference, part.total, part.number, part.alphabet, part.payload, part.country or "", part.route),
        *(micros(part.received_at), "open", ""),
    )


def _part(row: Sequence[Any]) -> Part:
    """A part from its columns `_FIELDS`, as the drivers give them."""
    carrier, id, source, destination, reference, total, number, alphabet, payload, country, route, created = row
    return Part(
        carrier=carrier,
        id=id,
        source=source,
        destination=destination,
        reference=reference,
        total=total,
        number=number,
        alphabet=alphabet,
        payload=payload,
        received_at=from_micros(created),
        country=country or None,
        route=route,
    )


def _crowd(under_way: Sequence[Gathered], own: Gathered) -> Gathered | None:
    """The text that is not waited for any longer, when there are too many: the oldest, or the one of most parts."""
    if len(under_way) > UNDER_WAY and under_way[0] is not own:
        return under_way[0]
    counts = [len(text.all) for text in under_way]
    return under_way[counts.index(max(counts))] if sum(counts) > UNDER_WAY_PARTS else None


def _key(part: Part) -> str:
    return name_id(_NAMESPACE, f"{part.carrier} {part.id}")


def _pair(part: Part) -> str:
    return sha256("\0".join((part.carrier, part.source, part.destination)).encode()).hexdigest()
