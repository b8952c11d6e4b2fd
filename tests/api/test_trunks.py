"""Trunks over the API."""

from __future__ import annotations

from typing import Any

import pytest

from edge.errors import Unavailable
from tests.api.world import FREE, World, wheres

PATH = "/v1.0/trunks"
ACME: dict[str, Any] = {
    "name": "acme",
    "networks": ["198.51.100.0/28", "2001:db8::1"],
    "transport": "udp",
    "country": "DE",
    "target": "sip:203.0.113.7:5080;transport=tcp",
    "auth": {"username": "acme", "password": "sesame"},
    "dialed_rules": [{"prefix": "00", "strip": 2, "add": "+"}],
    "max_cps": 20,
}


@pytest.fixture
def admin(each_world: World) -> Admin:
    return Admin(each_world)


class Admin:
    """Asks with an admin's key."""

    def __init__(self, world: World) -> None:
        self.world = world

    async def did(self, method: str, path: str = PATH, body: Any = None) -> Any:
        return await self.world.did(method, path, body, key=self.world.key_admin)

    async def refused(self, status: int, method: str, path: str = PATH, body: Any = None) -> Any:
        return await self.world.refused(status, method, path, body, key=self.world.key_admin)

    def in_force(self) -> list[str]:
        return [trunk.name for trunk in self.world.services.trunks]


async def test_a_trunk_from_its_beginning_to_its_end(admin: Admin) -> None:
    made = await admin.did("POST", body=ACME)
    assert {name: made[name] for name in ("name", "transport", "country", "max_cps")} == {
        name: ACME[name] for name in ("name", "transport", "country", "max_cps")
    }
    assert made["networks"] == ["198.51.100.0/28", "2001:db8::1/128"]
    assert made["auth"] == {"username": "acme"}
    assert (made["credentials"], made["source"], made["tm_update"]) == (None, "api", None)
    table = admin.world.services.trunks
    found = table.find("198.51.100.9", "udp")
    assert found is not None
    assert (found.name, found.id) == ("acme", made["id"])
    assert found.auth is not None
    assert found.auth.password.get_secret_value() == "sesame"
    path = f"{PATH}/{made['id']}"
    assert await admin.did("GET", path) == made

    changed = await admin.did("PUT", path, {"networks": ["198.51.100.16/28"], "name": "acme-2"})
    assert (changed["country"], changed["networks"]) == ("DE", ["198.51.100.16/28"])
    assert changed["tm_update"] is not None
    assert table.find("198.51.100.9", "udp") is None
    found = table.named("acme-2")
    assert found is not None
    assert found.auth is not None
    assert (found.id, found.auth.password.get_secret_value()) == (made["id"], "sesame")

    gone = await admin.did("DELETE", path)
    assert gone == changed
    assert admin.in_force() == ["carrier"]
    for method in ("GET", "DELETE"):
        assert (await admin.refused(404, method, path))["reason"] == "TRUNK_NOT_FOUND"
    assert (await admin.refused(404, "PUT", path, {"name": "x"}))["reason"] == "TRUNK_NOT_FOUND"
    await admin.did("POST", body=ACME)  # name and networks are free again


async def test_a_password_goes_in_and_never_comes_out(admin: Admin) -> None:
    made = await admin.did("POST", body={**ACME, "credentials": {"username": "we", "password": "open"}})
    path = f"{PATH}/{made['id']}"
    answers = [
        made,
        await admin.did("GET", path),
        await admin.did("GET"),
        await admin.did("PUT", path, {"min_se": 120}),
    ]
    assert not any(secret in str(answer) for answer in answers for secret in ("sesame", "open"))

    def passwords() -> list[str | None]:
        trunk = admin.world.services.trunks.named("acme")
        assert trunk is not None
        proofs = (trunk.auth, trunk.credentials)
        return [proof.password.get_secret_value() if proof else None for proof in proofs]

    await admin.did("PUT", path, {"auth": {"username": "acme"}})  # as it was shown
    assert passwords() == ["sesame", "open"]
    await admin.did("PUT", path, {"auth": {"username": "acme", "password": "other"}, "credentials": None})
    assert passwords() == ["other", None]
    error = await admin.refused(400, "PUT", path, {"auth": {"username": "somebody"}})
    assert wheres(error) == ["auth.password"]
    error = await admin.refused(400, "PUT", path, {"auth": {"username": "a", "password": "file:/etc/hostname"}})
    assert wheres(error) == ["auth.password"]
    assert passwords() == ["other", None]


