"""Orders of texts: each destination once, also when the order is repeated because nobody heard what became of it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from edge.errors import Conflict, Forbidden, Invalid, Unavailable
from edge.sessions.texts.message import MessageTable
from edge.sessions.texts.outbox import Outbox
from edge.sessions.texts.posting import Order, Posting
from edge.sessions.texts.routes import TextRoute, TextRoutes
from edge.sessions.texts.session import TextSending
from edge.store.metadata import micros
from tests.sessions.ground import Frail, Ground, until
from tests.sessions.texts.test_desk import CUSTOMER, NUMBERS, OURS
from tests.sessions.texts.test_outbox import Life

TWO = ("+12125550122", "+12125550123")


def posting(ground: Ground, life: Life, routes: TextRoutes | None = None, allowed: tuple[str, ...] = ()) -> Posting:
    async def owns(number: str, customer: str) -> Any:
        found = NUMBERS.get(number)
        return found if found is not None and found.customer_id == customer and found.status == "active" else None

    async def destinations(_: str) -> tuple[str, ...]:
        return allowed

    outbox: Outbox = life.outbox
    ways = routes or TextRoutes((), ["pigeon"])
    sending = TextSending(outbox, owns, lambda: micros(life.clock()), ways, destinations)
    return Posting(sending, MessageTable(ground.engine))


def order(*destinations: str, **change: Any) -> Order:
    given = {"customer_id": CUSTOMER, "source": OURS, "destinations": destinations or TWO, "text": "hi", "key": "k"}
    return Order(**{**given, **change})


@pytest.mark.parametrize("written", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("place", range(4))  # the row of the first text, its receipt, the row of the second …
async def test_a_crash_at_any_write_and_the_same_order_again_send_each_text_once(
    ground: Ground, place: int, written: bool
) -> None:
    frail = Frail(ground.writer)
    async with Life(ground, writer=frail.as_writer()) as dying:
        frail.puts.clear()
        frail.dies_at = (place, written)
        first = asyncio.create_task(posting(ground, dying).post(order()))
        await frail.dead.wait()
        first.cancel()
    async with Life(ground, loft=dying.loft) as life:
        posted = await posting(ground, life).post(order())
        assert [message.targets[0].destination.target for message in posted.messages] == [*TWO]
        table = MessageTable(ground.engine)
        await life.settle(lambda: len(dying.loft.took) >= 2)
        while {message.targets[0].status for message in await table.list(None)} != {"sent"}:
            await asyncio.sleep(0.001)
        assert len(await table.list(None)) == 2
        assert {text.id for text in dying.loft.took} == {message.id for message in posted.messages}


async def test_each_text_goes_by_the_carrier_that_its_route_says(ground: Ground) -> None:
    async with Life(ground) as life:
        routes = TextRoutes([TextRoute(destination=TWO[1], carriers=("dove",))], ["pigeon"])
        posted = await posting(ground, life, routes).post(order())
        assert [message.edge.carrier for message in posted.messages] == ["pigeon", "dove"]


async def test_without_a_carrier_nothing_can_be_sent(ground: Ground) -> None:
    async with Life(ground) as life:
        with pytest.raises(Unavailable, match="no carrier"):
            await posting(ground, life, TextRoutes((), ())).post(order())


async def test_where_a_destination_may_not_be_texted_the_others_get_theirs(ground: Ground) -> None:
    async with Life(ground) as life:
        post = posting(ground, life, allowed=("+49",))
        posted = await post.post(order("+4930901820", *TWO))
        assert len(posted.messages) == 1
        assert [(refused.destination, refused.error.reason) for refused in posted.refused] == [
            (peer, "DESTINATION_NOT_ALLOWED") for peer in TWO
        ]
        with pytest.raises(Forbidden):
            await post.post(order())
        await until(lambda: len(life.loft.took) == 1)


@pytest.mark.parametrize("change", [{"text": "other"}, {"source": "+14155550105"}])
async def test_a_key_is_for_one_order(ground: Ground, change: dict[str, Any]) -> None:
    async with Life(ground) as life:
        post = posting(ground, life)
        await post.post(order())
        with pytest.raises(Conflict) as conflict:
            await post.post(order(**change))
        assert conflict.value.reason == "IDEMPOTENCY_KEY_REUSED"
        again = await post.post(order(key=None))
        assert len({message.id for message in (*again.messages, *(await post.post(order())).messages)}) == 4


async def test_a_text_that_nobody_could_send_is_refused_before_anything_is_kept(ground: Ground) -> None:
    async with Life(ground) as life:
        with pytest.raises(Invalid):
            await posting(ground, life).post(order(text=""))
        assert await MessageTable(ground.engine).list(None) == []
