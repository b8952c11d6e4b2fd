"""Messages: texts in and out, as `sessions` keeps them."""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator, Field

from edge.api.auth import scope
from edge.api.calls import RecordQuery, read_plus
from edge.api.field import E164, Id, Line
from edge.api.operation import AnyOperation, Ask, Nothing, Operation
from edge.api.paging import Page, place_of
from edge.errors import NotFound
from edge.sessions.texts.message import Direction, Filters, FlowState, Message, MessageTable, Status
from edge.store.page import cut, read_token

Numbered = Annotated[E164, BeforeValidator(read_plus)]


class DeadQuery(RecordQuery):
    peer: Line | None = Field(default=None, description="Only to and from this number or address of theirs.")
    direction: Direction | None = Field(default=None, description="Only inbound, or only outbound.")
    carrier: Line | None = Field(default=None, description="Only of this carrier.")
    code: Line | None = Field(default=None, description="Only outgoing ones with this code of their carrier.")


class MessageQuery(DeadQuery):
    status: Status | None = Field(default=None, description="Only with this status.")
    conversation_id: Id | None = Field(default=None, description="Only of this conversation.")
    flow_state: FlowState | None = Field(default=None, description="Only incoming ones whose flow is that far.")


def missing() -> NotFound:
    return NotFound("there is no such message", reason="MESSAGE_NOT_FOUND")


class Messages:
    """The operations on messages."""

    def __init__(self, table: MessageTable) -> None:
        self._table = table

    async def page(self, ask: Ask[MessageQuery, Nothing]) -> Page[Message]:
        query = ask.query
        wanted: Filters = {
            **_filters(query),
            "status": query.status,
            "conversation_id": query.conversation_id,
            "flow_state": query.flow_state,
        }
        found = await self._table.list(
            scope(ask.asker), after=read_token(query.page_token), size=query.page_size + 1, **wanted
        )
        page = cut(found, query.page_size, place_of)
        return Page[Message](result=list(page.items), next_page_token=page.next_token)

    async def dead(self, ask: Ask[DeadQuery, Nothing]) -> Page[Message]:
        query = ask.query
        found = await self._table.dead(
            scope(ask.asker), after=read_token(query.page_token), size=query.page_size + 1, **_filters(query)
        )
        page = cut(found, query.page_size, place_of)
        return Page[Message](result=list(page.items), next_page_token=page.next_token)

    async def get(self, ask: Ask[Nothing, Nothing]) -> Message:
        message = await self._table.get(ask.id, scope(ask.asker))
        if message is None:
            raise missing()
        return message

    def operations(self) -> list[AnyOperation]:
        return [
            Operation(
                method="GET",
                path="/v1.0/messages",
                tag="messages",
                summary="List messages, newest first",
                query=MessageQuery,
                body=Nothing,
                result=Page[Message],
                handler=self.page,
            ),
            Operation(
                method="GET",
                path="/v1.0/messages/dead_letters",
                tag="messages",
                summary="List dead letters, newest first",
                detail="Outgoing messages that were refused, given up or not delivered, and incoming ones whose flow"
                " failed, was cut or was given up.",
                query=DeadQuery,
                body=Nothing,
                result=Page[Message],
                handler=self.dead,
            ),
            Operation(
                method="GET",
                path="/v1.0/messages/{id}",
                tag="messages",
                summary="Read one message",
                query=Nothing,
                body=Nothing,
                result=Message,
                handler=self.get,
            ),
        ]


def _filters(query: DeadQuery) -> Filters:
    return {
        "number": query.number,
        "peer": query.peer,
        "direction": query.direction,
        "carrier": query.carrier,
        "code": query.code,
        "since": query.since,
        "until": query.until,
    }
