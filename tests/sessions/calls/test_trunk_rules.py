"""What a trunk makes of a call: where the dialed number is read, how it is rewritten, on which trunks it answers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from edge.metrics import REGISTRY
from edge.store.metadata import NIL
from edge.trunks.trunk import Trunk
from tests.sessions.line import NUMBER, Line, exchange
from tests.sip.ladder import invite, request

REDIRECT = {"id": "away", "type": "redirect", "option": {"destinations": ["sip:there@192.0.2.77"]}}


def trunk(name: str = "t", network: str = "127.0.0.0/8", **more: Any) -> Trunk:
    return Trunk.model_validate({"name": name, "networks": [network], "country": "US", **more})


@pytest.fixture
async def line(migrated_sqlite: Path, tmp_path: Path) -> AsyncIterator[Line]:
    async with exchange(tmp_path, migrated_sqlite) as opened:
        yield opened


async def called(line: Line, status: int, **about: Any) -> dict[str, Any]:
    """An INVITE and its final answer; the record."""
    line >> invite(**about) << 100
    await line.comes(status)
    return await line.over()


async def test_the_number_is_read_where_the_trunk_says_and_rewritten_by_its_rules(line: Line) -> None:
    line.trunks.replace(
        [
            trunk(
                dialed_from=["diversion", "to"],
                trusted_headers=["diversion"],
                dialed_rules=[{"prefix": "991", "strip": 2}],
                caller_rules=[{"prefix": "7", "strip": 1}],
            )
        ]
    )
    await line.number(REDIRECT)
    fields = {"To": "<sip:9914155550100@edge>", "From": "<sip:74155550199@them>;tag=them"}
    record = await called(line, 302, uri="sip:pilot@edge", fields=fields)
    assert (record["dialed"], record["dialed_from"]) == ("sip:9914155550100@edge", "to")
    assert (record["dialed_rewritten"], record["number"]) == ("14155550100", NUMBER)
    assert (record["source"], record["source_raw"]) == ("+14155550199", "74155550199")


async def test_what_was_rewritten_is_in_the_record(line: Line) -> None:
    line.trunks.replace([trunk(dialed_rules=[{"prefix": "99", "strip": 2, "add": "+"}])])
    await line.number(REDIRECT)
    record = await called(line, 302, uri="sip:9914155550100@edge")
    assert (record["dialed_rewritten"], record["number"]) == (NUMBER, NUMBER)
    assert (record["dialed_from"], record["source_raw"]) == ("request-uri", "")


async def test_a_header_that_is_not_believed_decides_nothing(line: Line) -> None:
    line.trunks.replace([trunk(dialed_from=["to"])])
    await line.number(REDIRECT)
    fields = {"To": "<sip:+14155550177@edge>", "Diversion": f"<sip:{NUMBER}@them>"}
    record = await called(line, 404, uri=f"sip:{NUMBER}@edge", fields=fields)
    assert (record["number"], record["reason"]) == ("+14155550177", "NumberUnknown")


async def test_a_number_answers_on_its_trunks_only_and_the_record_says_where(line: Line) -> None:
    here, there = trunk("a"), trunk("b", "198.51.100.0/24")
    line.trunks.replace([here, there])
    number = await line.number(REDIRECT)
    before = REGISTRY.get_sample_value("edge_numbers_elsewhere_total") or 0.0
    await line.stores.numbers.update(number.id, None, {"trunk_ids": [there.id]})
    record = await called(line, 404)
    assert line.header("reason") == "Q.850;cause=1"
    assert record["reason"] == "NumberUnknown"
    assert record["nearest"] == f"{NUMBER} is bound on trunk b, not a"
    assert (record["number"], record["customer_id"], record["lookup_source"]) == (NUMBER, NIL, "sql")
    assert REGISTRY.get_sample_value("edge_numbers_elsewhere_total") == before + 1

    await line.stores.numbers.update(number.id, None, {"trunk_ids": [there.id, here.id]})
    line >> request("ACK", branch="one")
    record = await called(line, 302, call_id="call-2", branch="two")
    assert (record["trunk_id"], record["nearest"], record["customer_id"]) == (here.id, "", number.customer_id)


async def test_a_number_that_is_suspended_elsewhere_is_none_here(line: Line) -> None:
    line.trunks.replace([trunk("a"), trunk("b", "198.51.100.0/24")])
    number = await line.number(REDIRECT)
    await line.stores.numbers.update(number.id, None, {"trunk_ids": [NIL], "status": "suspended"})
    record = await called(line, 404)
    assert record["nearest"] == f"{NUMBER} is bound on trunk {NIL}, not a"
