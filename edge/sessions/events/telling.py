"""Telling: one event brought to its account's server, by the URL that the account has now, signed as webhooks are."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from time import perf_counter
from typing import Final, NamedTuple

from edge.accounts.customer import Customer, CustomerDirectory, CustomerTable
from edge.errors import Conflict, EdgeError
from edge.flows.outside import Webhook
from edge.sessions.deliveries.webhook import Webhooks
from edge.sessions.events.event import body
from edge.sessions.events.queue import Queued
from edge.sms.carrier import NotNow, Refused
from edge.store.metadata import new_id

GONE: Final = 410  # the server wants no more of them
FOR_GOOD: Final = frozenset({400, 409, GONE, 413, 415, 422})  # it has read the event and does not want it
TEST: Final = "webhook_test"


class Tested(NamedTuple):
    """What became of a test. `status` None: there was no answer, and `error` says why."""

    id: str
    status: int | None
    error: str
    milliseconds: int


class Telling:
    """Brings events to servers, once each."""

    def __init__(
        self,
        accounts: CustomerDirectory,
        customers: CustomerTable,
        webhooks: Webhooks,
        clock: Callable[[], datetime],
    ) -> None:
        self._accounts = accounts
        self._customers = customers
        self._webhooks = webhooks
        self._clock = clock

    async def tell(self, event: Queued) -> str:
        """Tell one; returns the status of the answer. Raises SendError."""
        try:
            customer = (await self._accounts.find(event.customer_id)).value
            if customer is None or not customer.webhook_uri or customer.tm_webhook_gone is not None:
                raise Refused("the account has nowhere to tell events any more")
            status = await self._ask(customer, event.id, event.body)
            if status == GONE:
                await self._customers.webhook_gone(customer.id, customer.webhook_uri)
        except EdgeError as error:
            raise NotNow(error.message) from None
        if 200 <= status < 300:
            return str(status)
        raise (Refused if status in FOR_GOOD else NotNow)(f"the server answered {status}", code=str(status))

    async def test(self, customer: Customer) -> Tested:
        """Tell a server of nothing, now and once. Raises Conflict when the account has no `webhook_uri`."""
        if not customer.webhook_uri:
            raise Conflict("the account has no webhook_uri", reason="WEBHOOK_MISSING")
        event_id, began = new_id(), perf_counter()
        status: int | None = None
        error = ""
        try:
            text = body(event_id, TEST, self._clock(), customer.public())
            status = await self._ask(customer, event_id, text)
        except EdgeError as failure:
            error = failure.message
        return Tested(event_id, status, error, round((perf_counter() - began) * 1000))

    async def _ask(self, customer: Customer, event_id: str, text: str) -> int:
        """The status that an event was answered with. Raises EdgeError when it was not."""
        webhook = Webhook(customer.webhook_method, customer.webhook_uri, "application/json", text)
        return (await self._webhooks.ask(event_id, customer.id, webhook, max_bytes=0)).status
