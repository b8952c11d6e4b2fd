"""The outbox: texts leave through a row in SQL, and are tried until their carrier takes them or there is no more hope.

`put` writes two rows under one id in one commit. The id comes from whoever sends, and a second `put` of it changes
nothing, whether the first one is still waiting or long sent. How rows become sent texts is the backlog's
(`queues/backlog.py`).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, NamedTuple, Unpack

import sqlalchemy as sa
from pydantic import Field, PositiveFloat
from sqlalchemy.ext.asyncio import AsyncEngine

from edge.metrics import counter, gauge
from edge.sessions.conversation import said
from edge.sessions.queues.backlog import Backlog, Claim, Pace, Waiting
from edge.sessions.queues.books import Along, Books, Pacing, Send
from edge.sessions.queues.claims import NOBODY
from edge.sessions.queues.leases import Lease
from edge.sessions.queues.sender import SenderSection
from edge.sessions.tables import messages
from edge.sessions.texts.carrier_states import Sending
from edge.sessions.texts.news import News, NoNews
from edge.sessions.texts.routes import TextRoutes
from edge.sessions.texts.tables import outbox
from edge.sms.carrier import Carrier, Refused, SendError
from edge.sms.split import count
from edge.sms.text import ADDRESS_LIMIT, OutgoingText
from edge.store.engine import reading
from edge.store.metadata import NIL, micros, storable
from edge.store.writer import Statement, Writer, insert

TEXTS = counter("texts_total", "Texts by carrier and by what became of them.", ("carrier", "direction", "outcome"))
BOOKS: Final = Books(
    outbox,
    channel="carrier",
    receipt="carrier_id",
    since="tm_queued",
    what="text",
    count=lambda carrier, outcome: TEXTS.labels(carrier, "outbound", outcome),
    depth=gauge("outbox_depth", "Texts that wait to be sent, of all processes.", ("carrier",)),
    oldest=gauge("outbox_oldest_seconds", "Age of the oldest text that waits to be sent.", ("carrier",)),
    paused=gauge("outbox_paused", "1 while a carrier is busy and all that is for it waits.", ("carrier",)),
)

QUEUE: Final = insert(
    "outbox.queue",
    "outbox",
    (
        "id",
        "carrier",
        "state",
        "attempts",
        "due",
        "claimed_by",
        "claimed_until",
        "carrier_id",
        "code",
        "error",
        "tm_create",
        "customer_id",
        "tm_queued",
    ),
    "ON CONFLICT DO NOTHING",
)
_MESSAGE: Final = ("id", "customer_id", "carrier", "number", "peer", "text", "tm_create", "route", "number_id")
COLUMNS: Final = (
    *(*_MESSAGE, "conversation_id", "reference_id", "direction", "carrier_id", "refusal", "lookup_source"),
    *("flow_id", "flow_version", "flow_state", "attempts", "claimed_by", "claimed_until"),
    *("outcome", "error", "cut_by", "steps"),
)
KEEP: Final = insert("outbox.keep", "messages", COLUMNS, "ON CONFLICT DO NOTHING")
_REST: Final = ("outbound", "", "", "", NIL, 0, "none", 0, *NOBODY, "", "", "", "[]")
PASS_ON: Final = Statement.of(
    "outbox.pass_on",
    "UPDATE outbox SET carrier = ?, passed = ?, tm_passed = ?, attempts = ?, due = ?, claimed_by = ?,"
    " claimed_until = ?, code = ?, error = ?, tm_update = ?"
    " WHERE id = ? AND state = 'queued' AND carrier = ? AND claimed_by = ?",  # else another process sends it just now
)
PASSED_ON: Final = Statement.of("outbox.passed_on", "UPDATE messages SET carrier = ?, route = '' WHERE id = ?")
_SELECTED: Final = (
    *(messages.c[name] for name in (*_MESSAGE, "conversation_id", "reference_id")),
    *(outbox.c[name] for name in ("attempts", "tm_queued", "passed", "tm_passed", "due")),
)


class OutboxSection(SenderSection):
    """Texts that go out."""

    failover_seconds: PositiveFloat = Field(
        default=60.0,
        description="A text that its carrier puts off for so long goes to the next one of its route, if there is one.",
    )


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A message to send, as its rows say it. `tm_create` in microseconds."""

    id: str
    customer_id: str
    carrier: str
    number: str
    peer: str
    text: str
    tm_create: int
    route: str = ""
    number_id: str = NIL
    conversation_id: str = NIL
    reference_id: str = NIL
    attempts: int = 0  # tries made
    tm_queued: int = 0  # in microseconds, when it was sent again; 0: never
    passed: tuple[str, ...] = ()  # the carriers that passed it on to another
    tm_passed: int = 0  # when the last one did, in microseconds

    @property
    def since(self) -> int:
        return self.tm_queued or self.tm_create

    @property
    def lane(self) -> tuple[str, str]:
        return self.number, self.peer

    def tried(self, attempts: int) -> Outgoing:
        return replace(self, attempts=attempts)


class Rates(NamedTuple):
    """Segments a second that a carrier is given: in all, and of each number. None: no limit."""

    rate: float | None = None
    per_number: float | None = None


