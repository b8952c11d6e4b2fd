"""Calls and messages over the API: lists by number and time, in pages, each customer its own."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import sqlalchemy as sa

from edge.sessions.calls.record import Attempt
from edge.sessions.tables import calls, messages
from edge.sessions.texts.tables import outbox
from edge.store.engine import open_engine
from edge.store.metadata import NIL, from_micros, instant_text, micros, new_id
from tests.api.world import FREE, START, World, on_still, wheres

SECOND = "+14155550101"


async def insert(world: World, table: sa.Table, rows: list[dict[str, Any]]) -> None:
    engine = await open_engine(world.database_url)
    async with engine.execution_options(writing=True).begin() as connection:
        await connection.execute(sa.insert(table), rows)
    await engine.dispose()


def call(customer_id: str, number: str, minute: int, **more: Any) -> dict[str, Any]:
    created = micros(START + timedelta(minutes=minute))
    attempt = Attempt(
        id=new_id(),
        call_id=f"{minute}@192.0.2.7",
        remote="192.0.2.7",
        dialed=f"sip:{number}@edge",
        source="+14155550199",
        source_name="Ann",
        tm_create=created,
    )
    kept = {column.name: getattr(attempt, column.name) for column in calls.columns}
    row = {**kept, "customer_id": customer_id, "number": number, "destination": number, **more}
    times = {name: from_micros(value) for name, value in row.items() if name.startswith("tm_") and value is not None}
    return {**row, **times, "steps": json.loads(attempt.steps)}


async def test_calls(each_world: World) -> None:
    world = each_world
    rows = [
        *(call(world.a, FREE, minute, outcome="answered", sip_code=200) for minute in range(3)),
        call(world.a, SECOND, 3, tm_hangup=micros(START)),
        call(world.b, SECOND, 4),
        call(NIL, "", 5, error="not one of our numbers"),
    ]
    await insert(world, calls, rows)
    ids = [row["id"] for row in rows]

    async def found(query: str = "", key: str | None = None) -> list[str]:
        return [one["id"] for one in (await world.did("GET", f"/v1.0/calls{query}", key=key))["result"]]

    def at(minute: int) -> str:
        return instant_text(START + timedelta(minutes=minute))

    assert await found() == ids[3::-1]
    assert await found(key=world.key_b) == [ids[4]]
    assert await found(key=world.key_admin) == ids[::-1]
    assert await found(f"?number=%2B{FREE[1:]}") == ids[2::-1]
    assert await found(f"?number={FREE}") == ids[2::-1]  # a plus that is not escaped is a blank in a query
    assert await found(f"?since={at(1)}&until={at(3)}") == [ids[2], ids[1]]
    assert await found("?call_id=1@192.0.2.7") == [ids[1]]
    assert await found("?outcome=answered&sip_code=200") == ids[2::-1]
    assert await found("?outcome=failed&source=%2B14155550199") == [ids[3]]
    assert await found(f"?customer_id={world.a}", key=world.key_admin) == ids[3::-1]
    assert await found(f"?customer_id={world.b}") == []
    for nobody in ("trunk=x", "reason=x", "direction=outgoing", f"flow_id={world.a}"):
        assert await found(f"?{nobody}") == []
    _, told, response = await world.ask("GET", f"/v1.0/calls.jsonl?since={at(1)}")
    assert (response.content_type, response.headers["Cache-Control"]) == ("application/x-ndjson", "private")
    said = [json.loads(line) for line in told.splitlines()]
    assert [one["id"] for one in said] == ids[3:0:-1]
    assert said[0] == await world.did("GET", f"/v1.0/calls/{ids[3]}")
    assert (await world.ask("GET", "/v1.0/calls.jsonl?number=%2B15550000000"))[1] == ""
    shown = await world.did("GET", f"/v1.0/calls/{ids[0]}")
    assert shown["source"] == {
        "type": "tel", "target": "+14155550199", "target_name": "Ann", "name": "", "detail": ""
    }  # fmt: skip
    assert (shown["tm_create"], shown["edge"]["sip_code"]) == (at(0), 200)
    assert (await world.refused(404, "GET", f"/v1.0/calls/{ids[4]}"))["reason"] == "CALL_NOT_FOUND"


async def test_pages_of_calls(each_world: World) -> None:
    world = each_world
    rows = [call(world.a, FREE, minute // 2) for minute in range(5)]  # two share a time
    await insert(world, calls, rows)
    first = await world.did("GET", "/v1.0/calls?page_size=3")
    rest = await world.did("GET", f"/v1.0/calls?page_size=3&page_token={first['next_page_token']}")
    assert rest["next_page_token"] == ""
    assert sorted(one["id"] for one in first["result"] + rest["result"]) == sorted(row["id"] for row in rows)


def message(customer_id: str, number: str, minute: int, **more: Any) -> dict[str, Any]:
    texts = ("carrier", "route", "refusal", "lookup_source", "claimed_by", "outcome", "error", "cut_by")
    ids = ("number_id", "conversation_id", "reference_id", "flow_id")
    return {
        **dict.fromkeys(texts, ""),
        **dict.fromkeys(ids, NIL),
        "id": new_id(),
        "customer_id": customer_id,
        "direction": "inbound",
        "carrier_id": str(minute),
        "number": number,
        "peer": "+14155550199",
        "text": "hello",
        "flow_version": 0,
        "flow_state": "none",
        "attempts": 0,
        "claimed_until": START,
        "steps": [],
        "tm_create": START + timedelta(minutes=minute),
        **more,
    }


async def test_messages(each_world: World) -> None:
    world = each_world
    rows = [
        message(world.a, FREE, 0),
        message(world.a, FREE, 1, direction="outbound", carrier_id=""),
        message(world.a, SECOND, 2, peer="+4930123456"),
        message(world.b, SECOND, 3),
        message(NIL, "+15550000000", 4, refusal="NumberUnknown"),
    ]
    await insert(world, messages, rows)
    sending = {"carrier": "loopback", "state": "queued", "attempts": 0, "claimed_by": "", "carrier_id": "", "code": ""}
    times = {"due": START, "claimed_until": START, "tm_create": START}
    await insert(world, outbox, [{"id": rows[1]["id"], "error": "", **sending, **times}])
    ids = [row["id"] for row in rows]

    async def found(query: str = "", key: str | None = None) -> list[str]:
        return [one["id"] for one in (await world.did("GET", f"/v1.0/messages{query}", key=key))["result"]]

    assert await found() == ids[2::-1]
    assert await found(key=world.key_b) == [ids[3]]
    assert await found(key=world.key_admin) == ids[::-1]
    assert await found("?direction=outbound") == [ids[1]]
    assert await found("?peer=%2B4930123456") == [ids[2]]
    assert await found(f"?number=%2B{FREE[1:]}&direction=inbound") == [ids[0]]
    first = await world.did("GET", "/v1.0/messages?page_size=2")
    rest = await world.did("GET", f"/v1.0/messages?page_size=2&page_token={first['next_page_token']}")
    assert [one["id"] for one in first["result"] + rest["result"]] == ids[2::-1]

    shown = await world.did("GET", f"/v1.0/messages/{ids[1]}")
    assert (shown["direction"], shown["targets"][0]["status"], shown["text"]) == ("outbound", "queued", "hello")
    rejected = await world.did("GET", f"/v1.0/messages/{ids[4]}", key=world.key_admin)
    assert rejected["targets"][0]["status"] == "rejected"
    assert (await world.refused(404, "GET", f"/v1.0/messages/{ids[3]}"))["reason"] == "MESSAGE_NOT_FOUND"


@on_still
async def test_queries_that_are_refused(still: World) -> None:
    for path in ("/v1.0/calls", "/v1.0/messages"):
        for query, where in (
            ("number=5550100", "number"),
            ("since=yesterday", "since"),
            ("until=2026-08-01T09:00:00", "until"),
            ("direction=sideways", "direction"),
            ("page_token=x", "page_token"),
        ):
            assert wheres(await still.refused(400, "GET", f"{path}?{query}")) == [where]
