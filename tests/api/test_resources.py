"""Calendars and lists of callers over the API."""

from __future__ import annotations

from typing import Any

import pytest

from tests.api.world import World, on_still, wheres

CALENDARS, LISTS = "/v1.0/calendars", "/v1.0/caller_lists"
HOURS = [{"weekdays": [1, 2, 3, 4, 5], "from": "09:00", "to": "17:30"}]
OFFICE: dict[str, Any] = {
    "name": "office",
    "detail": "d",
    "timezone": "Europe/Berlin",
    "hours": HOURS,
    "holidays": ["12-25", {"date": "2026-12-24", "name": "Christmas Eve", "hours": [{"from": "09:00", "to": "12:00"}]}],
}
BLOCKED: dict[str, Any] = {
    "name": "blocked",
    "entries": [{"match": "+44 7700 900*", "label": "fiction"}, {"match": "Anonymous"}],
}


async def test_a_calendar_from_its_beginning_to_its_end(each_world: World) -> None:
    world = each_world
    made = await world.did("POST", CALENDARS, OFFICE)
    assert {name: made[name] for name in ("name", "detail", "timezone", "hours")} == {
        name: OFFICE[name] for name in ("name", "detail", "timezone", "hours")
    }
    assert made["holidays"] == [
        {"date": "12-25", "name": "", "hours": []},
        {"date": "2026-12-24", "name": "Christmas Eve", "hours": [{"from": "09:00", "to": "12:00"}]},
    ]
    assert (made["customer_id"], made["tm_update"]) == (world.a, None)
    path = f"{CALENDARS}/{made['id']}"
    assert await world.did("GET", path) == made

    changed = await world.did("PUT", path, {"holidays": ["2026-08-05"]})
    assert (changed["hours"], changed["timezone"], changed["detail"]) == (HOURS, "Europe/Berlin", "d")
    assert [holiday["date"] for holiday in changed["holidays"]] == ["2026-08-05"]
    assert changed["version"] > made["version"]

    (listed,) = (await world.did("GET", CALENDARS))["result"]
    assert listed == {**changed, "timezone": None, "hours": None, "holidays": None}
    assert (await world.did("GET", f"{CALENDARS}?name=shop"))["result"] == []

    gone = await world.did("DELETE", path)
    assert gone["tm_delete"] is not None
    assert (await world.refused(404, "GET", path))["reason"] == "CALENDAR_NOT_FOUND"
    assert (await world.refused(404, "DELETE", path))["reason"] == "CALENDAR_NOT_FOUND"
    await world.did("POST", CALENDARS, OFFICE)  # the name is free again


async def test_a_list_of_callers_from_its_beginning_to_its_end(each_world: World) -> None:
    world = each_world
    made = await world.did("POST", LISTS, BLOCKED)
    assert made["entries"] == [{"match": "+447700900*", "label": "fiction"}, {"match": "anonymous", "label": ""}]
    path = f"{LISTS}/{made['id']}"
    renamed = await world.did("PUT", path, {"name": "turned away"})
    assert (renamed["name"], renamed["entries"]) == ("turned away", made["entries"])
    emptied = await world.did("PUT", path, {"entries": []})
    assert emptied["entries"] == []
    assert [one["entries"] for one in (await world.did("GET", LISTS))["result"]] == [None]
    await world.did("DELETE", path)
    assert (await world.refused(404, "GET", path))["reason"] == "CALLER_LIST_NOT_FOUND"


async def test_a_long_list(world: World) -> None:
    entries = [{"match": f"+4930{number:07}", "label": "berlin"} for number in range(10_000)]
    made = await world.did("POST", LISTS, {"name": "all", "entries": entries})
    assert (await world.did("GET", f"{LISTS}/{made['id']}"))["entries"] == entries
    error = await world.refused(400, "POST", LISTS, {"name": "more", "entries": [*entries, {"match": "+1*"}]})
    assert wheres(error) == ["entries"]


async def test_a_name_is_taken_once_in_an_account(world: World) -> None:
    await world.did("POST", CALENDARS, OFFICE)
    assert (await world.refused(409, "POST", CALENDARS, OFFICE))["reason"] == "NAME_TAKEN"
    other = await world.did("POST", CALENDARS, {**OFFICE, "name": "shop"})
    assert (await world.refused(409, "PUT", f"{CALENDARS}/{other['id']}", {"name": "office"}))["reason"] == "NAME_TAKEN"
    await world.did("POST", CALENDARS, OFFICE, key=world.key_b)
    await world.did("POST", LISTS, {**BLOCKED, "name": "office"})


async def test_what_is_another_accounts_is_not_there(world: World) -> None:
    made = await world.did("POST", CALENDARS, OFFICE, key=world.key_b)
    path = f"{CALENDARS}/{made['id']}"
    for method, body in (("GET", None), ("PUT", {"detail": "x"}), ("DELETE", None)):
        await world.refused(404, method, path, body)
    assert (await world.did("GET", CALENDARS))["result"] == []
    assert [one["id"] for one in (await world.did("GET", CALENDARS, key=world.key_admin))["result"]] == [made["id"]]
    await world.refused(404, "GET", f"{LISTS}/{made['id']}", key=world.key_b)
    error = await world.refused(400, "POST", CALENDARS, OFFICE, key=world.key_admin)
    assert wheres(error) == ["customer_id"]
    await world.did("POST", CALENDARS, {**OFFICE, "customer_id": world.a}, key=world.key_admin)


