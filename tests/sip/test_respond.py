from __future__ import annotations

import pytest

from edge.sip.message import REASONS, Malformed, Request, Response, parse, request_bytes, respond

HEAD = (
    "INVITE sip:bob@example.com SIP/2.0\r\n{via}\r\nFrom: <sip:a@b>;tag=1\r\nTo: {to}\r\nCall-ID: x\r\n"
    "CSeq: 1 INVITE\r\nTimestamp: 54.2\r\nContent-Length: 0\r\n\r\n"
)


def request(via: str = "Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1", to: str = "<sip:bob@example.com>") -> Request:
    message = parse(HEAD.format(via=via, to=to).encode())
    assert isinstance(message, Request)
    return message


def test_response() -> None:
    answer = respond(
        request(),
        302,
        to_tag="t1",
        fields=[("Contact", "<sip:c@d>"), ("Reason", "Q.850;cause=1")],
        source=("192.0.2.1", 5060),
    )
    assert answer == (
        b"SIP/2.0 302 Moved Temporarily\r\n"
        b"Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1\r\n"
        b"From: <sip:a@b>;tag=1\r\n"
        b"To: <sip:bob@example.com>;tag=t1\r\n"
        b"Call-ID: x\r\n"
        b"CSeq: 1 INVITE\r\n"
        b"Contact: <sip:c@d>\r\n"
        b"Reason: Q.850;cause=1\r\n"
        b"Content-Length: 0\r\n\r\n"
    )


def test_response_reads_back() -> None:
    response = parse(
        respond(request(), 200, "fein — gut", to_tag="t1", fields=[("Content-Type", "text/plain")], body=b"\0hi")
    )
    assert isinstance(response, Response)
    assert (response.status, response.reason, response.body) == (200, "fein — gut", b"\0hi")
    assert response.to_tag == "t1"


def test_timestamp_is_for_100_only() -> None:
    assert b"\r\nTimestamp: 54.2\r\n" in respond(request(), 100)
    assert b"Timestamp" not in respond(request(), 180)


@pytest.mark.parametrize(
    ("via", "source", "answered"),
    [  # RFC 3261 §18.2.1, RFC 3581 §4, RFC 5118 §4.5
        ("Via: SIP/2.0/UDP 192.0.2.1;branch=1", ("192.0.2.1", 9), ["SIP/2.0/UDP 192.0.2.1;branch=1"]),
        ("Via: SIP/2.0/UDP 192.0.2.1;branch=1", None, ["SIP/2.0/UDP 192.0.2.1;branch=1"]),
        ("Via: SIP/2.0/UDP 192.0.2.1;branch=1", ("10.0.0.1", 9), ["SIP/2.0/UDP 192.0.2.1;branch=1;received=10.0.0.1"]),
        ("Via: SIP/2.0/UDP a.example", ("10.0.0.1", 9), ["SIP/2.0/UDP a.example;received=10.0.0.1"]),
        (
            "Via: SIP/2.0/UDP 192.0.2.1;branch=1;rport",
            ("192.0.2.1", 9),
            ["SIP/2.0/UDP 192.0.2.1;branch=1;received=192.0.2.1;rport=9"],
        ),
        (
            "Via: SIP/2.0/UDP 192.0.2.1;rport;branch=1",
            ("10.0.0.1", 9),
            ["SIP/2.0/UDP 192.0.2.1;branch=1;received=10.0.0.1;rport=9"],
        ),
        ("Via: SIP/2.0/UDP 192.0.2.1;branch=1;rport", None, ["SIP/2.0/UDP 192.0.2.1;branch=1;rport"]),
        (
            "Via: SIP/2.0/UDP a;branch=1;received=6.6.6.6;rport=66;x=y",
            ("10.0.0.1", 9),
            ["SIP/2.0/UDP a;branch=1;received=10.0.0.1;rport=9;x=y"],
        ),
        ("Via: SIP/2.0/UDP a;branch=1;received=6.6.6.6", ("10.0.0.1", 9), ["SIP/2.0/UDP a;branch=1;received=10.0.0.1"]),
        ("Via: SIP/2.0/UDP 10.0.0.1;received=6.6.6.6", ("10.0.0.1", 9), ["SIP/2.0/UDP 10.0.0.1;received=10.0.0.1"]),
        ("Via: SIP/2.0/UDP [2001:DB8::1];branch=1", ("2001:db8::1", 9), ["SIP/2.0/UDP [2001:DB8::1];branch=1"]),
        (
            "Via: SIP/2.0/UDP [2001:db8::1]:5060;branch=1;rport",
            ("2001:db8::2", 9),
            ["SIP/2.0/UDP [2001:db8::1]:5060;branch=1;received=2001:db8::2;rport=9"],
        ),
        (
            "Via: SIP/2.0/UDP [fe80::1];branch=1",
            ("fe80::2%eth0", 9),
            ["SIP/2.0/UDP [fe80::1];branch=1;received=fe80::2"],
        ),
        ("Via: SIP/2.0/UDP [fe80::2];branch=1", ("fe80::2%eth0", 9), ["SIP/2.0/UDP [fe80::2];branch=1"]),
        (
            "v: SIP/2.0/UDP a;branch=1, SIP/2.0/UDP b;rport\r\nVia: SIP/2.0/TCP c",
            ("10.0.0.1", 9),
            ["SIP/2.0/UDP a;branch=1;received=10.0.0.1, SIP/2.0/UDP b;rport", "SIP/2.0/TCP c"],
        ),
        (
            "v: SIP/2.0/UDP a;rport,SIP/2.0/UDP b\r\nVia: SIP/2.0/TCP c",
            ("10.0.0.1", 9),
            ["SIP/2.0/UDP a;received=10.0.0.1;rport=9, SIP/2.0/UDP b", "SIP/2.0/TCP c"],
        ),
        (
            "Via: SIP / 2.0 / UDP\r\n  a ; branch = 1",
            ("10.0.0.1", 9),
            ["SIP / 2.0 / UDP a ; branch = 1;received=10.0.0.1"],
        ),
    ],
)
def test_via(via: str, source: tuple[str, int] | None, answered: list[str]) -> None:
    response = parse(respond(request(via=via), 200, source=source))
    assert response.headers.all("via") == answered
    assert response.vias


