"""The messages of RFC 4475 and RFC 5118 against the message layer: what it lets through, what it refuses, and with
what.

The index beside the messages says what a whole server does over UDP. `REFUSED` is the part of it that is decided here:
all that is not in it must come through `parse` and `check`.
"""

from __future__ import annotations

import pytest

from edge.sip.body import TEXT, body_of, sdp_body
from edge.sip.message import Malformed, Message, Request, Response, check, parse, respond
from tests.sip.vectors import Vector, needed, torture

REFUSED = {
    "badinv01.dat": 400,
    "clerr.dat": 400,
    "ncl.dat": 400,
    "scalar02.dat": 400,
    "quotbal.dat": 400,
    "ltgtruri.dat": 400,
    "lwsruri.dat": 400,
    "lwsstart.dat": 400,
    "trws.dat": 400,
    "escruri.dat": 400,
    "regbadct.dat": 400,
    "badaspec.dat": 400,
    "baddn.dat": 400,
    "badvers.dat": 505,
    "mismatch01.dat": 400,
    "mismatch02.dat": 501,
    "badbranch.dat": 400,
    "insuf.dat": 400,
    "multi01.dat": 400,
    "mcl01.dat": 400,
    "ipv6-bad.dat": 400,
    "ipv6-bug-abnf-3-colons.dat": 400,
}
SILENT = {"scalarlg.dat", "bigcode.dat"}  # responses nobody can use

VECTORS = torture()
BY_NAME = {vector.file: vector for vector in VECTORS}


def read(name: str) -> Request:
    message = parse(BY_NAME[name].data)
    assert isinstance(message, Request)
    check(message)
    return message


@needed
def test_all_are_there() -> None:
    assert len(VECTORS) >= 49 + 12
    assert set(BY_NAME) >= set(REFUSED) | SILENT


def attempt(data: bytes) -> tuple[Message | None, Malformed | None]:
    """What comes through, or the fault."""
    try:
        message = parse(data)
        if isinstance(message, Request):
            check(message)
    except Malformed as fault:
        return None, fault
    return message, None


def assert_refused(vector: Vector, fault: Malformed, expected: list[str]) -> None:
    if vector.file in SILENT:
        assert fault.request is None
        assert expected == ["silence"]
        return
    assert fault.status == REFUSED.get(vector.file)
    assert str(fault.status) in expected
    assert fault.request is not None
    assert fault.request.via.host
    answer = respond(fault.request, fault.status, to_tag="t", source=("127.0.0.2", 5060))
    for line in (b"Call-ID: ", b"From: ", b"To: "):
        assert (line in answer) == (line.strip(b": ").decode() in fault.request.headers)
    assert b"CSeq: " in answer


@needed
@pytest.mark.parametrize("vector", VECTORS, ids=[vector.file for vector in VECTORS])
def test_vector(vector: Vector) -> None:
    expected = [word.strip() for word in vector.expected.split("|")]
    message, fault = attempt(vector.data)
    if fault is not None:
        assert_refused(vector, fault, expected)
        return
    assert message is not None
    assert vector.file not in REFUSED
    assert vector.file not in SILENT
    assert expected != ["400"]
    assert isinstance(message, Response) == (expected == ["silence"])
    assert parse(bytes(message)) == message
    if isinstance(message, Request):
        answered = parse(respond(message, 486, to_tag="t", source=("127.0.0.2", 5060)))
        assert answered.to_tag == (message.to_tag or "t")
        assert answered.from_ == message.from_
        assert answered.cseq == message.cseq
        assert answered.via.received == "127.0.0.2"