async def test_those_of_the_file_stand_beside_them_and_are_changed_there(admin: Admin) -> None:
    await admin.did("POST", body=ACME)
    listed = (await admin.did("GET"))["result"]
    assert [(one["name"], one["source"]) for one in listed] == [("acme", "api"), ("carrier", "file")]
    (carrier,) = (await admin.did("GET", f"{PATH}?name=carrier"))["result"]
    assert (carrier["networks"], carrier["tm_create"]) == (["192.0.2.0/24"], None)
    path = f"{PATH}/{carrier['id']}"
    assert await admin.did("GET", path) == carrier
    for method, body in (("PUT", {"country": "DE"}), ("PATCH", {"country": "DE"}), ("DELETE", None)):
        error = await admin.refused(409, method, path, body)
        assert error["reason"] == "TRUNK_IN_FILE"
        assert "trunk carrier stands in the configuration file" in error["message"]


async def test_pages(admin: Admin) -> None:
    for last in range(5):
        await admin.did("POST", body={"name": f"t{last}", "networks": [f"198.51.100.{last}"]})
    names, token = [], ""
    for _ in range(3):
        page = await admin.did("GET", f"{PATH}?page_size=2&page_token={token}")
        names += [one["name"] for one in page["result"]]
        token = page["next_page_token"]
    assert (names, token) == (["t4", "t3", "t2", "t1", "t0", "carrier"], "")


@pytest.mark.parametrize(
    ("body", "where", "what"),
    [
        ({"networks": ["192.0.2.0/24"]}, "networks[0]", "192.0.2.0/24 is that of trunk carrier already"),
        ({"networks": ["10.0.0.1", "198.51.100.0/28"]}, "networks[1]", "198.51.100.0/28 is that of trunk acme already"),
        ({"networks": ["10.0.0.1", "10.0.0.1/32"]}, "networks[1]", "is there twice"),
        ({"networks": ["10.0.0.1/8"]}, "networks[0]", "10.0.0.1/8 has host bits set"),
        ({"country": "XX"}, "country", "XX is no country with telephone numbers"),
        ({"target": "gw.example.com"}, "target", "is not sip:host"),
        ({"dialed_from": ["diversion"]}, "body", "needs diversion in trusted_headers"),
        ({"dialed_rules": [{"prefix": "9"}, {"prefix": "91"}]}, "dialed_rules", "can never match"),
        ({"nonsense": 1}, "nonsense", "unknown key"),
    ],
)
async def test_what_is_wrong_is_refused_by_its_place(world: World, body: dict[str, Any], where: str, what: str) -> None:
    admin = Admin(world)
    await admin.did("POST", body=ACME)
    error = await admin.refused(400, "POST", body={"name": "other", "networks": ["203.0.113.1"], **body})
    assert where in wheres(error)
    assert what in str(error["details"])
    assert admin.in_force() == ["carrier", "acme"]


async def test_a_name_is_unique(admin: Admin) -> None:
    made = await admin.did("POST", body=ACME)
    for name in ("acme", "carrier"):
        error = await admin.refused(409, "POST", body={"name": name, "networks": ["203.0.113.1"]})
        assert error["reason"] == "NAME_TAKEN"
    assert (await admin.refused(409, "PUT", f"{PATH}/{made['id']}", {"name": "carrier"}))["reason"] == "NAME_TAKEN"
    await admin.did("PUT", f"{PATH}/{made['id']}", {"name": "acme"})


async def test_a_version_that_is_old_changes_nothing(admin: Admin) -> None:
    made = await admin.did("POST", body=ACME)
    world, path = admin.world, f"{PATH}/{made['id']}"
    for method, body in (("PUT", {"country": "US"}), ("DELETE", None)):
        status, *_ = await world.ask(method, path, body, key=world.key_admin, headers={"If-Match": '"7"'})
        assert status == 412
    now = {"If-Match": '"1"'}
    status, _, response = await world.ask("PUT", path, {"country": "US"}, key=world.key_admin, headers=now)
    assert (status, response.headers["ETag"]) == (200, '"2"')


