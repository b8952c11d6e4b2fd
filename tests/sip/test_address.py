from __future__ import annotations

import pytest

from edge.sip.address import Address
from edge.sip.grammar import Params, Unreadable
from edge.sip.uri import Uri

BOB = Uri("sip", "bob", "example.com")
TAG = Params({"tag": "1a"})


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("<sip:bob@example.com>", Address(BOB)),
        ("<sip:bob@example.com>;tag=1a", Address(BOB, "", TAG)),
        ("Bob <sip:bob@example.com>;tag=1a", Address(BOB, "Bob", TAG)),
        ("A. G. Bell <sip:bob@example.com>", Address(BOB, "A. G. Bell")),
        ('"Bell, Alexander" <sip:bob@example.com>;tag=1a', Address(BOB, "Bell, Alexander", TAG)),
        (r'"say \"hi\" \\" <sip:bob@example.com>', Address(BOB, r'say "hi" \ '.rstrip())),
        ('"Jörg" <sip:bob@example.com>', Address(BOB, "Jörg")),
        ("<sip:bob@example.com>;tag=1a;x=y", Address(BOB, "", Params({"tag": "1a", "x": "y"}))),
        (
            '<sip:bob@example.com>;+sip.instance="<urn:uuid:1>"',
            Address(BOB, "", Params({"+sip.instance": '"<urn:uuid:1>"'})),
        ),
        ("<sip:%00@host5.example.com>", Address(Uri("sip", "%00", "host5.example.com"))),
        ("<sip:bob@example.com?Route=x>", Address(BOB._replace(headers="Route=x"))),
        ("<http://www.example.com>;tag=1a", Address(Uri("http", opaque="//www.example.com"), "", TAG)),
        ("<name:John_Smith>", Address(Uri("name", opaque="John_Smith"))),
        (
            '"T. desk phone" <sip:ted@[::ffff:192.0.2.2]>',
            Address(Uri("sip", "ted", "::ffff:192.0.2.2"), "T. desk phone"),
        ),
    ],
)
def test_address(text: str, address: Address) -> None:
    assert Address.parse(text) == address
    assert Address.parse(str(address)) == address
    assert str(address) in (text, text.replace('"T. desk phone"', "T. desk phone"))


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        ("sip:bob@example.com", "<sip:bob@example.com>"),
        ("sip:bob@example.com;tag=1a", "<sip:bob@example.com>;tag=1a"),
        ("sip:bob@example.com ;   tag    = 1a", "<sip:bob@example.com>;tag=1a"),
        ("sip:+16505552222@ss1.example.net;user=phone", "<sip:+16505552222@ss1.example.net>;user=phone"),
        ("caller<sip:bob@example.com>;tag=323", "caller <sip:bob@example.com>;tag=323"),
        ('"caller"<sip:bob@example.com>', "caller <sip:bob@example.com>"),
        (
            '"J Rosenberg \\\\\\""       <sip:bob@example.com> ; tag = 9',
            '"J Rosenberg \\\\\\"" <sip:bob@example.com>;tag=9',
        ),
        ("Jörg Ä. <sip:bob@example.com>", '"Jörg Ä." <sip:bob@example.com>'),
        ("<sip:bob@Example.com:05060;LR>", "<sip:bob@example.com:5060;lr>"),
        ('"" <sip:bob@example.com>', "<sip:bob@example.com>"),
        ("isbn:2983792873", "<isbn:2983792873>"),
    ],
)
def test_address_is_made_canonical(text: str, printed: str) -> None:
    assert str(Address.parse(text)) == printed
    assert Address.parse(printed) == Address.parse(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "*",
        "bob",
        '"Mr. J. User <sip:j.user@example.com>',
        "Bell, Alexander <sip:a.g.bell@example.com>;tag=43",
        "a@b <sip:bob@example.com>",
        "< sip:bob@example.org >",
        "<sip:bob@example.org",
        "<sip:bob@example.org>x",
        "<sip:bob@example.org>;",
        "<sip:bob@example.org>;;;;",
        "<sip:bob@example.org>;tag=1;tag=2",
        "<sip:bob@example.org>;tag=",
        "<sip:bob@example.org>, <sip:x@y>",
        "<<sip:bob@example.org>>",
        "<>",
        "<sip:bob@example.com:70000>",
        "<sip:bob@example.com:66000>;tag=a",
        "sip:bob@example.com?Route=%3Csip:sip.example.com%3E",
        "sip:bob@example.com,sip:x@y",
        '"a" "b" <sip:bob@example.com>',
        '"a\\" <sip:bob@example.com>',
        "sip:bob@example.com x",
    ],
)
def test_address_invalid(text: str) -> None:
    with pytest.raises(Unreadable):
        Address.parse(text)


def test_tag() -> None:
    assert Address.parse("<sip:a@b>;tag=x").tag == "x"
    assert Address.parse("<sip:a@b;tag=x>").tag is None


def test_list() -> None:
    text = '"a, b" <sip:a@b>;q=0.5, sip:c@d;q=1 ,<sip:e@f>'
    assert [str(a) for a in Address.parse_list(text)] == ['"a, b" <sip:a@b>;q=0.5', "<sip:c@d>;q=1", "<sip:e@f>"]
    assert Address.parse_list("") == ()