@pytest.mark.parametrize(
    ("to", "answered"),
    [
        ("<sip:bob@example.com>", "<sip:bob@example.com>;tag=t1"),
        ("sip:bob@example.com", "sip:bob@example.com;tag=t1"),
        ("Bob <sip:bob@example.com>;x=y", "Bob <sip:bob@example.com>;x=y;tag=t1"),
        ("<sip:bob@example.com>;tag=0", "<sip:bob@example.com>;tag=0"),
        ("<sip:bob@example.com;tag=0>", "<sip:bob@example.com;tag=0>;tag=t1"),
        ("<sip:bob@example.com> ; TAG = 0", "<sip:bob@example.com> ; TAG = 0"),
        ('"never closed <sip:b@c>', '"never closed <sip:b@c>;tag=t1'),
        ('"never closed <sip:b@c>;Tag=0', '"never closed <sip:b@c>;Tag=0'),
    ],
)
def test_to_tag(to: str, answered: str) -> None:
    lines = respond(request(to=to), 486, to_tag="t1").decode().split("\r\n")
    assert f"To: {answered}" in lines
    assert f"To: {to}" in respond(request(to=to), 100).decode().split("\r\n")


def test_what_is_missing_is_left_out() -> None:
    with pytest.raises(Malformed) as caught:
        parse(
            b"INVITE sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.95;;\r\nTo: <sip:a@b>\r\n"
            b"CSeq: 1 INVITE\r\nbroken\r\n\r\n"
        )
    assert caught.value.request is not None
    assert respond(caught.value.request, 400, to_tag="t", source=("10.0.0.1", 9)) == (
        b"SIP/2.0 400 Bad Request\r\nVia: SIP/2.0/UDP 192.0.2.95;received=10.0.0.1\r\nTo: <sip:a@b>;tag=t\r\n"
        b"CSeq: 1 INVITE\r\nContent-Length: 0\r\n\r\n"
    )


EVIL = ("\r\nX: y", "a\nb", "a\rb", "\r", "\n")


@pytest.mark.parametrize("evil", EVIL)
def test_nothing_breaks_out_of_its_line(evil: str) -> None:
    with pytest.raises(ValueError, match="CR or LF"):
        respond(request(), 200, evil)
    with pytest.raises(ValueError, match="CR or LF"):
        respond(request(), 200, to_tag=evil)
    with pytest.raises(ValueError, match="CR or LF"):
        respond(request(), 200, fields=[("X", evil)])
    with pytest.raises(ValueError, match="CR or LF"):
        respond(request(), 200, fields=[(evil, "x")])
    with pytest.raises(ValueError, match="CR or LF"):
        respond(request(), 200, source=(evil, 1))
    with pytest.raises(ValueError, match="CR or LF"):
        request_bytes("BYE", f"sip:a@b{evil}", [])
    with pytest.raises(ValueError, match="CR or LF"):
        request_bytes(evil, "sip:a@b", [])
    with pytest.raises(ValueError, match="CR or LF"):
        request_bytes("BYE", "sip:a@b", [("From", f"<sip:a@b>{evil}")])


def test_request() -> None:
    data = request_bytes("MESSAGE", "sip:bob@example.com", [("Via", "SIP/2.0/UDP a"), ("Subject", "ü\udcff")], b"hello")
    assert data == (
        b"MESSAGE sip:bob@example.com SIP/2.0\r\nVia: SIP/2.0/UDP a\r\nSubject: \xc3\xbc\xff\r\n"
        b"Content-Length: 5\r\n\r\nhello"
    )
    message = parse(data)
    assert isinstance(message, Request)
    assert (message.method, message.headers.get("subject"), message.body) == ("MESSAGE", "ü\udcff", b"hello")


def test_reasons() -> None:
    assert respond(request(), 486).startswith(b"SIP/2.0 486 Busy Here\r\n")
    assert respond(request(), 299).startswith(b"SIP/2.0 299 \r\n")
    assert isinstance(parse(respond(request(), 299)), Response)
    assert all(100 <= status < 700 and reason for status, reason in REASONS.items())
