from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from edge.errors import Invalid, NumberReleased, NumberSuspended, NumberUnknown
from edge.sms.text import BODY_LIMIT, ID_LIMIT, MEDIA_LIMIT, Text, Verdict, unstorable

TEXT = Text("loopback", "1", "+14155550111", "+14155550100", "hello", datetime(2026, 8, 1, tzinfo=UTC))


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"body": ""},
        {"body": "naïve 🙂\r\n\x1b"},
        {"source": "ACME"},
        {"source": "sip:alice@example.com"},
        {"body": "x" * BODY_LIMIT},
        {"media": ("https://media.example/1.jpg?a=b#c", "HTTP://[::1]:8080/x")},
        {"media": ("https://media.example/" + "x" * 2026,) * MEDIA_LIMIT},
    ],
)
def test_a_text_that_can_be_kept(change: dict[str, Any]) -> None:
    text = replace(TEXT, **change)
    assert text == replace(TEXT, **change)
    assert hash(text) == hash(replace(TEXT, **change))


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"id": ""}, "id: is empty"),
        ({"id": "x" * (ID_LIMIT + 1)}, "id: has 641 characters, more than 640"),
        ({"source": ""}, "from: is empty"),
        ({"destination": ""}, "to: is empty"),
        ({"carrier": ""}, "carrier: is empty"),
        ({"body": "a\0b"}, "text: has a NUL character"),
        ({"body": "\ud83d"}, "text: has half of a surrogate pair"),
        ({"source": "\0"}, "from: has a NUL character"),
        ({"destination": "1" * 513}, "to: has 513 characters, more than 512"),
        ({"body": "x" * (BODY_LIMIT + 1)}, f"text: has {BODY_LIMIT + 1} characters, more than {BODY_LIMIT}"),
        ({"media": ("https://a/", "ftp://a/")}, "media[1]: is no http or https URL of up to 2048 characters"),
        ({"media": ("https://a/ b",)}, "media[0]: is no http or https URL of up to 2048 characters"),
        ({"media": ("https://" + "x" * 2041,)}, "media[0]: is no http or https URL of up to 2048 characters"),
        ({"media": ("https://a/",) * 21}, "media: has 21 URLs, more than 20"),
        ({"received_at": datetime(2026, 8, 1)}, "received_at: has no time zone"),
    ],
)
def test_text_invalid(change: dict[str, Any], fault: str) -> None:
    with pytest.raises(Invalid) as caught:
        replace(TEXT, **change)
    assert list(map(str, caught.value.faults)) == [fault]
    assert (caught.value.http, caught.value.sip) == ((413, 513) if fault.startswith("text: has 1") else (400, 400))


def test_every_fault_is_said() -> None:
    with pytest.raises(Invalid) as caught:
        replace(TEXT, id="", body="\0")
    assert len(caught.value.faults) == 2


@pytest.mark.parametrize(
    ("refusal", "status"), [(None, 202), (NumberUnknown, 404), (NumberSuspended, 403), (NumberReleased, 410)]
)
def test_a_verdict_knows_its_status(refusal: Any, status: int) -> None:
    assert Verdict("m", refusal).sip == status


def test_what_cannot_be_stored() -> None:
    assert unstorable("plain") is None
    assert unstorable("\udc00") == "has half of a surrogate pair"
