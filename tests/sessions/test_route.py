"""From a number to its flow: each step, what it refuses, and when memory alone knows the way."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from edge.errors import EdgeError, FlowUnbound, NumberReleased, NumberSuspended, NumberUnknown, Unavailable
from edge.flows.session import Medium
from edge.numbers.number import Number
from edge.sessions.route import bound, reachable
from edge.store.metadata import NIL, new_id
from edge.store.tiers import Found
from tests.sessions.line import NUMBER, Line, exchange

STOP = {"id": "s", "type": "stop"}
FLOW = "55555555-5555-4555-8555-555555555555"


@pytest.fixture
async def line(migrated_sqlite: Path, tmp_path: Path) -> AsyncIterator[Line]:
    async with exchange(tmp_path, migrated_sqlite) as opened:
        yield opened


def made(status: Any = "active", **fields: Any) -> Number:
    return Number(
        id=new_id(), customer_id=new_id(), number=NUMBER, status=status, tm_create=datetime.now(UTC), **fields
    )


@pytest.mark.parametrize(
    ("status", "error"),
    [
        ("suspended", NumberSuspended),
        ("released", NumberReleased),
        ("pending", NumberUnknown),
        ("failed", NumberUnknown),
    ],
)
def test_only_an_active_number_is_reached(status: str, error: type[EdgeError]) -> None:
    with pytest.raises(error, match=r"\+14155550100"):
        reachable(Found(made(status), "sql"), NUMBER)


def test_an_active_number_is_reached_and_one_that_is_not_there_is_unknown() -> None:
    number = made()
    assert reachable(Found(number, "memory"), NUMBER) is number
    with pytest.raises(NumberUnknown, match="not one of our numbers"):
        reachable(Found(None, "sql"), NUMBER)


@pytest.mark.parametrize(("medium", "slot"), [("call", "call_flow_id"), ("message", "message_flow_id")])
def test_each_medium_has_its_own_flow(medium: Medium, slot: str) -> None:
    assert bound(made(**{slot: FLOW}), medium) == FLOW
    other = "message_flow_id" if medium == "call" else "call_flow_id"
    with pytest.raises(FlowUnbound):
        bound(made(**{other: FLOW}), medium)


async def test_the_steps_lead_to_the_flow(line: Line) -> None:
    number = await line.number(STOP)
    routes = line.stores.routes
    assert await routes.number(NUMBER) == Found(number, "sql")
    assert await routes.number(NUMBER) == Found(number, "memory")
    await routes.account(number)
    flow = await routes.flow(number.call_flow_id, number.customer_id)
    assert (flow.id, flow.version) == (number.call_flow_id, 1)


async def test_an_account_that_is_suspended_or_gone_is_not_reached(line: Line) -> None:
    number = await line.number(STOP)
    routes = line.stores.routes
    await routes.account(number)
    await line.stores.customers.update(number.customer_id, {"status": "suspended"})
    with pytest.raises(NumberSuspended, match="the account of"):
        await routes.account(number)
    with pytest.raises(NumberSuspended):
        await routes.account(made())


async def test_a_flow_that_is_not_there_or_another_s_is_unavailable_and_not_unknown(line: Line) -> None:
    """A carrier gives up on a 404; this is a fault of ours, or a change under way."""
    number = await line.number(STOP)
    for flow_id, owner in ((new_id(), number.customer_id), (number.call_flow_id, new_id()), (NIL, NIL)):
        with pytest.raises(Unavailable, match="is not there"):
            await line.stores.routes.flow(flow_id, owner)


async def looked_up(line: Line, number: Number) -> None:
    routes = line.stores.routes
    await routes.number(number.number)
    await routes.account(number)
    await routes.flow(number.call_flow_id, number.customer_id)


async def test_memory_knows_the_way_once_each_step_was_looked_up(line: Line) -> None:
    number = await line.number(STOP)
    routes, flow_id = line.stores.routes, number.call_flow_id
    assert routes.known(NUMBER, "call", time.monotonic()) is None
    await routes.number(NUMBER)
    assert routes.known(NUMBER, "call", time.monotonic()) is None
    await routes.account(number)
    assert routes.known(NUMBER, "call", time.monotonic()) is None
    await routes.flow(flow_id, number.customer_id)
    known = routes.known(NUMBER, "call", time.monotonic())
    assert known is not None
    assert known[0] == Found(number, "memory")
    assert known[1].id == flow_id
    assert routes.known(NUMBER, "message", time.monotonic()) is None  # nothing is bound there
    assert routes.known(NUMBER, "call", time.monotonic() + 3600) is None  # too old by then


@pytest.mark.parametrize("change", ["number", "released", "account", "rebound", "flow gone", "flow new"])
async def test_what_has_changed_is_not_known_any_more(line: Line, change: str) -> None:
    number = await line.number(STOP)
    stores = line.stores
    await looked_up(line, number)
    assert stores.routes.known(NUMBER, "call", time.monotonic()) is not None
    match change:
        case "number":
            await stores.numbers.update(number.id, None, {"status": "suspended"})
        case "released":
            await stores.numbers.release(number.id)
        case "account":
            await stores.customers.update(number.customer_id, {"status": "suspended"})
        case "rebound":
            await stores.numbers.update(number.id, None, {"call_flow_id": NIL})
        case "flow gone":
            await stores.flows.delete(number.call_flow_id)
        case "flow new":
            await stores.flows.update(number.call_flow_id, None, {"name": "new", "actions": [STOP]})
    assert stores.routes.known(NUMBER, "call", time.monotonic()) is None


@pytest.mark.parametrize("change", ["number", "account", "foreign"])
async def test_memory_that_knows_of_an_obstacle_leaves_it_to_the_steps(line: Line, change: str) -> None:
    """They raise the error that says what it is."""
    number = await line.number(STOP)
    stores = line.stores
    match change:
        case "number":
            number = await stores.numbers.update(number.id, None, {"status": "suspended"})
        case "account":
            await stores.customers.update(number.customer_id, {"status": "suspended"})
        case "foreign":
            other = await line.number(STOP, number="+14155550101")
            number = await stores.numbers.update(number.id, None, {"call_flow_id": other.call_flow_id})
    await stores.directory.find(NUMBER)
    await stores.accounts.find(number.customer_id)
    await stores.library.find(number.call_flow_id)
    assert stores.routes.known(NUMBER, "call", time.monotonic()) is None