@needed
def test_wsinv() -> None:
    request = read("wsinv.dat")
    assert [str(via) for via in request.vias] == [
        "SIP/2.0/UDP 192.0.2.2;branch=390skdjuw",
        "SIP/2.0/TCP spindle.example.com;branch=z9hG4bK9ikj8",
        "SIP/2.0/UDP 192.168.255.111;branch=z9hG4bK30239",
    ]
    assert (request.to_tag, request.from_tag) == ("1918181833n", "98asjd8")
    assert request.from_.display == 'J Rosenberg \\"'
    assert request.max_forwards == 68
    assert str(request.cseq) == "9 INVITE"
    assert request.routes == ("<sip:services.example.com;lr;unknownwith=value;unknown-no-value>",)
    assert request.contact is not None
    assert request.contact.display == 'Quoted string ""'
    assert dict(request.contact.params) == {"newparam": "newvalue", "secondparam": None, "q": "0.33"}
    assert request.headers.get("NewFangledHeader") == "newfangled value continued newfangled value"
    assert request.headers.get("unknownheaderwithunusualvalue") == ";;,,;;,;"
    assert len(request.body) == 150


@needed
def test_intmeth() -> None:
    request = read("intmeth.dat")
    assert request.method == "!interesting-Method0123456789_*+`.%indeed'~"
    assert request.target.user == "1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*"
    assert request.to.display == "BEL:\a NUL:\0 DEL:\x7f"
    assert request.from_.display == "token1~` token2'+_ token3*%!.-"
    assert request.from_.params.text("fromparam''~+*_!.-%") == "работающий"
    assert request.from_tag == "_token~1'+`*%!-."


@needed
def test_escapes() -> None:
    request = read("esc01.dat")
    assert request.target.plain_user == "sips:user@example.com"
    assert request.target.host == "example.net"
    assert request.to.uri.plain_user == "user"
    assert read("escnull.dat").to.uri.plain_user == "null-\0-null"
    assert [str(contact.uri.user) for contact in read("escnull.dat").contacts] == ["%00", "%00%00"]
    assert read("esc02.dat").method == "RE%47IST%45R"
    assert len(read("esc02.dat").contacts) == 2
    assert read("semiuri.dat").target.plain_user == "user;par=u@example.net"


@needed
def test_parameters_belong_where_they_stand() -> None:
    contact, uri = read("cparam01.dat").contact, read("cparam02.dat").contact
    assert contact is not None
    assert uri is not None
    assert ("unknownparam" in contact.params, "unknownparam" in contact.uri.params) == (True, False)
    assert ("unknownparam" in uri.params, "unknownparam" in uri.uri.params) == (False, True)
    assert str(read("regescrt.dat").contact) == "<sip:user@example.com?Route=%3Csip:sip.example.com%3E>"


@needed
def test_unknown_schemes() -> None:
    assert read("unkscm.dat").target.scheme == "nobodyknowsthisscheme"
    assert read("novelsc.dat").target.scheme == "soap.beep"
    assert str(read("unksm2.dat").to.uri) == "isbn:2983792873"


@needed
def test_one_request_in_a_datagram() -> None:
    request = read("dblreq.dat")
    assert (request.method, request.body) == ("REGISTER", b"")


@needed
def test_vias_of_any_transport() -> None:
    assert [via.transport for via in read("transports.dat").vias] == ["UDP", "SCTP", "TLS", "UNKNOWN", "TCP"]
    assert [via.host for via in read("mult-ip-in-header.dat").vias] == ["2001:db8::9:1", "192.0.2.1", "2001:db8::9:255"]
    for name in ("via-received-param-with-delim.dat", "via-received-param-no-delim.dat"):
        assert read(name).via.received == "2001:db8::9:255"


@needed
def test_bodies() -> None:
    for name in ("wsinv.dat", "inv2543.dat", "ipv6-in-sdp.dat"):
        assert (sdp_body(read(name)) or b"").startswith(b"v=0\r\n")
    assert body_of(read("mpart01.dat"), TEXT) == b"Hello"  # its other part does not say that it must be understood
    with pytest.raises(Malformed) as caught:
        sdp_body(read("invut.dat"))
    assert (caught.value.status, caught.value.fields) == (415, (("Accept", "application/sdp"),))


@needed
def test_bext01() -> None:
    assert read("bext01.dat").headers.values("require") == ["nothingSupportsThis", "nothingSupportsThisEither"]
