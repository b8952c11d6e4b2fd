"""Deliveries and the secrets of webhooks over the API, each account its own."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from edge.sessions.tables import deliveries
from edge.store.metadata import NIL, instant_text, new_id
from tests.api.test_records import insert
from tests.api.world import START, World, on_still

DELIVERIES = "/v1.0/deliveries"
NOBODY = "01900000-0000-7000-8000-000000000000"


def delivery(customer_id: str, minute: int, **more: Any) -> dict[str, Any]:
    when = START + timedelta(minutes=minute)
    return {
        "id": new_id(),
        "kind": "webhook",
        "customer_id": customer_id,
        "reference_id": NIL,
        "resource": "call",
        "host": "https://example.com",
        "target": "https://example.com/x",
        "payload": {"data": "secret"},
        "state": "queued",
        "attempts": 2,
        "due": when + timedelta(seconds=4),
        "claimed_by": "",
        "claimed_until": START,
        "receipt": "",
        "code": "503",
        "error": "the server answered 503",
        "tm_create": when,
        "tm_update": when,
        **more,
    }


async def test_deliveries(each_world: World) -> None:
    world = each_world
    over = {"state": "sent", "receipt": "200", "code": "", "error": "", "tm_update": None}
    rows = [delivery(world.a, 0), delivery(world.a, 1, kind="email", **over), delivery(world.b, 2)]
    await insert(world, deliveries, rows)
    waits, sent, others = (row["id"] for row in rows)

    async def found(query: str = "", key: str | None = None) -> list[str]:
        return [one["id"] for one in (await world.did("GET", f"{DELIVERIES}{query}", key=key))["result"]]

    assert await found() == [sent, waits]
    assert await found(key=world.key_admin) == [others, sent, waits]
    assert await found("?kind=email") == [sent]
    assert await found("?state=queued") == [waits]
    assert await found(f"?since={instant_text(START + timedelta(minutes=1))}") == [sent]
    assert await found(f"?until={instant_text(START + timedelta(minutes=1))}") == [waits]
    page = await world.did("GET", f"{DELIVERIES}?page_size=1")
    assert await found(f"?page_token={page['next_page_token']}") == [waits]
    assert await world.did("GET", f"{DELIVERIES}/{waits}") == {
        "id": waits,
        "customer_id": world.a,
        "kind": "webhook",
        "target": "https://example.com/x",
        "reference_id": NIL,
        "state": "queued",
        "attempts": 2,
        "receipt": "",
        "code": "503",
        "error": "the server answered 503",
        "tm_due": instant_text(START + timedelta(seconds=4)),
        "tm_create": instant_text(START),
        "tm_update": instant_text(START),
    }
    shown = await world.did("GET", f"{DELIVERIES}/{sent}")
    assert (shown["tm_due"], shown["tm_update"], shown["receipt"]) == (None, None, "200")
    assert (await world.refused(404, "GET", f"{DELIVERIES}/{others}"))["reason"] == "DELIVERY_NOT_FOUND"


@on_still
async def test_queries_that_are_refused(still: World) -> None:
    for query in ("kind=fax", "state=gone", "since=yesterday", "page_token=x"):
        await still.refused(400, "GET", f"{DELIVERIES}?{query}")


async def test_a_secret_is_read_and_replaced_by_its_owner(each_world: World) -> None:
    world = each_world
    path = f"/v1.0/customers/{world.a}/webhook_secret"
    first = await world.did("GET", path)
    assert first["secret"].startswith("whsec_")
    assert (first["customer_id"], first["previous"]) == (world.a, "")
    assert await world.did("GET", path, key=world.key_admin) == first
    second = await world.did("POST", path)
    assert second["previous"] == first["secret"] != second["secret"]
    assert await world.did("GET", path) == second
    for method in ("GET", "POST"):
        assert (await world.refused(404, method, path, key=world.key_b))["reason"] == "CUSTOMER_NOT_FOUND"
        await world.refused(404, method, f"/v1.0/customers/{NOBODY}/webhook_secret", key=world.key_admin)
