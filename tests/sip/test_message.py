"""Reading whole messages: what comes out, what is refused, and that reading is linear."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.sip.message import (
    BODY_MAX,
    Address,
    CSeq,
    Headers,
    Malformed,
    Request,
    Response,
    Uri,
    Via,
    check,
    parse,
    respond,
)
from edge.sip.reading import LINES_MAX

SDP = b"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\n"
FIELDS = {
    "Via": "SIP/2.0/UDP 192.0.2.1:5061;branch=z9hG4bK1",
    "Max-Forwards": "70",
    "From": '"Carrier" <sip:+14155550199@192.0.2.1>;tag=a1',
    "To": "<sip:+14155550100@192.0.2.9>",
    "Call-ID": "1@192.0.2.1",
    "CSeq": "1 INVITE",
    "Contact": "<sip:carrier@192.0.2.1:5061>",
    "Content-Type": "application/sdp",
}


def invite(
    *more: str, start: str = "INVITE sip:+14155550100@192.0.2.9 SIP/2.0", body: bytes = SDP, **other: str | None
) -> bytes:
    """An INVITE; `other` changes a field (`call_id=`) or leaves it out (None), `more` are further lines."""
    given = {name.rstrip("_").replace("_", "-"): value for name, value in other.items()}
    fields = {**FIELDS, "Content-Length": str(len(body))}
    lines = [start]
    for name, value in fields.items():
        text = given.get(name.lower(), value)
        if text is not None:
            lines.append(f"{name}: {text}")
    return "\r\n".join([*lines, *more, "", ""]).encode("utf-8", "surrogateescape") + body


def read(data: bytes) -> Request:
    message = parse(data)
    assert isinstance(message, Request)
    check(message)
    return message


def refused(data: bytes) -> Malformed:
    with pytest.raises(Malformed) as caught:
        read(data)
    return caught.value


def test_request() -> None:
    request = read(invite())
    assert request.method == "INVITE"
    assert request.uri == "sip:+14155550100@192.0.2.9"
    assert request.target == Uri("sip", "+14155550100", "192.0.2.9")
    assert request.via == Via("UDP", "192.0.2.1", 5061, "z9hG4bK1")
    assert request.vias == (request.via,)
    assert request.from_ == Address.parse(FIELDS["From"])
    assert request.from_.display == "Carrier"
    assert request.from_tag == "a1"
    assert request.to.uri.user == "+14155550100"
    assert request.to_tag is None
    assert request.call_id == "1@192.0.2.1"
    assert request.cseq == CSeq(1, "INVITE")
    assert request.contact == Address(Uri("sip", "carrier", "192.0.2.1", 5061))
    assert request.contacts == (request.contact,)
    assert request.max_forwards == 70
    assert request.routes == request.record_routes == ()
    assert request.body == SDP
    assert request.headers.get("c") == "application/sdp"


def test_request_and_back() -> None:
    data = invite("X-Bytes: \udcff\udc80 ü")
    request = read(data)
    assert bytes(request) == data
    assert parse(bytes(request)) == request
    assert request != read(invite())
    assert repr(request) == "<INVITE sip:+14155550100@192.0.2.9 SIP/2.0>"


def test_values_are_read_once() -> None:
    request = read(invite())
    assert request.from_ is request.from_
    assert request.via is request.via
    assert request.target is request.target


def test_checked_and_unchecked_read_alike() -> None:
    data = invite(max_forwards="7", contact="<sip:a@b;lr>", to="Bob <sip:b@c>;tag=9")
    checked, unchecked = read(data), parse(data)
    assert isinstance(unchecked, Request)
    for name in (
        "via",
        "from_",
        "to",
        "from_tag",
        "to_tag",
        "call_id",
        "cseq",
        "contact",
        "contacts",
        "max_forwards",
        "target",
    ):
        assert getattr(checked, name) == getattr(unchecked, name)


def test_lists() -> None:
    request = read(
        invite(
            "Via: SIP/2.0/TCP b;branch=z9hG4bK2, SIP/2.0/UDP c",
            'Contact: "a, b" <sip:x@y>',
            "Route: <sip:p1;lr>, <sip:p2;lr>",
            "Route: <sip:p3;lr>",
            "Record-Route: <sip:r1;lr>",
        )
    )
    assert [via.host for via in request.vias] == ["192.0.2.1", "b", "c"]
    assert [contact.display for contact in request.contacts] == ["", "a, b"]
    assert request.routes == ("<sip:p1;lr>", "<sip:p2;lr>", "<sip:p3;lr>")
    assert request.record_routes == ("<sip:r1;lr>",)


@pytest.mark.parametrize(
    "data",
    [
        b"\r\n\r\n" + invite(),
        invite(via="SIP / 2.0 / UDP  192.0.2.1 ; branch = z9hG4bK1\r\n ;\r\n\tx=y"),
        invite(to="\r\n sip:bob@example.com ;\r\n tag\r\n =\r\n 1"),
        invite(start="INVITE sip:+14155550100@192.0.2.9 sip/2.0"),
        invite(start="INVITE tel:+14155550100 SIP/2.0"),
        invite(start="INVITE urn:service:sos SIP/2.0"),
        invite(start="INVITE sips:[2001:db8::1] SIP/2.0"),
        invite(content_length=None),
        invite(content_length="0" * 30 + str(len(SDP))),
        invite(via="SIP/2.0/UDP iftgw.example.com", from_="<sip:a@b>", max_forwards=None, contact=None),
        invite(max_forwards="0"),
        invite(max_forwards="255"),
        invite("Date: Fri, 01 Jan 2010 16:00:00 EST"),
        invite("Empty:", "Warning: ;;,,;"),
        invite(call_id="word%ZK-!.*_+'@word`~)(><:\\/\"][?}{"),
        invite(start="REGISTER sip:b SIP/2.0", cseq="1 REGISTER", contact="*"),
        invite(cseq="0009 \t INVITE"),
    ],
)
def test_accepted(data: bytes) -> None:
    assert read(data).call_id


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (invite(via=None), None),
        (invite(via="nonsense"), None),
        (invite(via="SIP/2.0/UDP 192.0.2.1;;"), 400),
        (invite(via="SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK"), 400),
        (invite(to=None), 400),
        (invite(to="bob"), 400),
        (invite(to='"Bob <sip:b@c>'), 400),
        (invite(from_=None, call_id=None), 400),
        (invite(call_id=None), 400),
        (invite(call_id=""), 400),
        (invite(call_id="a b"), 400),
        (invite(cseq=None), 400),
        (invite(cseq="1"), 400),
        (invite(cseq="1 BYE"), 400),
        (invite(cseq="2147483648 INVITE"), 400),
        (invite(cseq="-1 INVITE"), 400),
        (invite(cseq="٣ INVITE"), 400),
        (invite(start="NEWMETHOD sip:a@b SIP/2.0"), 501),
        (invite(max_forwards="256"), 400),
        (invite(max_forwards="x"), 400),
        (invite(contact="<sip:a@b"), 400),
        (invite(contact="*"), 400),
        (invite(contact=""), 400),
        (invite("Contact: <sip:a@b>;;"), 400),
        (invite("CSeq: 1 INVITE"), 400),
        (invite("i: 1@192.0.2.1"), 400),
        (invite("Max-Forwards: 70"), 400),
        (invite("c: application/sdp"), 400),
        (invite(f"l: {len(SDP)}"), 400),
        (invite(content_length="9999"), 400),
        (invite(content_length="-1"), 400),
        (invite(content_length=""), 400),
        (invite(content_length="0x20"), 400),
        (invite(content_length="9" * 60000), 400),
        (invite(content_length=str(BODY_MAX + 1)), 513),
        (invite("no colon"), 400),
        (invite("a b: c"), 400),
        (invite("X: bare\nlinefeed"), 400),
        (invite("X: bare\rreturn"), 400),
        (invite(*["X: y"] * LINES_MAX), 400),
        (invite(start="INVITE sip:a@b SIP/7.0"), 505),
        (invite(start="INVITE  sip:a@b SIP/2.0"), 400),
        (invite(start="INVITE sip:a@b SIP/2.0 "), 400),
        (invite(start="INVITE sip:a@b; lr SIP/2.0"), 400),
        (invite(start="INVITE <sip:a@b> SIP/2.0"), 400),
        (invite(start="INVITE sip:a@b?Route=x SIP/2.0"), 400),
        (invite(start="INVITE sip:a@b@c SIP/2.0"), 400),
        (invite(start="INVITE +14155550100 SIP/2.0"), 400),
        (invite(start="INV/ITE sip:a@b SIP/2.0"), None),
        (invite(start="INVITE sip:a@b"), None),
        (invite(start="GET / HTTP/1.1"), None),
        (invite(start="ACK sip:a@b SIP/2.0", cseq="1 INVITE"), None),
        (invite()[: -len(SDP) - 2], 400),
        (b"INVITE sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP a" + b"x" * 70000, 400),
        (b"", None),
        (b"\r\n\r\n", None),
        (b"\0\0\0\0", None),
        (b"\xff" * 100, None),
        (b" ", None),
        (b"\r\n\r\n\r\n\r\n ", None),
    ],
)
def test_refused(data: bytes, status: int | None) -> None:
    """Status None: silence."""
    fault = refused(data)
    assert fault.what
    if status is None:
        assert fault.request is None
        return
    assert fault.status == status
    assert fault.request is not None
    assert fault.request.via.host
    answer = respond(fault.request, status, to_tag="t", source=("192.0.2.77", 5099))
    assert answer.startswith(b"SIP/2.0 %d " % status)
    assert b";received=192.0.2.77" in answer
    assert answer.endswith(b"\r\nContent-Length: 0\r\n\r\n")


def test_bare_breaks_do_not_come_back() -> None:
    fault = refused(invite(from_='"a\nVia: evil" <sip:a@b>'))
    assert fault.request is not None
    assert b'\r\nFrom: "a Via: evil" <sip:a@b>\r\n' in respond(fault.request, 400)


def test_body_is_cut() -> None:
    assert read(invite(content_length="3")).body == b"v=0"
    assert read(invite(content_length="0")).body == b""
    assert read(invite(content_length=None)).body == SDP
    assert read(invite(body=b"\0\xff\r\n\r\n")).body == b"\0\xff\r\n\r\n"


def test_unchecked_fault_is_malformed() -> None:
    message = parse(invite("Route: <sip:a>", max_forwards="x", via="SIP/2.0/UDP a, SIP/2.0/UDP"))
    with pytest.raises(Malformed) as caught:
        _ = message.max_forwards
    assert (caught.value.status, caught.value.request) == (400, message)
    with pytest.raises(Malformed):
        _ = message.vias
    assert message.via.host == "a"


RESPONSE = (
    "SIP/2.0 200 = 2**3 сто\r\nVia: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK1\r\nFrom: <sip:a@b>;tag=1\r\n"
    "To: <sip:c@d>;tag=2\r\nCall-ID: x\r\nCSeq: 2 INVITE\r\nContent-Length: 2\r\n\r\nhi there"
)


def test_response() -> None:
    response = parse(RESPONSE.encode())
    assert isinstance(response, Response)
    assert (response.status, response.reason) == (200, "= 2**3 сто")
    assert response.via.branch == "z9hG4bK1"
    assert (response.from_tag, response.to_tag, response.cseq) == ("1", "2", CSeq(2, "INVITE"))
    assert response.contact is None
    assert response.body == b"hi"
    assert parse(bytes(response)) == response
    assert repr(response) == "<SIP/2.0 200 = 2**3 сто>"


@pytest.mark.parametrize("line", ["SIP/2.0 100 ", "SIP/2.0 699 x", "sip/2.0 200 OK", "SIP/2.0 404"])
def test_status_line(line: str) -> None:
    assert isinstance(parse(RESPONSE.replace("SIP/2.0 200 = 2**3 сто", line).encode()), Response)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("SIP/2.0 200", "SIP/2.0 4294967301"),
        ("SIP/2.0 200", "SIP/2.0 099"),
        ("SIP/2.0 200", "SIP/2.0 700"),
        ("SIP/2.0 200", "SIP/7.0 200"),
        ("SIP/2.0 200", "SIP/2.0  200"),
        ("CSeq: 2 ", "CSeq: 9292394834772304023312 "),
        ("CSeq: 2 INVITE\r\n", ""),
        ("Via: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK1\r\n", ""),
        ("Call-ID: x", "Call-ID: x\r\nCall-ID: y"),
        ("To: <sip:c@d>", "To: c"),
        ("Length: 2", "Length: 9"),
        ("Length: 2", "Length: -2"),
        ("Content-Length", "Content Length"),
    ],
)
def test_response_invalid(old: str, new: str) -> None:
    assert old in RESPONSE
    with pytest.raises(Malformed) as caught:
        parse(RESPONSE.replace(old, new).encode())
    assert caught.value.request is None


def any_outcome(data: bytes) -> None:
    """Reads everything there is to read. Anything but `Malformed` goes up."""
    try:
        message = parse(data)
        if isinstance(message, Request):
            check(message)
            _ = message.target, message.contact, message.from_, message.to
            parse(respond(message, 400, to_tag="t", source=("192.0.2.7", 5060)))
        _ = message.vias, message.contacts, message.max_forwards, message.routes, message.record_routes
        assert parse(bytes(message)) == message
    except Malformed as malformed:
        fault = malformed
    else:
        return
    if fault.request is not None:
        answer = respond(fault.request, fault.status, to_tag="t", source=("192.0.2.7", 5060))
        assert answer.count(b"\n") == answer.count(b"\r\n") == answer.count(b"\r")
        assert fault.request.via.host


@settings(max_examples=150, derandomize=True, deadline=None)
@given(st.binary(max_size=300))
def test_any_bytes(data: bytes) -> None:
    any_outcome(data)


PIECES = st.sampled_from(
    [
        b"\r\n",
        b"\r\n ",
        b"\n",
        b"\r",
        b"\0",
        b'"',
        b"<",
        b">",
        b";",
        b",",
        b"=",
        b":",
        b"@",
        b"[",
        b"\\",
        b"\xff",
        b" ",
        b"%",
        b"?",
    ]
)


@settings(max_examples=200, derandomize=True, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 420), st.integers(0, 3), PIECES), max_size=4))
def test_any_damage(damage: list[tuple[int, int, bytes]]) -> None:
    data = invite("Route: <sip:a;lr>", 'Contact: "x, y" <sip:c@[2001:db8::1]>')
    for at, cut, piece in damage:
        data = data[:at] + piece + data[at + cut :]
    any_outcome(data)


LONG = 60_000
ATTACKS = [
    '"' * LONG,
    "<" * LONG,
    '"\\' * (LONG // 2),
    ";" * LONG,
    ";a" * (LONG // 2),
    ";a=" + "b" * LONG,
    ";a   " * (LONG // 5),
    " " * LONG + "x",
    "a " * (LONG // 2),
    "a" * LONG,
    "," * LONG,
    "sip:" + "a" * LONG,
    "<sip:" + "a" * LONG,
    "<sip:" + "a;" * (LONG // 2) + ">",
    "<sip:" + "a:" * (LONG // 2) + "@b>",
    "<sip:a@b;" + "c=d;" * (LONG // 4) + ">",
    "<sip:a@b>" + ";a=" * (LONG // 3),
    "SIP/2.0/UDP " + "a" * LONG,
    "SIP/2.0/UDP a" + ";b" * (LONG // 2),
    "SIP/2.0/UDP a, " * (LONG // 15),
    "[" * LONG,
    "<sip:[" + ":" * LONG + "]>",
    "9" * LONG,
    "%" * LONG,
    "x\r\n " * (LONG // 4),
    "x\r\n y: z\r\n\t" * (LONG // 11),
]


@pytest.mark.parametrize("attack", ATTACKS, ids=[attack[:12].replace("\r\n", "|") for attack in ATTACKS])
@pytest.mark.parametrize(
    "field", ["via", "from_", "to", "call_id", "cseq", "contact", "max_forwards", "content_length"]
)
def test_reading_is_linear(attack: str, field: str) -> None:
    """A quadratic reader takes seconds for these; a linear one a few milliseconds."""
    data = invite(body=SDP, start="INVITE sip:a@b SIP/2.0", **{field: attack})
    began = time.process_time()
    any_outcome(data)
    assert time.process_time() - began < 0.5


def test_request_line_is_linear() -> None:
    for start in (
        "A " * 30000,
        "A" * 60000,
        " " * 60000,
        "A" + " " * 60000 + "SIP/2.0",
        "SIP/" + "1" * 60000,
        "A b" + " SIP/" * 12000,
    ):
        began = time.process_time()
        any_outcome(invite(start=start))
        assert time.process_time() - began < 0.5


def test_own_headers() -> None:
    request = Request("OPTIONS", "sip:a@b", Headers([("Via", "SIP/2.0/UDP a"), ("t", "<sip:a@b>")]), b"x")
    assert bytes(request) == b"OPTIONS sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP a\r\nTo: <sip:a@b>\r\n\r\nx"
    with pytest.raises(TypeError):
        hash(request)


def test_blanks_before_what_could_be_a_fold_are_read_once() -> None:
    blanks = b" " * 60_000
    data = b"OPTIONS sip:a SIP/2.0\r\nSubject: a" + blanks + b"b\r\n c\r\n\r\n"
    started = time.process_time()
    request = parse(data)
    assert time.process_time() - started < 1  # it takes 2 ms; read again from each blank, 4 s
    assert request.headers.first["subject"].endswith("b c")
