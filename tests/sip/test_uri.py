from __future__ import annotations

import pytest

from edge.sip.grammar import Params, Unreadable
from edge.sip.uri import Uri


@pytest.mark.parametrize(
    ("text", "uri"),
    [
        ("sip:example.com", Uri("sip", host="example.com")),
        ("sip:+14155550100@192.0.2.1:5060", Uri("sip", "+14155550100", "192.0.2.1", 5060)),
        ("sips:bob@example.com;lr", Uri("sips", "bob", "example.com", params=Params({"lr": None}))),
        (
            "sip:bob@example.com:5070;transport=tcp;lr",
            Uri("sip", "bob", "example.com", 5070, Params({"transport": "tcp", "lr": None})),
        ),
        ("sip:bob:secret@example.com", Uri("sip", "bob", "example.com", password="secret")),
        ("sip:bob:@example.com", Uri("sip", "bob", "example.com", password="")),
        (
            "sip:bob@example.com?Route=%3Csip:example.com%3E",
            Uri("sip", "bob", "example.com", headers="Route=%3Csip:example.com%3E"),
        ),
        ("sip:[2001:db8::10]", Uri("sip", host="2001:db8::10")),
        ("sip:[2001:db8::10]:5070", Uri("sip", host="2001:db8::10", port=5070)),
        ("sip:[2001:db8::10:5070]", Uri("sip", host="2001:db8::10:5070")),
        ("sip:u@[::ffff:192.0.2.2]", Uri("sip", "u", "::ffff:192.0.2.2")),
        ("sip:null-%00-null@example.com", Uri("sip", "null-%00-null", "example.com")),
        ("sip:sips%3Auser%40example.com@example.net", Uri("sip", "sips%3Auser%40example.com", "example.net")),
        ("sip:user;par=u%40example.net@example.com", Uri("sip", "user;par=u%40example.net", "example.com")),
        (
            "sip:1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*:&it+has=1,weird!*pas$wo~d_too.(doesn't-it)@example.com",
            Uri(
                "sip",
                "1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*",
                "example.com",
                password="&it+has=1,weird!*pas$wo~d_too.(doesn't-it)",
            ),
        ),
        ("sip:*21#@example.com", Uri("sip", "*21#", "example.com")),
        (
            "sip:+12125551212;ext=5@gw;user=phone",
            Uri("sip", "+12125551212;ext=5", "gw", params=Params({"user": "phone"})),
        ),
        ("tel:+1-415-555-0100", Uri("tel", "+1-415-555-0100")),
        ("tel:0100;phone-context=+1415555", Uri("tel", "0100", params=Params({"phone-context": "+1415555"}))),
        ("nobodyknowsthisscheme:totallyopaquecontent", Uri("nobodyknowsthisscheme", opaque="totallyopaquecontent")),
        ("soap.beep://192.0.2.103:3002", Uri("soap.beep", opaque="//192.0.2.103:3002")),
        ("isbn:2983792873", Uri("isbn", opaque="2983792873")),
        ("http://www.example.com", Uri("http", opaque="//www.example.com")),
    ],
)
def test_uri(text: str, uri: Uri) -> None:
    assert Uri.parse(text) == uri
    assert str(uri) == text
    assert hash(Uri.parse(text)) == hash(uri)


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        ("SIP:Bob@Example.COM;LR", "sip:Bob@example.com;lr"),
        ("Sips:a@[2001:DB8::1]:05061", "sips:a@[2001:db8::1]:5061"),
        ("TEL:+1", "tel:+1"),
        ("sip:a@b:00;Transport=TCP;x=1", "sip:a@b:0;transport=TCP;x=1"),
        ("URN:service:sos", "urn:service:sos"),
    ],
)
def test_uri_is_made_canonical(text: str, printed: str) -> None:
    assert str(Uri.parse(text)) == printed
    assert Uri.parse(printed) == Uri.parse(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "sip:",
        "sip",
        "+14155550100",
        "sip:@example.com",
        "sip:bob@",
        "sip:a@b@c",
        "sip:bob@example.com:",
        "sip:bob@example.com:99999",
        "sip:bob@example.com:65536",
        "sip:bob@example.com:5060a",
        "sip:2001:db8::10",
        "sip:user@[2001:db8:::192.0.2.1]",
        "sip:user@[2001:db8::1",
        "sip:user@example.com; lr",
        "sip:user@example.com;",
        "sip:user@example.com;;lr",
        "sip:user@example.com;lr;lr",
        "sip:user@example.com;a=1;A=2",
        " sip:t.watson@example.org ",
        "<sip:user@example.com>",
        "sip:us er@example.com",
        "sip:100%@example.com",
        "sip:%4@example.com",
        "sip:a@b;x=%zz",
        "sip:a@b;x=%z",
        "sip:ü@example.com",
        "sip:a@exämple.com",
        "sip:a@b\r\nVia: x",
        "sip:a@b\n",
        "tel:",
        "tel:+1 415",
        "1scheme:x",
        "scheme:",
        'scheme:a"b',
        "sips:?a=b",
    ],
)
def test_uri_invalid(text: str) -> None:
    with pytest.raises(Unreadable):
        Uri.parse(text)


def test_escapes_are_read_once() -> None:
    assert Uri.parse("sip:%75se%72@example.com").plain_user == "user"
    assert Uri.parse("sip:null-%00-null@example.com").plain_user == "null-\0-null"
    assert Uri.parse("sip:a%2541@example.com").plain_user == "a%41"
    assert Uri.parse("sip:%ff@example.com").plain_user == "\udcff"
    assert Uri.parse("sip:plain@example.com").plain_user == "plain"


def test_is_sip() -> None:
    assert Uri.parse("sips:a@b").is_sip
    assert not Uri.parse("tel:1").is_sip