async def test_they_are_the_operator_s(world: World) -> None:
    made = await Admin(world).did("POST", body=ACME)
    for method, path, body in (
        ("GET", PATH, None),
        ("POST", PATH, ACME),
        ("GET", f"{PATH}/{made['id']}", None),
        ("PUT", f"{PATH}/{made['id']}", {"country": "US"}),
        ("DELETE", f"{PATH}/{made['id']}", None),
    ):
        assert (await world.refused(403, method, path, body))["reason"] == "ADMIN_REQUIRED"


async def test_a_number_names_the_trunks_that_it_answers_on(admin: Admin) -> None:
    world = admin.world
    made = await admin.did("POST", body=ACME)
    (carrier,) = (await admin.did("GET", f"{PATH}?name=carrier"))["result"]
    number = await world.did("POST", "/v1.0/numbers", {"number": FREE})
    assert number["trunk_ids"] == []
    path = f"/v1.0/numbers/{number['id']}"
    ids = [made["id"], carrier["id"]]
    changed = await admin.did("PUT", path, {"trunk_ids": [*ids, made["id"].upper()]})
    assert changed["trunk_ids"] == ids
    assert (await world.routed(FREE)).trunk_ids == tuple(ids)
    assert (await world.did("GET", path))["trunk_ids"] == ids

    nobody = "00000000-0000-4000-8000-000000000000"
    error = await admin.refused(400, "PUT", path, {"trunk_ids": [made["id"], nobody]})
    assert (error["reason"], wheres(error)) == ("TRUNK_NOT_FOUND", ["trunk_ids[1]"])
    assert f"there is no trunk {nobody}" in str(error["details"])
    assert (await world.refused(403, "PUT", path, {"trunk_ids": []}))["reason"] == "ADMIN_REQUIRED"
    assert (await world.did("PUT", path, {"name": "still"}))["trunk_ids"] == ids

    error = await admin.refused(409, "DELETE", f"{PATH}/{made['id']}")
    assert (error["reason"], FREE in error["message"]) == ("TRUNK_IN_USE", True)
    assert (await admin.did("PUT", path, {"trunk_ids": []}))["trunk_ids"] == []
    await admin.did("DELETE", f"{PATH}/{made['id']}")


async def test_a_number_is_made_on_a_trunk(admin: Admin) -> None:
    world = admin.world
    made = await admin.did("POST", body=ACME)
    body = {"number": FREE, "customer_id": world.a, "trunk_ids": [made["id"]]}
    assert (await admin.did("POST", "/v1.0/numbers", body))["trunk_ids"] == [made["id"]]
    assert (await world.refused(403, "POST", "/v1.0/numbers", {"number": FREE, "trunk_ids": [made["id"]]}))["reason"]


async def test_with_the_database_away_the_trunks_known_stay(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    admin = Admin(world)
    await admin.did("POST", body=ACME)

    async def away() -> int:
        raise Unavailable("away")

    monkeypatch.setattr(world.services.stored_trunks, "revision", away)
    await world.services.roll._look(world.services.stored_trunks)
    assert admin.in_force() == ["carrier", "acme"]


async def test_how_one_is_here(admin: Admin) -> None:
    """What nobody registered and nobody asked; what is seen is in tests/sessions/trunks and tests/calls."""
    made = await admin.did("POST", body=ACME)
    status = await admin.did("GET", f"{PATH}/{made['id']}/status")
    assert status == {
        "id": made["id"],
        "name": "acme",
        "registration": None,
        "targets": [
            {
                "target": "sip:203.0.113.7:5080;transport=tcp",
                "state": "unknown",
                "since": None,
                "status": 0,
                "milliseconds": None,
            }
        ],
    }
    await admin.refused(404, "GET", f"{PATH}/6f1c3f0e-8a55-4c8e-9f39-6c2f5c0d3a11/status")
