"""What carriers' APIs have in common."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from edge.carriers.api import LONGEST_WAIT, json_of, receipt_of, seconds_of
from edge.http import Answer

NOW = datetime(2026, 8, 1, 9, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("", None),
        ("17", 17.0),
        (" 0 ", 0.0),
        ("9" * 400, LONGEST_WAIT),
        ("Sat, 01 Aug 2026 09:01:00 GMT", 60.0),
        ("Sat, 01 Aug 2026 08:00:00 GMT", 0.0),
        ("Sat, 01 Aug 2099 08:00:00 GMT", LONGEST_WAIT),
        ("soon", None),
        ("-5", None),
        ("1.5", None),
    ],
)
def test_how_long_to_wait(value: str, seconds: float | None) -> None:
    assert seconds_of(value, NOW) == seconds


@pytest.mark.parametrize("body", [b"", b"[]", b"5", b"{", b"\xff", b"[" * 9999])
def test_what_is_no_object_is_an_empty_one(body: bytes) -> None:
    assert json_of(Answer(200, body, "text/html")) == {}


@pytest.mark.parametrize(
    ("carrier_id", "ids"), [("a", ("a",)), ("", ()), (None, ()), (5, ()), ("x" * 256, ()), ("a\0", ())]
)
def test_what_a_text_is_called_is_taken_where_it_can_be_kept(carrier_id: object, ids: tuple[str, ...]) -> None:
    assert receipt_of(carrier_id).ids == ids
