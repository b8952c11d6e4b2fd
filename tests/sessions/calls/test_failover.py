"""A call of ours by a trunk with several targets."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from edge.metrics import REGISTRY
from edge.sessions.calls import leg as module
from edge.trunks.trunk import Trunk
from tests.sessions.calls.test_connecting import DESK, Attempted, nothing_left, offered
from tests.sessions.line import Line, talking
from tests.sip.ladder import SDP

FIRST, SECOND, THIRD = "192.0.2.11", "192.0.2.12", "192.0.2.13"


@pytest.fixture
async def line(tmp_path: Path) -> AsyncIterator[Line]:
    async with talking(tmp_path) as opened:
        serve(opened)
        yield opened


def serve(line: Line, **more: Any) -> None:
    """One trunk with three targets."""
    out = {"name": "out", "networks": ["192.0.2.0/24"], "outbound": True, "pass_caller": True}
    targets = {"target": f"sip:{FIRST}", "failover": [f"sip:{SECOND}", f"sip:{THIRD}"]}
    line.trunks.replace([Trunk.model_validate({**out, **targets, **more})])


def counted() -> float:
    return REGISTRY.get_sample_value("edge_trunk_failovers_total", {"trunk": "out"}) or 0.0


@pytest.mark.parametrize("status", [503, 408])
async def test_one_that_cannot_is_followed_by_the_next(line: Line, status: int) -> None:
    call, before = offered(line), counted()
    attempted = Attempted(line, call)
    first = await attempted.rings()
    assert first.to.remote == (FIRST, 5060)
    first.says(status) << "ACK"
    second = await attempted.rings()
    assert (second.to.remote, second.invite.uri) == ((SECOND, 5060), f"sip:+14155550177@{SECOND}:5060")
    assert second.invite.call_id != first.invite.call_id
    second.says(200, SDP) << "ACK"
    line << 200
    line.ack()
    assert counted() == before + 1
    second.asks("BYE") << 200
    dialed = await attempted.dialed()
    assert (dialed.outcome, dialed.status) == ("answered", 200)
    (record,) = [one for one in line.kept if one.direction == "outgoing"]  # one call, one record
    assert (record.remote, record.dialed) == (SECOND, second.invite.uri)
    assert (record.call_id, record.outcome) == (second.invite.call_id, "answered")


@pytest.mark.parametrize("status", [404, 480, 486, 500, 603])
async def test_any_other_refusal_is_the_end_of_it(line: Line, status: int) -> None:
    attempted = Attempted(line, offered(line))
    (await attempted.rings()).says(status) << "ACK"
    assert (await attempted.dialed()).status == status
    nothing_left(line)


async def test_who_has_rung_is_not_followed(line: Line) -> None:
    attempted = Attempted(line, offered(line))
    first = await attempted.rings()
    first.says(180) << 180
    first.says(503) << "ACK"
    assert (await attempted.dialed()).status == 503


async def test_the_last_one_s_refusal_counts(line: Line) -> None:
    attempted = Attempted(line, offered(line))
    for address, status in ((FIRST, 503), (SECOND, 408), (THIRD, 503)):
        called = await attempted.rings()
        assert called.to.remote == (address, 5060)
        called.says(status) << "ACK"
    assert (await attempted.dialed()).status == 503
    (record,) = [one for one in line.kept if one.direction == "outgoing"]
    assert (record.sip_code, record.outcome, record.remote) == (503, "failed", THIRD)
    nothing_left(line)


async def test_one_that_says_nothing_is_not_waited_for(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FAIL_OVER_SECONDS", 0.01)
    attempted = Attempted(line, offered(line))
    first = await attempted.rings()
    second = await attempted.rings()
    assert second.to.remote == (SECOND, 5060)
    second.says(100)
    second.says(180) << 180
    first.says(200, SDP) << "ACK"  # it was only slow: the call is somebody else's by now
    line << "BYE"
    second.says(200, SDP) << "ACK"
    line << 200
    line.ack()
    second.asks("BYE") << 200
    assert (await attempted.dialed()).outcome == "answered"


async def test_a_target_without_an_address_is_left_out(line: Line) -> None:
    serve(line, target="sip:gw.example.com")
    attempted = Attempted(line, offered(line))
    called = await attempted.rings()
    assert called.to.remote == (SECOND, 5060)
    called.says(603) << "ACK"
    assert (await attempted.dialed()).status == 603


async def test_a_trunk_knows_us_by_its_own_address(line: Line) -> None:
    serve(line, advertise="203.0.113.5")
    attempted = Attempted(line, offered(line), DESK)
    called = await attempted.rings()
    request = called.invite
    assert (request.via.host, request.contact and request.contact.uri.host) == ("203.0.113.5", "203.0.113.5")
    assert request.from_.uri.host == "203.0.113.5"
    body = request.body.decode()
    assert " IN IP4 203.0.113.5\r\n" in body
    assert "c=IN IP4 203.0.113.5\r\n" in body
    called.says(200, SDP) << "ACK"
    assert line.request.via.host == "203.0.113.5"
    line << 200
    line.ack()
    called.asks("BYE") << 200
    await attempted.dialed()
