"""The record: one row for every call that was offered, refused ones too, written once the attempt is over.

An `Attempt` is filled in as the call goes along its path. `CallRecords.keep` hands it to the SQL writer's lazy queue,
and to a spool (`store/spool.py`), so that milliseconds later it outlives the process: a record costs the call
microseconds, and reaches SQL with the next commit, a quarter of a second later at most.
"""

from __future__ import annotations

import json
import time
from collections.abc import AsyncGenerator, Mapping
from datetime import datetime
from operator import attrgetter
from typing import Any, Final, Literal, NamedTuple

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from edge.accounts.customer import Customer
from edge.flows.session import CallStatus
from edge.metrics import tally
from edge.recordings.table import Recording
from edge.sessions.tables import FAILED, MADE_FOR_ANOTHER, REFUSED, calls
from edge.store.engine import reading, writing
from edge.store.metadata import NIL, instant_text, storable, with_times
from edge.store.page import SIZE_MAX, Place, newest
from edge.store.spool import Spool
from edge.store.writer import Row, Writer, insert

Outcome = Literal["answered", "redirected", "rejected", "cancelled", "failed"]

OUTCOMES: Final[tuple[Outcome, ...]] = ("answered", "redirected", "rejected", "cancelled", "failed")
LONGEST: Final = 512  # characters of what others have written, in a record
ANONYMOUS: Final = "anonymous"  # RFC 3323 §4.1.1.3: who withholds his number
NOBODYS_NAME: Final = "Anonymous"
CALLS = tally("calls_total", "Calls offered, by how they ended.", ("outcome",))
MADE = tally("calls_made_total", "Calls that we made, by how they ended.", ("outcome",))
_COUNTS = {"incoming": CALLS, "outgoing": MADE}
_COUNT = {(way, outcome): count.labels(outcome) for way, count in _COUNTS.items() for outcome in OUTCOMES}


def wall_micros() -> int:
    """Microseconds since the epoch, the unit of all times in SQL."""
    return time.time_ns() // 1000


class Attempt:
    """What is known of one offered call. Times are microseconds since the epoch.

    Most calls leave most of it as it is, so that stands in the class.
    """

    trunk = ""
    trunk_id = NIL
    transport = ""  # udp tcp tls loop
    local = ""  # our address and port
    proxy = ""  # the trusted proxy that it came through
    auth = ""  # how who sent it proved who he is: digest:USER, tls:NAME
    dialed_from = "request-uri"  # the field that the dialed number was read from
    dialed_rewritten = ""  # the digits after the trunk's rules, where one applied
    source_from = "from"  # the field that the caller was read from
    source_raw = ""  # the caller as it stood there, where it was rewritten
    diversion = ""  # the number that the call was diverted from last, if its trunk is believed
    privacy = ""  # the words of Privacy, where the caller's number is to be kept from others
    verstat = ""  # what the verification of Identity came to, e.g. TN-Validation-Passed
    verstat_why = ""  # why nobody vouches for the caller, in words
    origination_id = ""  # origid of the PASSporT (RFC 8588)
    reason = ""  # what decided: the name of the error or rule that refused it
    nearest = ""  # the nearest miss, in words: "+14155550199 is bound on trunk b, not a"
    security = ""  # of the media: "", or the SRTP suite
    country: str | None = None  # where the trunk's national numbers are from
    attestation = ""  # A, B or C when somebody vouches for the source
    customer_id = NIL
    number_id = NIL
    peer = ""  # who is at the other end, in E.164; set for flows that remember
    number = ""
    destination = ""
    flow_id = NIL
    flow_version = 0
    direction = "incoming"
    status = "hangup"
    hangup_by = ""
    hangup_reason = ""
    hangup_cause = 0  # of Q.850, as the side that ended it said; 0: not said
    sip_code = 0
    lookup_source = ""
    outcome: Outcome = "failed"
    error = ""
    flow_outcome = ""
    cut_by = ""
    steps = "[]"
    codec = ""
    rtp_sent = 0
    rtp_received = 0
    rtp_lost = 0
    jitter_ms = 0.0
    master_call_id = NIL
    tm_ringing: int | None = None
    tm_progressing: int | None = None
    tm_hangup: int | None = None
    recording: Recording | None = None  # the last one that was begun; in no column
    recording_ids: tuple[str, ...] = ()  # of all of them
    account: Customer | None = None  # whose an incoming one is, if its server is told of anything

    def __init__(
        self, *, id: str, call_id: str, remote: str, dialed: str, source: str, source_name: str, tm_create: int
    ) -> None:
        self.id = id
        self.call_id = storable(call_id[:LONGEST])  # whoever calls may write anything into these
        self.remote = remote
        self.dialed = storable(dialed[:LONGEST])
        self.source = storable(source[:LONGEST])
        self.source_name = storable(source_name[:LONGEST])
        self.tm_create = tm_create

    @property
    def status_now(self) -> CallStatus:
        """How far the call is. (`status` is that of the record, which is written when it is over.)"""
        if self.hangup_by:
            return "hangup"
        if self.tm_progressing is not None:
            return "progressing"
        return "dialing" if self.direction == "outgoing" and self.tm_ringing is None else "ringing"

    @property
    def withheld(self) -> bool:
        """Whether the caller wants his number kept from whom he calls."""
        return self.privacy != ""

    @property
    def shown_source(self) -> str:
        """The caller as all may see him but the operator."""
        return ANONYMOUS if self.privacy else self.source

    @property
    def shown_name(self) -> str:
        """The name shown with that."""
        return NOBODYS_NAME if self.privacy else self.source_name

    def public(self) -> dict[str, Any]:
        """What the record would say now, in its public form."""
        row = with_times(dict(zip(COLUMNS, _values(self), strict=True)))
        return public({**row, "status": self.status_now, "steps": []})

    def recorded(self) -> dict[str, Any]:
        """What the record says, in its public form."""
        return recorded(_values(self))


