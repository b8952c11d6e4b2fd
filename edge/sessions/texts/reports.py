"""Reports: what carriers tell of the texts that they took over before (delivery receipts).

    queued ──its carrier took it──▶ sent ──all its parts were delivered──▶ delivered
      └──refused, or given up──▶ failed ◀──one of its parts failed── sent

1. What a carrier calls the parts of a text is written in the same commit as that it was sent (`along`).
2. A report finds its message by our id, or by the carrier's: as it is, else in another spelling (`carrier_ids.py`) if
   the numbers that it names are those of the message, in either order, for some SMSCs do not swap them. It moves the
   part it is of, and with it the message. Nothing goes back, so the same report again, or an old one that comes late,
   changes nothing. Where two texts may be meant nobody guesses: the report waits, and is counted as `ambiguous`. So it
   does while a text between the same numbers is under way whose id may turn out to be just that. The rules are in
   `matching.py`.
3. One that finds nothing is kept, for it may be faster than the answer to the text itself (`early_reports.py`).

Two reports of one message at once: a change is written only if the message is still in the revision that was read, with
the parts and with what tells of it, all together or not at all; who comes second reads again.

What is not nice: a text that was given up though its carrier had it becomes `delivered` only where the carrier gives
our id back, for it never told us another.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final

import sqlalchemy as sa
from pydantic import Field, PositiveFloat, PositiveInt
from sqlalchemy.ext.asyncio import AsyncEngine

from edge.errors import Unavailable
from edge.log import get_logger
from edge.sessions.conversation import conversation_id
from edge.sessions.queues.books import Over
from edge.sessions.tables import messages
from edge.sessions.texts.carrier_ids import fold, key, spellings
from edge.sessions.texts.carrier_opt_outs import CarrierOptOuts, Failed
from edge.sessions.texts.early_reports import DROP, RECEIPTS, EarlyReports
from edge.sessions.texts.matching import (
    AMBIGUOUS,
    CHANCE,
    Known,
    Part,
    Step,
    Unsure,
    choose,
    is_of,
    move,
    sent_by,
)
from edge.sessions.texts.news import Changed, News, NoNews, Said
from edge.sessions.texts.tables import outbox, sent_parts
from edge.settings import Section
from edge.sms.text import ADDRESS_LIMIT, Report
from edge.store.engine import reading
from edge.store.metadata import is_id, micros, storable
from edge.store.reader import Lookup, Reader
from edge.store.writer import Statement, Then, Writer, insert

log = get_logger("outbox")

TRIES: Final = 20  # of a change that others come before
NEAREST: Final = 10  # messages that are looked at for one id; some carriers begin anew with 1

_FOUND: Final = (
    "SELECT wanted.value AS key, o.id, o.state, o.revision, o.carrier, o.customer_id, m.number, m.peer,"
    " m.number_id,"
    " p.place, p.carrier, p.carrier_id, p.state, p.tm_create"
)
_WHOLE: Final = (
    " JOIN outbox o ON o.id = hit.message_id JOIN messages m ON m.id = o.id JOIN sent_parts p ON p.message_id = o.id"
)
_HITS: Final = (
    "SELECT s.message_id FROM sent_parts s WHERE s.carrier = rtrim(substr(wanted.value, 1, 32))"  # noqa: S608
    f" AND s.folded = substr(wanted.value, 33) ORDER BY s.tm_create DESC LIMIT {NEAREST}"
)
_BY_CARRIER_ID: Final = _FOUND + " FROM {keys} {hits}" + _WHOLE
BY_CARRIER_ID: Final = Lookup(
    "sent_parts.by_carrier_id",
    _BY_CARRIER_ID.format(
        keys="json_each(?) wanted",
        hits=f"JOIN sent_parts hit ON hit.message_id IN ({_HITS}) AND hit.place = 0",
    ),
    _BY_CARRIER_ID.format(
        keys="unnest($1::text[]) wanted(value)",
        hits=f"CROSS JOIN LATERAL (SELECT DISTINCT message_id FROM ({_HITS}) near) hit",  # noqa: S608
    ),
)
_BY_MESSAGE: Final = (
    f"{_FOUND} FROM {{keys}} JOIN outbox o ON o.id = wanted.value JOIN messages m ON m.id = o.id"
    " LEFT JOIN sent_parts p ON p.message_id = o.id"
)
BY_MESSAGE: Final = Lookup(
    "sent_parts.by_message",
    _BY_MESSAGE.format(keys="json_each(?) wanted"),
    _BY_MESSAGE.format(keys="unnest($1::text[]) wanted(value)"),
)

SENT: Final = insert(
    "sent_parts.keep",
    "sent_parts",
    ("message_id", "place", "carrier", "carrier_id", "folded", "state", "code", "reason", "tm_create"),
    "ON CONFLICT DO NOTHING",
)
MOVE: Final = Statement.of(
    "outbox.move",
    "UPDATE outbox SET state = ?, code = ?, error = ?, tm_update = ?, revision = revision + 1"
    " WHERE id = ? AND state = ? AND revision = ?",
)
NOTE: Final = Statement.of(  # of a part only
    "outbox.note", "UPDATE outbox SET revision = revision + 1 WHERE id = ? AND state = ? AND revision = ?"
)
MOVE_PART: Final = Statement.of(
    "sent_parts.move",
    "UPDATE sent_parts SET state = ?, code = ?, reason = ?, tm_update = ? WHERE message_id = ? AND place = ?",
)


class ReceiptsSection(Section):
    """What carriers tell of the texts that they took over."""

    match_days: PositiveFloat = Field(
        default=7.0, description="Age at which a text is no longer found by what its carrier calls it: ids come again."
    )
    unmatched_hours: PositiveFloat = Field(
        default=1.0, description="So long a receipt that belongs to no text waits for one; then it is counted and goes."
    )
    unmatched_kept: PositiveInt = Field(
        default=10_000, description="So many such receipts of one carrier wait; of more the oldest go, and are counted."
    )


class Reports:
    """Takes reports. `news` is asked for every change of an outgoing message's state, `opt_outs` for each failure."""

    def __init__(
        self,
        section: ReceiptsSection,
        engine: AsyncEngine,
        reader: Reader,
        writer: Writer,
        clock: Callable[[], datetime],
        news: News | None = None,
        opt_outs: CarrierOptOuts | None = None,
    ) -> None:
        self._section = section
        self._engine = engine
        self._reader = reader
        self._writer = writer
        self._clock = clock
        self._news = news or NoNews()
        self._opt_outs = opt_outs
        waits = timedelta(hours=section.unmatched_hours)
        self.early = EarlyReports(waits, section.unmatched_kept, engine, reader, writer, clock, self._apply)

    async def take(self, report: Report) -> None:
        """Apply a report, or keep it until its text is there; it is durable when this returns. Raises Unavailable."""
        report = _trimmed(report)
        try:
            outcome = await self._apply(report)
            if outcome is None or outcome == AMBIGUOUS:
                early = await self.early.keep(report)
                outcome = await self._apply(report, early) or "early"
        except Unavailable:
            RECEIPTS.labels(report.carrier, "unavailable").inc()
            raise
        RECEIPTS.labels(report.carrier, outcome).inc()
        say = log.warning if outcome == AMBIGUOUS else log.info
        say("receipt", carrier=report.carrier, carrier_id=report.carrier_id, status=report.status, outcome=outcome)

    # Beside the outbox

    async def along(self, text: Failed, over: Over) -> list[Then]:
        """What is written together with that a text is sent, or failed. Raises Unavailable."""
        facts = {"attempts": over.tries, "carrier_id": over.ids[0] if over.ids else "", "receipts": ()}
        said = {
            place: Said(over.channel, carrier_id, "sent", "", "", None) for place, carrier_id in enumerate(over.ids)
        }
        changed = Changed(text.id, text.customer_id, over.state, over.code, over.error, over.when, facts, said)
        parts = [
            (SENT, (text.id, place, over.channel, carrier_id, fold(carrier_id), "sent", "", "", over.when))
            for place, carrier_id in enumerate(over.ids)
        ]
        return [*parts, *await self._learned(text, over.channel, over), *await self._news.changed(changed)]

    async def settle(self, text: Failed, over: Over) -> None:
        """Once that is written: apply the reports that came before it."""
        self._news.written(text.customer_id)
        await self.early.settle(text.id, over.channel, over.ids)

    # Applying

    async def _apply(self, report: Report, early: str | None = None) -> str | None:
        """Apply a report; returns what became of it, None when it finds no message. `early` is its row, which goes."""
        for _ in range(TRIES):
            known = await self._find(report)
            if known is None or known == AMBIGUOUS:
                return known
            step = move(known, report)
            if step is None:
                if early is not None:
                    await self._writer.put(DROP, [(early,)])
                return "unchanged"
            if await self._write(known, step, report, early):
                return report.status
        raise Unavailable(f"the message of receipt {report.carrier_id} of {report.carrier} changes all the time")

    async def _write(self, known: Known, step: Step, report: Report, early: str | None) -> bool:
        """False: somebody else was faster."""
        now, reason = micros(self._clock()), _reason(report)
        read = (known.id, known.state, known.revision)
        said = (report.status, report.code, reason, micros(report.received_at))
        then: list[Then] = [(MOVE_PART, (*said, known.id, part.place)) for part in step.parts]
        if early is not None:
            then.append((DROP, (early,)))
        if step.state == known.state:
            return await self._writer.put_with(NOTE, read, then)
        why = (report.code, reason) if step.state == "failed" else ("", "")
        parts = {part.place: Said(part.carrier, part.carrier_id, *said) for part in step.parts}
        changed = Changed(known.id, known.customer_id, step.state, *why, now, parts=parts)
        told = [*await self._learned(known, report.carrier, changed), *await self._news.changed(changed)]
        moved = await self._writer.put_with(MOVE, (step.state, *why, now, *read), [*then, *told])
        if moved:
            self._news.written(known.customer_id)
        return moved

    async def _learned(self, text: Failed, carrier: str, over: Over | Changed) -> Sequence[Then]:
        """What is written with a failure that says that its receiver opted out."""
        if self._opt_outs is None or over.state != "failed":
            return ()
        return await self._opt_outs.learn(text, carrier, over.code)

    async def _find(self, report: Report) -> Known | Unsure | None:
        """The message that a report is of, as it is now."""
        if report.message_id:
            for known in _known(await self._reader.get(BY_MESSAGE, report.message_id)):
                if known.state != "queued" and sent_by(known, report.carrier) and is_of(known, report):
                    return known
        if not report.carrier_id:
            return None
        keys = {key(report.carrier, spelling) for spelling in spellings(report.carrier_id)}
        found = await asyncio.gather(*(self._reader.get(BY_CARRIER_ID, one) for one in keys))
        oldest = self._clock() - timedelta(days=self._section.match_days)
        chosen = choose(_known([row for rows in found for row in rows]), report, micros(oldest))
        if chosen is None or chosen == AMBIGUOUS:
            return chosen
        far, known = chosen
        return AMBIGUOUS if far > 1 and await self._has_rival(known, report, oldest) else known

    async def _has_rival(self, known: Known, report: Report, oldest: datetime) -> bool:
        """Whether another text between the same numbers is called, or may yet be, exactly as a report says: one that
        its carrier may have without our knowing its id. Of a long id that is so for one under way only: that the id
        of a lost answer is another's in hexadecimal is no chance there is.
        """
        m, o, p = messages.c, outbox.c, sent_parts.c
        folded = fold(report.carrier_id)
        called_so = sa.select(p.place).where(p.message_id == o.id, p.carrier == report.carrier, p.folded == folded)
        may_be = [o.state == "queued", called_so.exists()]
        if len(folded) < CHANCE:
            may_be.append(o.attempts > 1)  # the answer to one of the tries may have been lost
        query = (
            sa.select(o.id)
            .join(messages, m.id == o.id)
            .where(m.conversation_id == conversation_id(known.customer_id, known.number, known.peer))
            .where(m.tm_create >= oldest, m.id != known.id, sa.or_(o.carrier == report.carrier, o.passed != ""))
            .where(sa.or_(*may_be))
            .limit(1)
        )
        async with reading(self._engine) as connection:
            return (await connection.execute(query)).first() is not None


def _reason(report: Report) -> str:
    if report.status != "failed":
        return ""
    return report.reason or "its carrier says that it was not delivered"


def _trimmed(report: Report) -> Report:
    """What can be stored of it."""
    return replace(
        report,
        carrier_id=_short(report.carrier_id),
        code=_short(report.code),
        reason=_short(report.reason),
        source=_short(report.source),
        destination=_short(report.destination),
        message_id=report.message_id if is_id(report.message_id) else "",
    )


def _short(text: str) -> str:
    return storable(text)[:ADDRESS_LIMIT]


def _known(rows: Sequence[tuple[Any, ...]]) -> list[Known]:
    """The messages of a look-up, a row for each part."""
    found: dict[str, Known] = {}
    parts: dict[str, dict[int, Part]] = {}
    for _, message_id, state, revision, carrier, customer_id, number, peer, number_id, place, *part in rows:
        found[message_id] = Known(message_id, state, revision, carrier, customer_id, number, peer, number_id, ())
        mine = parts.setdefault(message_id, {})
        if place is not None:
            mine[place] = Part(place, *part)
    return [replace(known, parts=tuple(parts[known.id].values())) for known in found.values()]
