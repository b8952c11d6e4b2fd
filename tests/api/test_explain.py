"""Explain: from a dialed string to what would run, step by step."""

from __future__ import annotations

import pytest

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
