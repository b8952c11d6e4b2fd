"""Envelopes around texts, message/cpim."""

from __future__ import annotations

import pytest

from edge.sip.cpim import DEPTH_MAX, Foreign, Wrapped, unwrap, wrap
from edge.sip.grammar import Unreadable

# RFC 3862 §5.1, with a text for its XML
RFC = (
    b"From: MR SANDERS <im:piglet@100akerwood.com>\r\n"
    b"To: Depressed Donkey <im:eeyore@100akerwood.com>\r\n"
    b"DateTime: 2000-12-13T13:40:00-08:00\r\n"
    b"Subject: the weather will be fine today\r\n"
    b"Subject:;lang=fr beau temps prevu pour aujourd'hui\r\n"
    b"NS: MyFeatures <mid:MessageFeatures@id.foo.com>\r\n"
    b"Require: MyFeatures.VitalMessageOption\r\n"
    b"MyFeatures.VitalMessageOption: Confirmation-requested\r\n"
    b"MyFeatures.WackyMessageOption: Use-silly-font\r\n"
    b"\r\n"
    b"Content-type: text/plain; charset=utf-8\r\n"
    b"Content-ID: <1234567890@foo.com>\r\n"
    b"\r\n"
    b"body\r\nof it"
)


def envelope(inner: bytes, *fields: str) -> bytes:
    return "".join(f"{field}\r\n" for field in fields).encode() + b"\r\n" + inner


def nested(depth: int) -> bytes:
    body = envelope(b"Content-Type: text/plain\r\n\r\nhi", "From: <im:inner@h>", "To: <im:b@h>")
    for _ in range(depth):
        body = envelope(b"Content-Type: message/cpim\r\n\r\n" + body, "From: <im:outer@h>")
    return body


@pytest.mark.parametrize(
    ("body", "wrapped"),
    [
        (RFC, ("im:piglet@100akerwood.com", "im:eeyore@100akerwood.com", "body\r\nof it")),
        (RFC.replace(b"\r\n", b"\n"), ("im:piglet@100akerwood.com", "im:eeyore@100akerwood.com", "body\nof it")),
        (envelope(b"\r\nno type"), ("", "", "no type")),
        (envelope(b"Content-Type: text/plain\r\n\r\n"), ("", "", "")),
        (envelope(b"content-type: Text/Plain;charset=iso-8859-1\r\n\r\ncaf\xe9"), ("", "", "café")),
        (envelope(b"Content-Type: text/plain\r\n\r\n\xff"), ("", "", "\ufffd")),
        (envelope(b"Content-Type: text/plain;\r\n charset=utf-8\r\n\r\nfolded"), ("", "", "folded")),
        (envelope(b"Content-Transfer-Encoding: base64\r\n\r\naGVs\r\nbG8="), ("", "", "hello")),
        (envelope(b"Content-Transfer-Encoding: Quoted-Printable\r\n\r\ncaf=C3=A9"), ("", "", "café")),
        (envelope(b"Content-Transfer-Encoding: 8bit\r\n\r\na"), ("", "", "a")),
        (envelope(b"\r\na", "From: <tel:%2B14155550111>"), ("tel:%2B14155550111", "", "a")),
        (envelope(b"\r\na", 'From: \\"A\\" \\u0041 <im:a@h>  ', "To: im:b@h"), ("im:a@h", "", "a")),
        (envelope(b"\r\na", "From: <im:\\u0061@h>"), ("im:a@h", "", "a")),
        (envelope(b"\r\na", "From: \\ud800 <im:a@h>"), ("im:a@h", "", "a")),
        (envelope(b"\r\na", "From: <im:a b@h>", "from: <im:c@h>"), ("", "", "a")),
        (envelope(b"\r\na", f"From: <im:{'a' * 600}@h>"), ("", "", "a")),
        (nested(1), ("im:outer@h", "im:b@h", "hi")),
        (nested(DEPTH_MAX - 1), ("im:outer@h", "im:b@h", "hi")),
    ],
)
def test_what_an_envelope_holds(body: bytes, wrapped: tuple[str, str, str]) -> None:
    assert unwrap(body) == Wrapped(*wrapped)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"hello",
        b"From: <im:a@h>",
        b"From: <im:a@h>\r\n",
        b"From: <im:a@h>\r\n\r\nContent-Type: text/plain",
        b"no field\r\n\r\n\r\nx",
        b": x\r\n\r\n\r\nx",
        b" folded first\r\n\r\n\r\nx",
        b"A: b\r\n" * 65 + b"\r\n\r\nx",
        envelope(b"Content-Type: nonsense\r\n\r\nx"),
        envelope(b"Content-Transfer-Encoding: base64\r\n\r\n!!"),
        nested(DEPTH_MAX),
    ],
)
def test_what_is_no_envelope(body: bytes) -> None:
    with pytest.raises(Unreadable):
        unwrap(body)


@pytest.mark.parametrize(
    "inner",
    [
        b"Content-Type: text/xml\r\n\r\n<x/>",
        b"Content-Type: message/imdn+xml\r\n\r\n<x/>",
        b"Content-Type: text/plain; charset=utf-16\r\n\r\nx",
        b"Content-Transfer-Encoding: x-uuencode\r\n\r\nx",
    ],
)
def test_an_envelope_around_something_else(inner: bytes) -> None:
    with pytest.raises(Foreign):
        unwrap(envelope(inner, "From: <im:a@h>"))


def test_what_is_wrapped_is_unwrapped() -> None:
    text = "Grüße\r\n\r\nFrom: <im:x@h> 🙂"
    assert unwrap(wrap("tel:+14155550100", "sip:bob@h", text.encode())) == ("tel:+14155550100", "sip:bob@h", text)
