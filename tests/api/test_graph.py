"""Pictures of flows over the API."""

from __future__ import annotations

from xml.etree import ElementTree

from edge.sessions.tables import calls
from tests.api.test_records import call, insert
from tests.api.world import CALL_FLOW, FREE, World

FLOWS = "/v1.0/flows"
NOBODY = "01900000-0000-7000-8000-000000000000"


async def test_a_flow_is_drawn_with_how_often_its_steps_ran(world: World) -> None:
    id = await world.flow(CALL_FLOW)
    steps = [{"step": "a", "type": "answer", "outcome": "done", "note": ""}]
    row = call(world.a, FREE, 1, flow_id=id, flow_version=1)
    await insert(world, calls, [{**row, "steps": steps}])
    status, plain, response = await world.ask("GET", f"{FLOWS}/{id}/graph.svg")
    assert (status, response.content_type) == (200, "image/svg+xml")
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert ElementTree.fromstring(plain).tag == "{http://www.w3.org/2000/svg}svg"
    assert "times" not in plain
    _, counted, _ = await world.ask("GET", f"{FLOWS}/{id}/graph.svg?counts=true")
    assert "1 time, in 100 % of the runs" in counted
    assert "(1 run)" in counted
    status, text, response = await world.ask("GET", f"{FLOWS}/{id}/graph.mmd?counts=true")
    assert (status, response.content_type) == (200, "text/vnd.mermaid")
    assert '    s0["<b>answer</b> a<br/>1 time, in 100 % of the runs"]\n' in text


async def test_versions_and_owners(world: World) -> None:
    id = await world.flow(CALL_FLOW)
    path = f"{FLOWS}/{id}/graph.mmd"
    await world.did("PUT", f"{FLOWS}/{id}", {"actions": [{"id": "only", "type": "stop"}]})
    assert "only" in (await world.ask("GET", path))[1]
    assert "only" not in (await world.ask("GET", f"{path}?version=1"))[1]
    assert (await world.ask("GET", path, key=world.key_admin))[0] == 200
    await world.refused(404, "GET", path, key=world.key_b)
    await world.refused(404, "GET", f"{path}?version=3")
    await world.refused(400, "GET", f"{path}?version=0")
    await world.refused(401, "GET", path, key="")
    await world.refused(404, "GET", f"{FLOWS}/{NOBODY}/graph.svg")
