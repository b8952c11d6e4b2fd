"""The number as a value."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from edge.errors import Invalid
from edge.numbers.number import Number, draft
from edge.store.metadata import NIL

FLOW = "0190f3c0-0000-7000-8000-00000000000a"
CUSTOMER = "0190f3c0-0000-7000-8000-000000000001"
NUMBER = Number(
    id="0190f3c0-0000-7000-8000-000000000002",
    customer_id=CUSTOMER,
    number="+14155550100",
    call_flow_id=FLOW,
    name="main",
    tm_purchase=datetime(2026, 8, 1, 9, tzinfo=UTC),
    tm_create=datetime(2026, 8, 1, 9, 0, 0, 5, tzinfo=UTC),
    provider_name="pool",
    version=3,
)


NUMBERS = st.builds(
    Number,
    call_flow_id=st.just(FLOW),
    message_flow_id=st.just(NIL),
    name=st.text(max_size=50),
    tm_create=st.datetimes(timezones=st.just(UTC)),
    tm_delete=st.none() | st.datetimes(timezones=st.just(UTC)),
)


@given(NUMBERS)
def test_it_survives_redis(number: Number) -> None:
    assert Number.from_json(number.to_json()) == number


def test_what_is_no_number_is_a_value_error() -> None:
    for body in (b"", b"{}", b"nonsense", NUMBER.to_json().replace(b"active", b"deleted")):
        with pytest.raises(ValueError):
            Number.from_json(body)


def test_the_api_shows_the_platforms_fields() -> None:
    assert NUMBER.public() == {
        "id": NUMBER.id,
        "customer_id": CUSTOMER,
        "number": "+14155550100",
        "type": "normal",
        "call_flow_id": FLOW,
        "message_flow_id": NIL,
        "fallback_flow_id": NIL,
        "call_flow_release": None,
        "message_flow_release": None,
        "name": "main",
        "detail": "",
        "status": "active",
        "t38_enabled": False,
        "emergency_enabled": False,
        "metadata": {"rtp_debug": False, "keywords": "edge"},
        "trunk_ids": (),
        "tm_purchase": "2026-08-01T09:00:00.000000Z",
        "tm_renew": None,
        "tm_create": "2026-08-01T09:00:00.000005Z",
        "tm_update": None,
        "tm_delete": None,
    }
    json.dumps(NUMBER.public())


def test_it_is_frozen() -> None:
    with pytest.raises(ValidationError):
        NUMBER.status = "suspended"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("given_id", "stored"), [("", NIL), (None, NIL), (NIL, NIL), (FLOW, FLOW), (FLOW.upper(), FLOW)]
)
def test_unbound_is_written_in_three_ways(given_id: str | None, stored: str) -> None:
    made = draft(customer_id=CUSTOMER, number="+14155550100", call_flow_id=given_id, message_flow_id=given_id)
    assert (made.call_flow_id, made.message_flow_id) == (stored, stored)


@pytest.mark.parametrize(
    ("fields", "where"),
    [
        ({"number": "14155550100"}, "number"),
        ({"number": "+141555"}, "number"),
        ({"number": "+0415555010000"}, "number"),
        ({"number": "+1415555010012345"}, "number"),
        ({"number": "+1415555٠100"}, "number"),
        ({"number": "+14155550100\n"}, "number"),
        ({"number": ""}, "number"),
        ({"number": "+899123456789"}, "number"),  # a virtual one, without saying so
        ({"number": "+89912345678", "type": "virtual"}, "number"),
        ({"number": "+8991234567890", "type": "virtual"}, "number"),
        ({"number": "+14155550100", "type": "virtual"}, "number"),
        ({"number": "+899000456789", "type": "virtual"}, "number"),
        ({"type": "toll-free"}, "type"),
        ({"call_flow_id": "flow"}, "call_flow_id"),
        ({"message_flow_id": 7}, "message_flow_id"),
        ({"metadata": {"rtp": True}}, "metadata.rtp"),
        ({"name": "x" * 300}, "name"),
        ({"colour": "red"}, "colour"),
        ({"status": "released"}, "status"),
    ],
)
def test_a_draft_names_what_is_wrong_with_it(fields: dict[str, Any], where: str) -> None:
    with pytest.raises(Invalid) as caught:
        draft(**{"customer_id": CUSTOMER, "number": "+14155550100", **fields})
    assert [fault.where for fault in caught.value.faults] == [where]


def test_virtual_numbers() -> None:
    assert draft(customer_id=CUSTOMER, number="+899123456789", type="virtual").type == "virtual"
    assert draft(customer_id=CUSTOMER, number="+899000456789", type="virtual", reserved=True).reserved
