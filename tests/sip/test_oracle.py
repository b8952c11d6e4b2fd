"""Our reading of well-formed messages against that of the `sipmessage` package."""

from __future__ import annotations

import pytest
import sipmessage

from edge.sip.message import Address, CSeq, Malformed, Request, Response, Uri, Via, check, parse
from tests.sip.vectors import Vector, needed, torture

# What the other cannot read, or reads otherwise, though it is well-formed. A test sees to it that this is still so.
GAPS = {
    "wsinv.dat": "it does not unfold lines",
    "esc01.dat": "it does not unfold lines",
    "semiuri.dat": "it does not unfold lines",
    "longreq.dat": "it does not unfold lines",
    "esc02.dat": "it reads % in a parameter of a Via as an escape",
    "via-received-param-with-delim.dat": "it writes brackets in a parameter of a Via as escapes",
    "intmeth.dat": "it keeps the backslash of an escaped character",
    "unkscm.dat": "it knows the schemes sip, sips and tel only",
    "novelsc.dat": "it knows the schemes sip, sips and tel only",
    "unksm2.dat": "it knows the schemes sip, sips and tel only",
    "regescrt.dat": "it knows no header fields in a URI",
    "via-received-param-no-delim.dat": "it wants brackets around an IPv6 address in received",
    "ipv6-correct-abnf-2-colons.dat": "it knows no IPv4 address at the end of an IPv6 address",
}


def well_formed() -> list[Vector]:
    found: list[Vector] = []
    for vector in torture():
        try:
            message = parse(vector.data)
            if isinstance(message, Request):
                check(message)
        except Malformed:
            continue
        found.append(vector)
    return found


WELL_FORMED = well_formed()


def plain(uri: Uri) -> Uri:
    """Without escapes in the user part: the other reads them at once."""
    return uri._replace(user=uri.plain_user)


def same_address(ours: Address, theirs: sipmessage.Address) -> bool:
    printed = Address.parse(str(theirs))
    return printed._replace(uri=plain(printed.uri)) == ours._replace(uri=plain(ours.uri))


def differences(data: bytes) -> list[str]:
    """What the two read differently. Raises `ValueError` where the other cannot read at all."""
    ours, theirs = parse(data), sipmessage.Message.parse(data)
    same = {
        "via": ours.vias == tuple(Via.parse(str(via)) for via in theirs.via),
        "from": same_address(ours.from_, theirs.from_address),
        "to": same_address(ours.to, theirs.to_address),
        "cseq": ours.cseq == CSeq.parse(str(theirs.cseq)),
        "call-id": ours.call_id == theirs.call_id,
        "contact": len(ours.contacts) == len(theirs.contact) and all(map(same_address, ours.contacts, theirs.contact)),
        "max-forwards": ours.max_forwards == theirs.max_forwards,
        "require": ours.headers.values("require") == theirs.require,
        "supported": ours.headers.values("supported") == theirs.supported,
        "body": theirs.body.startswith(ours.body),  # it does not cut at Content-Length
    }
    if isinstance(ours, Request):
        assert isinstance(theirs, sipmessage.Request)
        same["method"] = ours.method == theirs.method
        same["uri"] = plain(ours.target) == plain(Uri.parse(str(theirs.uri)))
    elif isinstance(theirs, sipmessage.Response):
        same["status"] = (ours.status, ours.reason) == (theirs.code, theirs.phrase)
    return [name for name, is_same in same.items() if not is_same]


@needed
@pytest.mark.parametrize("vector", WELL_FORMED, ids=[vector.file for vector in WELL_FORMED])
def test_vector(vector: Vector) -> None:
    if vector.file in GAPS:
        try:
            assert differences(vector.data), f"no gap any more: {GAPS[vector.file]}"
        except ValueError:
            pass
    else:
        assert differences(vector.data) == []


@needed
def test_gaps_are_well_formed() -> None:
    assert set(GAPS) <= {vector.file for vector in WELL_FORMED}
    assert len(WELL_FORMED) - len(GAPS) >= 20


def test_own_messages_read_alike() -> None:
    for start, kind in (("OPTIONS sip:a@b;lr SIP/2.0", Request), ("SIP/2.0 486 Busy Here", Response)):
        data = (
            f"{start}\r\nVia: SIP/2.0/UDP [2001:db8::1]:5070;branch=z9hG4bK1;rport=9, SIP/2.0/TCP b;branch=z9hG4bK2\r\n"
            'f: "Bell, A. \\"x\\"" <sip:a%20b:pw@example.com:5061;user=phone>;tag=1\r\nt: tel:+14155550100;tag=2\r\n'
            'm: <sip:x@y>;q=0.5, "a, b" <sips:[2001:db8::2]>\r\ni: x@y\r\nCSeq: 7 OPTIONS\r\nk: timer, 100rel\r\n'
            "Max-Forwards: 9\r\nRequire: a, b\r\nl: 2\r\n\r\nhi"
        ).encode()
        assert isinstance(parse(data), kind)
        assert differences(data) == []
