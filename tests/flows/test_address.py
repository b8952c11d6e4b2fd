"""Numbers and URIs in options, and their twins that are none."""

from __future__ import annotations

from typing import Any

import pytest

from edge.flows.address import read_number, read_uri


@pytest.mark.parametrize(
    ("value", "number"),
    [
        ("+14155550100", "+14155550100"),
        (" +1 (415) 555-01.00 ", "+14155550100"),
        ("tel:+1-415-555-0100", "+14155550100"),
        ({"type": "tel", "target": "+14155550100"}, "+14155550100"),
        ({"type": "tel", "target": "+14155550100", "target_name": "x", "name": "", "detail": None}, "+14155550100"),
        ("+899123456789", "+899123456789"),
    ],
)
def test_number(value: Any, number: str) -> None:
    assert read_number(value) == number


@pytest.mark.parametrize(
    "value",
    [
        *(
            "",
            "14155550100",
            "+04155550100",
            "+1",
            "+1234567890123456",
            "bob",
            "+1４１５５５５０１００",
            "+1415555x100",
            "sip:+14155550100@h",
            5,
            None,
            [],
        ),
        *("+14155550100\r\nX: y", "tel:tel:+14155550100", "+14155550100;ext=1"),
        *(
            {},
            {"type": "tel"},
            {"type": "sip", "target": "a@b"},
            {"type": "tel", "target": 5},
            {"type": "tel", "to": "+1"},
        ),
    ],
)
def test_number_invalid(value: Any) -> None:
    with pytest.raises(ValueError):
        read_number(value)


@pytest.mark.parametrize(
    ("value", "uri"),
    [
        ("sip:alice@example.com", "sip:alice@example.com"),
        ("SIP:alice@example.com", "sip:alice@example.com"),
        ("sips:alice@example.com:5061", "sips:alice@example.com:5061"),
        ("sip:example.com", "sip:example.com"),
        ("sip:alice:secret@192.0.2.1:5060;transport=tcp;lr", "sip:alice:secret@192.0.2.1:5060;transport=tcp;lr"),
        ("sip:+14155550100;npdi@example.com;user=phone", "sip:+14155550100;npdi@example.com;user=phone"),
        ("sip:a%20b@[2001:db8::1]:5070", "sip:a%20b@[2001:db8::1]:5070"),
        ("tel:+1-415-555-0100", "tel:+14155550100"),
        ("tel:+14155550100;ext=5", "tel:+14155550100;ext=5"),
        ("tel:911;phone-context=example.com", "tel:911;phone-context=example.com"),
        ("+14155550100", "tel:+14155550100"),
        ({"type": "tel", "target": "+1 415 555 0100"}, "tel:+14155550100"),
        ({"type": "tel", "target": "tel:+14155550100"}, "tel:+14155550100"),
        ({"type": "sip", "target": "alice@example.com"}, "sip:alice@example.com"),
        ({"type": "sip", "target": "sips:alice@example.com"}, "sips:alice@example.com"),
        ({"type": "sip", "target": "alice:pw@example.com"}, "sip:alice:pw@example.com"),
    ],
)
def test_uri(value: Any, uri: str) -> None:
    assert read_uri(value) == uri


@pytest.mark.parametrize(
    "value",
    [
        *(
            "",
            "alice@example.com",
            "http://example.com",
            "mailto:a@b",
            "sip:",
            "sip:@host",
            "sip:a@",
            "tel:",
            "14155550100",
        ),
        *(
            "sip:a@b@c",
            "sip:a b@c",
            "sip:a@b c",
            "sip:a>@c",
            "sip:a@c>",
            "sip:a@c\r\nX: y",
            "sip:a@c,sip:d@e",
            "sip:a@c\n;x",
        ),
        *(
            'sip:"a"@c',
            "sip:ä@c",
            "sip:a@cä",
            "sip:a%2@c",
            "sip:a@c;x=<",
            "sip:a@c;",
            "sip:a@c?Subject=x",
            "sip:a@c;p?h=1",
        ),
        *(
            "sip:a@c:0",
            "sip:a@c:65536",
            "sip:a@c:x",
            "sip:a@-c",
            "sip:a@c..d",
            "sip:a@1.2.3",
            "sip:a@1.2.3.4.5",
            "sip:a@[::1",
            "sip:a@[1.2.3.4]",
        ),
        *(
            "tel:911",
            "tel:+1",
            "tel:+1415555;x=<",
            "tel:+14155550100?x",
            {"type": "sip", "target": ""},
            {"type": "agent", "target": "x"},
        ),
        *({"type": "sip", "target": "a@b", "x": 1}, 5, None, ["sip:a@b"]),
    ],
)
def test_uri_invalid(value: Any) -> None:
    with pytest.raises(ValueError):
        read_uri(value)
