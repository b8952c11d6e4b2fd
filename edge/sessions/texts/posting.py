"""Texts that are ordered over the API: to each destination a message of its own.

An order with a key can be repeated: the ids of its messages are made of the account, the key and the destination, so
whoever did not hear what became of the first try finds its messages, and nobody gets a text twice.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Final, NamedTuple

from edge.errors import Conflict, EdgeError, Unavailable
from edge.sessions.texts.message import Message, MessageTable
from edge.sessions.texts.session import TextSending, check_body
from edge.store.metadata import new_id

_NAMESPACE: Final = uuid.UUID("c8a4b1f2-6f0d-5d53-9d0b-2f5c3a7e1d64")


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be sent. `key` is the client's name for this order, if it has one."""

    customer_id: str
    source: str
    destinations: tuple[str, ...]
    text: str
    key: str | None = None


class KeyReused(Conflict):
    def __init__(self) -> None:
        super().__init__("this Idempotency-Key was used for another order", reason="IDEMPOTENCY_KEY_REUSED")


class Refused(NamedTuple):
    """A destination that gets no text, and why."""

    destination: str
    error: EdgeError


class Posted(NamedTuple):
    """The messages of an order, in the order of its destinations, and where there is none."""

    messages: tuple[Message, ...]
    refused: tuple[Refused, ...]


class Posting:
    """Takes orders."""

    def __init__(self, sending: TextSending, table: MessageTable) -> None:
        self._sending = sending
        self._table = table

    async def post(self, order: Order) -> Posted:
        """Put the texts of an order into the outbox.

        Raises Invalid for a text that nobody could send, KeyReused when the key was used for another order, Unavailable
        when something it needs is away: some of it may then be done, and the same order again does the rest. Raises
        what is wrong with the first destination when every one is refused.
        """
        check_body(order.text)
        messages: list[Message] = []
        refused: list[Refused] = []
        for destination in dict.fromkeys(order.destinations):
            try:
                messages.append(await self._send(order, destination))
            except (KeyReused, Unavailable):
                raise
            except EdgeError as error:
                refused.append(Refused(destination, error))
        if not messages:
            raise refused[0].error
        return Posted(tuple(messages), tuple(refused))

    async def _send(self, order: Order, destination: str) -> Message:
        message_id = _id(order, destination)
        message = await self._table.get(message_id, order.customer_id) if order.key is not None else None
        if message is None:  # else whatever it may do by now, it is done
            await self._sending.send(
                id=message_id,
                customer_id=order.customer_id,
                source=order.source,
                destination=destination,
                text=order.text,
            )
            message = await self._table.get(message_id, order.customer_id)
        if message is None or (message.source.target, message.text) != (order.source, order.text):
            raise KeyReused
        return message


def _id(order: Order, destination: str) -> str:
    if order.key is None:
        return new_id()
    return str(uuid.uuid5(_NAMESPACE, f"{order.customer_id} {destination} {order.key}"))
