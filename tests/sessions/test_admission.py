"""Who is turned away at the door: what the edge cannot bear, what was not agreed with the carrier. All have records."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.sessions.line import Line, exchange, tag
from tests.sip.ladder import invite, request

ANSWER = {"id": "up", "type": "answer"}
WAIT = {"id": "wait", "type": "sleep", "option": {"duration": 60_000}}
REDIRECT = {"id": "away", "type": "redirect", "option": {"destinations": ["sip:desk@pbx.example"]}}


@pytest.fixture
async def line(migrated_sqlite: Path, tmp_path: Path) -> AsyncIterator[Line]:
    async with exchange(tmp_path, migrated_sqlite) as opened:
        yield opened


def agreed(line: Line, **limits: Any) -> None:
    """The carrier's trunk, with these limits."""
    (trunk,) = [trunk for trunk in line.trunks if trunk.name == "loopback"]
    line.trunks.replace([trunk.model_copy(update=limits)])


async def refused(line: Line) -> dict[str, Any]:
    record: dict[str, Any] = next(
        record for record in reversed(await line.records()) if record["outcome"] == "rejected"
    )
    assert (record["outcome"], record["sip_code"], record["trunk"]) == ("rejected", 503, "loopback")
    assert (record["hangup_by"], record["tm_progressing"]) == ("local", None)
    return record


async def test_no_more_calls_at_once_than_agreed(line: Line) -> None:
    await line.number(ANSWER, WAIT)
    agreed(line, max_calls=1)
    line >> invite(call_id="first", branch="first") << 100
    await line.comes(200)
    up = tag(line.header("to"))
    line >> invite(call_id="second", branch="second") << 503
    assert line.last.headers.get("retry-after") is None
    assert (await refused(line))["reason"] == "TrunkCalls"
    line >> request("BYE", branch="bye", cseq=9, call_id="first", to_tag=up) << 200
    await line.over()
    line >> invite(call_id="third", branch="third") << 200


async def test_no_more_calls_a_second_than_agreed(line: Line) -> None:
    await line.number(REDIRECT)
    agreed(line, max_cps=1)
    line >> invite(call_id="first", branch="first") << 100
    await line.comes(302)
    await line.over()
    line >> invite(call_id="second", branch="second") << 503
    assert line.last.headers.get("retry-after") is None
    assert (await refused(line))["reason"] == "TrunkRate"
    line.now += 1.0
    line >> invite(call_id="third", branch="third") << 302


async def test_texts_are_not_calls(line: Line) -> None:
    agreed(line, max_cps=0.01)
    for number in range(3):
        line >> request("MESSAGE", branch=f"m{number}", call_id=f"m{number}", body=b"x", kind="text/plain")
    assert len(line.texts) == 3


async def test_an_edge_that_has_too_much_to_do_serves_what_it_has(line: Line) -> None:
    await line.number(ANSWER, WAIT)
    line >> invite() << 100
    await line.comes(200)
    up = tag(line.header("to"))
    line.ack()
    while line.overload.share < 0.9:
        line.overload.beat(10.0)
    statuses = []
    for number in range(10):
        line >> invite(call_id=f"new-{number}", branch=f"new-{number}")
        statuses.append(int(line.out[0][1].split()[1]))
        line << statuses[-1]
    assert statuses.count(503) >= 8
    assert (await refused(line))["reason"] == "Overloaded"
    line >> request("BYE", branch="bye", cseq=9, to_tag=up) << 200


async def test_who_is_shed_is_told_when_to_come_back(line: Line) -> None:
    for _ in range(50):
        line.overload.beat(10.0)
    line.overload.refuses()  # the next is one that is
    line >> invite() << 503
    assert 2 <= int(line.header("retry-after")) <= 10
    repeated = line.header("retry-after")
    line >> invite() << 503  # the same again, and no other record
    assert line.header("retry-after") == repeated
    assert (await refused(line))["reason"] == "Overloaded"
    assert len(await line.records()) == 1
