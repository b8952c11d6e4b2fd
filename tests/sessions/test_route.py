"""From a number to its flow: each step, what it refuses, and that memory alone is enough."""

from __future__ import annotations

from collections.abc import AsyncIterator, Coroutine
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from edge.errors import EdgeError, FlowUnbound, NumberReleased, NumberSuspended, NumberUnknown, Unavailable
from edge.flows.flow import Flow
from edge.flows.session import Medium
from edge.numbers.number import Number
from edge.sessions.route import bound, reachable
from edge.store.metadata import NIL, new_id
from edge.store.tiers import LOOKUPS, Found
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


async def way(line: Line, e164: str = NUMBER) -> Flow:
    """All steps for a call, one after another."""
    routes = line.stores.routes
    number = reachable(await routes.number(e164), e164)
    await routes.account(number)
    return await routes.flow(bound(number, "call"), number.customer_id)


def at_once(work: Coroutine[Any, Any, Flow]) -> Flow | None:
    """What the work comes to without waiting for anything; None when it waits."""
    try:
        work.send(None)
    except StopIteration as done:
        flow: Flow = done.value
        return flow
    work.close()
    return None


async def test_once_looked_up_the_way_is_gone_without_waiting(line: Line) -> None:
    number = await line.number(STOP)
    await way(line)
    flow = at_once(way(line))
    assert flow is not None
    assert (flow.id, flow.version) == (number.call_flow_id, 1)


async def test_until_each_step_was_looked_up_somebody_waits(line: Line) -> None:
    number = await line.number(STOP)
    routes = line.stores.routes
    await routes.number(NUMBER)
    assert at_once(way(line)) is None
    await routes.account(number)
    assert at_once(way(line)) is None
    await routes.flow(number.call_flow_id, number.customer_id)
    assert at_once(way(line)) is not None


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ("number", NumberSuspended),
        ("released", NumberReleased),
        ("account", NumberSuspended),
        ("rebound", FlowUnbound),
        ("flow gone", Unavailable),
        ("foreign", Unavailable),
    ],
)
async def test_a_change_is_in_force_at_once_and_then_known_without_waiting(
    line: Line, change: str, error: type[EdgeError]
) -> None:
    number = await line.number(STOP)
    stores = line.stores
    await way(line)
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
        case "foreign":
            other = await line.number(STOP, number="+14155550101")
            await stores.numbers.update(number.id, None, {"call_flow_id": other.call_flow_id})
    with pytest.raises(error):
        await way(line)
    with pytest.raises(error):
        at_once(way(line))


async def test_a_new_version_of_the_flow_is_the_one_that_runs(line: Line) -> None:
    number = await line.number(STOP)
    await way(line)
    await line.stores.flows.update(number.call_flow_id, None, {"name": "new", "actions": [STOP]})
    assert (await way(line)).version == 2


@pytest.mark.parametrize(
    ("e164", "kinds"),
    [(NUMBER, ["number found", "customer found", "flow found"]), ("+14155550109", ["number missing"])],
)
async def test_each_step_is_one_look_up(line: Line, e164: str, kinds: list[str]) -> None:
    await line.number(STOP)
    for _ in range(2):
        before = counted()
        with suppress(NumberUnknown):
            await way(line, e164)
    after = counted()
    assert {kind: after[kind] - before[kind] for kind in after} == {kind: int(kind in kinds) for kind in after}


def counted() -> dict[str, int]:
    """The look-ups that memory answered, by what was looked for and whether it is there."""
    return {
        f"{kind} {outcome}": LOOKUPS.labels(kind, "memory", outcome).value
        for kind in ("number", "customer", "flow")
        for outcome in ("found", "missing")
    }
