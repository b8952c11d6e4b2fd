"""Explain: from a dialed string to what would run, step by step."""

from __future__ import annotations

import time
from typing import Any

import pytest

from edge.sessions.tables import calls
from edge.store.metadata import NIL
from tests.api.test_records import SECOND, call, insert
from tests.api.world import CALL_FLOW, FREE, World, on_still, wheres

EXPLAIN = "/v1.0/explain"


async def test_a_call_that_would_run(world: World) -> None:
    flow = await world.flow(CALL_FLOW)
    number = await world.number(call_flow_id=flow, name="main")
    for dialed in ("%2B14155550100", "tel:%2B1-415-555-0100", "sip:14155550100@edge.example", "(415) 555-0100"):
        told = await world.did("GET", f"{EXPLAIN}?number={dialed}&trunk=carrier")
        assert (told["e164"], told["country"], told["refused"]) == (FREE, "US", None)
        assert told["number"] == {
            "id": number["id"], "customer_id": world.a, "number": FREE, "status": "active", "name": "main"
        }  # fmt: skip
        assert (told["flow"]["id"], told["flow"]["version"], told["flow"]["media"]) == (flow, 1, ["call"])
        assert [step["type"] for step in told["flow"]["actions"]] == ["answer", "hangup"]
        assert told["source"] in ("sql", "memory")


async def test_why_nothing_would_run(world: World) -> None:
    number = await world.number()
    path = f"{EXPLAIN}?number=%2B{FREE[1:]}"

    async def refused(query: str = "", key: str | None = None) -> tuple[str, int, int | None]:
        told = await world.did("GET", path + query, key=key)
        assert told["flow"] is None
        return told["refused"]["reason"], told["refused"]["sip"], told["refused"]["cause"]

    assert await refused() == ("FlowUnbound", 404, 1)
    assert await refused("&medium=message") == ("FlowUnbound", 202, None)
    assert await refused(key=world.key_b) == ("NumberUnknown", 404, 1)
    assert await refused(key=world.key_admin) == ("FlowUnbound", 404, 1)
    await world.did("PUT", f"/v1.0/customers/{world.a}", {"status": "suspended"}, key=world.key_admin)
    assert await refused(key=world.key_admin) == ("NumberSuspended", 403, 21)
    await world.did("PUT", f"/v1.0/customers/{world.a}", {"status": "active"}, key=world.key_admin)
    await world.did("DELETE", f"/v1.0/numbers/{number['id']}")
    assert await refused() == ("NumberReleased", 410, 22)


@pytest.mark.parametrize(
    ("dialed", "reason", "sip"),
    [
        ("%2B4930123456", "NumberUnknown", 404),
        ("12", "NumberIncomplete", 484),
        ("mailto:ann@example.com", "SchemeUnsupported", 416),
    ],
)
@on_still
async def test_numbers_that_lead_nowhere(still: World, dialed: str, reason: str, sip: int) -> None:
    told = await still.did("GET", f"{EXPLAIN}?number={dialed}")
    assert (told["refused"]["reason"], told["refused"]["sip"], told["number"]) == (reason, sip, None)


@on_still
async def test_questions_that_are_refused(still: World) -> None:
    for query, where in (
        ("", "number"),
        ("?number=1&trunk=nobody", "trunk"),
        ("?number=1&medium=fax", "medium"),
        ("?number=%00", "number"),
        ("?trunk=carrier", "number"),
        ("?call_id=", "call_id"),
        ("?call_id=1&number=1", "call_id"),
        ("?number=1&at=tomorrow", "at"),
        ("?number=1&transport=sctp", "transport"),
    ):
        assert wheres(await still.refused(400, "GET", EXPLAIN + query)) == [where]


async def test_the_version_that_a_caller_gets(world: World) -> None:
    flow = await world.flow(CALL_FLOW)
    number = await world.number(call_flow_id=flow)
    await world.did("PUT", f"/v1.0/flows/{flow}", {"name": "new"})
    split = {"versions": [{"version": 1, "percent": 50}, {"version": 2, "percent": 50}]}
    await world.did("PUT", f"/v1.0/numbers/{number['id']}", {"call_flow_release": split})
    release = (await world.routed(FREE)).call_flow_release
    assert release is not None
    told = set()
    for last in range(20):
        caller = f"+1415555{last:04}"
        found = await world.did("GET", f"{EXPLAIN}?number=%2B{FREE[1:]}&caller=%2B{caller[1:]}")
        assert found["flow"]["version"] == release.pick(f"{FREE} {caller}")
        told.add(found["flow"]["version"])
    assert told == {1, 2}


def words(told: dict[str, Any]) -> dict[str, str]:
    """The last step of each kind."""
    return {step["step"]: step["said"] for step in told["steps"]}


