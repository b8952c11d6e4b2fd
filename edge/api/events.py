"""Events: what happened to an account's resources, how far its server was told of it, and telling it again."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any, Literal

import sqlalchemy as sa
from pydantic import Field

from edge.accounts.customer import CustomerTable
from edge.accounts.event import EVENT_TYPES, EventType
from edge.api.auth import owner, scope
from edge.api.field import Id, Model, Moment, Result
from edge.api.operation import AnyOperation, Ask, Nothing, Operation
from edge.api.paging import Page, PageQuery, place_of
from edge.errors import Conflict, NotFound
from edge.sessions.events.journal import Journal
from edge.sessions.events.table import REPLAYED, EventTable, State
from edge.sessions.events.telling import Telling
from edge.store.metadata import instant_text
from edge.store.page import cut, read_token


class Event(Result):
    """Something that happened to a resource of an account."""

    id: str = Field(description="Identity: the webhook-id of each request that tells it.")
    customer_id: str = Field(description="Whose resource it is.")
    type: str = Field(description="What happened.")
    resource_id: str = Field(description="To what: its id. Events of one resource are told in order.")
    state: State = Field(description="queued: it will be told; sent: it was taken; or failed: it was given up.")
    attempts: int = Field(description="Tries made, since it was last told to be told again.")
    code: str = Field(description="The status that the last try was answered with; empty for none.")
    error: str = Field(description="Why the last try failed.")
    tm_due: str | None = Field(description="When it is tried next at the earliest; null once it is over.")
    tm_create: str = Field(description="When it happened.")
    tm_update: str | None = Field(description="When it was last tried.")
    data: dict[str, Any] | None = Field(description="The resource as it was then; null in lists.")


class EventQuery(PageQuery):
    type: EventType | None = Field(default=None, description="Only of this type.")
    resource_id: Id | None = Field(default=None, description="Only of this resource.")
    state: State | None = Field(default=None, description="Only in this state.")
    since: Moment | None = Field(default=None, description="Only from this time on.")
    until: Moment | None = Field(default=None, description="Only before this time.")


class Replay(Model):
    """Which events are to be told again."""

    since: Moment = Field(description="Those from this time on.", examples=["2026-08-01T09:00:00Z"])
    until: Moment | None = Field(default=None, description="Only those before this time.")
    types: Annotated[list[EventType], Field(max_length=len(EVENT_TYPES))] = Field(
        default=[], description="Only of these types; empty: of all."
    )
    states: Annotated[list[Literal["failed", "sent"]], Field(min_length=1, max_length=2)] = Field(
        default=["failed"],
        description="Those that were given up, those that were taken, or both; when it is left out only the former.",
    )
    customer_id: Id | None = Field(
        default=None, description="Whose. A customer's key may leave it out; an admin key may not."
    )


class Replayed(Result):
    """What will be told again."""

    count: int = Field(description="So many events.")
    more: bool = Field(description=f"There may be more: one request takes {REPLAYED:_} at most, the oldest ones.")


class WebhookTest(Result):
    """What a server said to a test."""

    id: str = Field(description="The webhook-id it was sent under.")
    delivered: bool = Field(description="The server took it: it answered with a 2xx status.")
    status: int | None = Field(description="The status it answered with; null for no answer.")
    error: str = Field(description="Why there was none.")
    milliseconds: int = Field(description="How long it took.")


class Events:
    """The operations on events."""

    def __init__(
        self,
        table: EventTable,
        customers: CustomerTable,
        journal: Journal,
        telling: Telling,
        clock: Callable[[], datetime],
    ) -> None:
        self._table = table
        self._customers = customers
        self._journal = journal
        self._telling = telling
        self._clock = clock

    async def page(self, ask: Ask[EventQuery, Nothing]) -> Page[Event]:
        query = ask.query
        rows = await self._table.list(
            scope(ask.asker),
            type=query.type,
            resource_id=query.resource_id,
            state=query.state,
            since=query.since,
            until=query.until,
            after=read_token(query.page_token),
            size=query.page_size + 1,
        )
        page = cut([shown(row) for row in rows], query.page_size, place_of)
        return Page[Event](result=list(page.items), next_page_token=page.next_token)

    async def get(self, ask: Ask[Nothing, Nothing]) -> Event:
        return shown(await self._find(ask))

    async def replay(self, ask: Ask[Nothing, Nothing]) -> Event:
        row = await self._find(ask)
        await self._hearing(row["customer_id"])
        await self._table.replay(ask.id, self._clock())
        again = await self._find(ask)
        self._journal.replayed(row["customer_id"])
        return shown(again)

    async def replay_all(self, ask: Ask[Nothing, Replay]) -> Replayed:
        body, customer_id = ask.body, owner(ask.asker, ask.body.customer_id)
        await self._hearing(customer_id)
        count = await self._table.replay_all(
            customer_id, self._clock(), since=body.since, until=body.until, types=body.types, states=body.states
        )
        self._journal.replayed(customer_id)
        return Replayed(count=count, more=count == REPLAYED)

    async def test(self, ask: Ask[Nothing, Nothing]) -> WebhookTest:
        customer = await self._customers.get(ask.id) if scope(ask.asker) in (None, ask.id) else None
        if customer is None:
            raise NotFound("there is no such customer", reason="CUSTOMER_NOT_FOUND")
        tested = await self._telling.test(customer)
        taken = tested.status is not None and 200 <= tested.status < 300
        return WebhookTest.model_validate({**tested._asdict(), "delivered": taken})

    async def _hearing(self, customer_id: str) -> None:
        """Raises Conflict when an account has no server to tell."""
        customer = await self._customers.get(customer_id)
        if customer is None or not customer.webhook_uri or customer.tm_webhook_gone is not None:
            raise Conflict("the account has no webhook_uri, or its server is gone", reason="WEBHOOK_MISSING")

    async def _find(self, ask: Ask[Nothing, Nothing]) -> sa.RowMapping:
        row = await self._table.get(ask.id, scope(ask.asker))
        if row is None:
            raise NotFound("there is no such event", reason="EVENT_NOT_FOUND")
        return row

    def operations(self) -> list[AnyOperation]:
        return [
            Operation(
                method="GET",
                path="/v1.0/events",
                tag="events",
                summary="List events, newest first",
                detail="Of accounts whose `webhook_uri` is set. Without their data, which is null.",
                query=EventQuery,
                body=Nothing,
                result=Page[Event],
                handler=self.page,
            ),
            Operation(
                method="POST",
                path="/v1.0/events/replay",
                tag="events",
                summary="Tell events again",
                detail=(
                    "Each under the same id and with the same body, in order for each resource. Those that were given"
                    " up, unless `states` says otherwise: what a server took and then lost is `sent`."
                ),
                query=Nothing,
                body=Replay,
                result=Replayed,
                errors=(Conflict,),
                handler=self.replay_all,
            ),
            Operation(
                method="GET",
                path="/v1.0/events/{id}",
                tag="events",
                summary="Read one event",
                query=Nothing,
                body=Nothing,
                result=Event,
                handler=self.get,
            ),
            Operation(
                method="POST",
                path="/v1.0/events/{id}/replay",
                tag="events",
                summary="Tell one event again",
                detail="Under the same id and with the same body. One that waits for its next try is tried at once.",
                query=Nothing,
                body=Nothing,
                result=Event,
                errors=(Conflict,),
                handler=self.replay,
            ),
            Operation(
                method="POST",
                path="/v1.0/customers/{id}/webhook_test",
                tag="customers",
                summary="Try out where events are told",
                detail=(
                    "Sends an event of type webhook_test, with the customer as its data, now and once, and answers what"
                    " the server said. It stands in no list."
                ),
                query=Nothing,
                body=Nothing,
                result=WebhookTest,
                errors=(Conflict,),
                handler=self.test,
            ),
        ]


def shown(row: sa.RowMapping) -> Event:
    times = {
        "tm_due": row["due"] if row["state"] == "queued" else None,
        "tm_create": row["tm_create"],
        "tm_update": row["tm_update"],
    }
    data = json.loads(row["body"])["data"] if "body" in row else None
    texts = {name: instant_text(when) if when is not None else None for name, when in times.items()}
    return Event.model_validate({**row, **texts, "data": data})
