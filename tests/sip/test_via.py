from __future__ import annotations

import pytest

from edge.sip.grammar import Params, Unreadable
from edge.sip.via import Via, top_of


@pytest.mark.parametrize(
    ("text", "via"),
    [
        ("SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1", Via("UDP", "192.0.2.1", branch="z9hG4bK1")),
        ("SIP/2.0/UDP 192.0.2.1:5061;branch=z9hG4bK1", Via("UDP", "192.0.2.1", 5061, "z9hG4bK1")),
        ("SIP/2.0/TCP a.example:5061;branch=z9hG4bK1;rport", Via("TCP", "a.example", 5061, "z9hG4bK1", rport=True)),
        ("SIP/2.0/UDP iftgw.example.com", Via("UDP", "iftgw.example.com")),
        (
            "SIP/2.0/UDP a;branch=z9hG4bK1;received=192.0.2.9;rport=5060",
            Via("UDP", "a", branch="z9hG4bK1", received="192.0.2.9", rport=5060),
        ),
        (
            "SIP/2.0/UDP [2001:db8::9:1]:6050;branch=z9hG4bKas3;received=2001:db8::9:255",
            Via("UDP", "2001:db8::9:1", 6050, "z9hG4bKas3", "2001:db8::9:255"),
        ),
        (
            "SIP/2.0/UNKNOWN t4.example.com;branch=z9hG4bKasd;maddr=224.2.0.1;ttl=1;x",
            Via(
                "UNKNOWN",
                "t4.example.com",
                branch="z9hG4bKasd",
                params=Params({"maddr": "224.2.0.1", "ttl": "1", "x": None}),
            ),
        ),
        (
            "SIP/7.0/UDP c.example.com;branch=z9hG4bK1",
            Via("UDP", "c.example.com", branch="z9hG4bK1", protocol="SIP/7.0"),
        ),
        ("SIP/2.0/UDP h;branch=z9hG4bK-.!%66*_+`'~", Via("UDP", "h", branch="z9hG4bK-.!%66*_+`'~")),
    ],
)
def test_via(text: str, via: Via) -> None:
    assert Via.parse(text) == via
    assert str(via) == text


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        ("SIP  /   2.0 /UDP 192.0.2.2;branch=390skdjuw", "SIP/2.0/UDP 192.0.2.2;branch=390skdjuw"),
        (
            "SIP  / 2.0  / TCP     spindle.example.com   ; branch  =   z9hG4bK9ikj8",
            "SIP/2.0/TCP spindle.example.com;branch=z9hG4bK9ikj8",
        ),
        ("sip/2.0/udp A.Example : 5060 ;RPORT ;Branch=x", "SIP/2.0/UDP a.example:5060;branch=x;rport"),
        ("SIP/2.0/UDP 10.0.0.1;rport;branch=z9hG4bK1", "SIP/2.0/UDP 10.0.0.1;branch=z9hG4bK1;rport"),
        (
            "SIP/2.0/UDP [2001:db8::9:1];received=[2001:db8::9:255]",
            "SIP/2.0/UDP [2001:db8::9:1];received=2001:db8::9:255",
        ),
    ],
)
def test_via_is_made_canonical(text: str, printed: str) -> None:
    assert str(Via.parse(text)) == printed


@pytest.mark.parametrize(
    "text",
    [
        "",
        "192.0.2.1",
        "SIP/2.0/UDP",
        "SIP/2.0/UDP ",
        "SIP/2.0 192.0.2.1",
        "SIP/2.0/UDP 192.0.2.15;;,;,,",
        "SIP/2.0/UDP 192.0.2.1:",
        "SIP/2.0/UDP 192.0.2.1:70000;branch=z9hG4bK1",
        "SIP/2.0/UDP 192.0.2.1;branch=",
        "SIP/2.0/UDP 192.0.2.1;branch=a;branch=b",
        "SIP/2.0/UDP 192.0.2.1;rport;branch=a;rport",
        "SIP/2.0/UDP 192.0.2.1;branch=a;rport=x",
        "SIP/2.0/UDP 192.0.2.1;branch=a;rport=70000",
        "SIP/2.0/UDP 192.0.2.1;branch=a b",
        "SIP/2.0/UDP 2001:db8::1;branch=a",
        "SIP/2.0/UDP [2001:db8:::1];branch=a",
        "SIP/2.0/UDP 192.0.2.1;branch=a, SIP/2.0/UDP 192.0.2.2",
    ],
)
def test_via_invalid(text: str) -> None:
    with pytest.raises(Unreadable):
        Via.parse(text)


@pytest.mark.parametrize(
    ("text", "via"),
    [
        ("SIP/2.0/UDP 192.0.2.15;;,;,,", Via("UDP", "192.0.2.15")),
        ("SIP/2.0/TCP a:5070;;branch=z9hG4bK7;x=", Via("TCP", "a", 5070, "z9hG4bK7")),
        ("SIP/2.0/UDP", None),
        ("nonsense", None),
        ("SIP/2.0/UDP [:::]", None),
    ],
)
def test_salvage(text: str, via: Via | None) -> None:
    assert Via.salvage(text) == via


def test_sent_by() -> None:
    assert Via("UDP", "a").sent_by == "a"
    assert Via("UDP", "2001:db8::1", 5060).sent_by == "[2001:db8::1]:5060"


def test_top_of() -> None:
    assert top_of("SIP/2.0/UDP a") == ("SIP/2.0/UDP a", "")
    assert top_of('SIP/2.0/UDP a;x="1,2" , SIP/2.0/UDP b,SIP/2.0/TCP c') == (
        'SIP/2.0/UDP a;x="1,2"',
        "SIP/2.0/UDP b, SIP/2.0/TCP c",
    )
    assert top_of(",") == (",", "")
