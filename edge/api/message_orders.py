"""Messages that are ordered, tried again, or deleted."""

from __future__ import annotations

from pydantic import Field

from edge.api.auth import owner, scope
from edge.api.field import Id, Line, Model, Moment, Result
from edge.api.messages import Numbered
from edge.api.operation import AnyOperation, Ask, Nothing, Operation
from edge.errors import Conflict, Exhausted, Forbidden, Unavailable
from edge.flows import limits
from edge.flows.address import Number
from edge.sessions.texts.dead_letters import DeadLetters
from edge.sessions.texts.message import Direction, Message
from edge.sessions.texts.posting import Order, Posting
from edge.sms.text import BODY_LIMIT

RESEND_MAX = 1000  # dead letters of one request


class MessageCreate(Model):
    source: Number = Field(description="The number of the account to send from: a text, or an address of type tel.")
    destinations: list[Number] = Field(
        min_length=1,
        max_length=limits.DESTINATIONS,
        description="Whom to text, each in a message of its own: texts, or addresses of type tel.",
    )
    text: str = Field(min_length=1, max_length=BODY_LIMIT, pattern=r"^[^\u0000]*$", description="What to say.")
    customer_id: Id | None = Field(
        default=None, description="The account that sends. A customer's key may leave it out; an admin key may not."
    )


class RefusedDestination(Result):
    """A destination that gets no message."""

    destination: str = Field(description="The number.")
    reason: str = Field(description="Why, as an error's reason would say it.")
    message: str = Field(description="The same in a sentence.")


class MessageMade(Message):
    """A message on its way; where there were more destinations, the one to the first of them."""

    others: tuple[Message, ...] = Field(description="The messages to the other destinations.")
    refused: tuple[RefusedDestination, ...] = Field(description="Destinations that get none.")


class Resend(Model):
    carrier: Line | None = Field(default=None, description="Only of this carrier.")
    code: Line | None = Field(default=None, description="Only outgoing ones that failed with this code of the carrier.")
    direction: Direction | None = Field(default=None, description="Only inbound, or only outbound.")
    number: Numbered | None = Field(default=None, description="Only of this number.")
    since: Moment | None = Field(default=None, description="Only from this time on.")
    until: Moment | None = Field(default=None, description="Only before this time.")
    limit: int = Field(default=100, ge=1, le=RESEND_MAX, description="How many at most, newest first.")


class Resent(Result):
    """How many were begun anew."""

    resent: int = Field(description="Dead letters that were begun anew.")
    refused: int = Field(description="Those that may not be sent any more.")
    more: bool = Field(description="Whether there are more.")


class MessageOrders:
    """The operations that make messages, begin them anew, and end them."""

    def __init__(self, posting: Posting, dead_letters: DeadLetters) -> None:
        self._posting = posting
        self._dead_letters = dead_letters

    async def create(self, ask: Ask[Nothing, MessageCreate]) -> MessageMade:
        body = ask.body
        customer_id = owner(ask.asker, body.customer_id)
        order = Order(customer_id, body.source, tuple(body.destinations), body.text, ask.key)
        posted = await self._posting.post(order)
        first, *others = posted.messages
        refused = [
            RefusedDestination(destination=destination, reason=error.reason, message=error.message)
            for destination, error in posted.refused
        ]
        return MessageMade.model_validate({**dict(first), "others": others, "refused": refused})

    async def resend(self, ask: Ask[Nothing, Nothing]) -> Message:
        return await self._dead_letters.resend(ask.id, scope(ask.asker))

    async def resend_all(self, ask: Ask[Nothing, Resend]) -> Resent:
        body = ask.body
        done = await self._dead_letters.resend_all(
            scope(ask.asker),
            body.limit,
            carrier=body.carrier,
            code=body.code,
            direction=body.direction,
            number=body.number,
            since=body.since,
            until=body.until,
        )
        return Resent(resent=done.resent, refused=done.refused, more=done.more)

    async def delete(self, ask: Ask[Nothing, Nothing]) -> Message:
        return await self._dead_letters.delete(ask.id, scope(ask.asker))

    def operations(self) -> list[AnyOperation]:
        return [
            Operation(
                method="POST",
                path="/v1.0/messages",
                tag="messages",
                summary="Send a text",
                detail="To each destination a message of its own, kept before this answers and then tried until its"
                " carrier takes it. The answer is the message to the first destination, with the others beside it; it"
                " is an error when no destination may be texted.",
                query=Nothing,
                body=MessageCreate,
                result=MessageMade,
                handler=self.create,
                errors=(Conflict, Exhausted, Forbidden, Unavailable),
                inbound=True,
                repeatable=True,
            ),
            Operation(
                method="POST",
                path="/v1.0/messages/{id}/resend",
                tag="messages",
                summary="Begin a dead letter anew",
                detail="An outgoing message that failed is sent again, with new tries; of an incoming one the flow is"
                " run again. Its id stays, and what became of it before is in its history.",
                query=Nothing,
                body=Nothing,
                result=Message,
                handler=self.resend,
                errors=(Conflict, Exhausted, Forbidden, Unavailable),
                inbound=True,
            ),
            Operation(
                method="POST",
                path="/v1.0/messages/dead_letters/resend",
                tag="messages",
                summary="Begin many dead letters anew",
                query=Nothing,
                body=Resend,
                result=Resent,
                handler=self.resend_all,
                errors=(Unavailable,),
                inbound=True,
            ),
            Operation(
                method="DELETE",
                path="/v1.0/messages/{id}",
                tag="messages",
                summary="Delete the record of a message",
                detail="What it says is gone at once, and it is not shown any more. Not while it is still to be sent or"
                " its flow to be run.",
                query=Nothing,
                body=Nothing,
                result=Message,
                handler=self.delete,
                errors=(Conflict, Unavailable),
            ),
        ]
