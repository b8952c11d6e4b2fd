"""The messages of a call over the API: for admins, with those of the calls made for it, as long as they are known."""

from __future__ import annotations

from edge.api.ladders import PCAP, SVG
from edge.sessions.tables import calls
from edge.sip.ladder import label_of
from tests.api.test_records import call, insert
from tests.api.world import FREE, World
from tests.sip.ladder import invite
from tests.sip.test_capture import CALLEE, CALLER, answer, packets


async def test_the_messages_of_a_call(world: World) -> None:
    capture = world.services.capture
    assert capture is not None
    first, leg = call(world.a, FREE, 0, call_id="call-1"), call(world.a, FREE, 1, call_id="call-2")
    forgotten = call(world.a, FREE, 2, call_id="call-3")
    await insert(world, calls, [first, {**leg, "master_call_id": first["id"]}, forgotten])
    capture(False, CALLER, invite(fields={"Authorization": 'Digest response="0123abcd"'}))
    capture(True, CALLEE, invite(call_id="call-2"))
    capture(True, CALLER, answer("180 Ringing"))
    path = f"/v1.0/calls/{first['id']}"

    status, ladder, response = await world.ask("GET", f"{path}/ladder", key=world.key_admin)
    assert (status, response.content_type) == (200, "text/plain")
    assert ladder.splitlines()[0].split() == ["udp", "192.0.2.9:5062", "edge", "tcp", "198.51.100.7:5060"]
    assert "180 Ringing" in ladder
    assert "v=0" not in ladder
    _, whole, _ = await world.ask("GET", f"{path}/ladder?messages=true", key=world.key_admin)
    assert "v=0" in whole
    assert "0123abcd" not in whole

    _, picture, response = await world.ask("GET", f"{path}/ladder.svg", key=world.key_admin)
    assert (response.content_type, picture.count("INVITE +14155550100 (sdp)")) == (SVG, 2)

    headers = {"Authorization": f"Bearer {world.key_admin}"}
    async with world.client.get(f"{world.url}{path}/pcap", headers=headers) as answered:
        assert answered.content_type == PCAP
        assert "call-" in answered.headers["Content-Disposition"]
        sent = [packet for _, packet in packets(await answered.read())]
    assert len(sent) == 3
    assert label_of(sent[0][28:]) == "INVITE +14155550100 (sdp)"
    assert not any(b"0123abcd" in packet for packet in sent)


async def test_messages_that_are_not_there(world: World) -> None:
    row = call(world.a, FREE, 0)
    await insert(world, calls, [row])
    for way in ("ladder", "ladder.svg", "pcap"):
        path = f"/v1.0/calls/{row['id']}/{way}"
        assert (await world.refused(404, "GET", path, key=world.key_admin))["reason"] == "MESSAGES_NOT_FOUND"
        assert await world.refused(403, "GET", path)
        missing = f"/v1.0/calls/{world.a}/{way}"
        assert (await world.refused(404, "GET", missing, key=world.key_admin))["reason"] == "CALL_NOT_FOUND"
