"""Flows over the API: stored as versions, refused with every fault, bound and unbound, checked without being stored."""

from __future__ import annotations

from typing import Any

import pytest

from edge.store.metadata import NIL
from tests.api.world import BOTH_FLOW, CALL_FLOW, FREE, MESSAGE_FLOW, World, on_still, wheres

FLOWS = "/v1.0/flows"
NOBODY = "01900000-0000-7000-8000-000000000000"


async def test_a_flow_and_its_versions(each_world: World) -> None:
    world = each_world
    made = await world.did("POST", FLOWS, {"name": "first", "detail": "d", "actions": CALL_FLOW["actions"]})
    assert (made["version"], made["media"], made["warnings"], made["tm_update"]) == (1, ["call"], [], None)
    assert made["actions"][0] == {"id": "a", "type": "answer", "option": {}, "next_id": NIL, "failure_id": NIL}
    path = f"{FLOWS}/{made['id']}"
    assert await world.did("GET", path) == made

    second = await world.did("PUT", path, {"name": "second"})
    assert (second["version"], second["name"], second["detail"]) == (2, "second", "d")
    assert second["actions"] == made["actions"]
    third = await world.did("PUT", path, {"actions": BOTH_FLOW["actions"]})
    assert (third["version"], third["name"], third["media"]) == (3, "second", ["call", "message"])

    versions = await world.did("GET", f"{path}/versions")
    assert [(one["version"], one["name"]) for one in versions["result"]] == [(3, "second"), (2, "second"), (1, "first")]
    first = await world.did("GET", f"{path}/versions/1")
    assert (first["name"], first["actions"]) == ("first", made["actions"])
    assert (await world.refused(404, "GET", f"{path}/versions/4"))["reason"] == "FLOW_NOT_FOUND"

    (listed,) = (await world.did("GET", FLOWS))["result"]
    assert listed == {**third, "warnings": None}

    gone = await world.did("DELETE", path)
    assert gone["tm_delete"] is not None
    assert (await world.refused(404, "GET", path))["reason"] == "FLOW_NOT_FOUND"
    assert (await world.did("GET", FLOWS))["result"] == []
    assert (await world.did("GET", f"{path}/versions/2"))["version"] == 2  # what ran can still be looked at


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({}, ["actions"]),
        ({"actions": []}, ["actions"]),
        ({"actions": {}}, ["actions"]),
        ({"name": 5, "actions": BOTH_FLOW["actions"]}, ["name"]),
        ({"actions": BOTH_FLOW["actions"], "acions": []}, ["acions"]),
        ({"actions": [{"type": "plya"}]}, ["actions[0].type"]),
        ({"actions": [{"type": "stop", "optoin": {}}]}, ["actions[0].optoin"]),
        (
            {
                "actions": [
                    {"type": "sleep", "option": {"duration": -1}},
                    {"type": "goto", "option": {"target_id": "x"}},
                ]
            },
            ["actions[0].option.duration", "actions[1].option.target_id"],
        ),
        ({"actions": [{"type": "play", "option": {"stream_url": ["a.wav"]}}]}, None),
        ({"actions": [*CALL_FLOW["actions"], *MESSAGE_FLOW["actions"]]}, ["actions"]),
        ({"actions": BOTH_FLOW["actions"], "on_complete_flow_id": NOBODY}, ["on_complete_flow_id"]),
        ({"actions": BOTH_FLOW["actions"], "customer_id": NOBODY}, ["customer_id"]),
    ],
)
@on_still
async def test_flows_that_are_refused(still: World, body: dict[str, Any], expected: list[str] | None) -> None:
    error = await still.refused(400, "POST", FLOWS, body)
    if expected is not None:
        assert wheres(error) == expected
    assert (await still.did("GET", FLOWS))["result"] == []


