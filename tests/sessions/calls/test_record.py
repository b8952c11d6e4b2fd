"""Records of calls: written lazily, read back in pages, counted, purged."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from edge.errors import Unavailable
from edge.sessions.calls.record import (
    CALLS,
    OUTCOMES,
    Attempt,
    CallRecords,
    CallTable,
    Outcome,
    Wanted,
    kind_of,
    wall_micros,
)
from edge.sessions.tables import calls
from edge.store.engine import open_engine
from edge.store.metadata import NIL, from_micros, instant_text, json_text, micros, new_id
from edge.store.page import Place
from tests.servers import free_port
from tests.sessions.ground import Clock, Ground

START = Clock().now
OWNER, STRANGER = "11111111-1111-4111-8111-111111111111", "22222222-2222-4222-8222-222222222222"
OURS, OTHER = "+14155550100", "+14155550101"


def attempt(minute: int = 0, **fields: Any) -> Attempt:
    made = Attempt(
        id=new_id(),
        call_id=f"{minute}@192.0.2.9",
        remote="192.0.2.9",
        dialed="sip:4155550100@edge",
        source="+14155550199",
        source_name="Ann",
        tm_create=micros(START + timedelta(minutes=minute)),
    )
    for name, value in fields.items():
        setattr(made, name, value)
    return made


@pytest.mark.parametrize("bad", ["a\0b", "a\udcffb", "\ud83d"])
async def test_no_caller_can_keep_his_call_out_of_the_records(ground: Ground, bad: str) -> None:
    named = Attempt(
        id=new_id(), call_id=bad, remote="", dialed=bad, source=bad, source_name=f"Ann é {bad}", tm_create=1
    )
    table = await kept(ground, attempt(1), named, attempt(2, error=bad, steps=f'["{bad.replace(chr(0), "")}"]'))
    rows = await table.list(None)
    assert len(rows) == 3
    assert rows[-1]["source"]["target_name"].startswith("Ann é ")
    json_text(named.public()).encode()


async def kept(ground: Ground, *attempts: Attempt) -> CallTable:
    records = CallRecords(ground.writer)
    for one in attempts:
        records.keep(one)
    await ground.writer.flush()
    return CallTable(ground.engine)


def test_an_attempt_has_a_value_for_each_column() -> None:
    made = attempt()
    assert [column.name for column in calls.columns if not hasattr(made, column.name)] == []


@pytest.mark.parametrize(
    ("target", "kind"), [("+14155550100", "tel"), ("911", "tel"), ("sipp", "sip"), ("sip:a@b", "sip"), ("", "sip")]
)
def test_an_address_is_a_number_or_it_is_not(target: str, kind: str) -> None:
    assert kind_of(target) == kind


def test_the_time_is_in_microseconds() -> None:
    before = datetime.now(UTC)
    assert before <= from_micros(wall_micros()) <= datetime.now(UTC)


async def test_a_refused_call_is_kept_as_it_stands(ground: Ground) -> None:
    refused = attempt(outcome="rejected", sip_code=404, error="not one of our numbers")
    table = await kept(ground, refused)
    found = await table.get(refused.id)
    assert found is not None
    assert (found["id"], found["customer_id"], found["flow_id"]) == (refused.id, NIL, NIL)
    assert found["activeflow_id"] == NIL
    assert found["destination"]["target"] == "sip:4155550100@edge"  # what was dialed, for want of a number
    assert (found["tm_create"], found["tm_ringing"], found["tm_hangup"]) == (instant_text(START), None, None)
    assert found["edge"]["outcome"] == "rejected"
    assert found["edge"]["sip_code"] == 404
    assert found["edge"]["error"] == "not one of our numbers"


async def test_everything_known_is_read_back(ground: Ground) -> None:
    later = START + timedelta(seconds=3)
    full = attempt(
        trunk="carrier",
        customer_id=OWNER,
        number_id=new_id(),
        number=OURS,
        destination=OURS,
        flow_id=new_id(),
        flow_version=7,
        hangup_by="remote",
        hangup_reason="normal",
        sip_code=200,
        lookup_source="memory",
        outcome="answered",
        cut_by="steps",
        steps='[{"step": "a", "type": "answer", "outcome": "done", "note": ""}]',
        codec="PCMA",
        rtp_sent=2**40,
        rtp_received=149,
        rtp_lost=1,
        jitter_ms=0.125,
        tm_ringing=micros(START),
        tm_progressing=micros(START),
        tm_hangup=micros(later),
    )
    found = await (await kept(ground, full)).get(full.id, OWNER)
    assert found is not None
    assert found["source"] == {"type": "tel", "target": "+14155550199", "target_name": "Ann", "name": "", "detail": ""}
    assert (found["destination"]["target"], found["hangup_by"], found["tm_hangup"]) == (
        OURS,
        "remote",
        instant_text(later),
    )
    assert found["activeflow_id"] == full.id  # what its flow had as voipbin.activeflow.id
    own = found["edge"]
    assert own["steps"] == [{"step": "a", "type": "answer", "outcome": "done", "note": ""}]
    for name in ("trunk", "number_id", "flow_version", "lookup_source", "cut_by", "codec", "rtp_sent", "jitter_ms"):
        assert own[name] == getattr(full, name)


async def test_a_record_is_its_customer_s_and_an_admin_s(ground: Ground) -> None:
    one = attempt(customer_id=OWNER)
    table = await kept(ground, one)
    assert await table.get(one.id) is not None
    assert await table.get(one.id, OWNER) is not None
    assert await table.get(one.id, STRANGER) is None
    assert await table.get(new_id()) is None


async def test_a_record_that_is_written_twice_is_there_once(ground: Ground) -> None:
    """After a connection that broke in the commit the writer writes again."""
    one = attempt(customer_id=OWNER)
    table = await kept(ground, one, one)
    assert len(await table.list(OWNER)) == 1


@pytest.mark.parametrize("outcome", OUTCOMES)
async def test_each_call_is_counted_by_its_outcome(ground: Ground, outcome: Outcome) -> None:
    before = {name: CALLS.labels(name).value for name in OUTCOMES}
    await kept(ground, attempt(outcome=outcome))
    assert {name: CALLS.labels(name).value - before[name] for name in OUTCOMES} == {
        name: int(name == outcome) for name in OUTCOMES
    }


async def test_lists_are_newest_first_and_filtered(ground: Ground) -> None:
    rows = [attempt(minute, customer_id=OWNER, number=OURS) for minute in range(3)]
    rows += [attempt(3, customer_id=OWNER, number=OTHER), attempt(4, customer_id=STRANGER, number=OURS)]
    table = await kept(ground, *rows)
    ids = [row.id for row in rows]

    async def found(customer: str | None = OWNER, **asked: Any) -> list[int]:
        return [ids.index(row["id"]) for row in await table.list(customer, **asked)]

    def at(minute: int) -> Any:
        return START + timedelta(minutes=minute)

    assert await found() == [3, 2, 1, 0]
    assert await found(None) == [4, 3, 2, 1, 0]
    assert await found(wanted=Wanted(number=OURS)) == [2, 1, 0]
    assert await found(wanted=Wanted(call_id="1@192.0.2.9")) == [1]
    assert await found(since=at(1), until=at(3)) == [2, 1]  # from the one, before the other
    assert await found(size=2) == [3, 2]
    assert await found(after=Place(at(2), ids[2])) == [1, 0]
    assert await found(STRANGER, wanted=Wanted(number=OTHER)) == []


NOBODYS = "33333333-3333-4333-8333-333333333333"


async def test_records_are_narrowed_by_all_that_is_asked(ground: Ground) -> None:
    rows = [
        attempt(0, source="+14155550111", trunk="a", reason="NumberUnknown", sip_code=404, outcome="rejected"),
        attempt(1, trunk="a", reason="NumberUnknown", sip_code=404, outcome="rejected"),
        attempt(2, trunk="b", sip_code=200, outcome="answered", flow_id=OWNER),
        attempt(3, direction="outgoing", sip_code=486, outcome="rejected", reason="Refused", master_call_id=OWNER),
        attempt(4, trunk="b", sip_code=302, outcome="redirected", customer_id=STRANGER),
    ]
    table = await kept(ground, *rows)
    ids = [row.id for row in rows]

    async def found(**asked: Any) -> list[int]:
        wanted = Wanted(**asked)
        read = [ids.index(row["id"]) for row in await table.list(None, wanted=wanted)]
        assert read == [place for place in reversed(range(len(rows))) if wanted.fits(rows[place])]  # of live calls too
        return read

    assert await found(trunk="a") == [1, 0]
    assert await found(trunk="a", source="+14155550111") == [0]
    assert await found(reason="NumberUnknown") == [1, 0]
    assert await found(reason="") == [4, 2]
    assert await found(sip_code=404) == [1, 0]
    assert await found(sip_code=200) == [2]
    assert await found(outcome="rejected", direction="outgoing") == [3]
    assert await found(flow_id=OWNER) == [2]
    assert await found(customer_id=STRANGER) == [4]
    assert await found(flow_id=NOBODYS) == []
    assert [row["id"] for row in await table.made_for(OWNER)] == [ids[3]]
    assert await table.made_for(NIL) == []


async def test_all_records_come_page_by_page(ground: Ground) -> None:
    rows = [attempt(minute // 50) for minute in range(205)]
    table = await kept(ground, *rows)
    found = [row["id"] async for row in table.all(None, Wanted(), None, None)]
    assert (len(found), set(found)) == (205, {row.id for row in rows})
    assert [row["id"] async for row in table.all(None, Wanted(), START + timedelta(minutes=4), None)] == found[:5]


async def test_pages_part_calls_of_the_same_moment(ground: Ground) -> None:
    rows = [attempt(customer_id=OWNER) for _ in range(5)]
    table = await kept(ground, *rows)
    seen: list[str] = []
    after: Place | None = None
    while page := await table.list(OWNER, size=2, after=after):
        seen += [row["id"] for row in page]
        after = Place(START, seen[-1])
    assert sorted(seen) == sorted(row.id for row in rows)
    assert len(seen) == len(set(seen))


async def test_a_purge_takes_a_batch_of_what_is_too_old(ground: Ground) -> None:
    table = await kept(ground, *(attempt(minute, customer_id=OWNER) for minute in range(7)))
    before = START + timedelta(minutes=5)
    assert await table.purge(before, 3) == 3
    assert await table.purge(before, 3) == 2
    assert await table.purge(before, 3) == 0
    assert [row["tm_create"] for row in await table.list(OWNER)] == [
        instant_text(START + timedelta(minutes=minute)) for minute in (6, 5)
    ]


async def test_with_the_database_away_each_question_is_unavailable() -> None:
    engine = await open_engine(f"postgresql://u@127.0.0.1:{free_port()}/d")
    table = CallTable(engine)
    for asked in (table.get(NIL), table.list(None), table.purge(START, 1)):
        with pytest.raises(Unavailable):
            await asked
    await engine.dispose()
