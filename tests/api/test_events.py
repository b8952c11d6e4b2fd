"""Events over the API: written with the change they tell of, listed, told again; and a server tried out."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa

from edge.api.events import Replay
from edge.sessions.deliveries.webhook import sign
from edge.sessions.tables import events
from edge.store.engine import open_engine, reading, writing
from edge.store.metadata import instant_text, new_id
from tests.api.world import BOTH_FLOW, FREE, START, World, on_still, wheres
from tests.web import Web, web_server

EVENTS = "/v1.0/events"
NOBODY = "01900000-0000-7000-8000-000000000000"


@pytest.fixture
def web() -> Iterator[Web]:
    with web_server() as server:
        yield server


async def rows(world: World) -> list[dict[str, Any]]:
    engine = await open_engine(world.database_url)
    async with reading(engine) as connection:
        found = [dict(row) for row in (await connection.execute(sa.select(events).order_by(events.c.seq))).mappings()]
    await engine.dispose()
    return found


async def change(world: World, event_id: str, **values: Any) -> None:
    engine = await open_engine(world.database_url)
    async with writing(engine) as connection:
        await connection.execute(sa.update(events).where(events.c.id == event_id).values(**values))
    await engine.dispose()


async def hear(world: World, **more: Any) -> None:
    await world.did("PUT", "/v1.0/customer", {"webhook_uri": "http://127.0.0.1:9/events", **more})


async def test_what_happens_to_numbers_and_flows_is_told_as_the_api_shows_it(each_world: World) -> None:
    world = each_world
    before = await world.number()
    await hear(world)
    flow = await world.did("POST", "/v1.0/flows", BOTH_FLOW)
    bound = await world.did("PUT", f"/v1.0/numbers/{before['id']}", {"call_flow_id": flow["id"]})
    newer = await world.did("PUT", f"/v1.0/flows/{flow['id']}", {"name": "newer"})
    deleted = await world.did("DELETE", f"/v1.0/flows/{flow['id']}")
    unbound = await world.did("GET", f"/v1.0/numbers/{before['id']}")
    gone = await world.did("DELETE", f"/v1.0/numbers/{before['id']}")
    other = await world.number("+14155550101")
    told = [json.loads(row["body"]) for row in await rows(world)]
    ordered = told[6]["data"]
    assert [(event["type"], event["data"]) for event in told] == [
        ("flow_created", flow),
        ("number_updated", bound),
        ("flow_updated", newer),
        ("flow_deleted", deleted),
        ("number_updated", unbound),
        ("number_deleted", gone),
        ("number_created", ordered),
        ("number_updated", other),
    ]
    assert (ordered["id"], ordered["status"], ordered["tm_update"]) == (other["id"], "pending", None)
    assert len({event["id"] for event in told}) == 8
    assert told[-1]["timestamp"] > other["tm_create"]


async def test_only_who_wants_to_know_is_told_and_only_of_what(each_world: World) -> None:
    world = each_world
    await world.number(FREE, key=world.key_b)
    await hear(world, webhook_events=["number_deleted", "flow_created"])
    number = await world.number("+14155550101")
    await world.flow(key=world.key_b)
    await world.did("DELETE", f"/v1.0/numbers/{number['id']}")
    assert [row["type"] for row in await rows(world)] == ["number_deleted"]


async def test_a_change_that_fails_is_not_told(each_world: World) -> None:
    world = each_world
    await hear(world)
    number = await world.number()
    await world.refused(409, "POST", "/v1.0/numbers", {"number": FREE})
    await world.refused(412, "PUT", f"/v1.0/numbers/{number['id']}", {"name": "x"}, headers={"If-Match": '"9"'})
    assert [row["type"] for row in await rows(world)] == ["number_created", "number_updated"]


async def test_lists_and_single_ones(each_world: World) -> None:
    world = each_world
    await hear(world, webhook_events=["number_created", "flow_created"])
    number = await world.number()
    flow = await world.did("POST", "/v1.0/flows", BOTH_FLOW)
    made, flowed = (row["id"] for row in await rows(world))
    await change(world, made, state="failed", attempts=3, code="503", error="given up", tm_update=START)

    async def found(query: str = "", key: str | None = None) -> list[str]:
        return [one["id"] for one in (await world.did("GET", f"{EVENTS}{query}", key=key))["result"]]

    assert await found() == [flowed, made]
    assert await found(key=world.key_admin) == [flowed, made]
    assert await found(key=world.key_b) == []
    assert await found("?type=number_created") == [made]
    assert await found("?state=queued") == [flowed]
    assert await found(f"?resource_id={flow['id']}") == [flowed]
    when = (await world.did("GET", f"{EVENTS}/{flowed}"))["tm_create"]
    assert await found(f"?since={when}") == [flowed]
    assert await found(f"?until={when}") == [made]
    page = await world.did("GET", f"{EVENTS}?page_size=1")
    assert page["result"][0]["data"] is None
    assert await found(f"?page_token={page['next_page_token']}") == [made]
    shown = await world.did("GET", f"{EVENTS}/{made}")
    assert shown == {
        "id": made,
        "customer_id": world.a,
        "type": "number_created",
        "resource_id": number["id"],
        "state": "failed",
        "attempts": 3,
        "code": "503",
        "error": "given up",
        "tm_due": None,
        "tm_create": shown["tm_create"],
        "tm_update": instant_text(START),
        "data": shown["data"],
    }
    assert (shown["data"]["id"], shown["data"]["number"]) == (number["id"], FREE)
    for key in (world.key_b, world.key_admin):
        missing = f"{EVENTS}/{made if key == world.key_b else NOBODY}"
        for method, path in (("GET", missing), ("POST", f"{missing}/replay")):
            assert (await world.refused(404, method, path, key=key))["reason"] == "EVENT_NOT_FOUND"


async def test_events_are_told_again(each_world: World) -> None:
    world = each_world
    await hear(world, webhook_events=["number_created"])
    for n in range(3):
        await world.number(f"+1415555010{n}")
    ids = [row["id"] for row in await rows(world)]
    for event_id, state in zip(ids, ("failed", "sent", "queued"), strict=True):
        await change(world, event_id, state=state, attempts=2, code="x", error="x")
    again = await world.did("POST", f"{EVENTS}/{ids[1]}/replay")
    assert (again["id"], again["state"], again["attempts"], again["error"]) == (ids[1], "queued", 0, "")
    since = instant_text(START)
    assert await world.did("POST", f"{EVENTS}/replay", {"since": since}) == {"count": 1, "more": False}
    assert {row["state"] for row in await rows(world)} == {"queued"}
    for event_id in ids:
        await change(world, event_id, state="sent")
    body = {"since": since, "states": ["sent"], "types": ["number_created"], "customer_id": world.a}
    assert (await world.did("POST", f"{EVENTS}/replay", {**body, "until": since}))["count"] == 0
    assert (await world.did("POST", f"{EVENTS}/replay", body, key=world.key_admin))["count"] == 3
    for wrong, where in (
        ({}, "since"),
        ({"since": since, "states": []}, "states"),
        ({"since": since, "states": ["queued"]}, "states[0]"),
        ({"since": since, "types": ["x"]}, "types[0]"),
    ):
        assert wheres(await world.refused(400, "POST", f"{EVENTS}/replay", wrong)) == [where]
    await world.refused(400, "POST", f"{EVENTS}/replay", {"since": since}, key=world.key_admin)
    await world.did("PUT", "/v1.0/customer", {"webhook_uri": ""})
    for path, given in ((f"{EVENTS}/replay", {"since": since}), (f"{EVENTS}/{ids[0]}/replay", None)):
        assert (await world.refused(409, "POST", path, given))["reason"] == "WEBHOOK_MISSING"


async def test_a_server_is_tried_out(each_world: World, web: Web) -> None:
    world, path = each_world, f"/v1.0/customers/{each_world.a}/webhook_test"
    assert (await world.refused(409, "POST", path))["reason"] == "WEBHOOK_MISSING"
    await hear(world, webhook_uri=f"{web.url}/events?a=b", webhook_method="PUT")
    said = await world.did("POST", path)
    assert (said["delivered"], said["status"], said["error"]) == (True, 200, "")
    (asked,) = web.to("/events")
    assert (asked.method, asked.path) == ("PUT", "/events?a=b")
    secret = (await world.did("GET", f"/v1.0/customers/{world.a}/webhook_secret"))["secret"]
    assert asked.headers["webhook-id"] == asked.json["id"] == said["id"]
    signed = sign(said["id"], int(asked.headers["webhook-timestamp"]), asked.body, [secret])
    assert asked.headers["webhook-signature"] == signed["webhook-signature"]
    assert asked.json["type"] == "webhook_test"
    assert asked.json["data"] == await world.did("GET", "/v1.0/customer")
    web.default["/events"] = (500, "")
    assert (await world.did("POST", path, key=world.key_admin))["status"] == 500
    web.close()
    said = await world.did("POST", path)
    assert (said["delivered"], said["status"]) == (False, None)
    assert said["error"].startswith("cannot connect to")
    assert await rows(world) == []


@on_still
async def test_whose_server_is_tried_out(still: World) -> None:
    for customer_id, key in ((still.b, still.key_a), (NOBODY, still.key_admin)):
        await still.refused(404, "POST", f"/v1.0/customers/{customer_id}/webhook_test", key=key)
    await still.refused(404, "GET", f"{EVENTS}/{new_id()}")


def test_the_schema_says_which_events_are_told_again_when_nothing_else_is_said() -> None:
    states = Replay.model_json_schema()["properties"]["states"]
    assert states["default"] == ["failed"]
    assert "left out" in states["description"]