@on_still
async def test_the_same_is_said_without_storing(still: World) -> None:
    fine = await still.did("POST", f"{FLOWS}/validate", CALL_FLOW)
    assert fine == {"valid": True, "faults": [], "warnings": [], "media": ["call"]}
    doubtful = {"actions": [{"id": "a", "type": "stop"}, {"id": "b", "type": "beep"}]}
    told = await still.did("POST", f"{FLOWS}/validate", doubtful)
    assert (told["valid"], [one["where"] for one in told["warnings"]]) == (True, ["actions[1]"])
    wrong = await still.did("POST", f"{FLOWS}/validate", {"actions": [{"type": "plya"}], "extra": 1})
    assert (wrong["valid"], [one["where"] for one in wrong["faults"]]) == (False, ["extra", "actions[0].type"])
    assert wrong["media"] == []
    assert (await still.did("GET", FLOWS))["result"] == []


async def test_what_is_anothers_does_not_exist(world: World) -> None:
    path = f"{FLOWS}/{await world.flow()}"
    for method, suffix, body in (
        ("GET", "", None),
        ("PUT", "", {"name": "x"}),
        ("DELETE", "", None),
        ("GET", "/versions", None),
        ("GET", "/versions/1", None),
    ):
        assert (await world.refused(404, method, path + suffix, body, key=world.key_b))["reason"] == "FLOW_NOT_FOUND"
    assert (await world.did("GET", FLOWS, key=world.key_b))["result"] == []
    assert (await world.did("GET", path, key=world.key_admin))["customer_id"] == world.a


async def test_an_admin_says_for_whom(world: World) -> None:
    assert wheres(await world.refused(400, "POST", FLOWS, BOTH_FLOW, key=world.key_admin)) == ["customer_id"]
    body = {**BOTH_FLOW, "customer_id": NOBODY}
    assert wheres(await world.refused(400, "POST", FLOWS, body, key=world.key_admin)) == ["customer_id"]
    made = await world.did("POST", FLOWS, {**BOTH_FLOW, "customer_id": world.b}, key=world.key_admin)
    assert (await world.did("GET", f"{FLOWS}/{made['id']}", key=world.key_b))["customer_id"] == world.b


async def test_deleting_a_flow_unbinds_its_numbers_everywhere(each_world: World) -> None:
    world = each_world
    flow, other = await world.flow(), await world.flow()
    both = await world.number(call_flow_id=flow, message_flow_id=flow)
    one = await world.number("+14155550101", call_flow_id=other, message_flow_id=flow)
    assert (await world.routed(FREE)).call_flow_id == flow
    await world.did("DELETE", f"{FLOWS}/{flow}")
    routed = await world.routed(FREE)
    assert (routed.call_flow_id, routed.message_flow_id) == (NIL, NIL)
    routed = await world.routed("+14155550101")
    assert (routed.call_flow_id, routed.message_flow_id) == (other, NIL)
    assert (await world.did("GET", f"/v1.0/numbers/{both['id']}"))["call_flow_id"] == NIL
    assert (await world.did("GET", f"/v1.0/numbers/{one['id']}"))["message_flow_id"] == NIL


async def test_a_version_that_drops_a_medium_in_use_is_refused(each_world: World) -> None:
    world = each_world
    flow = await world.flow()
    path = f"{FLOWS}/{flow}"
    number = await world.number(message_flow_id=flow)
    error = await world.refused(409, "PUT", path, {"actions": CALL_FLOW["actions"]})
    assert error["reason"] == "FLOW_MEDIUM_IN_USE"
    assert "answer" in error["message"]
    assert (await world.did("GET", path))["version"] == 1
    await world.did("PUT", path, {"actions": MESSAGE_FLOW["actions"]})
    await world.did("PUT", f"/v1.0/numbers/{number['id']}", {"message_flow_id": ""})
    assert (await world.did("PUT", path, {"actions": CALL_FLOW["actions"]}))["version"] == 3


async def test_if_match_guards_against_overwriting(world: World) -> None:
    path = f"{FLOWS}/{await world.flow()}"
    _, _, response = await world.ask("GET", path)
    tag = response.headers["ETag"]
    assert (await world.ask("PUT", path, {"name": "one"}, headers={"If-Match": tag}))[0] == 200
    for method, body in (("PUT", {"name": "two"}), ("DELETE", None)):
        error = await world.refused(412, method, path, body, headers={"If-Match": tag})
        assert error["reason"] == "VERSION_MISMATCH"
    assert (await world.did("GET", path))["version"] == 2