async def test_a_change_of_an_older_version_is_refused(world: World) -> None:
    made = await world.did("POST", CALENDARS, OFFICE)
    path, old = f"{CALENDARS}/{made['id']}", {"If-Match": f'"{made["version"]}"'}
    status, changed, response = await world.ask("PUT", path, {"detail": "x"}, headers=old)
    assert status == 200
    assert response.headers["ETag"] == f'"{changed["version"]}"'
    assert (await world.refused(412, "PUT", path, {"detail": "y"}, headers=old))["reason"] == "VERSION_MISMATCH"
    assert (await world.refused(412, "DELETE", path, headers=old))["reason"] == "VERSION_MISMATCH"


@pytest.mark.parametrize(
    ("path", "body", "where"),
    [
        (CALENDARS, {}, "name"),
        (CALENDARS, {"name": ""}, "name"),
        (CALENDARS, {"name": "01910000-0000-7000-8000-000000000000"}, "name"),
        (CALENDARS, {"name": "x", "timezone": "Mars/Olympus"}, "timezone"),
        (
            CALENDARS,
            {"name": "x", "hours": [{"weekdays": [7], "from": "9:00", "to": "9:30"}]},
            "hours[0].weekdays[0]",
        ),
        (CALENDARS, {"name": "x", "hours": [{"weekdays": [1], "from": "9", "to": "10:00"}]}, "hours[0].from"),
        (CALENDARS, {"name": "x", "holidays": ["12-25", "25.12."]}, "holidays[1].date"),
        (CALENDARS, {"name": "x", "holidays": ["12-25", "12-25"]}, "body"),
        (CALENDARS, {"name": "x", "closed": True}, "closed"),
        (LISTS, {"name": "x"}, "entries"),
        (LISTS, {"name": "x", "entries": [{"match": "bob"}]}, "entries[0].match"),
        (LISTS, {"name": "x", "entries": [{"match": "+44*"}, {"match": "+44 *"}]}, "body"),
    ],
)
@on_still
async def test_what_is_refused(still: World, path: str, body: dict[str, Any], where: str) -> None:
    assert wheres(await still.refused(400, "POST", path, body)) == [where]


@on_still
async def test_an_empty_change_is_none(still: World) -> None:
    made = await still.did("POST", CALENDARS, {**OFFICE, "name": "unchanged"})
    assert wheres(await still.refused(400, "PUT", f"{CALENDARS}/{made['id']}", {})) == ["body"]


async def test_a_flow_is_tried_out_with_the_accounts_calendar(world: World) -> None:
    closed = {"id": "closed", "type": "stop"}
    step = {"id": "open", "type": "condition_datetime", "option": {"calendar": "office", "false_target_id": "closed"}}
    made = await world.did("POST", "/v1.0/flows", {"actions": [step, {"id": "yes", "type": "stop"}, closed]})
    script = {"medium": "call", "at": "2026-12-25T10:00:00+01:00"}
    path = f"/v1.0/flows/{made['id']}/simulate"
    first = await world.did("POST", path, script)
    assert "there is no calendar 'office'" in first["runs"][0]["error"]
    await world.did("POST", CALENDARS, OFFICE)
    assert (await world.did("POST", path, script))["reached"] == ["open", "closed"]
    assert (await world.did("POST", path, {**script, "at": "2026-12-23T10:00:00+01:00"}))["reached"] == ["open", "yes"]


async def test_a_flow_that_names_what_is_not_there_is_warned_of(world: World) -> None:
    steps = [
        {"id": "who", "type": "branch_caller", "option": {"caller_list": "blocked", "match_target_id": "end"}},
        {"id": "open", "type": "condition_datetime", "option": {"calendar": "ofice", "false_target_id": "end"}},
        {"id": "any", "type": "condition_datetime", "option": {"calendar": "${which}", "false_target_id": "end"}},
        {"id": "end", "type": "stop"},
    ]
    listed = await world.did("POST", LISTS, BLOCKED)
    made = await world.did("POST", "/v1.0/flows", {"actions": steps})
    assert [(warning["where"], warning["step"], warning["what"]) for warning in made["warnings"]] == [
        ("actions[1].option.calendar", "open", "there is no calendar 'ofice': the step fails until there is")
    ]
    await world.did("POST", CALENDARS, {**OFFICE, "name": "ofice"})
    path = f"/v1.0/flows/{made['id']}"
    assert (await world.did("GET", path))["warnings"] == []
    await world.did("DELETE", f"{LISTS}/{listed['id']}")
    assert [warning["step"] for warning in (await world.did("PUT", path, {"name": "x"}))["warnings"]] == ["who"]
