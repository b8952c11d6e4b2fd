"""Flows tried out over the API: stored ones and drafts, each customer its own, nothing of it in the records."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from edge.api import simulation
from edge.media.audio import write_wav
from edge.store.metadata import NIL
from tests.api.world import MESSAGE_FLOW, World, on_still, wheres

FLOWS = "/v1.0/flows"
NOBODY = "01900000-0000-7000-8000-000000000000"
MENU = {
    "name": "menu",
    "actions": [
        {"type": "answer"},
        {"id": "greet", "type": "play", "option": {"stream_urls": ["hi.wav"]}},
        {"id": "ask", "type": "digits_receive", "option": {"duration": 3000, "length": 1}},
        {"id": "menu", "type": "branch", "option": {"target_ids": {"1": "one"}, "default_target_id": "other"}},
        {"id": "one", "type": "redirect", "option": {"destinations": ["sip:a@b"]}},
        {"id": "other", "type": "hangup"},
    ],
}
SCRIPT = {"digits": "1", "at": "2026-12-25T09:00:00Z", "caller": "+442079460000"}


async def test_a_stored_flow(world: World) -> None:
    (world.folder / "prompts").mkdir()
    Path(world.folder / "prompts" / "hi.wav").write_bytes(write_wav(bytes(8000)))
    id = await world.flow(MENU)
    found = await world.did("POST", f"{FLOWS}/{id}/simulate", SCRIPT)
    assert (found["flow_id"], found["flow_version"], found["medium"]) == (id, 1, "call")
    assert (found["caller"], found["at"]) == ("+442079460000", "2026-12-25T09:00:00Z")
    (run,) = found["runs"]
    told = [event["what"] for event in run["events"] if event["step"] == "greet"]
    assert told == ["plays hi.wav, 0.5 s", "the caller types 1"]
    assert (run["outcome"], run["why"], run["steps"]) == ("ended", "the caller was sent elsewhere", 5)
    assert found["never_reached"] == ["other"]
    assert (await world.did("GET", "/v1.0/calls"))["result"] == []
    await world.did("PUT", f"{FLOWS}/{id}", {"name": "newer"})
    assert (await world.did("POST", f"{FLOWS}/{id}/simulate", SCRIPT))["flow_version"] == 2


async def test_somebody_elses_flow_is_none_and_is_not_entered(world: World) -> None:
    id = await world.flow(MENU)
    path = f"{FLOWS}/{id}/simulate"
    assert (await world.refused(404, "POST", path, SCRIPT, key=world.key_b))["reason"] == "FLOW_NOT_FOUND"
    assert (await world.did("POST", path, SCRIPT, key=world.key_admin))["flow"] == "menu"
    enter = {"actions": [{"id": "in", "type": "fetch_flow", "option": {"flow_id": id}}]}
    own = await world.did("POST", f"{FLOWS}/simulate", {"flow": enter, **SCRIPT})
    assert "greet" in [event["step"] for event in own["runs"][0]["events"]]
    strange = await world.did("POST", f"{FLOWS}/simulate", {"flow": enter, **SCRIPT}, key=world.key_b)
    assert "there is no such flow" in strange["runs"][0]["error"]


@on_still
async def test_a_draft(still: World) -> None:
    found = await still.did("POST", f"{FLOWS}/simulate", {"flow": MENU, **SCRIPT})
    assert (found["flow_id"], found["flow_version"], found["reached"][0]) == (NIL, 0, "step-1")
    assert found == await still.did("POST", f"{FLOWS}/simulate", {"flow": MENU, **SCRIPT})
    texts = await still.did("POST", f"{FLOWS}/simulate", {"flow": MESSAGE_FLOW, "texts": ["a", "b"]})
    assert [run["text"] for run in texts["runs"]] == ["a", "b"]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"flow": MENU, "digits": "x"}, ["digits"]),
        ({"flow": MENU, "connect": "maybe", "hangup": -1}, ["hangup", "connect"]),
        ({"flow": MENU, "at": "9999-12-31T23:00:00Z"}, ["at"]),
        ({"flow": MENU, "texts": ["a"]}, ["texts"]),
        ({"flow": MENU, "digit": "1"}, ["digit"]),
        ({"flow": {"actions": [{"type": "plya"}]}}, ["actions[0].type"]),
        ({"flow": {}}, ["actions"]),
        ({}, ["flow"]),
    ],
)
@on_still
async def test_what_is_wrong_is_said(still: World, body: dict[str, Any], expected: list[str]) -> None:
    assert wheres(await still.refused(400, "POST", f"{FLOWS}/simulate", body)) == expected


@on_still
async def test_no_key_no_simulation(still: World) -> None:
    await still.refused(401, "POST", f"{FLOWS}/simulate", {"flow": MENU}, key="")
    await still.refused(404, "POST", f"{FLOWS}/{NOBODY}/simulate", {})


@on_still
async def test_they_take_turns_and_too_many_are_refused(still: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(simulation, "WAITING", 2)
    body = {"flow": MENU, **SCRIPT}
    asked = [still.ask("POST", f"{FLOWS}/simulate", body) for _ in range(30)]
    statuses = [status for status, _, _ in await asyncio.gather(*asked)]
    assert statuses.count(200) >= 2
    assert set(statuses) <= {200, 429}
    await still.did("POST", f"{FLOWS}/simulate", body)  # whoever had a turn gave it back


@on_still
async def test_manners_are_those_of_the_edge(still: World) -> None:
    reply = {"name": "says", "actions": [{"id": "r", "type": "reply", "option": {"text": "hi"}}]}
    body = {"flow": reply, "texts": ["a", "b", "c"], "every": 1, "at": SCRIPT["at"]}
    found = await still.did("POST", f"{FLOWS}/simulate", body)
    said = [run["events"][0]["what"] for run in found["runs"]]
    assert ["too often" in what for what in said] == [False, False, True]  # `manners.a_minute` is 2 there
