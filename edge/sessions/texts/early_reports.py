"""Reports that come before their texts: kept until those are there, looked for again, and let go of in the end.

A report may be faster than the answer to the text itself. Whoever has written down such an answer looks for reports of
it (`settle`), and whoever has kept a report looks for its text once more: of two that do so at once at least one sees
the other. What a process that dies leaves undone, and what was kept while nobody could look, is looked for again; what
belongs to no text goes after a while.

While no report was kept, here or anywhere as of the last look, nobody looks, for that would cost a third of what
sending a text does: so one that another process keeps may wait for a few seconds, until the next look.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Iterable
from datetime import datetime, timedelta
from typing import Final

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from edge.errors import Unavailable
from edge.log import get_logger
from edge.metrics import counter
from edge.sessions.texts.carrier_ids import key, spellings
from edge.sessions.texts.matching import AMBIGUOUS
from edge.sessions.texts.tables import early_reports, outbox, sent_parts
from edge.sms.text import Report
from edge.store.engine import reading, writing
from edge.store.metadata import NIL, micros
from edge.store.reader import Lookup, Reader
from edge.store.writer import Statement, Writer, insert

log = get_logger("outbox")

RECEIPTS = counter("receipts_total", "Delivery receipts by carrier and by what became of them.", ("carrier", "outcome"))

PAGE: Final = 200  # rows read at a time
LOOK_SECONDS: Final = 5.0  # between two looks at what came too early
RECENT: Final = timedelta(minutes=2)  # what is looked at again then; of older ones hardly anybody is in the middle
ALL_EVERY: Final = 12  # looks, of which one is at all that came too early
PURGE_BATCH: Final = 500

_NAMESPACE: Final = uuid.UUID("3f1c7a52-90b4-5b8e-a1d6-6f7d2c0e9b15")

_EARLY_OF: Final = (
    "WITH wanted AS (SELECT value FROM {keys})"
    " SELECT wanted.value AS key, e.id FROM wanted JOIN early_reports e"
    " ON e.carrier = rtrim(substr(wanted.value, 1, 32)) AND e.folded = substr(wanted.value, 33)"
    " UNION ALL SELECT wanted.value AS key, e.id FROM wanted JOIN early_reports e ON e.message_id = wanted.value"
)
EARLY_OF: Final = Lookup(
    "early_reports.of", _EARLY_OF.format(keys="json_each(?)"), _EARLY_OF.format(keys="unnest($1::text[]) u(value)")
)
_EARLY: Final = ("id", "carrier", "carrier_id", "folded", "as_hex", "as_decimal", "message_id", "status")
KEEP: Final = insert(
    "early_reports.keep",
    "early_reports",
    (*_EARLY, "code", "reason", "source", "destination", "customer_id", "tm_create"),
    "ON CONFLICT DO NOTHING",
)
DROP: Final = Statement.of("early_reports.drop", "DELETE FROM early_reports WHERE id = ?")

Apply = Callable[[Report, str], Awaitable[str | None]]  # with the id of its row; what became of it, None: no text


class EarlyReports:
    """The reports that wait. `apply` tries one again; of those older than `wait`, and of more than `most` of one
    carrier the oldest, go."""

    def __init__(
        self,
        wait: timedelta,
        most: int,
        engine: AsyncEngine,
        reader: Reader,
        writer: Writer,
        clock: Callable[[], datetime],
        apply: Apply,
    ) -> None:
        self._wait = wait
        self._limit = most
        self._engine = engine
        self._reader = reader
        self._writer = writer
        self._clock = clock
        self._apply = apply
        self._quiet = False  # there was no report that came too early when we looked last, and we have kept none since
        self._kept = 0  # how many we ever kept, to see whether any was while it was looked

    async def settle(self, message_id: str, carrier: str, ids: Iterable[str]) -> None:
        """Apply the reports of a text that its carrier has just taken, under these ids. Raises nothing."""
        if self._quiet:
            return
        keys = {key(carrier, spelling) for carrier_id in ids for spelling in spellings(carrier_id)}
        try:
            found = await asyncio.gather(*(self._reader.get(EARLY_OF, one) for one in (*keys, message_id)))
            if early := {row for rows in found for _, row in rows}:
                for row, report in await self._early(early_reports.c.id.in_(early)):
                    await self._settle(row, report)
        except Unavailable as error:
            log.warning("receipts that came early wait", message_id=message_id, error=error.message)

    async def watch(self, pause: Callable[[float], Awaitable[None]]) -> None:
        """Look after reports that were kept, for ever: at all of them first and once a minute, else at new ones."""
        looks = 0
        while True:
            try:
                await self.look(micros(self._clock() - RECENT) if looks % ALL_EVERY else 0)
                looks += 1
                await self._listen()
                await self.purge()
            except Unavailable:
                pass  # the next look will do
            except Exception:
                log.exception("receipts that came early not looked after")
            await pause(LOOK_SECONDS)

    async def look(self, since: int = 0) -> None:
        """Apply kept reports whose texts are there now, of those that came at that time or later."""
        table, o, p = early_reports.c, outbox.c, sent_parts.c
        spelled = p.folded.in_((table.folded, table.as_hex, table.as_decimal))
        there = sa.or_(
            sa.select(p.place).where(p.carrier == table.carrier, spelled).exists(),
            sa.select(o.id).where(o.id == table.message_id, o.state != "queued").exists(),
        )
        after = (since - 1, "~")  # behind every id
        while True:
            place = sa.tuple_(table.tm_create, table.id) > sa.tuple_(
                sa.literal(after[0], sa.BigInteger), sa.literal(after[1], sa.Text)
            )
            found = await self._early(there, place)
            for early, report in found:
                await self._settle(early, report)
            if len(found) < PAGE:
                return
            after = (micros(found[-1][1].received_at), found[-1][0])

    async def _listen(self) -> None:
        kept = self._kept
        async with reading(self._engine) as connection:
            some = (await connection.execute(sa.select(early_reports.c.id).limit(1))).first()
        self._quiet = some is None and self._kept == kept

    async def purge(self) -> None:
        """Let go of reports that belong to no text of ours, and of the oldest where one carrier brings too many."""
        table = early_reports.c
        await self._let_go("unmatched", table.tm_create < self._clock() - self._wait)
        counts = sa.select(table.carrier, sa.func.count()).group_by(table.carrier)
        async with reading(self._engine) as connection:
            crowds = [(carrier, n) for carrier, n in await connection.execute(counts) if n > self._limit]
        for carrier, n in crowds:
            log.warning("too many receipts of no text, the oldest go", carrier=carrier, count=n - self._limit)
            await self._let_go("crowded_out", table.carrier == carrier, n - self._limit)

    async def _let_go(self, outcome: str, which: sa.ColumnElement[bool], most: int | None = None) -> None:
        """Delete the oldest of such reports, so many at most."""
        table, left = early_reports.c, most if most is not None else PURGE_BATCH
        while left > 0:
            oldest = sa.select(table.id).where(which).order_by(table.tm_create, table.id).limit(min(left, PURGE_BATCH))
            gone = sa.delete(early_reports).where(table.id.in_(oldest)).returning(table.carrier)
            async with writing(self._engine) as connection:
                carriers = (await connection.execute(gone)).scalars().all()
            for carrier in carriers:
                RECEIPTS.labels(carrier, outcome).inc()
            if len(carriers) < PURGE_BATCH:
                return
            left -= len(carriers) if most is not None else 0

    async def keep(self, report: Report) -> str:
        """Write a report down that finds nothing; the same one again is the same row. Returns its id."""
        said = (report.carrier, report.carrier_id, report.message_id, report.status)
        early = str(uuid.uuid5(_NAMESPACE, "\0".join(said)))
        row = (
            *(early, report.carrier, report.carrier_id, *spellings(report.carrier_id)),
            *(report.message_id or NIL, report.status, report.code, report.reason),
            *(report.source, report.destination, report.account or NIL, micros(report.received_at)),
        )
        self._kept += 1
        self._quiet = False
        try:
            await self._writer.put(KEEP, [row])
        finally:
            self._kept += 1  # whoever looked meanwhile may have missed it
            self._quiet = False
        return early

    async def _early(self, *which: sa.ColumnElement[bool]) -> list[tuple[str, Report]]:
        table = early_reports.c
        query = sa.select(early_reports).where(*which).order_by(table.tm_create, table.id).limit(PAGE)
        async with reading(self._engine) as connection:
            return [_early(row) for row in (await connection.execute(query)).mappings()]

    async def _settle(self, early: str, report: Report) -> None:
        outcome = await self._apply(report, early)
        if outcome is not None and outcome != AMBIGUOUS:  # that was counted when it came
            RECEIPTS.labels(report.carrier, outcome).inc()


def _early(row: sa.RowMapping) -> tuple[str, Report]:
    names = ("carrier", "carrier_id", "code", "reason", "source", "destination")
    return row["id"], Report(
        **{name: row[name] for name in names},
        status=row["status"],
        received_at=row["tm_create"],
        message_id=row["message_id"] if row["message_id"] != NIL else "",
        account=row["customer_id"] if row["customer_id"] != NIL else None,
    )