SAID: Final = (
    "auth",
    "dialed_rewritten",
    "source_raw",
    "diversion",
    "privacy",
    "verstat_why",
    "origination_id",
    "nearest",
)
_said: Final = attrgetter(*SAID)  # what others may have written anything into
COLUMNS: Final = tuple(column.name for column in calls.columns)
_values: Final = attrgetter(*COLUMNS)

KEEP: Final = insert("calls.keep", "calls", COLUMNS, "ON CONFLICT DO NOTHING")


def recorded(row: Row) -> dict[str, Any]:
    """A record as it is written, in its public form."""
    fields = with_times(dict(zip(COLUMNS, row, strict=True)))
    return public({**fields, "steps": json.loads(fields["steps"])})


class CallRecords:
    """Where ended attempts are written to. Without a spool they are lost with the process, if SQL has them not yet."""

    def __init__(self, writer: Writer, spool: Spool | None = None) -> None:
        self._writer = writer
        self._spool = spool

    def keep(self, attempt: Attempt) -> None:
        _COUNT[attempt.direction, attempt.outcome].inc()
        attempt.error, attempt.steps = storable(attempt.error), storable(attempt.steps)
        if any(_said(attempt)):
            for name in SAID:
                setattr(attempt, name, storable(getattr(attempt, name)[:LONGEST]))
        if self._spool is not None:
            self._spool.put(_values(attempt))
        else:
            self._writer.put_later(KEEP, [_values(attempt)])


class Wanted(NamedTuple):
    """Which records somebody asks for; None: any. All that is given has to fit."""

    number: str | None = None
    source: str | None = None
    trunk: str | None = None
    outcome: str | None = None
    sip_code: int | None = None
    reason: str | None = None
    direction: str | None = None
    flow_id: str | None = None
    call_id: str | None = None
    customer_id: str | None = None

    def fits(self, attempt: Attempt) -> bool:
        """Whether that call is one of them as it stands."""
        return all(value is None or getattr(attempt, name) == value for name, value in self._asdict().items())

    def narrowed(self, query: sa.Select[Any]) -> sa.Select[Any]:
        """The query for these only; it says which partial index will do."""
        for name, value in self._asdict().items():
            if value is not None:
                query = query.where(calls.c[name] == value)
        if self.reason:
            query = query.where(sa.text(REFUSED))
        if self.sip_code is not None and self.sip_code >= 400:
            query = query.where(sa.text(FAILED))
        return query


ANY: Final = Wanted()


