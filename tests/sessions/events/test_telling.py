"""Telling: where an event goes, and what its server's answer means."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, cast

import pytest

from edge.accounts.customer import Customer, CustomerDirectory, CustomerTable
from edge.errors import Conflict, EdgeError, Forbidden, Unavailable
from edge.flows.outside import Webhook
from edge.http import Answer
from edge.sessions.deliveries.webhook import Webhooks
from edge.sessions.events.queue import Queued
from edge.sessions.events.telling import Telling
from edge.sms.carrier import NotNow, Refused
from edge.store.tiers import Found

NOW = datetime(2026, 8, 1, 9, tzinfo=UTC)
CUSTOMER, EVENT = (f"{digit * 8}-1111-4111-8111-111111111111" for digit in "12")
URL = "https://example.com/events?token=secret"
ONE = Queued(EVENT, CUSTOMER, "call_hangup", '{"id":"x"}', 0, NOW, NOW)


class World:
    """An account, and its server's answer."""

    def __init__(self, answer: int | EdgeError = 200, **customer: Any) -> None:
        self.answer = answer
        self.customer: Customer | None = Customer(id=CUSTOMER, tm_create=NOW, **{"webhook_uri": URL, **customer})
        self.asked: list[tuple[str, str, Webhook]] = []
        self.gone: list[tuple[str, str]] = []

    async def find(self, customer_id: str) -> Found[Customer]:
        assert customer_id == CUSTOMER
        return Found(self.customer, "memory")

    async def webhook_gone(self, customer_id: str, uri: str) -> None:
        self.gone.append((customer_id, uri))

    async def ask(self, event_id: str, customer_id: str, webhook: Webhook, *, max_bytes: int) -> Answer:
        assert max_bytes == 0
        self.asked.append((event_id, customer_id, webhook))
        if isinstance(self.answer, EdgeError):
            raise self.answer
        return Answer(self.answer, b"", "text/plain")

    @property
    def telling(self) -> Telling:
        accounts, customers = cast("CustomerDirectory", self), cast("CustomerTable", self)
        return Telling(accounts, customers, cast("Webhooks", self), lambda: NOW)


async def test_it_goes_where_the_account_says_now() -> None:
    world = World(204, webhook_method="PUT")
    assert await world.telling.tell(ONE) == "204"
    assert world.asked == [(EVENT, CUSTOMER, Webhook("PUT", URL, "application/json", '{"id":"x"}'))]


@pytest.mark.parametrize("status", [301, 302, 401, 403, 404, 408, 425, 429, 500, 502, 503])
async def test_what_may_be_better_next_time(status: int) -> None:
    with pytest.raises(NotNow, match=f"^the server answered {status}$") as caught:
        await World(status).telling.tell(ONE)
    assert caught.value.code == str(status)


@pytest.mark.parametrize("status", [400, 409, 410, 413, 415, 422])
async def test_what_is_not_wanted(status: int) -> None:
    world = World(status)
    with pytest.raises(Refused, match=f"^the server answered {status}$") as caught:
        await world.telling.tell(ONE)
    assert caught.value.code == str(status)
    assert world.gone == ([(CUSTOMER, URL)] if status == 410 else [])


@pytest.mark.parametrize("error", [Unavailable("no answer"), Forbidden("not allowed")])
async def test_no_answer_is_tried_again(error: EdgeError) -> None:
    with pytest.raises(NotNow, match=error.message):
        await World(error).telling.tell(ONE)


@pytest.mark.parametrize("customer", [None, {"webhook_uri": ""}, {"tm_webhook_gone": NOW}])
async def test_who_hears_no_more_is_not_asked(customer: dict[str, Any] | None) -> None:
    world = World(**(customer or {}))
    if customer is None:
        world.customer = None
    with pytest.raises(Refused, match="nowhere to tell"):
        await world.telling.tell(ONE)
    assert world.asked == []


async def test_a_test_says_what_the_server_said() -> None:
    world = World(418)
    assert world.customer is not None
    tested = await world.telling.test(world.customer)
    assert (tested.status, tested.error) == (418, "")
    ((event_id, _, webhook),) = world.asked
    assert tested.id == event_id
    assert '"type":"webhook_test"' in webhook.data
    world.answer = Unavailable("no answer")
    tested = await world.telling.test(world.customer)
    assert (tested.status, tested.error) == (None, "no answer")
    with pytest.raises(Conflict):
        await world.telling.test(world.customer.model_copy(update={"webhook_uri": ""}))
