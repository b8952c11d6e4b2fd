from __future__ import annotations

import pytest

from edge.sip.body import DEPTH_MAX, PARTS_MAX, SDP, TEXT, body_of, sdp_body
from edge.sip.message import Headers, Malformed, Request

OFFER = b"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\n"


def message(body: bytes, content_type: str | None = None, **more: str) -> Request:
    fields = [("Via", "SIP/2.0/UDP a"), *((name.replace("_", "-"), value) for name, value in more.items())]
    if content_type is not None:
        fields.append(("Content-Type", content_type))
    return Request("INVITE", "sip:a@b", Headers(fields), body)


def part(body: bytes, *lines: str) -> bytes:
    return "".join(f"{line}\r\n" for line in lines).encode() + b"\r\n" + body


def multipart(*parts: bytes, boundary: bytes = b"xyz", end: bytes = b"--xyz--\r\n") -> bytes:
    return b"preamble\r\n" + b"".join(b"--%b\r\n%b\r\n" % (boundary, each) for each in parts) + end


SDP_PART = part(OFFER, "Content-Type: application/sdp")
ISUP = part(
    b"\0\x01\r\n\xff", "Content-Type: application/isup;version=x", "Content-Disposition: signal;handling=optional"
)
ISUP_REQUIRED = part(b"\0\x01", "Content-Type: application/isup", "Content-Disposition: signal;handling=required")
UNKNOWN = part(b"x", "c: application/unknown")


@pytest.mark.parametrize(
    ("request_", "found"),
    [
        (message(b""), None),
        (message(b"", "application/unknown"), None),
        (message(OFFER), OFFER),
        (message(OFFER, "application/sdp"), OFFER),
        (message(OFFER, "Application / SDP ; charset=utf-8"), OFFER),
        (message(OFFER, "application/sdp", Content_Encoding="identity"), OFFER),
        (message(OFFER, "application/sdp", Content_Disposition="session"), OFFER),
        (message(OFFER, "application/sdp", Content_Disposition="Session ; handling=required"), OFFER),
        (message(b"x", "application/unknown", Content_Disposition="render;handling=optional"), None),
        (
            message(b"x", "application/sdp", Content_Encoding="gzip", Content_Disposition="session;handling=Optional"),
            None,
        ),
        (message(multipart(SDP_PART), "multipart/mixed;boundary=xyz"), OFFER),
        (message(multipart(ISUP, SDP_PART), 'multipart/mixed; boundary="xyz"'), OFFER),
        (message(multipart(SDP_PART, ISUP), "multipart/mixed;boundary=xyz"), OFFER),
        (message(multipart(SDP_PART, end=b"--xyz--"), "multipart/mixed;boundary=xyz"), OFFER),
        (message(multipart(SDP_PART, end=b"--xyz-- \r\nepilogue"), "multipart/mixed;boundary=xyz"), OFFER),
        (message(multipart(SDP_PART, end=b""), "multipart/mixed;boundary=xyz"), OFFER + b"\r\n"),
        (message(multipart(SDP_PART)[len("preamble\r\n") :], "multipart/mixed;boundary=xyz"), OFFER),
        (message(multipart(ISUP), "multipart/mixed;boundary=xyz"), None),
        (message(multipart(SDP_PART, UNKNOWN), "multipart/mixed;boundary=xyz"), OFFER),
        (message(multipart(UNKNOWN, SDP_PART), "multipart/mixed;boundary=xyz"), OFFER),
        (
            message(
                multipart(SDP_PART, part(b"later", "Content-Type: application/sdp")), "multipart/mixed;boundary=xyz"
            ),
            OFFER,
        ),
        (message(multipart(UNKNOWN, SDP_PART), "multipart/alternative;boundary=xyz"), OFFER),
        (message(multipart(SDP_PART, UNKNOWN), "multipart/alternative;boundary=xyz"), OFFER),
        (
            message(
                multipart(SDP_PART, part(b"better", "Content-Type: application/sdp")),
                "multipart/alternative;boundary=xyz",
            ),
            b"better",
        ),
        (message(multipart(ISUP), "multipart/alternative;boundary=xyz"), None),
        (message(multipart(SDP_PART, UNKNOWN), "multipart/related;boundary=xyz"), OFFER),
    ],
)
def test_sdp(request_: Request, found: bytes | None) -> None:
    assert sdp_body(request_) == found