class CallTable:
    """The records as the API reads them. All methods raise Unavailable."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def get(self, call_id: str, customer_id: str | None = None) -> dict[str, Any] | None:
        """One record in its public form, or None. `customer_id` None: whoever it belongs to."""
        query = sa.select(calls).where(calls.c.id == call_id)
        if customer_id is not None:
            query = query.where(calls.c.customer_id == customer_id)
        async with reading(self._engine) as connection:
            row = (await connection.execute(query)).mappings().first()
        return public(row) if row is not None else None

    async def made_for(self, id: str) -> list[dict[str, Any]]:
        """The calls that were made for a call, oldest first."""
        query = sa.select(calls).where(calls.c.master_call_id == id, sa.text(MADE_FOR_ANOTHER))
        async with reading(self._engine) as connection:
            found = await connection.execute(query.order_by(calls.c.tm_create, calls.c.id).limit(SIZE_MAX))
            return [public(row) for row in found.mappings()]

    async def list(
        self,
        customer_id: str | None,
        *,
        wanted: Wanted = ANY,
        since: datetime | None = None,
        until: datetime | None = None,
        after: Place | None = None,
        size: int = SIZE_MAX,
    ) -> list[dict[str, Any]]:
        """Newest first, `since` ≤ tm_create < `until`, from behind the place `after` on."""
        query = sa.select(calls)
        if customer_id is not None:
            query = query.where(calls.c.customer_id == customer_id)
            if wanted.source is not None:  # who asks for a number must not learn who withheld it
                query = query.where(calls.c.privacy == "")
        query = wanted.narrowed(query)
        query = newest(query, calls.c.tm_create, calls.c.id, since=since, until=until, behind=after, size=size)
        async with reading(self._engine) as connection:
            return [public(row) for row in (await connection.execute(query)).mappings()]

    async def all(
        self, customer_id: str | None, wanted: Wanted, since: datetime | None, until: datetime | None
    ) -> AsyncGenerator[dict[str, Any], None]:
        """Every record, newest first, page by page: what is written meanwhile is not among them."""
        after: Place | None = None
        while True:
            page = await self.list(customer_id, wanted=wanted, since=since, until=until, after=after)
            for one in page:
                yield one
            if len(page) < SIZE_MAX:
                return
            after = Place(datetime.fromisoformat(page[-1]["tm_create"]), page[-1]["id"])

    async def purge(self, before: datetime, batch: int) -> int:
        """Delete up to `batch` records older than `before`; returns how many went."""
        old = sa.select(calls.c.id).where(calls.c.tm_create < before).limit(batch)
        async with writing(self._engine) as connection:
            result = await connection.execute(sa.delete(calls).where(calls.c.id.in_(old)))
        return result.rowcount


def withheld(shown: Mapping[str, Any]) -> Mapping[str, Any]:
    """A call in its public form as its account may see it: who withholds his number is anonymous (RFC 3325 §7)."""
    edge = shown["edge"]
    if not edge["privacy"]:
        return shown
    nobody = {**shown["source"], "type": kind_of(ANONYMOUS), "target": ANONYMOUS, "target_name": NOBODYS_NAME}
    return {**shown, "source": nobody, "edge": {**edge, "source_raw": "", "origination_id": ""}}


def kind_of(target: str) -> Literal["tel", "sip"]:
    """Of an address as the platform tells them: tel for a number, sip for a name or a URI."""
    return "tel" if target.removeprefix("+").isdigit() else "sip"


def public(row: Mapping[str, Any] | sa.RowMapping) -> dict[str, Any]:
    """A record as the API shows it: the platform's call object, and below `edge` what only we know."""

    def when(name: str) -> str | None:
        return instant_text(row[name]) if row[name] is not None else None

    def address(target: str, name: str = "") -> dict[str, str]:
        return {"type": kind_of(target), "target": target, "target_name": name, "name": "", "detail": ""}

    return {
        "id": row["id"],
        "customer_id": row["customer_id"],
        "flow_id": row["flow_id"],
        "activeflow_id": row["id"] if row["flow_id"] != NIL or row["steps"] else NIL,
        "master_call_id": row["master_call_id"],
        "type": "flow",
        "source": address(row["source"], row["source_name"]),
        "destination": address(row["destination"] or row["dialed"]),
        "direction": row["direction"],
        "status": row["status"],
        "hangup_by": row["hangup_by"],
        "hangup_reason": row["hangup_reason"],
        "tm_create": when("tm_create"),
        "tm_ringing": when("tm_ringing"),
        "tm_progressing": when("tm_progressing"),
        "tm_hangup": when("tm_hangup"),
        "edge": {
            "call_id": row["call_id"],
            "trunk": row["trunk"],
            "trunk_id": row["trunk_id"],
            "transport": row["transport"],
            "local": row["local"],
            "remote": row["remote"],
            "proxy": row["proxy"],
            "auth": row["auth"],
            "dialed": row["dialed"],
            "dialed_from": row["dialed_from"],
            "dialed_rewritten": row["dialed_rewritten"],
            "source_from": row["source_from"],
            "source_raw": row["source_raw"],
            "diversion": row["diversion"],
            "privacy": row["privacy"],
            "verstat": row["verstat"],
            "verstat_why": row["verstat_why"],
            "attestation": row["attestation"],
            "origination_id": row["origination_id"],
            "reason": row["reason"],
            "nearest": row["nearest"],
            "number_id": row["number_id"],
            "flow_version": row["flow_version"],
            "lookup_source": row["lookup_source"],
            "outcome": row["outcome"],
            "sip_code": row["sip_code"],
            "hangup_cause": row["hangup_cause"],
            "error": row["error"],
            "flow_outcome": row["flow_outcome"],
            "cut_by": row["cut_by"],
            "steps": row["steps"],
            "codec": row["codec"],
            "security": row["security"],
            "rtp_sent": row["rtp_sent"],
            "rtp_received": row["rtp_received"],
            "rtp_lost": row["rtp_lost"],
            "jitter_ms": row["jitter_ms"],
        },
    }
