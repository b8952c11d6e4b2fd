"""Numbers over the API, on both databases: bought, hosted, virtual; bound, changed, released; and what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from edge.errors import Conflict, Unavailable
from edge.numbers.provider import Order
from edge.store.metadata import NIL
from tests.api.world import BOTH_FLOW, CALL_FLOW, FREE, MESSAGE_FLOW, World, on_still, wheres

NUMBERS = "/v1.0/numbers"
NOBODY = "01900000-0000-7000-8000-000000000000"
BOUGHT = "+19995550001"


async def test_from_available_to_bound_to_released(each_world: World) -> None:
    world = each_world
    search = "/v1.0/available_numbers?country_code=US&contains=+1415555010&page_size=3".replace("+", "%2B")
    offers = (await world.did("GET", search))["result"]
    assert offers[0] == {
        "number": FREE,
        "country": "US",
        "region": "California",
        "postal_code": "",
        "features": ["sms", "voice"],
    }
    assert len(offers) == 3

    call_flow, message_flow = await world.flow(CALL_FLOW), await world.flow(MESSAGE_FLOW)
    made = await world.number(offers[0]["number"], call_flow_id=call_flow, message_flow_id="", name="main")
    assert (made["status"], made["call_flow_id"], made["message_flow_id"]) == ("active", call_flow, NIL)
    assert made["tm_purchase"] is not None
    assert (await world.routed(FREE)).call_flow_id == call_flow
    assert await world.did("GET", f"{NUMBERS}/{made['id']}") == made
    assert (await world.did("GET", NUMBERS))["result"] == [made]
    assert FREE not in [offer["number"] for offer in (await world.did("GET", search))["result"]]

    slots = {"call_flow_id": "", "message_flow_id": message_flow}
    bound = await world.did("PUT", f"{NUMBERS}/{made['id']}/flow_ids", slots)
    assert (bound["call_flow_id"], bound["message_flow_id"], bound["name"]) == (NIL, message_flow, "main")
    assert (await world.routed(FREE)).message_flow_id == message_flow

    gone = await world.did("DELETE", f"{NUMBERS}/{made['id']}")
    assert (gone["status"], gone["tm_delete"] is None) == ("released", False)
    assert (await world.routed(FREE)).status == "released"
    await world.refused(404, "GET", f"{NUMBERS}/{made['id']}")
    await world.refused(404, "DELETE", f"{NUMBERS}/{made['id']}")
    again = await world.number(FREE)
    assert again["id"] != made["id"]
    assert (await world.routed(FREE)).id == again["id"]


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
async def test_a_change_leaves_alone_what_it_does_not_name(each_world: World, method: str) -> None:
    world = each_world
    flow = await world.flow()
    made = await world.number(call_flow_id=flow, name="main", detail="first", metadata={"rtp_debug": True})
    changed = await world.did(method, f"{NUMBERS}/{made['id']}", {"detail": "second"})
    assert changed == {**made, "detail": "second", "tm_update": changed["tm_update"]}
    changed = await world.did(method, f"{NUMBERS}/{made['id']}", {"call_flow_id": None})
    assert (changed["call_flow_id"], changed["name"]) == (NIL, "main")
    assert (await world.did("PUT", f"{NUMBERS}/{made['id']}/metadata", {"rtp_debug": False}))["metadata"] == {
        "rtp_debug": False,
        "keywords": "edge",
    }


@pytest.mark.parametrize(
    ("method", "path", "body", "where"),
    [
        ("PUT", "", {}, "body"),
        ("PATCH", "", {}, "body"),
        ("PUT", "/flow_ids", {}, "body"),
        ("PUT", "/metadata", {}, "rtp_debug"),
        ("PUT", "", {"number": "+14155550101"}, "number"),
        ("PUT", "", {"id": NOBODY}, "id"),
        ("PUT", "", {"status": "released"}, "status"),
        ("PUT", "", {"name": None}, "name"),
        ("PUT", "/flow_ids", {"call_flow_id": "main"}, "call_flow_id"),
        ("PUT", "/flow_ids", {"call_flow_id": 5}, "call_flow_id"),
        ("PUT", "/flow_ids", {"message_flow_id": NOBODY}, "message_flow_id"),
        ("PUT", "/flow_ids", {"name": "x"}, "name"),
        ("PUT", "/metadata", {"rtp_debug": 1}, "rtp_debug"),
        ("PUT", "/metadata", {"debug": True}, "debug"),
        ("PUT", "", {"metadata": {"debug": True}}, "metadata.debug"),
    ],
)
async def test_changes_that_are_refused(world: World, method: str, path: str, body: dict[str, Any], where: str) -> None:
    made = await world.number()
    error = await world.refused(400, method, f"{NUMBERS}/{made['id']}{path}", body)
    assert where in wheres(error)
    assert await world.did("GET", f"{NUMBERS}/{made['id']}") == made


@on_still
@pytest.mark.parametrize(
    ("body", "status", "reason", "where"),
    [
        ({}, 400, "INVALID_ARGUMENT", "number"),
        ({"number": "4155550100"}, 400, "INVALID_ARGUMENT", "number"),
        ({"number": "+14155550100 "}, 400, "INVALID_ARGUMENT", "number"),
        ({"number": "+1415555010٣"}, 400, "INVALID_ARGUMENT", "number"),
        ({"number": FREE, "type": "special"}, 400, "INVALID_ARGUMENT", "type"),
        ({"number": FREE, "status": "active"}, 400, "INVALID_ARGUMENT", "status"),
        ({"number": FREE, "call_flow_id": NOBODY}, 400, "FLOW_NOT_FOUND", "call_flow_id"),
        ({"number": FREE, "customer_id": NOBODY}, 400, "INVALID_ARGUMENT", "customer_id"),
        ({"number": "+899000123456", "type": "virtual"}, 400, "INVALID_ARGUMENT", "number"),
        ({"number": "+89912345678", "type": "virtual"}, 400, "INVALID_ARGUMENT", "number"),
        ({"number": "+899123456789"}, 400, "INVALID_ARGUMENT", "number"),
        ({"number": "+4930123456"}, 409, "NUMBER_NOT_AVAILABLE", None),
        ({"number": FREE, "hosted": True}, 403, "ADMIN_REQUIRED", None),
    ],
)
async def test_numbers_that_cannot_be_created(
    still: World, body: dict[str, Any], status: int, reason: str, where: str | None
) -> None:
    error = await still.refused(status, "POST", NUMBERS, body)
    assert error["reason"] == reason
    assert where is None or where in wheres(error)
    assert (await still.did("GET", NUMBERS))["result"] == []


async def test_a_number_lives_once(each_world: World) -> None:
    world = each_world
    await world.number()
    for key in (world.key_a, world.key_b):
        error = await world.refused(409, "POST", NUMBERS, {"number": FREE}, key=key)
        assert (error["status"], error["reason"]) == ("ALREADY_EXISTS", "NUMBER_EXISTS")


async def test_an_admin_says_for_whom(world: World) -> None:
    error = await world.refused(400, "POST", NUMBERS, {"number": FREE}, key=world.key_admin)
    assert wheres(error) == ["customer_id"]
    body = {"number": FREE, "customer_id": NOBODY}
    assert wheres(await world.refused(400, "POST", NUMBERS, body, key=world.key_admin)) == ["customer_id"]
    made = await world.number(key=world.key_admin, customer_id=world.b)
    assert made["customer_id"] == world.b
    assert (await world.did("GET", NUMBERS, key=world.key_b))["result"] == [made]


async def test_a_hosted_number_is_not_ordered(world: World) -> None:
    made = await world.number("+4930123456", key=world.key_admin, customer_id=world.a, hosted=True)
    assert (made["status"], made["tm_purchase"]) == ("active", None)
    await world.did("DELETE", f"{NUMBERS}/{made['id']}")


async def test_a_virtual_number_is_not_ordered(world: World) -> None:
    made = await world.number("+899123456789", type="virtual")
    assert (made["type"], made["status"], made["tm_purchase"]) == ("virtual", "active", None)


async def test_what_is_anothers_does_not_exist(each_world: World) -> None:
    world = each_world
    made = await world.number()
    path = f"{NUMBERS}/{made['id']}"
    for method, suffix, body in (
        ("GET", "", None),
        ("PUT", "", {"name": "x"}),
        ("PATCH", "", {"call_flow_id": ""}),
        ("DELETE", "", None),
        ("PUT", "/flow_ids", {"call_flow_id": ""}),
        ("PUT", "/metadata", {"rtp_debug": True}),
    ):
        assert (await world.refused(404, method, path + suffix, body, key=world.key_b))["reason"] == "NUMBER_NOT_FOUND"
    assert (await world.did("GET", NUMBERS, key=world.key_b))["result"] == []
    assert await world.did("GET", path, key=world.key_admin) == made

    foreign = await world.flow(BOTH_FLOW, key=world.key_b)
    error = await world.refused(400, "PUT", f"{path}/flow_ids", {"call_flow_id": foreign})
    assert (error["reason"], wheres(error)) == ("FLOW_NOT_FOUND", ["call_flow_id"])
    error = await world.refused(400, "PUT", f"{path}/flow_ids", {"call_flow_id": foreign}, key=world.key_admin)
    assert error["reason"] == "FLOW_NOT_FOUND"


async def test_a_flow_has_to_fit_its_slot(world: World) -> None:
    call_flow, message_flow = await world.flow(CALL_FLOW), await world.flow(MESSAGE_FLOW)
    crossed = {"call_flow_id": message_flow, "message_flow_id": call_flow}
    error = await world.refused(400, "POST", NUMBERS, {"number": FREE, **crossed})
    assert error["reason"] == "FLOW_MEDIUM_MISMATCH"
    assert wheres(error) == ["call_flow_id", "message_flow_id"]
    assert "reply" in error["details"][0]["what"]
    assert "answer" in error["details"][1]["what"]
    made = await world.number(call_flow_id=call_flow.upper(), message_flow_id=message_flow)
    assert (made["call_flow_id"], made["message_flow_id"]) == (call_flow, message_flow)


async def test_suspending_is_for_admins(world: World) -> None:
    made = await world.number()
    path = f"{NUMBERS}/{made['id']}"
    assert (await world.refused(403, "PUT", path, {"status": "suspended"}))["reason"] == "ADMIN_REQUIRED"
    await world.did("PUT", path, {"status": "suspended"}, key=world.key_admin)
    assert (await world.routed(FREE)).status == "suspended"
    await world.did("PUT", path, {"status": "active"}, key=world.key_admin)
    assert (await world.routed(FREE)).status == "active"


async def test_if_match_guards_against_overwriting(each_world: World) -> None:
    world = each_world
    made = await world.number()
    path = f"{NUMBERS}/{made['id']}"
    _, _, response = await world.ask("GET", path)
    tag = response.headers["ETag"]
    status, _, response = await world.ask("PUT", path, {"name": "one"}, headers={"If-Match": tag})
    assert status == 200
    assert response.headers["ETag"] != tag
    for method, body in (("PUT", {"name": "two"}), ("DELETE", None)):
        error = await world.refused(412, method, path, body, headers={"If-Match": tag})
        assert (error["status"], error["reason"]) == ("FAILED_PRECONDITION", "VERSION_MISMATCH")
    assert (await world.did("GET", path))["name"] == "one"
    assert (await world.refused(400, "PUT", path, {"name": "x"}, headers={"If-Match": "3"}))["details"][0]["where"] == (
        "If-Match"
    )


async def test_pages_skip_nothing_and_end_with_an_empty_token(each_world: World) -> None:
    world = each_world
    made = [(await world.number(f"+1415555{n:04}"))["id"] for n in range(100, 107)]
    world.clock.now = world.clock.now.replace(microsecond=0)
    found: list[str] = []
    token, pages = "", 0
    while pages < 9:
        page = await world.did("GET", f"{NUMBERS}?page_size=3&page_token={token}")
        found += [number["id"] for number in page["result"]]
        pages += 1
        token = page["next_page_token"]
        if not token:
            break
    assert found == made[::-1]
    assert pages == 3
    exact = await world.did("GET", f"{NUMBERS}?page_size=7")
    assert exact["next_page_token"] == ""
    assert len((await world.did("GET", f"{NUMBERS}?page_size=1000"))["result"]) == 7


async def test_the_list_is_filtered(world: World) -> None:
    flow = await world.flow()
    one = await world.number(call_flow_id=flow)
    two = await world.number("+899123456789", type="virtual", message_flow_id=flow)
    for query, expected in (
        (f"number=%2B{FREE[1:]}", [one]),
        ("type=virtual", [two]),
        (f"call_flow_id={flow}", [one]),
        (f"message_flow_id={flow}", [two]),
        ("type=normal&number=%2B899123456789", []),
    ):
        assert (await world.did("GET", f"{NUMBERS}?{query}"))["result"] == expected


@on_still
@pytest.mark.parametrize(
    ("query", "count"),
    [
        ("country_code=us", 10),
        ("country_code=US&page_size=100", 100),
        ("country_code=DE", 0),
        ("type=virtual", 10),
        ("features=voice,sms", 10),
        ("features=voice,fax", 0),
        ("contains=0109", 1),
        ("contains=99999", 0),
    ],
)
async def test_available_numbers_are_searched(still: World, query: str, count: int) -> None:
    offers = (await still.did("GET", f"/v1.0/available_numbers?{query}"))["result"]
    assert len(offers) == count


@on_still
@pytest.mark.parametrize(
    "query", ["country_code=USA", "type=special", "page_size=x", "contains=abc", "features=voice;sms", "features=telex"]
)
async def test_searches_that_are_refused(still: World, query: str) -> None:
    error = await still.refused(400, "GET", f"/v1.0/available_numbers?{query}")
    assert wheres(error) == [query.partition("=")[0]]


# Orders


def active(**more: Any) -> Order:
    return Order(number=BOUGHT, status="active", reference="r-1", **more)


async def test_an_order_that_breaks_off_goes_on_with_the_same_order(each_world: World) -> None:
    world = each_world
    flow = await world.flow()
    world.shop.answers = [Unavailable("the provider is away"), active(emergency_enabled=True)]
    await world.refused(503, "POST", NUMBERS, {"number": BOUGHT})
    (pending,) = (await world.did("GET", NUMBERS))["result"]
    assert pending["status"] == "pending"
    error = await world.refused(409, "POST", NUMBERS, {"number": BOUGHT}, key=world.key_b)
    assert error["reason"] == "NUMBER_EXISTS"

    made = await world.number(BOUGHT, call_flow_id=flow)
    assert (made["id"], made["status"], made["call_flow_id"]) == (pending["id"], "active", flow)
    assert made["emergency_enabled"] is True
    assert world.shop.orders == [(BOUGHT, made["id"])] * 2


async def test_an_order_that_takes_its_time(world: World) -> None:
    world.shop.answers = [Order(number=BOUGHT, status="pending"), active()]
    pending = await world.number(BOUGHT, name="main")
    assert (pending["status"], pending["tm_purchase"]) == ("pending", None)
    assert (await world.routed(BOUGHT)).status == "pending"
    made = await world.number(BOUGHT)
    assert (made["id"], made["status"], made["name"]) == (pending["id"], "active", "main")


async def test_an_order_that_fails_can_be_repeated_or_given_up(world: World) -> None:
    failed = Order(number=BOUGHT, status="failed")
    world.shop.answers = [failed, failed, active()]
    made = await world.number(BOUGHT)
    assert made["status"] == "failed"
    change = {"status": "active"}
    error = await world.refused(409, "PUT", f"{NUMBERS}/{made['id']}", change, key=world.key_admin)
    assert error["reason"] == "STATE_INVALID"
    await world.did("DELETE", f"{NUMBERS}/{made['id']}")
    assert world.shop.released == []
    again = await world.number(BOUGHT)
    assert again["id"] != made["id"]
    assert (await world.number(BOUGHT))["status"] == "active"


async def test_a_number_that_was_sold_meanwhile_is_free_here(world: World) -> None:
    world.shop.answers = [Conflict("sold"), active()]
    error = await world.refused(409, "POST", NUMBERS, {"number": BOUGHT})
    assert error["reason"] == "NUMBER_NOT_AVAILABLE"
    assert (await world.did("GET", NUMBERS))["result"] == []
    assert (await world.number(BOUGHT, key=world.key_b))["customer_id"] == world.b


async def test_releasing_tells_the_provider_first(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.shop.answers = [active()]
    made = await world.number(BOUGHT)
    provider = world.services.providers[1]

    async def away(*_: object) -> None:
        raise Unavailable("away")

    with monkeypatch.context() as patch:
        patch.setattr(type(provider), "release", away)
        await world.refused(503, "DELETE", f"{NUMBERS}/{made['id']}")
    assert (await world.did("GET", f"{NUMBERS}/{made['id']}"))["status"] == "active"
    await world.did("DELETE", f"{NUMBERS}/{made['id']}")
    assert world.shop.released == [BOUGHT]


async def test_a_fallback_is_a_flow_of_the_account_and_goes_when_it_is_deleted(each_world: World) -> None:
    world = each_world
    flow = await world.flow()
    made = await world.number(fallback_flow_id=flow)
    assert (made["fallback_flow_id"], (await world.routed(FREE)).fallback_flow_id) == (flow, flow)
    error = await world.refused(400, "PUT", f"{NUMBERS}/{made['id']}", {"fallback_flow_id": NOBODY})
    assert (error["reason"], wheres(error)) == ("FLOW_NOT_FOUND", ["fallback_flow_id"])
    await world.did("DELETE", f"/v1.0/flows/{flow}")
    assert (await world.did("GET", f"{NUMBERS}/{made['id']}"))["fallback_flow_id"] == NIL


async def test_a_fallback_can_take_over_from_a_flow_that_is_bound(world: World) -> None:
    call_flow, message_flow = await world.flow(CALL_FLOW), await world.flow(MESSAGE_FLOW)
    crossed = {"call_flow_id": call_flow, "fallback_flow_id": message_flow}
    error = await world.refused(400, "POST", NUMBERS, {"number": FREE, **crossed})
    assert (error["reason"], wheres(error)) == ("FLOW_MEDIUM_MISMATCH", ["fallback_flow_id"])
    made = await world.number(fallback_flow_id=message_flow)
    path = f"{NUMBERS}/{made['id']}"
    error = await world.refused(400, "PUT", path, {"call_flow_id": call_flow})
    assert (error["reason"], wheres(error)) == ("FLOW_MEDIUM_MISMATCH", ["fallback_flow_id"])
    await world.did("PUT", path, {"call_flow_id": call_flow, "message_flow_id": message_flow})
    await world.did("PUT", path, {"message_flow_id": ""})  # what is taken off is not in the way of it
    assert (await world.did("PUT", path, {"name": "x"}))["fallback_flow_id"] == message_flow
    await world.did("PUT", path, {"fallback_flow_id": call_flow})


async def test_a_number_runs_the_versions_that_its_release_names(each_world: World) -> None:
    world = each_world
    flow = await world.flow(CALL_FLOW)
    made = await world.number(call_flow_id=flow)
    path = f"{NUMBERS}/{made['id']}"
    split = {"versions": [{"version": 1, "percent": 95}, {"version": 2, "percent": 5}], "rollback_percent": 20}
    error = await world.refused(400, "PUT", path, {"call_flow_release": split})
    assert [(one["where"], one["what"]) for one in error["details"]] == [
        ("call_flow_release.versions[1].version", "the flow has no version 2")
    ]
    await world.did("PUT", f"/v1.0/flows/{flow}", {"name": "new"})
    release = (await world.did("PUT", path, {"call_flow_release": split}))["call_flow_release"]
    assert release.pop("tm_start") != ""
    assert release == {**split, "rollback_runs": 20, "rolled_back": ""}
    routed = (await world.routed(FREE)).call_flow_release
    assert routed is not None
    assert [share.version for share in routed.versions] == [1, 2]
    unchanged = await world.did("PUT", path, {"name": "main"})
    assert unchanged["call_flow_release"]["versions"] == split["versions"]
    wrong = {"versions": [{"version": 1, "percent": 50}]}
    error = await world.refused(400, "PUT", path, {"call_flow_release": wrong})
    assert wheres(error) == ["call_flow_release"]
    error = await world.refused(400, "PUT", path, {"message_flow_release": split})
    assert wheres(error) == ["message_flow_release"]
    assert (await world.did("PUT", path, {"call_flow_release": None}))["call_flow_release"] is None
