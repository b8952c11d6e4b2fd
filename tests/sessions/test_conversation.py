"""Conversations, found by their texts."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import sqlalchemy as sa

from edge.sessions.conversation import Conversation, ConversationTable
from edge.sessions.tables import messages
from edge.sessions.texting import conversation_id
from edge.store.engine import writing
from edge.store.metadata import NIL, new_id
from tests.sessions.ground import Clock, Ground

ANN, BOB = "11111111-1111-4111-8111-111111111111", "22222222-2222-4222-8222-222222222222"
OURS, PEER = "+14155550100", "+14155550111"
HERE = conversation_id(ANN, OURS, PEER)


def row(direction: str, minute: int, **change: Any) -> dict[str, Any]:
    names = ("carrier", "carrier_id", "text", "route", "refusal", "lookup_source", "claimed_by")
    found = {
        "id": new_id(),
        "customer_id": ANN,
        "number_id": NIL,
        "direction": direction,
        "number": OURS,
        "peer": PEER,
        "conversation_id": HERE,
        "reference_id": NIL,
        "flow_id": NIL,
        "flow_version": 0,
        "flow_state": "none",
        "attempts": 0,
        "claimed_until": Clock().now,
        "steps": [],
        "tm_create": Clock().now + timedelta(minutes=minute),
        **dict.fromkeys((*names, "outcome", "error", "cut_by"), ""),
    }
    return {**found, "carrier_id": found["id"], **change}


async def keep(ground: Ground, *rows: dict[str, Any]) -> ConversationTable:
    async with writing(ground.engine) as connection:
        await connection.execute(sa.insert(messages), list(rows))
    return ConversationTable(ground.engine)


async def test_an_answer_goes_the_way_of_the_newest_text_that_came_in(ground: Ground) -> None:
    table = await keep(
        ground,
        row("inbound", 1, carrier="sip", route="old"),
        row("inbound", 2, carrier="pigeon", route="new"),
        row("outbound", 3, carrier="other", route=""),
    )
    assert await table.find(HERE, ANN) == Conversation(HERE, OURS, PEER, "pigeon", "new")


async def test_one_that_we_began_goes_the_way_it_went(ground: Ground) -> None:
    table = await keep(ground, row("outbound", 1, carrier="sip"), row("outbound", 2, carrier="pigeon"))
    assert await table.find(HERE, ANN) == Conversation(HERE, OURS, PEER, "pigeon", "")


async def test_another_accounts_does_not_exist(ground: Ground) -> None:
    table = await keep(ground, row("inbound", 1))
    assert await table.find(HERE, BOB) is None
    assert await table.find(new_id(), ANN) is None
    assert await table.find("", ANN) is None