async def test_what_became_of_a_call(world: World) -> None:
    first = call(world.a, FREE, 0, call_id="one@carrier", sip_code=486, outcome="rejected", reason="Flow", trunk="a")
    made = call(world.a, SECOND, 1, call_id="two@edge", direction="outgoing", master_call_id=first["id"])
    lost = call(NIL, SECOND, 2, call_id="one@carrier", reason="NumberUnknown", error="it is not ours", sip_code=404)
    live = call(world.a, FREE, 3, call_id=first["id"])  # some write Call-IDs that look like ids
    await insert(world, calls, [first, made, lost, live])
    await world.number(FREE)

    (told,) = (await world.did("GET", f"{EXPLAIN}?call_id=one@carrier"))["calls"]
    assert (told["id"], told["sip_code"], told["outcome"]) == (first["id"], 486, "rejected")
    assert (words(told)["answer"], told["nearest"], told["made"]) == ("486 was sent: Flow", [], [made["id"]])
    both = await world.did("GET", f"{EXPLAIN}?call_id=one@carrier", key=world.key_admin)
    assert [one["id"] for one in both["calls"]] == [lost["id"], first["id"]]
    assert words(both["calls"][0])["answer"] == "404 was sent: NumberUnknown, it is not ours"
    assert both["calls"][0]["nearest"] == [f"{FREE} is one slip away"]
    found = await world.did("GET", f"{EXPLAIN}?call_id={first['id']}")
    assert [one["id"] for one in found["calls"]] == [first["id"], live["id"]]
    for key in (world.key_a, world.key_b):
        error = await world.refused(404, "GET", f"{EXPLAIN}?call_id=nobody", key=key)
        assert error["reason"] == "CALL_NOT_FOUND"
    assert await world.refused(404, "GET", f"{EXPLAIN}?call_id={first['id']}", key=world.key_b)


async def test_who_withholds_his_number_is_nobody_to_the_account(world: World) -> None:
    hidden = call(world.a, FREE, 0, call_id="hidden@carrier", privacy="id", source_raw="4155550199")
    await insert(world, calls, [hidden])
    path = f"{EXPLAIN}?call_id=hidden@carrier"
    (mine,), (all_of_it,) = [(await world.did("GET", path, key=key))["calls"] for key in (world.key_a, world.key_admin)]
    assert words(mine)["caller"].startswith("anonymous (Anonymous) calls")
    assert not any("4155550199" in str(step) for step in mine["steps"])
    assert words(all_of_it)["caller"].startswith("+14155550199 (Ann) calls")


async def test_the_way_that_a_call_would_go(world: World) -> None:
    flow = await world.flow(CALL_FLOW)
    await world.number(call_flow_id=flow)
    path = f"{EXPLAIN}?number=%2B{FREE[1:]}&caller=%2B14155550199&source=192.0.2.9&at=2026-12-25T09:00:00Z"
    told = await world.did("GET", path, key=world.key_admin)
    assert (told["trunk"], told["country"], told["refused"], told["stranger"]) == ("carrier", "US", None, None)
    steps = words(told)
    assert steps["source"] == "from 192.0.2.9 over udp: trunk carrier"
    assert steps["caller"] == "+14155550199 calls, read from From"
    assert steps["number"] == f"that is {FREE}"
    assert steps["flow"] == f"its flow is {flow}, version 1"
    assert steps["step"].startswith("hangup (id b): ")
    assert next(step["said"] for step in told["steps"] if step["step"] == "step").startswith("answer (id a): ")


async def test_a_number_that_another_trunk_has(world: World) -> None:
    there = await world.did("POST", "/v1.0/trunks", {"name": "b", "networks": ["198.51.100.0/24"]}, key=world.key_admin)
    await world.number(FREE, trunk_ids=[there["id"]], customer_id=world.a, key=world.key_admin)
    told = await world.did("GET", f"{EXPLAIN}?number=%2B{FREE[1:]}&trunk=carrier")
    assert (told["refused"]["reason"], told["refused"]["sip"]) == ("NumberUnknown", 404)
    assert told["nearest"] == [f"{FREE} is bound on trunk b, not carrier"]
    assert words(told)["answer"] == f"404 would be sent: NumberUnknown, {FREE} is bound on trunk b, not carrier"


async def test_a_number_that_is_nearly_ours(world: World) -> None:
    await world.number(FREE)
    path = f"{EXPLAIN}?number=%2B{FREE[1:-1]}9"
    assert (await world.did("GET", path))["nearest"] == [f"{FREE} is one slip away"]
    assert (await world.did("GET", path, key=world.key_b))["nearest"] == []


async def test_whose_an_address_is(world: World) -> None:
    told = await world.did("GET", f"{EXPLAIN}?source=192.0.2.200", key=world.key_admin)
    known = ["source", "authentication"]
    assert (told["trunk"], told["refused"], [step["step"] for step in told["steps"]]) == ("carrier", None, known)
    world.services.strangers.seen("192.0.3.1", "udp", time.monotonic())
    told = await world.did("GET", f"{EXPLAIN}?source=192.0.3.1", key=world.key_admin)
    assert (told["refused"]["reason"], told["refused"]["sip"]) == ("Forbidden", 0)
    assert told["nearest"] == ["192.0.3.1 is outside trunk carrier's 192.0.2.0/24"]
    assert (told["stranger"]["seen"], told["stranger"]["banned_seconds"]) == ({"udp": 1}, 0)
    assert (await world.did("GET", f"{EXPLAIN}?source=192.0.3.2", key=world.key_admin))["stranger"]["seen"] == {}
    await world.refused(403, "GET", f"{EXPLAIN}?source=192.0.2.200")
    assert wheres(await world.refused(400, "GET", f"{EXPLAIN}?source=carrier", key=world.key_admin)) == ["source"]
