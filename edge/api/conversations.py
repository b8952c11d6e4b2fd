"""Conversations: all texts between a number of the account and a peer, as clients of the platform list them."""

from __future__ import annotations

from typing import Any, Final, Literal

from pydantic import ConfigDict, Field

from edge.api.auth import scope
from edge.api.calls import UNUSED
from edge.api.field import E164, Line, Model, Moment, Result
from edge.api.operation import AnyOperation, Ask, Nothing, Operation
from edge.api.paging import Page, PageQuery, place_of
from edge.errors import Exhausted, Forbidden, Internal, NotFound
from edge.flows import limits
from edge.sessions.conversation import ConversationTable, Shown
from edge.sessions.texts.message import Address, Direction, Message, MessageTable, Status
from edge.sessions.texts.session import TextSending
from edge.store.metadata import NIL, instant_text, new_id
from edge.store.page import Place, cut, read_token

_DIRECTIONS: Final[dict[str, Direction]] = {"inbound": "inbound", "outbound": "outbound"}


class ConversationFacts(Result):
    """What only the edge knows of a conversation: above all its newest message."""

    number_id: str = Field(description="Our number's id when the newest message came or went.")
    message_id: str = Field(description="The newest message; where it was deleted, the rest of this is empty.")
    direction: Direction | None = Field(description="Whether it came or went.")
    text: str = Field(description="What it says.")


class Conversation(Result):
    """All texts between a number and a peer."""

    model_config = ConfigDict(populate_by_name=True, serialize_by_alias=True)

    id: str = Field(description="Identity: the same for all messages between the two while the account has the number.")
    customer_id: str = Field(description="The account.")
    owner_type: str = Field(default="", description=UNUSED)
    owner_id: str = Field(default=NIL, description=UNUSED)
    account_id: str = Field(default=NIL, description=UNUSED)
    name: str = Field(default="", description=UNUSED)
    detail: str = Field(default="", description=UNUSED)
    type: Literal["message"] = Field(default="message", description="Always message.")
    dialog_id: str = Field(default="", description=UNUSED)
    ours: Address = Field(alias="self", description="Our number.")
    peer: Address = Field(description="Who is at the other end.")
    tm_create: str = Field(description="When the first message came or went.")
    tm_update: str = Field(description="When the newest did.")
    tm_delete: None = Field(default=None, description="Always null.")
    edge: ConversationFacts = Field(description="What only the edge knows.")


class ConversationMessage(Result):
    """One text of a conversation."""

    id: str = Field(description="Identity, that of the message.")
    customer_id: str = Field(description="The account.")
    conversation_id: str = Field(description="The conversation.")
    direction: Direction = Field(description="inbound or outbound.")
    status: Status = Field(description="How far it got, as in its message.")
    reference_type: Literal["message"] = Field(default="message", description="Always message.")
    reference_id: str = Field(description="The message.")
    source: Address = Field(description="Who sent it.")
    destination: Address = Field(description="Who it is for.")
    text: str = Field(description="What it says.")
    medias: tuple[Any, ...] = Field(default=(), description=UNUSED)
    tm_create: str = Field(description="When it came in or was accepted for sending.")
    tm_update: str | None = Field(description="When it last changed.")
    tm_delete: None = Field(default=None, description="Always null.")


class ConversationQuery(PageQuery):
    number: E164 | None = Field(default=None, description="Only those with this number of ours.")
    peer: Line | None = Field(default=None, description="Only those with this number or address of theirs.")
    since: Moment | None = Field(default=None, description="Only those where something was said from this time on.")


class ConversationText(Model):
    """What to say."""

    text: str = Field(min_length=1, max_length=limits.TEXT_CHARACTERS, description="The text.", examples=["On my way."])


