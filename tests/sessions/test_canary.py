"""Releases: which version a call runs, and one on trial that fails too often."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from edge.errors import Unavailable
from edge.numbers.number import Number
from edge.sessions.canary import ROLLED_BACK, Canary
from tests.logged import logged
from tests.sessions.line import CALLER, NUMBER, Line, exchange
from tests.sip.ladder import invite

BUSY = {"id": "busy", "type": "hangup", "option": {"reason": "busy"}}
FAIL = {"id": "fail", "type": "branch", "option": {"variable": "nothing", "target_ids": {}}}


@pytest.fixture
async def line(migrated_sqlite: Path, tmp_path: Path) -> AsyncIterator[Line]:
    async with exchange(tmp_path, migrated_sqlite) as opened:
        yield opened


async def two_versions(line: Line, *shares: tuple[int, int], **fields: Any) -> Number:
    """A number whose flow is busy in version 1 and fails in version 2."""
    number = await line.number(BUSY)
    await line.stores.flows.update(number.call_flow_id, None, {"name": "new", "actions": [FAIL]})
    return await released(line, number, *shares, **fields)


async def released(line: Line, number: Number, *shares: tuple[int, int], **fields: Any) -> Number:
    versions = [{"version": version, "percent": percent} for version, percent in shares]
    release = {"versions": versions, **fields} if shares else None
    return await line.stores.numbers.update(number.id, None, {"call_flow_release": release})


async def calls(line: Line, count: int, status: int) -> None:
    first = len(await line.records())
    for n in range(first, first + count):
        line >> invite(call_id=f"call-{n}", branch=f"branch-{n}")
        if line.out[0][1].startswith(b"SIP/2.0 100"):
            line << 100
        await line.comes(status)
        await line.over()


def versions(number: Number | None) -> list[tuple[int, int]]:
    assert number is not None
    assert number.call_flow_release is not None
    return [(share.version, share.percent) for share in number.call_flow_release.versions]


async def test_a_number_without_a_release_runs_the_newest_version_and_a_pinned_one_the_pinned(line: Line) -> None:
    number = await two_versions(line)
    await calls(line, 1, 500)
    await released(line, number, (1, 100))
    await calls(line, 1, 486)
    assert [record["flow_version"] for record in await line.records()] == [2, 1]
    assert [record["flow_outcome"] for record in await line.records()] == ["failed", "ended"]


async def test_a_version_that_fails_too_often_loses_its_callers(line: Line) -> None:
    number = await two_versions(line, (1, 1), (2, 99), rollback_percent=50, rollback_runs=3)
    assert number.call_flow_release is not None
    assert number.call_flow_release.pick(f"{NUMBER} {CALLER}") == 2
    canary = Canary(line.stores.engine, line.stores.numbers)
    await calls(line, 2, 500)
    await canary.look()
    assert versions(await line.stores.numbers.get(number.id)) == [(1, 1), (2, 99)]  # too few to judge
    await calls(line, 1, 500)
    counted = ROLLED_BACK._value.get()
    with logged() as lines:
        await asyncio.gather(canary.look(), canary.look())
    after = await line.stores.numbers.get(number.id)
    assert versions(after) == [(1, 100)]
    assert after is not None
    assert after.call_flow_release is not None
    assert after.call_flow_release.rolled_back == "version 2: 3 of 3 runs failed"
    assert ROLLED_BACK._value.get() == counted + 1
    assert [said["why"] for said in lines() if said["event"] == "release rolled back"] == [
        "version 2: 3 of 3 runs failed"
    ]
    await calls(line, 1, 486)
    await canary.look()


async def test_runs_from_before_the_release_and_fewer_failures_do_not_count(line: Line) -> None:
    number = await two_versions(line)
    await calls(line, 3, 500)
    number = await released(line, number, (1, 1), (2, 99), rollback_percent=50, rollback_runs=1)
    canary = Canary(line.stores.engine, line.stores.numbers)
    await canary.look()
    assert versions(await line.stores.numbers.get(number.id)) == [(1, 1), (2, 99)]
    await line.stores.flows.update(number.call_flow_id, None, {"name": "well", "actions": [BUSY]})
    number = await released(line, number, (1, 1), (3, 99), rollback_percent=50, rollback_runs=1)
    await calls(line, 3, 486)
    await canary.look()
    assert versions(await line.stores.numbers.get(number.id)) == [(1, 1), (3, 99)]


async def test_another_flow_takes_the_release_away(line: Line) -> None:
    number = await two_versions(line, (1, 100))
    other = await line.flow([BUSY], number.customer_id)
    changed = await line.stores.numbers.update(number.id, None, {"call_flow_id": other})
    assert changed.call_flow_release is None
    await calls(line, 1, 486)


async def test_a_version_that_is_not_there_is_503(line: Line) -> None:
    number = await two_versions(line, (7, 100))
    line >> invite() << 100
    await line.comes(503)
    assert (await line.over())["error"] == f"version 7 of the flow {number.call_flow_id} is not there"


async def test_watching_goes_on_when_the_database_is_away(line: Line) -> None:
    looks = 0

    class Away(Canary):
        async def look(self) -> None:
            nonlocal looks
            looks += 1
            if looks == 1:
                raise Unavailable("away")

    async def pause(_: float) -> None:
        if looks == 2:
            raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await Away(line.stores.engine, line.stores.numbers).watch(pause)
    assert looks == 2