Ask = Callable[[Outgoing], Awaitable[None]]


class Outbox(Backlog[Outgoing]):
    """Keeps texts until their carriers have them. `leases` has one for each carrier of one sender, `rates` says
    how fast carriers are given texts, `routes` which others may have them; `news` tells of new ones.

    `ask` is asked about each text before its carrier gets it, and raises SendError for one that it is not to get.
    """

    def __init__(
        self,
        section: OutboxSection,
        engine: AsyncEngine,
        writer: Writer,
        carriers: Mapping[str, Carrier],
        *,
        node: str,
        along: Along[Outgoing] | None = None,
        news: News | None = None,
        leases: Mapping[str, Lease] | None = None,
        rates: Mapping[str, Rates] | None = None,
        routes: TextRoutes | None = None,
        ask: Ask | None = None,
        **pace: Unpack[Pace],
    ) -> None:
        channels = {name: _sending(carrier, ask) for name, carrier in carriers.items()}
        pacing = {name: Pacing(*rate, _number, _segments) for name, rate in (rates or {}).items() if any(rate)}
        self._routes = routes
        self._failover_micros = int(section.failover_seconds * 1_000_000)
        super().__init__(
            *(BOOKS, section, engine, writer, channels),
            node=node,
            along=along,
            leases=leases,
            ways=self,
            pacing=pacing,
            **pace,
        )
        self._news = news or NoNews()

    async def put(self, text: Outgoing) -> bool:
        """Take a text over; it is durable when this returns. False: it was put before.

        Raises Unavailable when SQL cannot keep it. Whoever gives up waiting does not know: it may be sent nevertheless.
        """

        async def keep(claim: Claim) -> int:
            none = ("", "", "")  # carrier_id, code, error
            owned = (text.tm_create, text.customer_id, text.tm_create)
            queued = (text.id, text.carrier, "queued", 0, *claim, *none, *owned)
            kept = (*(getattr(text, name) for name in _MESSAGE), text.conversation_id, text.reference_id, *_REST)
            then = [(KEEP, kept), *said(text, came=False)]
            if not await self._news.hears(text.customer_id):
                return await self._writer.put_with(QUEUE, queued, then)
            new = await self._writer.put_with(QUEUE, queued, [*then, *self._news.created(COLUMNS, kept)])
            if new:
                self._news.written(text.customer_id)
            return new

        return await self._put(text, text.carrier, keep)

    def sending(self, carrier: str) -> Sending:
        """How far a carrier is given texts by this process."""
        sender = self._senders[carrier]
        return Sending(sender.may(micros(self._clock())), sender.paused, sender.last_sent)

    def other(self, text: Outgoing, error: SendError) -> str | None:
        """The carrier that is to have a text which one did not take."""
        if self._routes is None or not (error.retry or (isinstance(error, Refused) and error.elsewhere)):
            return None
        since = max(text.tm_passed, text.since)
        if error.retry and micros(self._clock()) - since < self._failover_micros:
            return None
        route = self._routes.route(text.number, text.peer)
        return next((name for name in route if name != text.carrier and name not in text.passed), None)

    async def move(self, text: Outgoing, to: str, tries: int, error: SendError) -> None:
        now = micros(self._clock())
        passed = (*text.passed, text.carrier)
        moved = replace(text, carrier=to, route="", attempts=tries, passed=passed, tm_passed=now)

        async def keep(claim: Claim) -> int:
            said = (storable(error.code), storable(error.sentence), now)
            row = (to, " ".join(passed), now, tries, *claim, *said, text.id, text.carrier, self._claims.node)
            return await self._writer.put_with(PASS_ON, row, [(PASSED_ON, (to, text.id))])

        await self._put(moved, to, keep)

    async def _waiting(
        self, channel: str | None, which: sa.ColumnElement[bool], after: tuple[int, str]
    ) -> Sequence[Waiting[Outgoing]]:
        query = self._select(_SELECTED, channel, which, after).join(messages, messages.c.id == outbox.c.id)
        async with reading(self._engine) as connection:
            return [_waiting(row) for row in (await connection.execute(query)).mappings()]


def _sending(carrier: Carrier, ask: Ask | None) -> Send[Outgoing]:
    async def send(text: Outgoing) -> tuple[str, ...]:
        if ask is not None:
            await ask(text)
        taken = OutgoingText(text.id, text.customer_id, text.number, text.peer, text.text, text.route)
        ids = (await carrier.send(taken)).ids
        return tuple(storable(carrier_id)[:ADDRESS_LIMIT] for carrier_id in ids if carrier_id)

    return send


def _number(text: Outgoing) -> str:
    return text.number


def _segments(text: Outgoing) -> int:
    return count(text.text).parts


def _waiting(row: sa.RowMapping) -> Waiting[Outgoing]:
    values = dict(row)
    due = micros(values.pop("due"))
    for name in ("tm_create", "tm_queued", "tm_passed"):
        values[name] = micros(values[name])
    values["passed"] = (*values["passed"].split(),)
    return Waiting(Outgoing(**values), due)
