"""Customers and access keys over the API."""

from __future__ import annotations

from datetime import timedelta

from tests.api.world import World, on_still, wheres

CUSTOMERS, KEYS = "/v1.0/customers", "/v1.0/accesskeys"
NOBODY = "01900000-0000-7000-8000-000000000000"


async def test_an_admin_makes_customers(each_world: World) -> None:
    world = each_world
    made = await world.did("POST", CUSTOMERS, {"name": "C", "detail": "third"}, key=world.key_admin)
    assert (made["status"], made["tm_update"]) == ("active", None)
    path = f"{CUSTOMERS}/{made['id']}"
    assert await world.did("GET", path, key=world.key_admin) == made
    changed = await world.did("PUT", path, {"status": "suspended"}, key=world.key_admin)
    assert (changed["status"], changed["name"]) == ("suspended", "C")
    listed = await world.did("GET", f"{CUSTOMERS}?page_size=2", key=world.key_admin)
    assert [one["name"] for one in listed["result"]] == ["C", "B"]
    rest = await world.did("GET", f"{CUSTOMERS}?page_token={listed['next_page_token']}", key=world.key_admin)
    assert ([one["name"] for one in rest["result"]], rest["next_page_token"]) == (["A"], "")


@on_still
async def test_a_customer_sees_itself_only(still: World) -> None:
    assert (await still.did("GET", f"{CUSTOMERS}/{still.a}"))["name"] == "A"
    assert (await still.refused(404, "GET", f"{CUSTOMERS}/{still.b}"))["reason"] == "CUSTOMER_NOT_FOUND"
    await still.refused(403, "PUT", f"{CUSTOMERS}/{still.a}", {"status": "active"})


@on_still
async def test_changes_that_are_refused(still: World) -> None:
    path = f"{CUSTOMERS}/{still.a}"
    for body, where in (({}, "body"), ({"status": "gone"}, "status"), ({"name": "a\nb"}, "name"), ({"id": "x"}, "id")):
        assert wheres(await still.refused(400, "PUT", path, body, key=still.key_admin)) == [where]
    await still.refused(404, "PUT", f"{CUSTOMERS}/{NOBODY}", {"name": "x"}, key=still.key_admin)


async def test_a_customer_says_where_its_events_go(each_world: World) -> None:
    world, own = each_world, "/v1.0/customer"
    assert (await world.did("GET", own))["webhook_uri"] == ""
    wanted = {"webhook_uri": "https://example.com/e?a=1", "webhook_method": "PUT", "webhook_events": ["call_hangup"]}
    changed = await world.did("PUT", own, wanted)
    assert {name: changed[name] for name in wanted} == wanted
    assert await world.did("GET", f"{CUSTOMERS}/{world.a}", key=world.key_admin) == changed
    changed = await world.did("PATCH", own, {"webhook_method": "", "webhook_events": []})
    assert (changed["webhook_method"], changed["webhook_events"], changed["name"]) == ("POST", [], "A")
    made = await world.did("POST", CUSTOMERS, {"name": "D", **wanted}, key=world.key_admin)
    assert {name: made[name] for name in wanted} == wanted
    changed = await world.did("PATCH", f"{CUSTOMERS}/{made['id']}", {"webhook_uri": ""}, key=world.key_admin)
    assert (changed["webhook_uri"], changed["webhook_method"]) == ("", "PUT")


@on_still
async def test_where_events_cannot_go(still: World) -> None:
    for method in ("GET", "PUT"):
        body = {"name": "x"} if method == "PUT" else None
        await still.refused(404, method, "/v1.0/customer", body, key=still.key_admin)
    for uri in (
        "ftp://example.com/",
        "https:///x",
        "example.com",
        "http://10.0.0.1/",
        "http://[::1]:80/x",
        "http://a b/",
    ):
        assert wheres(await still.refused(400, "PUT", "/v1.0/customer", {"webhook_uri": uri})) == ["webhook_uri"]
    for name, value in (("webhook_method", "GET"), ("webhook_events", ["call_answered"]), ("status", "active")):
        error = await still.refused(400, "PUT", "/v1.0/customer", {name: value})
        assert wheres(error)[0].startswith(name)


async def test_a_token_is_shown_once(each_world: World) -> None:
    world = each_world
    made = await world.did("POST", KEYS, {"name": "ci"})
    assert made["token"].startswith("vb_")
    assert (made["customer_id"], made["admin"], made["tm_expire"]) == (world.a, False, None)
    shown = {name: value for name, value in made.items() if name != "token"}
    assert await world.did("GET", f"{KEYS}/{made['id']}") == shown
    assert (await world.did("GET", KEYS))["result"][0] == shown
    assert (await world.did("GET", "/v1.0/numbers", key=made["token"]))["result"] == []
    gone = await world.did("DELETE", f"{KEYS}/{made['id']}")
    assert gone["tm_delete"] is not None
    await world.refused(404, "DELETE", f"{KEYS}/{made['id']}")
    assert [one["name"] for one in (await world.did("GET", KEYS))["result"]] == ["a"]


async def test_whose_keys(world: World) -> None:
    mine = (await world.did("GET", KEYS))["result"]
    assert [key["name"] for key in mine] == ["a"]
    everybodys = (await world.did("GET", KEYS, key=world.key_admin))["result"]
    assert [key["name"] for key in everybodys] == ["admin", "b", "a"]
    for method in ("GET", "DELETE"):
        error = await world.refused(404, method, f"{KEYS}/{mine[0]['id']}", key=world.key_b)
        assert error["status"] == "NOT_FOUND"
    made = await world.did("POST", KEYS, {"customer_id": world.b}, key=world.key_admin)
    assert (await world.did("GET", f"{CUSTOMERS}/{world.b}", key=made["token"]))["name"] == "B"
    made = await world.did("POST", KEYS, {"admin": True, "name": "second"}, key=world.key_admin)
    assert len((await world.did("GET", CUSTOMERS, key=made["token"]))["result"]) == 2


@on_still
async def test_keys_that_are_not_made(still: World) -> None:
    admin = still.key_admin
    assert (await still.refused(403, "POST", KEYS, {"admin": True}))["reason"] == "ADMIN_REQUIRED"
    assert wheres(await still.refused(400, "POST", KEYS, {"customer_id": still.b})) == ["customer_id"]
    assert wheres(await still.refused(400, "POST", KEYS, {}, key=admin)) == ["customer_id"]
    assert wheres(await still.refused(400, "POST", KEYS, {"customer_id": NOBODY}, key=admin)) == ["customer_id"]
    both = {"admin": True, "customer_id": still.a}
    assert wheres(await still.refused(400, "POST", KEYS, both, key=admin)) == ["customer_id"]
    past = {"tm_expire": (still.clock.now - timedelta(seconds=1)).isoformat()}
    assert (await still.refused(409, "POST", KEYS, past))["reason"] == "EXPIRED"
    assert wheres(await still.refused(400, "POST", KEYS, {"tm_expire": "2027-01-01"})) == ["tm_expire"]
