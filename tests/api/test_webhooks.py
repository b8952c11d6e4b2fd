"""Carriers' routes: kept first, then answered."""

from __future__ import annotations

from typing import Any

import pytest

from edge.errors import Unavailable
from tests.api.world import World, on_still, wheres

INBOUND = "/v1.0/carriers/loopback/inbound"
TEXT = {"id": "1", "from": "+14155550111", "to": "+14155550100", "text": "hello"}


async def test_a_text_is_kept_then_answered(world: World) -> None:
    answer = await world.did("POST", INBOUND, TEXT)
    (kept,) = world.mailbox.texts
    assert (answer["status"], answer["reason"]) == ("received", "")
    assert (kept.source, kept.destination, kept.body) == ("+14155550111", "+14155550100", "hello")
    assert (kept.account, kept.received_at) == (world.a, world.clock.now)
    await world.did("POST", INBOUND, TEXT, key=world.key_admin)
    assert world.mailbox.texts[1].account is None


async def test_what_could_not_be_kept_is_not_acknowledged(world: World) -> None:
    world.mailbox.failure = Unavailable("the disk is full")
    error = await world.refused(503, "POST", INBOUND, TEXT)
    assert "disk" not in error["message"]


@pytest.mark.parametrize(
    ("body", "where"),
    [
        ({**TEXT, "form": "x"}, "form"),
        ({name: value for name, value in TEXT.items() if name != "to"}, "to"),
        ({**TEXT, "text": 5}, "text"),
        ({**TEXT, "text": "a\u0000b"}, "text"),
    ],
)
@on_still
async def test_texts_that_are_refused(still: World, body: dict[str, Any], where: str) -> None:
    assert where in wheres(await still.refused(400, "POST", INBOUND, body))
    assert still.mailbox.texts == []


@on_still
async def test_a_webhook_needs_a_key_and_a_carrier(still: World) -> None:
    await still.refused(401, "POST", INBOUND, TEXT, key="")
    await still.refused(404, "POST", "/v1.0/carriers/telnyx/inbound", TEXT)
    assert await still.did("GET", "/v1.0/carriers/loopback/outbound") == {"result": []}
