"""Reports: what carriers tell of the texts that they took over before (delivery receipts).

    queued ──its carrier took it──▶ sent ──all its parts were delivered──▶ delivered
      └──refused, or given up──▶ failed ◀──one of its parts failed── sent

1. What a carrier calls the parts of a text is written in the same commit as that it was sent (`along`).
2. A report finds its message by our id, or by the carrier's: as it is, else in another spelling (`carrier_ids.py`) if
   the numbers that it names are those of the message, in either order, for some SMSCs do not swap them. It moves the
   part it is of, and with it the message. Nothing goes back, so the same report again, or an old one that comes late,
   changes nothing. Where two texts may be meant nobody guesses: the report waits, and is counted as `ambiguous`. So it
   does while a text between the same numbers is under way whose id may turn out to be just that.
3. One that finds nothing is kept, for it may be faster than the answer to the text itself. Whoever has written down
   such an answer looks for reports of it (`settle`), and whoever has kept a report looks for its text once more: of two
   that do so at once at least one sees the other. What a process that dies leaves undone, and what was kept while
   nobody could look, is looked for again; what belongs to no text goes after a while. While no report was kept, here or
   anywhere as of the last look, nobody looks, for that would cost a third of what sending a text does: so one that
   another process keeps may wait for a few seconds, until the next look.

Two reports of one message at once: a change is written only if the message is still in the revision that was read, with
the parts and with what tells of it, all together or not at all; who comes second reads again.

What is not nice: a text that was given up though its carrier had it becomes `delivered` only where the carrier gives
our id back, for it never told us another.
"""

from __future__ import annotations

import asyncio
import re
import uuid
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final, Literal, NamedTuple, Protocol

import sqlalchemy as sa
from pydantic import Field, PositiveFloat, PositiveInt
from sqlalchemy.ext.asyncio import AsyncEngine

from edge.errors import Unavailable
from edge.log import get_logger
from edge.metrics import counter
from edge.sessions.conversation import conversation_id
from edge.sessions.queues.sender import Over
from edge.sessions.tables import messages
from edge.sessions.texts.carrier_ids import distance, fold, spellings
from edge.sessions.texts.news import Changed, News, NoNews, Said
from edge.sessions.texts.tables import early_reports, outbox, sent_parts
from edge.settings import Section
from edge.sms.text import ADDRESS_LIMIT, Report
from edge.store.engine import reading, writing
from edge.store.metadata import NIL, is_id, micros, storable
from edge.store.reader import Lookup, Reader
from edge.store.writer import Statement, Then, Writer, insert

log = get_logger("outbox")

RECEIPTS = counter("receipts_total", "Delivery receipts by carrier and by what became of them.", ("carrier", "outcome"))

TRIES: Final = 20  # of a change that others come before
PAGE: Final = 200  # rows read at a time
LOOK_SECONDS: Final = 5.0  # between two looks at what came too early
RECENT: Final = timedelta(minutes=2)  # what is looked at again then; of older ones hardly anybody is in the middle
ALL_EVERY: Final = 12  # looks, of which one is at all that came too early
PURGE_BATCH: Final = 500
NEAREST: Final = 10  # messages that are looked at for one id; some carriers begin anew with 1
SUFFIX: Final = 7  # digits that make two spellings of a number the same one
CHANCE: Final = 6  # digits; of shorter ids one is soon another one's in hexadecimal
CARRIER_WIDTH: Final = 32  # of the column, and so of a key's first part

_NAMESPACE: Final = uuid.UUID("3f1c7a52-90b4-5b8e-a1d6-6f7d2c0e9b15")
_NO_DIGIT: Final = re.compile(r"[^0-9]")

