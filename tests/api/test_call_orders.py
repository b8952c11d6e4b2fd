"""Calls that are made over the API: what an order has to have, and what it is answered."""

from __future__ import annotations

from typing import Any

import pytest

from tests.api.world import World, wheres

SOURCE = "+14155550100"
ORDER = {"source": SOURCE, "destinations": ["+14155550177"], "actions": [{"type": "beep"}]}


async def test_each_destination_is_a_call(world: World) -> None:
    order = {**ORDER, "destinations": [{"type": "tel", "target": "+14155550177"}, "sip:desk@pbx.example.com"]}
    made = await world.did("POST", "/v1.0/calls", order)
    assert made["groupcalls"] == []
    assert [call["destination"]["target"] for call in made["calls"]] == ["tel:+14155550177", "sip:desk@pbx.example.com"]
    for call in made["calls"]:
        assert (call["direction"], call["status"], call["customer_id"]) == ("outgoing", "dialing", world.a)
        assert call["source"]["target"] == SOURCE


async def test_a_flow_of_the_account_may_be_run(world: World) -> None:
    flow = await world.did("POST", "/v1.0/flows", {"actions": [{"type": "beep"}]})
    order = {"source": SOURCE, "destinations": ["+14155550177"], "flow_id": flow["id"]}
    assert (await world.did("POST", "/v1.0/calls", order))["calls"][0]["flow_id"] == flow["id"]
    texts = await world.did("POST", "/v1.0/flows", {"actions": [{"type": "reply", "option": {"text": "hi"}}]})
    error = await world.refused(400, "POST", "/v1.0/calls", {**order, "flow_id": texts["id"]})
    assert "cannot run for a call" in error["message"]


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"source": "desk"}, "source"),
        ({"destinations": []}, "destinations"),
        ({"destinations": ["nobody"]}, "destinations[0]"),
        ({"actions": []}, "actions"),
        ({"flow_id": "01910000-0000-7000-8000-00000000ffff"}, "body"),
        ({"anonymous": "maybe"}, "anonymous"),
        ({"variables": {"a": 1}}, "variables.a"),
        ({"when": "now"}, "when"),
    ],
)
async def test_an_order_that_is_none(world: World, change: dict[str, Any], where: str) -> None:
    assert where in wheres(await world.refused(400, "POST", "/v1.0/calls", {**ORDER, **change}))


async def test_a_flow_of_somebody_else_is_none(world: World) -> None:
    theirs = await world.flow(key=world.key_b)
    order = {"source": SOURCE, "destinations": ["+14155550177"], "flow_id": theirs}
    error = await world.refused(400, "POST", "/v1.0/calls", order)
    assert (error["reason"], wheres(error)) == ("FLOW_NOT_FOUND", ["flow_id"])


async def test_a_system_variable_cannot_be_given(world: World) -> None:
    error = await world.refused(403, "POST", "/v1.0/calls", {**ORDER, "variables": {"voipbin.call.id": "x"}})
    assert error["message"] == "the variable voipbin.call.id can only be read"
