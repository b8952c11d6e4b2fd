"""Calls: those that are up at this edge, and the records of all that were, refused attempts included.

The keys are the platform's; what it keeps and we have no use for is there and empty. What only this edge knows stands
below `edge`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from edge.api.auth import scope
from edge.api.field import E164, Id, Line, Moment, Result
from edge.api.operation import AnyOperation, Ask, Lines, Nothing, Operation
from edge.api.paging import Page, PageQuery, place_of
from edge.errors import NotFound
from edge.recordings.table import RecordingTable
from edge.sessions.calls.book import CallBook
from edge.sessions.calls.call import Call as Session
from edge.sessions.calls.record import CallTable, Outcome, Wanted, withheld
from edge.sessions.texts.message import Address
from edge.store.metadata import NIL
from edge.store.page import cut, read_token

UNUSED = "Not used here; kept for clients of the platform."


class CallDetail(Result):
    """What only this edge knows of a call."""

    call_id: str = Field(description="SIP Call-ID.")
    trunk: str = Field(description="The name of the trunk it came by.")
    trunk_id: str = Field(description="Its identity; nil when it came by none.")
    transport: str = Field(description="udp, tcp, tls, or loop within the edge.")
    local: str = Field(description="Our address and port.")
    remote: str = Field(description="The address it came from.")
    proxy: str = Field(description="The trusted proxy it came through; empty: none.")
    auth: str = Field(
        description="How its sender proved who he is: digest:USER, tls:NAME; empty: by his address alone."
    )
    dialed: str = Field(description="The dialed string as it came.")
    dialed_from: str = Field(description="The header field that it was read from.")
    dialed_rewritten: str = Field(description="The digits after a rule of the trunk; empty: none applied.")
    source_from: str = Field(description="The header field that the caller was read from.")
    source_raw: str = Field(description="The caller as it stood there; empty: as the source.")
    diversion: str = Field(description="The number it was diverted from last, where the trunk is believed.")
    privacy: str = Field(description="What Privacy asked for; empty: nothing.")
    verstat: str = Field(description="What the verification of the caller came to; empty: none was made.")
    verstat_why: str = Field(description="Why nobody vouches for the caller; empty: somebody does, or nobody looked.")
    attestation: str = Field(description="A, B or C when somebody vouches for the caller.")
    origination_id: str = Field(description="Where in his network it began, as who vouches names it.")
    reason: str = Field(description="The error or rule that refused it; empty: none did.")
    nearest: str = Field(description="The nearest miss, in words.")
    number_id: str = Field(description="The number that was called; nil when it is not ours.")
    flow_version: int = Field(description="The version of the flow that ran.")
    flow_outcome: str = Field(
        description="How it came out: finished, stopped, ended, failed or cut; empty when none ran."
    )
    lookup_source: str = Field(description="Where the number was found: memory, redis, sql or stale.")
    outcome: str = Field(description="answered, redirected, rejected, cancelled or failed.")
    sip_code: int = Field(description="The final SIP status.")
    hangup_cause: int = Field(description="Why it ended, by Q.850, as who ended it said; 0: not said.")
    error: str = Field(description="Why it failed, if it did.")
    cut_by: str = Field(description="The limit that cut the flow short, if one did.")
    steps: Any = Field(description="The last steps that ran.")
    codec: str = Field(description="PCMU or PCMA; empty without media.")
    security: str = Field(description="The suite that encrypts its media; empty: they are not.")
    rtp_sent: int = Field(description="RTP packets sent.")
    rtp_received: int = Field(description="RTP packets received.")
    rtp_lost: int = Field(description="RTP packets that did not arrive.")
    jitter_ms: float = Field(description="Jitter of what arrived, in milliseconds.")


class Call(Result):
    """One call that was offered."""

    id: str = Field(description="Identity.")
    customer_id: str = Field(description="Owner of the called number; nil when it is not ours.")
    owner_type: str = Field(default="", description=UNUSED)
    owner_id: str = Field(default=NIL, description=UNUSED)
    flow_id: str = Field(description="The flow that ran; nil when none did.")
    activeflow_id: str = Field(
        default=NIL, description="The run of its flow, which `block` waits in; the nil UUID: no flow was run."
    )
    type: str = Field(description="flow: the call ran a flow.")
    master_call_id: str = Field(description="The call that an outgoing one was made for, else nil.")
    chained_call_ids: list[str] = Field(default=[], description=UNUSED)
    recording_id: str = Field(default=NIL, description="Its last recording; nil when there is none.")
    recording_ids: list[str] = Field(default=[], description="All of them, first one first.")
    groupcall_id: str = Field(default=NIL, description=UNUSED)
    source: Address = Field(description="Who called; anonymous where he withholds his number, but for the operator.")
    destination: Address = Field(description="What was called.")
    status: str = Field(description="hangup: records are written once a call is over.")
    action: dict[str, Any] = Field(default={}, description=UNUSED)
    metadata: dict[str, Any] = Field(default={}, description=UNUSED)
    direction: str = Field(description="incoming or outgoing.")
    mute_direction: str = Field(default="", description=UNUSED)
    hangup_by: str = Field(description="remote, local, or empty.")
    hangup_reason: str = Field(description="Why it ended.")
    tm_progressing: str | None = Field(description="When it was answered.")
    tm_ringing: str | None = Field(description="When it rang.")
    tm_hangup: str | None = Field(description="When it ended.")
    tm_create: str = Field(description="When it was offered.")
    tm_update: str | None = Field(default=None, description=UNUSED)
    tm_delete: str | None = Field(default=None, description=UNUSED)
    edge: CallDetail = Field(description="What only this edge knows.")


def read_plus(value: Any) -> Any:
    """A plus that was not escaped comes as a blank."""
    return f"+{value[1:]}" if isinstance(value, str) and value.startswith(" ") else value


class RecordQuery(PageQuery):
    number: Annotated[E164 | None, BeforeValidator(read_plus)] = Field(
        default=None, description="Only of this number; one that is not ours has what was refused."
    )
    since: Moment | None = Field(default=None, description="Only from this time on.")
    until: Moment | None = Field(default=None, description="Only before this time.")


def _missing() -> NotFound:
    return NotFound("there is no such call", reason="CALL_NOT_FOUND")


class CallFilter(RecordQuery):
    """Which calls; all that is given has to fit."""

    call_id: Line | None = Field(default=None, description="Only with this SIP Call-ID.")
    source: Annotated[Line | None, BeforeValidator(read_plus)] = Field(
        default=None, description="Only from this caller, as the record has it."
    )
    trunk: Line | None = Field(default=None, description="Only by the trunk of this name.")
    outcome: Outcome | None = Field(default=None, description="Only those that came out so.")
    sip_code: int | None = Field(default=None, ge=0, le=699, description="Only with this final SIP status.")
    reason: Line | None = Field(default=None, description="Only those that this error or rule refused.")
    direction: Literal["incoming", "outgoing"] | None = Field(default=None, description="Only these.")
    flow_id: Id | None = Field(default=None, description="Only those that ran this flow.")
    customer_id: Id | None = Field(default=None, description="Only of this account.")

    @property
    def wanted(self) -> Wanted:
        return Wanted(**{name: getattr(self, name) for name in Wanted._fields})


class CallQuery(CallFilter):
    live: bool = Field(
        default=False,
        description="Those that ring or are up at this edge now, instead of the records of those that are over; all at"
        " once, whenever they began.",
    )


class Calls:
    """The operations on calls."""

    def __init__(self, table: CallTable, book: CallBook, recordings: RecordingTable) -> None:
        self._table = table
        self._book = book
        self._recordings = recordings

    async def page(self, ask: Ask[CallQuery, Nothing]) -> Page[Call]:
        query, mine = ask.query, scope(ask.asker)
        if query.live:
            return Page[Call](result=await self._shown(self._up(query, mine), mine), next_page_token="")
        rows = await self._table.list(
            mine,
            wanted=query.wanted,
            since=query.since,
            until=query.until,
            after=read_token(query.page_token),
            size=query.page_size + 1,
        )
        page = cut(await self._shown(rows, mine), query.page_size, place_of)
        return Page[Call](result=list(page.items), next_page_token=page.next_token)

    async def lines(self, ask: Ask[CallFilter, Nothing]) -> Lines:
        query, mine = ask.query, scope(ask.asker)

        async def read() -> AsyncGenerator[Call, None]:
            async with aclosing(self._table.all(mine, query.wanted, query.since, query.until)) as rows:
                async for row in rows:
                    yield Call.model_validate(row if mine is None else withheld(row))
                    await asyncio.sleep(0)  # others wait for the loop, too: calls

        return Lines(read)

    async def get(self, ask: Ask[Nothing, Nothing]) -> Call:
        call = self._live(ask)
        row = call.attempt.public() if call is not None else await self._table.get(ask.id, scope(ask.asker))
        if row is None:
            raise _missing()
        return (await self._shown([row], scope(ask.asker)))[0]

    async def hang_up(self, ask: Ask[Nothing, Nothing]) -> Call:
        call = self._live(ask)
        if call is None:
            raise _missing()
        call.hang_up()
        return (await self._shown([call.attempt.public()], scope(ask.asker)))[0]

    def _up(self, query: CallQuery, mine: str | None) -> list[Mapping[str, Any]]:
        """The calls of an account that are up, newest first."""
        attempts = [call.attempt for call in self._book if mine in (None, call.customer_id)]
        if mine is not None and query.wanted.source is not None:
            attempts = [attempt for attempt in attempts if not attempt.withheld]
        found = filter(query.wanted.fits, attempts)
        return [attempt.public() for attempt in sorted(found, key=lambda attempt: attempt.tm_create, reverse=True)]

    def _live(self, ask: Ask[Nothing, Nothing]) -> Session | None:
        """A call that rings or is up at this edge, if it is the asker's."""
        call, mine = self._book.find(ask.id), scope(ask.asker)
        return call if call is not None and mine in (None, call.customer_id) else None

    async def _shown(self, rows: Sequence[Mapping[str, Any]], mine: str | None) -> list[Call]:
        """Records as they are answered: with the recordings of their calls; to an account without the numbers that are
        withheld from it."""
        if mine is not None:
            rows = [withheld(row) for row in rows]
        found = await self._recordings.of([row["id"] for row in rows])
        return [
            Call.model_validate(
                {**row, "recording_ids": ids, "recording_id": ids[-1]} if (ids := found.get(row["id"])) else row
            )
            for row in rows
        ]

    def operations(self) -> list[AnyOperation]:
        return [
            Operation(
                method="GET",
                path="/v1.0/calls",
                tag="calls",
                summary="List calls, newest first",
                query=CallQuery,
                body=Nothing,
                result=Page[Call],
                handler=self.page,
            ),
            Operation(
                method="GET",
                path="/v1.0/calls.jsonl",
                tag="calls",
                summary="All calls as lines of JSON, newest first",
                detail="Without their recordings.",
                query=CallFilter,
                body=Nothing,
                result=Call,
                lines=True,
                handler=self.lines,
            ),
            Operation(
                method="GET",
                path="/v1.0/calls/{id}",
                tag="calls",
                summary="Read one call",
                detail="One that is up is known to the edge that has it; its record to all, once it is over.",
                query=Nothing,
                body=Nothing,
                result=Call,
                handler=self.get,
            ),
            Operation(
                method="POST",
                path="/v1.0/calls/{id}/hangup",
                tag="calls",
                summary="End a call",
                detail="One that rings or is up at this edge.",
                query=Nothing,
                body=Nothing,
                result=Call,
                handler=self.hang_up,
            ),
        ]
