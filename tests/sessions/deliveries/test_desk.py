"""Deliveries on a real database: what they have beside what every backlog does (`texts/test_outbox.py`)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from edge.errors import Exhausted
from edge.metrics import REGISTRY
from edge.sessions.deliveries.delivery import LANES, Delivery, DeliveryTable
from edge.sessions.deliveries.desk import Deliveries, DeliveriesSection
from edge.sessions.tables import deliveries
from edge.sms.carrier import NotNow, Refused
from edge.store.metadata import NIL, micros, new_id
from edge.store.page import Place
from tests.sessions.ground import Clock, Ground, Pauses, end, until

ANN, BOB = "11111111-1111-4111-8111-111111111111", "22222222-2222-4222-8222-222222222222"


def hook(data: str = "x", *, after: float = 0, **change: Any) -> Delivery:
    created = micros(Clock().now + timedelta(seconds=after))
    found = Delivery(new_id(), "webhook", ANN, NIL, "call", "https://a", "https://a/x", {"data": data}, created)
    return replace(found, **change)


class Receiver:
    """Takes what it gets, unless `answers` say otherwise, and holds it back while `gate` is shut."""

    def __init__(self) -> None:
        self.answers: list[Exception] = []
        self.tries: list[str] = []
        self.took: list[Delivery] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.busy: list[str] = []

    async def send(self, delivery: Delivery) -> str:
        self.tries.append(delivery.id)
        self.busy.append(delivery.host)
        try:
            await self.gate.wait()
            await asyncio.sleep(0)
        finally:
            self.busy.remove(delivery.host)
        if self.answers:
            raise self.answers.pop(0)
        self.took.append(delivery)
        return "200"


class Life:
    """One process."""

    def __init__(self, ground: Ground, *, node: str = "one", clock: Clock | None = None, **section: Any) -> None:
        self.clock = clock or Clock()
        self.receiver, self.mailbox = Receiver(), Receiver()
        self.deliveries = Deliveries(
            DeliveriesSection(**section),
            ground.engine,
            ground.writer,
            {"webhook": self.receiver.send, "email": self.mailbox.send},
            node=node,
            clock=self.clock,
            pause=Pauses(short=True),
            chance=lambda: 0.5,
        )

    async def __aenter__(self) -> Life:
        await self.deliveries.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        """As `kill -9` does it."""
        await end(self.deliveries._tending)
        for sender in self.deliveries._senders.values():
            await sender.close()

    async def settle(self, condition: Callable[[], bool]) -> None:
        await until(condition)
        await self.deliveries.idle()

    async def pass_time(self, seconds: float) -> None:
        self.clock.move(seconds)
        for sender in self.deliveries._senders.values():
            sender.begin_due()
        await self.deliveries.idle()


async def test_it_is_delivered_and_its_row_says_so(ground: Ground) -> None:
    async with Life(ground) as life:
        mine = hook(reference_id=BOB)
        assert await life.deliveries.put(mine)
        await life.settle(lambda: bool(life.receiver.took))
        assert life.receiver.took == [mine]
        (row,) = await ground.rows(deliveries)
        assert (row["state"], row["attempts"], row["receipt"], row["error"]) == ("sent", 1, "200", "")
        assert (row["payload"], row["reference_id"], row["tm_update"]) == ({"data": "x"}, BOB, life.clock.now)


async def test_one_event_is_put_once_also_in_the_next_life(ground: Ground) -> None:
    mine = hook()
    async with Life(ground) as life:
        assert sorted(await asyncio.gather(*(life.deliveries.put(mine) for _ in range(5)))) == [False] * 4 + [True]
        await life.settle(lambda: bool(life.receiver.took))
        assert len(life.receiver.tries) == 1
    async with Life(ground) as life:
        assert not await life.deliveries.put(replace(mine, payload={"data": "changed"}))
        await life.deliveries._catch_up()
        await life.deliveries.idle()
        assert life.receiver.tries == []


async def test_the_next_life_delivers_what_the_last_one_had_to(ground: Ground) -> None:
    mine = hook()
    async with Life(ground) as dead:
        dead.receiver.answers = [NotNow("the server answered 503", code="503")]
        await dead.deliveries.put(mine)
        await dead.settle(lambda: bool(dead.receiver.tries))
    async with Life(ground) as life:
        await life.pass_time(1)
        assert life.receiver.took == [replace(mine, attempts=1)]  # the same event, and the same words
        (row,) = await ground.rows(deliveries)
        assert (row["state"], row["attempts"]) == ("sent", 2)


async def test_another_process_takes_over_from_a_dead_one(ground: Ground) -> None:
    clock = Clock()
    async with Life(ground, clock=clock) as dead:
        dead.receiver.gate.clear()
        await dead.deliveries.put(hook())
        await until(lambda: bool(dead.receiver.tries))
    async with Life(ground, node="two", clock=clock) as heir:
        assert heir.receiver.tries == []  # the claim still holds
        clock.move(31)
        await heir.deliveries._catch_up()
        await heir.settle(lambda: bool(heir.receiver.took))


async def test_what_is_refused_has_failed(ground: Ground) -> None:
    async with Life(ground) as life:
        life.receiver.answers = [Refused("the server answered 410", code="410")]
        await life.deliveries.put(hook())
        await life.settle(lambda: bool(life.receiver.tries))
        (row,) = await ground.rows(deliveries)
        assert (row["state"], row["code"], row["error"]) == ("failed", "410", "the server answered 410")


async def test_what_is_about_one_resource_comes_in_order(ground: Ground) -> None:
    async with Life(ground) as life:
        for number in range(30):
            await life.deliveries.put(hook(f"{number % 3} {number}", resource=f"call {number % 3}"))
        await life.settle(lambda: len(life.receiver.took) == 30)
        told = [delivery.payload["data"] for delivery in life.receiver.took]
        for call in range(3):
            assert [text for text in told if text[0] == str(call)] == [f"{call} {n}" for n in range(call, 30, 3)]


async def test_a_host_that_hangs_holds_up_its_own_only(ground: Ground) -> None:
    async with Life(ground, at_once=2 * LANES) as life:
        life.receiver.gate.clear()
        for number in range(40):
            await life.deliveries.put(hook(resource=f"call {number}", host="https://hangs"))
        await life.deliveries.put(hook(host="https://fine"))
        await until(lambda: "https://fine" in life.receiver.busy)
        assert life.receiver.busy.count("https://hangs") == LANES
        life.receiver.gate.set()
        await life.settle(lambda: len(life.receiver.took) == 41)


async def test_emails_do_not_wait_for_webhooks(ground: Ground) -> None:
    async with Life(ground, at_once=1) as life:
        life.receiver.gate.clear()
        await life.deliveries.put(hook())
        await life.deliveries.put(hook(kind="email", host=""))
        await until(lambda: bool(life.mailbox.took))
        assert life.receiver.took == []


async def test_an_account_that_floods_is_stopped_and_the_others_are_not(ground: Ground) -> None:
    async with Life(ground, of_one_account=3) as life:
        life.receiver.gate.clear()
        for _ in range(3):
            await life.deliveries.put(hook())
        with pytest.raises(Exhausted, match="3 webhooks of this account wait"):
            await life.deliveries.put(hook())
        await life.deliveries.put(hook(customer_id=BOB))
        await life.deliveries.put(hook(kind="email"))
        life.receiver.gate.set()
        await life.settle(lambda: len(life.receiver.took) == 4)
        assert await life.deliveries.put(hook())


async def test_depth_and_outcomes_are_counted(ground: Ground) -> None:
    def value(name: str, **labels: str) -> float:
        return REGISTRY.get_sample_value(name, {"kind": "email", **labels}) or 0.0

    before = [value("edge_deliveries_total", outcome=outcome) for outcome in ("sent", "failed", "retried")]
    async with Life(ground) as life:
        life.mailbox.answers = [NotNow("later"), Refused("never")]
        await life.deliveries.put(hook(kind="email"))
        await life.deliveries.put(hook(kind="email"))
        await life.settle(lambda: len(life.mailbox.tries) == 2)
        life.clock.move(0.5)
        await life.deliveries._measure()
        assert (value("edge_deliveries_depth"), value("edge_deliveries_oldest_seconds")) == (1, 0.5)
        await life.pass_time(1)
        await life.deliveries._measure()
        assert value("edge_deliveries_depth") == 0
    after = [value("edge_deliveries_total", outcome=outcome) for outcome in ("sent", "failed", "retried")]
    assert [new - old for new, old in zip(after, before, strict=True)] == [1, 1, 1]


# The table


async def test_lists_and_single_ones(ground: Ground) -> None:
    async with Life(ground) as life:
        life.receiver.answers = [Refused("never")]
        mine = [hook(after=n, kind="email" if n == 2 else "webhook", resource=str(n)) for n in range(3)]
        his = hook(after=3, customer_id=BOB)
        for delivery in (*mine, his):
            await life.deliveries.put(delivery)
            await life.settle(lambda: not any(s.held for s in life.deliveries._senders.values()))
    table = DeliveryTable(ground.engine)

    async def ids(customer: str | None = ANN, **query: Any) -> list[int]:
        place = {delivery.id: n for n, delivery in enumerate((*mine, his))}
        return [place[row["id"]] for row in await table.list(customer, **query)]

    begin = Clock().now
    assert await ids() == [2, 1, 0]
    assert await ids(None) == [3, 2, 1, 0]
    assert await ids(kind="email") == [2]
    assert await ids(state="failed") == [0]
    assert await ids(since=begin + timedelta(seconds=1), until=begin + timedelta(seconds=2)) == [1]
    assert await ids(size=1) == [2]
    assert await ids(after=Place(begin + timedelta(seconds=1), mine[1].id)) == [0]
    found = await table.get(mine[0].id, ANN)
    assert found is not None
    assert (found["state"], found["error"]) == ("failed", "never")
    assert await table.get(mine[0].id, BOB) is None
    assert await table.get(mine[0].id) is not None


async def test_what_is_over_is_purged_and_what_waits_is_not(ground: Ground) -> None:
    async with Life(ground) as life:
        life.receiver.answers = [NotNow("later")]
        waits = hook("waits")
        for delivery in (waits, hook("old"), hook("older"), hook("new", after=60)):
            await life.deliveries.put(delivery)
        await life.settle(lambda: len(life.receiver.took) == 3)
    table = DeliveryTable(ground.engine)
    before = Clock().now + timedelta(seconds=1)
    assert await table.purge(before, 1) == 1
    assert await table.purge(before, 5) == 1
    assert {row["payload"]["data"] for row in await ground.rows(deliveries)} == {"waits", "new"}
