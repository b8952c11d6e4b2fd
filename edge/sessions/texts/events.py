"""Events of messages: written in the commit that keeps a text, accepts one for sending, or moves one on.

An account whose server does not want to know costs a look into memory for each text. For one whose does, what the API
shows of a new message is made of what is written; one that moves on is read once more, and what changes is put on it.

A message that is deleted takes what its events say of it along, but for those that are still to be told.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from edge.accounts.event import EventType
from edge.sessions.events.event import FORGET, KEEP, Event
from edge.sessions.events.journal import Journal
from edge.sessions.tables import messages
from edge.sessions.texts.message import Message, MessageTable, Receipt, message_of
from edge.sessions.texts.news import Changed, Said
from edge.store.metadata import NIL, Instant, Json, from_micros, instant_text
from edge.store.writer import Row, Then

DELETED: Final = "deleted"
_WHOLE: Final[Mapping[str, Any]] = {  # what a new row does not say
    **{column.name: None for column in messages.columns},
    "media": [],
    "history": [],
    "parts": 1,
    "out_state": "queued",
    "out_attempts": 0,
    "out_carrier_id": "",
    "out_code": "",
    "out_error": "",
    "out_tm_update": None,
    "out_history": [],
}


class MessageEvents:
    """One for the daemon."""

    def __init__(self, journal: Journal, table: MessageTable, clock: Callable[[], datetime]) -> None:
        self._journal = journal
        self._table = table
        self._clock = clock

    async def hears(self, customer_id: str) -> bool:
        return customer_id != NIL and await self._journal.hears(customer_id, "message_created")

    def created(self, columns: Sequence[str], row: Row) -> Sequence[Then]:
        read = {name: _read(name, value) for name, value in zip(columns, row, strict=True)}
        return [self._event("message_created", "", message_of({**_WHOLE, **read}, ()))]

    async def changed(self, changed: Changed) -> Sequence[Then]:
        deleted = changed.state == DELETED
        then: list[Then] = [(FORGET, (changed.message_id,))] if deleted else []
        type: EventType = "message_deleted" if deleted else "message_updated"
        if changed.customer_id != NIL and await self._journal.hears(changed.customer_id, type):
            message = await self._table.get(changed.message_id)
            if message is not None:
                after = _gone(message, changed) if deleted else _after(message, changed)
                then.append(self._event(type, f"{changed.state} {changed.tm}", after))
        return then

    def written(self, customer_id: str) -> None:
        self._journal.written(customer_id)

    def _event(self, type: EventType, what: str, message: Message) -> Then:
        event = Event(message.customer_id, type, message.id, what, message.model_dump(mode="json"), self._clock())
        return KEEP, event.row()


def _read(name: str, value: Any) -> Any:
    """A value of a row as it is read again."""
    kind = messages.c[name].type
    if isinstance(kind, (Instant, Json)):
        return kind.process_result_value(value, None)  # type: ignore[arg-type]  # neither asks for its dialect
    return value


def _after(message: Message, changed: Changed) -> Message:
    """A message once a change is made."""
    when = instant_text(from_micros(changed.tm))
    receipts = list(changed.facts.get("receipts", message.edge.receipts))
    for place, said in sorted(changed.parts.items()):
        receipts[place : place + 1] = [_receipt(said)]
    facts = {**changed.facts, "receipts": tuple(receipts), "code": changed.code, "reason": changed.reason}
    target = message.targets[0].model_copy(update={"status": changed.state, "tm_update": when})
    edge = message.edge.model_copy(update=facts)
    return message.model_copy(update={"targets": (target,), "tm_update": when, "edge": edge})


def _gone(message: Message, changed: Changed) -> Message:
    """A message that says nothing any more."""
    edge = message.edge.model_copy(update={"media": ()})
    return message.model_copy(update={"text": "", "tm_delete": instant_text(from_micros(changed.tm)), "edge": edge})


def _receipt(said: Said) -> Receipt:
    values = {**said._asdict(), "tm_update": instant_text(from_micros(said.tm)) if said.tm is not None else None}
    del values["tm"]
    return Receipt.model_validate(values)