_FOUND: Final = (
    "SELECT wanted.value AS key, o.id, o.state, o.revision, o.carrier, o.customer_id, m.number, m.peer,"
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
_EARLY_OF: Final = (
    "WITH wanted AS (SELECT value FROM {keys})"
    " SELECT wanted.value AS key, e.id FROM wanted JOIN early_reports e"
    " ON e.carrier = rtrim(substr(wanted.value, 1, 32)) AND e.folded = substr(wanted.value, 33)"
    " UNION ALL SELECT wanted.value AS key, e.id FROM wanted JOIN early_reports e ON e.message_id = wanted.value"
)
EARLY_OF: Final = Lookup(
    "early_reports.of", _EARLY_OF.format(keys="json_each(?)"), _EARLY_OF.format(keys="unnest($1::text[]) u(value)")
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
_EARLY: Final = ("id", "carrier", "carrier_id", "folded", "as_hex", "as_decimal", "message_id", "status")
KEEP: Final = insert(
    "early_reports.keep",
    "early_reports",
    (*_EARLY, "code", "reason", "source", "destination", "customer_id", "tm_create"),
    "ON CONFLICT DO NOTHING",
)
DROP: Final = Statement.of("early_reports.drop", "DELETE FROM early_reports WHERE id = ?")

FINAL: Final = frozenset({"delivered", "failed"})
Unsure = Literal["ambiguous"]
AMBIGUOUS: Final[Unsure] = "ambiguous"  # what becomes of a report that may be of several texts, for now


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


class Sent(Protocol):
    """A text that was sent, as far as its parts need it."""

    @property
    def id(self) -> str: ...
    @property
    def customer_id(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Part:
    """A part that was sent. `tm_create` in microseconds."""

    place: int
    carrier: str
    carrier_id: str
    state: str
    tm_create: int


@dataclass(frozen=True, slots=True)
class Known:
    """A message that a report may be of."""

    id: str
    state: str
    revision: int
    carrier: str
    customer_id: str
    number: str
    peer: str
    parts: tuple[Part, ...]


class Step(NamedTuple):
    """What a report changes: these parts, and the state of the message, which may stay what it is."""

    parts: tuple[Part, ...]
    state: str


class Reports:
    """Takes reports. `news` is asked for every change of an outgoing message's state."""

    def __init__(
        self,
        section: ReceiptsSection,
        engine: AsyncEngine,
        reader: Reader,
        writer: Writer,
        clock: Callable[[], datetime],
        news: News | None = None,
    ) -> None:
        self._section = section
        self._limit = section.unmatched_kept
        self._engine = engine
        self._reader = reader
        self._writer = writer
        self._clock = clock
        self._news = news or NoNews()
        self._quiet = False  # there was no report that came too early when we looked last, and we have kept none since
        self._kept = 0  # how many we ever kept, to see whether any was while it was looked

    async def take(self, report: Report) -> None:
        """Apply a report, or keep it until its text is there; it is durable when this returns. Raises Unavailable."""
        report = _trimmed(report)
        try:
            outcome = await self._apply(report)
            if outcome is None or outcome == AMBIGUOUS:
                early = await self._keep(report)
                outcome = await self._apply(report, early) or "early"
        except Unavailable:
            RECEIPTS.labels(report.carrier, "unavailable").inc()
            raise
        RECEIPTS.labels(report.carrier, outcome).inc()
        say = log.warning if outcome == AMBIGUOUS else log.info
        say("receipt", carrier=report.carrier, carrier_id=report.carrier_id, status=report.status, outcome=outcome)

    # Beside the outbox

    async def along(self, text: Sent, over: Over) -> list[Then]:
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
        return [*parts, *await self._news.changed(changed)]

    async def settle(self, text: Sent, over: Over) -> None:
        """Once that is written: apply the reports that came before it."""
        self._news.written(text.customer_id)
        if self._quiet:
            return
        keys = {_key(over.channel, spelling) for carrier_id in over.ids for spelling in spellings(carrier_id)}
        try:
            found = await asyncio.gather(*(self._reader.get(EARLY_OF, key) for key in (*keys, text.id)))
            if ids := {early for rows in found for _, early in rows}:
                for early, report in await self._early(early_reports.c.id.in_(ids)):
                    await self._settle(early, report)
        except Unavailable as error:
            log.warning("receipts that came early wait", message_id=text.id, error=error.message)

    # What came too early

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
        await self._let_go(
            "unmatched", table.tm_create < self._clock() - timedelta(hours=self._section.unmatched_hours)
        )
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

    async def _keep(self, report: Report) -> str:
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
        told = await self._news.changed(changed)
        moved = await self._writer.put_with(MOVE, (step.state, *why, now, *read), [*then, *told])
        if moved:
            self._news.written(known.customer_id)
        return moved

    async def _find(self, report: Report) -> Known | Unsure | None:
        """The message that a report is of, as it is now."""
        if report.message_id:
            for known in _known(await self._reader.get(BY_MESSAGE, report.message_id)):
                if known.state != "queued" and _sent_by(known, report.carrier) and _is_of(known, report):
                    return known
        if not report.carrier_id:
            return None
        keys = {_key(report.carrier, spelling) for spelling in spellings(report.carrier_id)}
        found = await asyncio.gather(*(self._reader.get(BY_CARRIER_ID, key) for key in keys))
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


def choose(candidates: Sequence[Known], report: Report, oldest: int) -> tuple[int, Known] | Unsure | None:
    """The message that a report is of, of those that have a part of that name, and how far it is spelled from that: one
    that is spelled most alike, of those under one id that is not over yet, then the newest. Under another spelling
    several ids may be the same one, then none is meant; and one that is only the same number has to have both numbers
    of the report, its receiver's said, or to be so long that it is no chance."""
    fitting: list[tuple[int, bool, int, str, Known]] = []
    for known in candidates:
        if not _is_of(known, report):
            continue
        for part in hit(known, report):
            far = distance(report.carrier_id, part.carrier_id) or 0
            if part.tm_create < oldest or not _between(known, report, exact=far == 0):
                continue
            if far == 2 and not report.destination and len(fold(report.carrier_id)) < CHANCE:
                continue
            fitting.append((far, known.state in FINAL, -part.tm_create, part.carrier_id, known))
    if not fitting:
        return None
    fitting.sort(key=lambda fit: fit[:3])
    far, *_, called, known = fitting[0]
    if far and any(fit[0] == far and fit[3] != called for fit in fitting):
        return AMBIGUOUS
    return far, known


def hit(known: Known, report: Report) -> list[Part]:
    """The parts that a report is of: those whose id is spelled most like its own, else, when it has our id, all. Under
    an id that is none of theirs it tells of a try before, whose answer was lost: that it was delivered is good news of
    all, other news is of none.
    """
    mine = [part for part in known.parts if part.carrier == report.carrier]
    named = [(far, part) for part in mine if (far := distance(report.carrier_id, part.carrier_id)) is not None]
    if named:
        nearest = min(far for far, _ in named)
        return [part for far, part in named if far == nearest]
    tells_of_all = report.message_id == known.id and (not report.carrier_id or report.status == "delivered")
    return mine if tells_of_all else []


def move(known: Known, report: Report) -> Step | None:
    """What a report changes of a message; None: nothing."""
    parts = tuple(part for part in hit(known, report) if part.state not in FINAL and part.state != report.status)
    if known.parts:
        moved = {part.place for part in parts}
        states = [report.status if part.place in moved else part.state for part in known.parts]
        reached = "failed" if "failed" in states else "delivered" if set(states) == {"delivered"} else "sent"
    else:
        reached = report.status
    goes = known.state == "sent" or (known.state == "failed" and reached == "delivered")
    state = reached if goes else known.state
    return Step(parts, state) if parts or state != known.state else None


def same_number(said: str, ours: str) -> bool:
    """Whether that may be one of our spellings of a number; who says nothing does not contradict."""
    if not said:
        return True
    one, other = (_NO_DIGIT.sub("", text).lstrip("0") for text in (said, ours))
    if not one or not other:
        return said.casefold() == ours.casefold()
    shorter, longer = sorted((one, other), key=len)
    return longer == shorter or (len(shorter) >= SUFFIX and longer.endswith(shorter))


def _between(known: Known, report: Report, *, exact: bool) -> bool:
    """Whether a report names the numbers of a message: its receiver, and its sender unless the id is exact, for
    carriers do replace who sends. An SMSC that does not swap them names both of them the other way round."""
    source, destination = report.source, report.destination
    if same_number(destination, known.peer) and (exact or same_number(source, known.number)):
        return True
    named = bool(source and destination)
    return named and same_number(source, known.peer) and same_number(destination, known.number)


def _key(carrier: str, spelling: str) -> str:
    return carrier.ljust(CARRIER_WIDTH) + spelling


def _is_of(known: Known, report: Report) -> bool:
    return report.account is None or report.account == known.customer_id


def _sent_by(known: Known, carrier: str) -> bool:
    return carrier in ({part.carrier for part in known.parts} or {known.carrier})


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
    for _, message_id, state, revision, carrier, customer_id, number, peer, place, *part in rows:
        found[message_id] = Known(message_id, state, revision, carrier, customer_id, number, peer, ())
        mine = parts.setdefault(message_id, {})
        if place is not None:
            mine[place] = Part(place, *part)
    return [replace(known, parts=tuple(parts[known.id].values())) for known in found.values()]


def _early(row: sa.RowMapping) -> tuple[str, Report]:
    names = ("carrier", "carrier_id", "code", "reason", "source", "destination")
    return row["id"], Report(
        **{name: row[name] for name in names},
        status=row["status"],
        received_at=row["tm_create"],
        message_id=row["message_id"] if row["message_id"] != NIL else "",
        account=row["customer_id"] if row["customer_id"] != NIL else None,
    )