async def test_a_flow_deleted_while_it_is_bound_is_not_left_bound(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The check passes, then the flow goes, then the binding is stored."""
    flow = await world.flow()
    number = await world.number()
    update = type(world.services.numbers).update

    async def overtaken(self: Any, *args: Any) -> Any:
        with monkeypatch.context() as patch:
            patch.setattr(type(self), "update", update)
            await world.did("DELETE", f"{FLOWS}/{flow}")
        return await update(self, *args)

    with monkeypatch.context() as patch:
        patch.setattr(type(world.services.numbers), "update", overtaken)
        slots = {"call_flow_id": flow}
        error = await world.refused(409, "PUT", f"/v1.0/numbers/{number['id']}/flow_ids", slots)
    assert error["reason"] == "FLOW_NOT_FOUND"
    assert (await world.routed(FREE)).call_flow_id == NIL


async def test_changes_that_are_refused(world: World) -> None:
    path = f"{FLOWS}/{await world.flow()}"
    for body, where in (
        ({}, "body"),
        ({"actions": []}, "actions"),
        ({"name": None}, "name"),
        ({"version": 3}, "version"),
        ({"customer_id": world.a}, "customer_id"),
    ):
        assert where in wheres(await world.refused(400, "PUT", path, body)), body
    assert (await world.did("GET", path))["version"] == 1


async def test_pages(world: World) -> None:
    made = [await world.flow() for _ in range(5)]
    page = await world.did("GET", f"{FLOWS}?page_size=2")
    found = [flow["id"] for flow in page["result"]]
    while page["next_page_token"] and len(found) < len(made):
        page = await world.did("GET", f"{FLOWS}?page_size=2&page_token={page['next_page_token']}")
        found += [flow["id"] for flow in page["result"]]
    assert found == made[::-1]


async def test_a_flow_may_name_another_of_its_account_to_run_after_it(each_world: World) -> None:
    world = each_world
    last, call_only = await world.flow(), await world.flow(CALL_FLOW)
    made = await world.did("POST", FLOWS, {**BOTH_FLOW, "on_complete_flow_id": last})
    assert made["on_complete_flow_id"] == last
    changed = await world.did("PUT", f"{FLOWS}/{made['id']}", {"name": "again"})
    assert (changed["on_complete_flow_id"], changed["version"]) == (last, 2)
    error = await world.refused(400, "PUT", f"{FLOWS}/{made['id']}", {"on_complete_flow_id": call_only})
    assert (error["reason"], wheres(error)) == ("FLOW_MEDIUM_MISMATCH", ["on_complete_flow_id"])
    cleared = await world.did("PUT", f"{FLOWS}/{made['id']}", {"on_complete_flow_id": ""})
    assert cleared["on_complete_flow_id"] == NIL


async def test_a_flow_of_the_platform_can_be_brought_over(each_world: World) -> None:
    world = each_world
    foreign = {"actions": [{"id": "q", "type": "queue_join", "option": {"queue_id": "x"}}, *BOTH_FLOW["actions"]]}
    error = await world.refused(400, "POST", FLOWS, foreign)
    assert error["details"] == [{"where": "actions[0].type", "what": "queue_join is not available here", "step": "q"}]
    made = await world.did("POST", FLOWS, {**foreign, "unavailable": "skip"})
    assert (made["unavailable"], made["media"]) == ("skip", ["call", "message"])
    assert made["actions"][0] == {
        "id": "q",
        "type": "queue_join",
        "option": {"queue_id": "x"},
        "next_id": NIL,
        "failure_id": NIL,
    }
    assert made["warnings"] == [
        {"where": "actions[0].type", "what": "queue_join is not available here and will be skipped", "step": "q"}
    ]
    changed = await world.did("PUT", f"{FLOWS}/{made['id']}", {"name": "again"})
    assert (changed["unavailable"], changed["version"]) == ("skip", 2)
    assert (await world.did("GET", FLOWS))["result"][0]["media"] == ["call", "message"]
    error = await world.refused(400, "PUT", f"{FLOWS}/{made['id']}", {"unavailable": "refuse"})
    assert wheres(error) == ["actions[0].type"]
    error = await world.refused(400, "POST", FLOWS, {**foreign, "unavailable": "perhaps"})
    assert wheres(error) == ["unavailable"]
