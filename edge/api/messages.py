"""Messages: texts in and out, as `sessions` keeps them."""

from __future__ import annotations

from pydantic import Field

from edge.api.auth import scope
from edge.api.calls import RecordQuery
from edge.api.field import Line
from edge.api.operation import AnyOperation, Ask, Nothing, Operation
from edge.api.paging import Page, place_of
from edge.errors import NotFound
from edge.sessions.message import Direction, Message, MessageTable
from edge.store.page import cut, read_token


class MessageQuery(RecordQuery):
    peer: Line | None = Field(default=None, description="Only to and from this number or address of theirs.")
    direction: Direction | None = Field(default=None, description="Only inbound, or only outbound.")


class Messages:
    """The operations on messages."""

    def __init__(self, table: MessageTable) -> None:
        self._table = table

    async def page(self, ask: Ask[MessageQuery, Nothing]) -> Page[Message]:
        query = ask.query
        found = await self._table.list(
            scope(ask.asker),
            number=query.number,
            peer=query.peer,
            direction=query.direction,
            since=query.since,
            until=query.until,
            after=read_token(query.page_token),
            size=query.page_size + 1,
        )
        page = cut(found, query.page_size, place_of)
        return Page[Message](result=list(page.items), next_page_token=page.next_token)

    async def get(self, ask: Ask[Nothing, Nothing]) -> Message:
        message = await self._table.get(ask.id, scope(ask.asker))
        if message is None:
            raise NotFound("there is no such message", reason="MESSAGE_NOT_FOUND")
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
                path="/v1.0/messages/{id}",
                tag="messages",
                summary="Read one message",
                query=Nothing,
                body=Nothing,
                result=Message,
                handler=self.get,
            ),
        ]