class Conversations:
    """The operations on conversations."""

    def __init__(self, table: ConversationTable, messages: MessageTable, sending: TextSending) -> None:
        self._table = table
        self._messages = messages
        self._sending = sending

    async def page(self, ask: Ask[ConversationQuery, Nothing]) -> Page[Conversation]:
        query = ask.query
        found = await self._table.list(
            scope(ask.asker),
            number=query.number,
            peer=query.peer,
            since=query.since,
            after=read_token(query.page_token),
            size=query.page_size + 1,
        )
        page = cut(found, query.page_size, lambda shown: Place(shown.tm_update, shown.id))
        return Page[Conversation](result=[_shown(one) for one in page.items], next_page_token=page.next_token)

    async def get(self, ask: Ask[Nothing, Nothing]) -> Conversation:
        return _shown(await self._found(ask))

    async def messages(self, ask: Ask[PageQuery, Nothing]) -> Page[ConversationMessage]:
        conversation = await self._found(ask)
        found = await self._messages.list(
            conversation.customer_id,
            conversation_id=conversation.id,
            after=read_token(ask.query.page_token),
            size=ask.query.page_size + 1,
        )
        page = cut(found, ask.query.page_size, place_of)
        result = [_message(message) for message in page.items]
        return Page[ConversationMessage](result=result, next_page_token=page.next_token)

    async def send(self, ask: Ask[Nothing, ConversationText]) -> ConversationMessage:
        shown = await self._found(ask)
        conversation = await self._table.find(shown.id, shown.customer_id)
        if conversation is None:
            raise _none()
        message_id = await self._sending.go_on(
            conversation, new_id(), shown.customer_id, ask.body.text, reference_id=NIL
        )
        message = await self._messages.get(message_id)
        if message is None:
            raise Internal("the message was kept and is not there")
        return _message(message)

    async def _found(self, ask: Ask[Any, Any]) -> Shown:
        found = await self._table.get(ask.id, scope(ask.asker))
        if found is None:
            raise _none()
        return found

    def operations(self) -> list[AnyOperation]:
        return [
            Operation(
                method="GET",
                path="/v1.0/conversations",
                tag="conversations",
                summary="List conversations, those where something was said last first",
                detail="A conversation is all texts between a number and a peer, as long as one account has the"
                " number. Whoever gets the number next has conversations of his own.",
                query=ConversationQuery,
                body=Nothing,
                result=Page[Conversation],
                handler=self.page,
            ),
            Operation(
                method="GET",
                path="/v1.0/conversations/{id}",
                tag="conversations",
                summary="Read one conversation",
                query=Nothing,
                body=Nothing,
                result=Conversation,
                handler=self.get,
            ),
            Operation(
                method="GET",
                path="/v1.0/conversations/{id}/messages",
                tag="conversations",
                summary="List the messages of a conversation, newest first",
                query=PageQuery,
                body=Nothing,
                result=Page[ConversationMessage],
                handler=self.messages,
            ),
            Operation(
                method="POST",
                path="/v1.0/conversations/{id}/messages",
                tag="conversations",
                summary="Say something in a conversation",
                detail="It is kept first, sent later the way the peer's texts come, and again until taken.",
                query=Nothing,
                body=ConversationText,
                result=ConversationMessage,
                errors=(Forbidden, Exhausted),
                handler=self.send,
                inbound=True,
            ),
        ]


def _none() -> NotFound:
    return NotFound("there is no such conversation", reason="CONVERSATION_NOT_FOUND")


def _shown(found: Shown) -> Conversation:
    return Conversation(
        id=found.id,
        customer_id=found.customer_id,
        ours=Address.of(found.number),
        peer=Address.of(found.peer),
        tm_create=instant_text(found.tm_create),
        tm_update=instant_text(found.tm_update),
        edge=ConversationFacts(
            number_id=found.number_id or "",
            message_id=found.message_id,
            direction=_DIRECTIONS.get(found.direction or ""),
            text=found.text or "",
        ),
    )


def _message(message: Message) -> ConversationMessage:
    (target,) = message.targets
    return ConversationMessage(
        id=message.id,
        customer_id=message.customer_id,
        conversation_id=message.edge.conversation_id,
        direction=message.direction,
        status=target.status,
        reference_id=message.id,
        source=message.source,
        destination=target.destination,
        text=message.text,
        tm_create=message.tm_create,
        tm_update=message.tm_update,
    )
