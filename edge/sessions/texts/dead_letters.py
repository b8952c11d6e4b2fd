"""Dead letters: texts that failed in the end, begun anew when somebody says so; and texts that are deleted.

An outgoing one was refused, given up, or its carrier said that it was not delivered: it goes back into the outbox under
its own id, and tries and hours are counted from now. Of an incoming one the flow failed, was cut, or took the process
down a few times: its flow is run again, and what the run before had sent is not sent twice, for it has the same ids.
What became of it before is kept in its history.

What is not nice: an incoming text that is run again goes to a run that waits for a text of the same person, if there is
one by now. And receipts of the sending before are those of no text any more: a text that was sent again is only
`delivered` when the new one is, or when its carrier gives our id back with the news that the old one was.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Final, NamedTuple, Protocol, Unpack

from edge.errors import Conflict, EdgeError, NotFound, Unavailable
from edge.log import get_logger
from edge.metrics import counter
from edge.sessions.texts.message import Filters, Message, MessageTable, Past
from edge.sessions.texts.news import Changed, News, NoNews
from edge.store.metadata import instant_text, json_text, micros
from edge.store.page import Place
from edge.store.writer import Statement, Writer

log = get_logger("sessions")

RESENT = counter("texts_resent_total", "Dead letters that were begun anew, by carrier.", ("carrier", "direction"))

HISTORY: Final = 20  # earlier lives of a message that are kept
AT_ONCE: Final = 50  # begun anew together: they share a commit

AGAIN: Final = Statement.of(
    "outbox.resend",
    "UPDATE outbox SET carrier = ?, state = 'queued', attempts = 0, due = ?, tm_queued = ?, claimed_by = '',"
    " claimed_until = 0, carrier_id = '', code = '', error = '', passed = '', tm_passed = 0,"
    " tm_update = ?, history = ?, revision = revision + 1"
    " WHERE id = ? AND state = 'failed'",
)
ANOTHER_WAY: Final = Statement.of("messages.another_way", "UPDATE messages SET carrier = ?, route = '' WHERE id = ?")
FORGET_PARTS: Final = Statement.of("sent_parts.forget", "DELETE FROM sent_parts WHERE message_id = ?")
RUN_AGAIN: Final = Statement.of(
    "inbox.again",
    "UPDATE messages SET flow_state = 'pending', attempts = 0, claimed_by = '', claimed_until = 0, flow_version = 0,"
    " outcome = '', error = '', cut_by = '', steps = '[]', tm_update = ?, history = ?"
    " WHERE id = ? AND direction = 'inbound'"
    " AND (flow_state = 'failed' OR (flow_state = 'done' AND (outcome = 'failed' OR outcome = 'cut')))",
)
DELETE: Final = Statement.of(
    "messages.delete",
    "UPDATE messages SET tm_delete = ?, text = '', media = '[]' WHERE id = ? AND tm_delete IS NULL"
    " AND flow_state <> 'pending'"
    " AND NOT EXISTS (SELECT 1 FROM outbox WHERE outbox.id = messages.id AND outbox.state = 'queued')",
)
FORGET_RUN: Final = Statement.of(  # that it was here, or it would not be run
    "parked_runs.forget", "DELETE FROM parked_runs WHERE message_id = ? AND state = ''"
)


class Waiting(Protocol):
    """Where rows are taken from that are begun anew."""

    def wake(self) -> None:
        """Look at SQL soon."""


class Resent(NamedTuple):
    """How many were begun anew, how many may not be, and whether there are more."""

    resent: int
    refused: int
    more: bool


May = Callable[[Message], Awaitable[None]]  # raises Conflict, Forbidden for an outgoing one that may not be sent again
Way = Callable[[Message], str]  # the carrier that is to send it now


class DeadLetters:
    """Begins dead letters anew. `may` is asked before an outgoing one is, `way` where it is to go; `news` tells of it.

    All methods raise Unavailable.
    """

    def __init__(
        self,
        table: MessageTable,
        writer: Writer,
        outbox: Waiting,
        inbox: Waiting,
        may: May,
        clock: Callable[[], datetime],
        news: News | None = None,
        way: Way = lambda message: message.edge.carrier,
    ) -> None:
        self._table = table
        self._writer = writer
        self._outbox = outbox
        self._inbox = inbox
        self._may = may
        self._way = way
        self._clock = clock
        self._news = news or NoNews()

    async def resend(self, message_id: str, customer_id: str | None) -> Message:
        """Begin one anew; returns it as it is then.

        Raises NotFound, Conflict when it is not dead or may not be sent.
        """
        message = await self._table.get(message_id, customer_id)
        if message is None:
            raise _missing()
        await self._begin(message)
        found = await self._table.get(message_id, customer_id)
        if found is None:
            raise _missing()
        return found

    async def resend_all(self, customer_id: str | None, limit: int, **wanted: Unpack[Filters]) -> Resent:
        """Begin up to `limit` anew, newest first, of those that are dead now."""
        resent = refused = 0
        after: Place | None = None
        while left := limit - resent - refused:
            size = min(AT_ONCE, left)
            found = await self._table.dead(customer_id, after=after, size=size, **wanted)
            if not found:
                return Resent(resent, refused, more=False)
            after = _place(found[-1])
            results = await asyncio.gather(*(self._begin(message) for message in found), return_exceptions=True)
            for result in results:
                if isinstance(result, BaseException) and (
                    not isinstance(result, EdgeError) or isinstance(result, Unavailable)
                ):
                    raise result
            refused += sum(isinstance(result, EdgeError) for result in results)
            resent += sum(result is None for result in results)
        return Resent(resent, refused, bool(await self._table.dead(customer_id, after=after, size=1, **wanted)))

    async def delete(self, message_id: str, customer_id: str | None) -> Message:
        """Delete what a message says, and show it no more; returns it as it was. Its row stays until it is too old, so
        that its carrier's repeats are known. Raises NotFound, Conflict while something is still to be done with it."""
        message = await self._table.get(message_id, customer_id)
        if message is None:
            raise _missing()
        now = self._clock()
        changed = Changed(message.id, message.customer_id, "deleted", "", "", micros(now))
        row = (micros(now), message.id)
        if not await self._writer.put_with(DELETE, row, await self._news.changed(changed)):
            raise Conflict("the message is still to be sent, or its flow to be run", reason="MESSAGE_PENDING")
        self._news.written(message.customer_id)
        return message.model_copy(update={"tm_delete": instant_text(now)})

    async def _begin(self, message: Message) -> None:
        if message.direction == "inbound":
            began = await self._run_again(message)
        else:
            began = await self._send_again(message)
        if not began:
            raise Conflict("the message is no dead letter", reason="MESSAGE_NOT_DEAD")
        RESENT.labels(message.edge.carrier, message.direction).inc()
        log.info("message begun anew", message_id=message.id, direction=message.direction)

    async def _send_again(self, message: Message) -> bool:
        if message.targets[0].status != "failed":
            return False
        await self._may(message)
        now = micros(self._clock())
        history, carrier = _history(message, "failed"), self._way(message)
        facts = {"attempts": 0, "carrier": carrier, "carrier_id": "", "receipts": (), "history": history}
        changed = Changed(message.id, message.customer_id, "queued", "", "", now, facts)
        told = [(FORGET_PARTS, (message.id,)), *await self._news.changed(changed)]
        if carrier != message.edge.carrier:
            told.append((ANOTHER_WAY, (carrier, message.id)))
        row = (carrier, now, now, now, _text(history), message.id)
        began = await self._writer.put_with(AGAIN, row, told)
        if began:
            self._news.written(message.customer_id)
            self._outbox.wake()
        return began

    async def _run_again(self, message: Message) -> bool:
        now = micros(self._clock())
        row = (now, _text(_history(message, message.edge.outcome or "failed")), message.id)
        began = await self._writer.put_with(RUN_AGAIN, row, [(FORGET_RUN, (message.id,))])
        if began:
            self._inbox.wake()
        return began


def _history(message: Message, status: str) -> tuple[Past, ...]:
    """A message's history with what it is now at its end."""
    facts = message.edge
    now = Past(
        status=status,
        carrier=facts.carrier,
        code=facts.code,
        reason=facts.reason,
        attempts=facts.attempts,
        tm_update=message.tm_update,
    )
    return (*facts.history, now)[-HISTORY:]


def _text(history: Sequence[Past]) -> str:
    return json_text([past.model_dump() for past in history])


def _place(message: Message) -> Place:
    return Place(datetime.fromisoformat(message.tm_create), message.id)


def _missing() -> NotFound:
    return NotFound("there is no such message", reason="MESSAGE_NOT_FOUND")