def nested(depth: int) -> Request:
    body, kind = OFFER, SDP
    for level in range(depth):
        boundary = b"b%d" % level
        body = multipart(part(body, f"Content-Type: {kind}"), boundary=boundary, end=b"--%b--" % boundary)
        kind = f"multipart/mixed;boundary=b{level}"
    return message(body, kind)


def test_bodies_within_bodies() -> None:
    assert sdp_body(nested(DEPTH_MAX)) == OFFER
    with pytest.raises(Malformed) as caught:
        sdp_body(nested(DEPTH_MAX + 1))
    assert caught.value.status == 415


@pytest.mark.parametrize(
    ("request_", "status", "fields"),
    [
        (message(b"x", "application/unknown"), 415, (("Accept", SDP),)),
        (message(b"x", "application/unknown", Content_Disposition="render"), 415, (("Accept", SDP),)),
        (message(b"x", "application/sdp", Content_Encoding="gzip"), 415, (("Accept-Encoding", "identity"),)),
        (message(b"x", "application/sdp", Content_Disposition="early-session"), 415, (("Accept", SDP),)),
        (message(multipart(UNKNOWN), "multipart/mixed;boundary=xyz"), 415, (("Accept", SDP),)),
        (message(multipart(SDP_PART, ISUP_REQUIRED), "multipart/mixed;boundary=xyz"), 415, (("Accept", SDP),)),
        (message(multipart(UNKNOWN, SDP_PART), "multipart/related;boundary=xyz"), 415, (("Accept", SDP),)),
        (message(multipart(UNKNOWN), "multipart/alternative;boundary=xyz"), 415, (("Accept", SDP),)),
        (message(b"x", "nonsense"), 400, ()),
        (message(b"x", "application/sdp;;"), 400, ()),
        (message(b"x", "application/sdp", Content_Disposition="session;handling"), 200, ()),
        (message(b"x", "application/sdp", Content_Disposition="session;;"), 400, ()),
        (message(b"x", "multipart/mixed"), 400, ()),
        (message(b"x", "multipart/mixed;boundary=" + "b" * 71), 400, ()),
        (message(b"x", "multipart/mixed;boundary=xyz"), 400, ()),
        (message(b"--xyz", "multipart/mixed;boundary=xyz"), 400, ()),
        (message(b"--xyzzy\r\n\r\nx", "multipart/mixed;boundary=xyz"), 400, ()),
        (message(multipart(part(b"x", "no colon")), "multipart/mixed;boundary=xyz"), 400, ()),
        (message(multipart(*[ISUP] * (PARTS_MAX + 1)), "multipart/mixed;boundary=xyz"), 400, ()),
    ],
)
def test_sdp_invalid(request_: Request, status: int, fields: tuple[tuple[str, str], ...]) -> None:
    if status == 200:  # a parameter we cannot use is no fault
        assert sdp_body(request_) == b"x"
        return
    with pytest.raises(Malformed) as caught:
        sdp_body(request_)
    assert (caught.value.status, caught.value.fields) == (status, fields)
    assert caught.value.request is request_


def test_text() -> None:
    hello = part(b"hello")  # RFC 2046 §5.1: without a header it is text
    assert body_of(message(b"hello", "text/plain;charset=UTF-8"), TEXT) == b"hello"
    assert body_of(message(multipart(ISUP, hello), "multipart/mixed;boundary=xyz"), TEXT) == b"hello"
    with pytest.raises(Malformed):
        body_of(message(b"<p>", "text/html"), TEXT)
