"""Deliveries: webhooks and emails that flows sent, and how far each got."""

from __future__ import annotations

import sqlalchemy as sa
from pydantic import Field

from edge.api.auth import scope
from edge.api.field import Moment, Result
from edge.api.operation import AnyOperation, Ask, Nothing, Operation
from edge.api.paging import Page, PageQuery, place_of
from edge.errors import NotFound
from edge.sessions.deliveries.delivery import DeliveryTable, Kind, State
from edge.store.metadata import instant_text
from edge.store.page import cut, read_token


class Delivery(Result):
    """A webhook or an email on its way to one receiver."""

    id: str = Field(description="Identity: the webhook-id of a webhook, in the Message-ID of an email.")
    customer_id: str = Field(description="Whose flow sent it.")
    kind: Kind = Field(description="webhook or email.")
    target: str = Field(description="The URL without its query, or the address.")
    reference_id: str = Field(description="The call or message whose flow sent it.")
    state: State = Field(description="queued: it will be tried again; sent; or failed: it will not.")
    attempts: int = Field(description="Tries made.")
    receipt: str = Field(description="What the receiver answered when it took it.")
    code: str = Field(description="The status that the last try that failed was answered with; empty for none.")
    error: str = Field(description="Why the last try failed.")
    tm_due: str | None = Field(description="When it is tried next; null once it is over.")
    tm_create: str = Field(description="When a flow sent it.")
    tm_update: str | None = Field(description="When it was last tried.")


class DeliveryQuery(PageQuery):
    kind: Kind | None = Field(default=None, description="Only webhooks, or only emails.")
    state: State | None = Field(default=None, description="Only in this state.")
    since: Moment | None = Field(default=None, description="Only from this time on.")
    until: Moment | None = Field(default=None, description="Only before this time.")


class Deliveries:
    """The operations on deliveries."""

    def __init__(self, table: DeliveryTable) -> None:
        self._table = table

    async def page(self, ask: Ask[DeliveryQuery, Nothing]) -> Page[Delivery]:
        query = ask.query
        rows = await self._table.list(
            scope(ask.asker),
            kind=query.kind,
            state=query.state,
            since=query.since,
            until=query.until,
            after=read_token(query.page_token),
            size=query.page_size + 1,
        )
        page = cut([shown(row) for row in rows], query.page_size, place_of)
        return Page[Delivery](result=list(page.items), next_page_token=page.next_token)

    async def get(self, ask: Ask[Nothing, Nothing]) -> Delivery:
        row = await self._table.get(ask.id, scope(ask.asker))
        if row is None:
            raise NotFound("there is no such delivery", reason="DELIVERY_NOT_FOUND")
        return shown(row)

    def operations(self) -> list[AnyOperation]:
        return [
            Operation(
                method="GET",
                path="/v1.0/deliveries",
                tag="deliveries",
                summary="List webhooks and emails that flows sent, newest first",
                query=DeliveryQuery,
                body=Nothing,
                result=Page[Delivery],
                handler=self.page,
            ),
            Operation(
                method="GET",
                path="/v1.0/deliveries/{id}",
                tag="deliveries",
                summary="Read one delivery",
                query=Nothing,
                body=Nothing,
                result=Delivery,
                handler=self.get,
            ),
        ]


def shown(row: sa.RowMapping) -> Delivery:
    times = {
        "tm_due": row["due"] if row["state"] == "queued" else None,
        "tm_create": row["tm_create"],
        "tm_update": row["tm_update"],
    }
    return Delivery.model_validate(
        {**row, **{name: instant_text(when) if when is not None else None for name, when in times.items()}}
    )
