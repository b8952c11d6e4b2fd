"""Messages as the API reads them, and as they are purged."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from edge.sessions.tables import messages
from edge.sessions.texts.message import Direction, Message, MessageTable, _wanted
from edge.sessions.texts.tables import outbox
from edge.store.metadata import NIL, metadata
from edge.store.page import Place
from tests.sessions.ground import Clock, Ground

ONE, TWO = "11111111-1111-4111-8111-111111111111", "22222222-2222-4222-8222-222222222222"
NOON = Clock().now


def name(number: int) -> str:
    return f"00000000-0000-4000-8000-{number:012}"


def row(place: int, **change: Any) -> dict[str, Any]:
    """An incoming text, `place` seconds after noon."""
    return {
        "id": name(place),
        "customer_id": ONE,
        "number_id": NIL,
        "direction": "inbound",
        "carrier": "loopback",
        "carrier_id": str(place),
        "number": "+14155550100",
        "peer": "+14155550111",
        "text": f"text {place}",
        "route": "",
        "refusal": "",
        "conversation_id": NIL,
        "reference_id": NIL,
        "lookup_source": "sql",
        "flow_id": NIL,
        "flow_version": 0,
        "flow_state": "none",
        "attempts": 0,
        "claimed_by": "",
        "claimed_until": NOON,
        "outcome": "",
        "error": "",
        "cut_by": "",
        "steps": [],
        "tm_create": NOON + timedelta(seconds=place),
        "tm_update": None,
        **change,
    }


def sending(number: int, **change: Any) -> dict[str, Any]:
    return {
        "id": name(number),
        "carrier": "loopback",
        "state": "sent",
        "attempts": 2,
        "due": NOON,
        "claimed_by": "",
        "claimed_until": NOON,
        "carrier_id": "ring 7",
        "code": "",
        "error": "",
        "tm_create": NOON + timedelta(seconds=number),
        "tm_update": NOON + timedelta(seconds=number + 1),
        **change,
    }


async def fill(ground: Ground, rows: list[dict[str, Any]], out: list[dict[str, Any]] | None = None) -> MessageTable:
    async with ground.engine.begin() as connection:
        await connection.execute(sa.insert(messages), rows)
        if out:
            await connection.execute(sa.insert(outbox), out)
    return MessageTable(ground.engine)


async def test_an_incoming_message_is_shown(ground: Ground) -> None:
    table = await fill(
        ground,
        [
            row(
                1,
                flow_state="done",
                flow_id=TWO,
                flow_version=3,
                outcome="failed",
                error="oops",
                steps=[{"step": "1"}],
                media=["https://a/"],
            ),
        ],
    )
    message = await table.get(name(1))
    assert message is not None
    assert message.model_dump(mode="json", exclude={"edge"}) == {
        "id": name(1),
        "customer_id": ONE,
        "type": "sms",
        "source": {"type": "tel", "target": "+14155550111", "target_name": "", "name": "", "detail": ""},
        "targets": [
            {
                "destination": {"type": "tel", "target": "+14155550100", "target_name": "", "name": "", "detail": ""},
                "status": "received",
                "parts": 1,
                "tm_update": None,
            }
        ],
        "text": "text 1",
        "direction": "inbound",
        "tm_create": "2026-08-01T09:00:01.000000Z",
        "tm_update": None,
        "tm_delete": None,
    }
    assert (message.edge.flow_id, message.edge.flow_version, message.edge.steps) == (TWO, 3, [{"step": "1"}])
    assert message.edge.media == ("https://a/",)
    assert (message.edge.outcome, message.edge.error, message.edge.carrier_id) == ("failed", "oops", "1")


@pytest.mark.parametrize(
    ("change", "out", "status", "reason"),
    [
        ({"refusal": "NumberUnknown", "customer_id": NIL}, None, "rejected", "NumberUnknown"),
        ({"direction": "outbound", "peer": "sip:bob@h"}, {"state": "queued", "error": "busy"}, "queued", "busy"),
        ({"direction": "outbound"}, {"state": "sent"}, "sent", ""),
        ({"direction": "outbound"}, {"state": "failed", "error": "no such number"}, "failed", "no such number"),
    ],
)
async def test_how_far_a_message_got(
    ground: Ground, change: dict[str, Any], out: dict[str, Any] | None, status: str, reason: str
) -> None:
    table = await fill(ground, [row(1, **change)], [sending(1, **out)] if out else None)
    message = await table.get(name(1))
    assert message is not None
    assert (message.targets[0].status, message.edge.reason) == (status, reason)
    if out is not None:
        assert message.source.target == "+14155550100"
        assert message.targets[0].destination.type == ("sip" if "peer" in change else "tel")
        assert (message.edge.attempts, message.edge.carrier_id) == (2, "ring 7")
        assert message.tm_update == "2026-08-01T09:00:02.000000Z"


async def test_a_message_that_was_never_accepted_is_not_shown(ground: Ground) -> None:
    table = await fill(ground, [row(1, direction="outbound")])
    assert await table.get(name(1)) is None
    assert await table.list(None) == []


async def test_nobody_sees_anothers_message(ground: Ground) -> None:
    table = await fill(ground, [row(1), row(2, customer_id=TWO)])
    assert await table.get(name(2), ONE) is None
    assert await table.get(name(2), TWO) is not None
    assert ids(await table.list(ONE)) == [1]
    assert ids(await table.list(None)) == [2, 1]


def ids(found: Any) -> list[int]:
    return [int(message.id[-12:]) for message in found]


async def test_lists_are_filtered(ground: Ground) -> None:
    table = await fill(
        ground,
        [
            row(1),
            row(2, number="+14155550200"),
            row(3, direction="outbound", peer="+14155550333"),
            row(4),
        ],
        [sending(3)],
    )
    assert ids(await table.list(ONE, number="+14155550100")) == [4, 3, 1]
    assert ids(await table.list(ONE, peer="+14155550333")) == [3]
    directions: list[tuple[Direction, list[int]]] = [("inbound", [4, 2, 1]), ("outbound", [3])]
    for direction, expected in directions:
        assert ids(await table.list(ONE, direction=direction)) == expected
    assert ids(await table.list(ONE, since=NOON + timedelta(seconds=2))) == [4, 3, 2]
    assert ids(await table.list(ONE, until=NOON + timedelta(seconds=2))) == [1]


async def test_pages_miss_nothing_where_many_share_a_time(ground: Ground) -> None:
    table = await fill(ground, [row(number, tm_create=NOON + timedelta(seconds=number // 4)) for number in range(20)])
    seen: list[int] = []
    place: Place | None = None
    while page := await table.list(ONE, after=place, size=3):
        seen += ids(page)
        place = Place(NOON + timedelta(seconds=seen[-1] // 4), page[-1].id)
    assert seen == sorted(range(20), reverse=True)


async def test_old_messages_are_purged_in_batches_but_nothing_that_is_at_work(ground: Ground) -> None:
    rows = [row(number) for number in range(5)]
    rows += [row(5, flow_state="pending"), row(6, direction="outbound"), row(7, direction="outbound"), row(100)]
    table = await fill(ground, rows, [sending(6, state="queued"), sending(7), sending(8), sending(101)])
    before = NOON + timedelta(seconds=50)
    assert [await table.purge(before, 4) for _ in range(3)] == [4, 2, 0]
    assert [r["id"] for r in await ground.rows(messages)] == [name(5), name(6), name(100)]
    assert [r["id"] for r in await ground.rows(outbox)] == [name(6), name(101)]


def test_the_model_describes_every_field() -> None:
    schema = Message.model_json_schema()
    for model in (schema, *schema["$defs"].values()):
        assert [key for key, field in model["properties"].items() if not field.get("description")] == []


@pytest.mark.parametrize(
    ("customer", "wanted", "index"),
    [
        (None, {}, "ix_messages_tm_create"),
        (ONE, {}, "ix_messages_customer_id_tm_create"),
        (None, {"status": "delivered"}, "ix_outbox_state_tm_create_id"),
        (ONE, {"status": "failed"}, "ix_outbox_customer_id_state_tm_create_id"),
        (ONE, {"status": "sent", "number": "+1", "peer": "+2"}, "ix_outbox_customer_id_state_tm_create_id"),
        (ONE, {"status": "rejected"}, "ix_messages_refused"),
        (None, {"status": "rejected"}, "ix_messages_refused"),
        (ONE, {"flow_state": "pending", "carrier": "c"}, "ix_messages_pending"),
        (ONE, {"flow_state": "failed"}, "ix_messages_dead"),
        (ONE, {"conversation_id": NIL, "direction": "inbound"}, "ix_messages_conversation_id_tm_create"),
        (ONE, {"number": "+1", "carrier": "c"}, "ix_messages_number_tm_create"),
        (None, {"carrier": "c"}, "ix_messages_carrier_tm_create"),
    ],
)
def test_each_list_has_an_index(customer: str | None, wanted: Any, index: str) -> None:
    """SQLite chooses without knowing how many rows there are, so an empty table tells."""
    assert index in plan(customer, wanted)


def test_dead_letters_have_an_index() -> None:
    assert "ix_messages_dead" in plan(ONE, {"carrier": "c", "number": "+1"}, dead=True)


def plan(customer: str | None, wanted: Any, **more: bool) -> str:
    engine = sa.create_engine("sqlite://")
    metadata.create_all(engine, tables=[messages, outbox])
    place = Place(NOON, name(1))
    query = _wanted(customer, wanted, place, 10, **more).compile(engine, compile_kwargs={"literal_binds": True})
    with engine.connect() as connection:
        steps = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {query}").all()
    return " ".join(str(step[3]) for step in steps)
