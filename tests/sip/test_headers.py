from __future__ import annotations

import pytest

from edge.sip.grammar import NO_PARAMS, Params, Unreadable
from edge.sip.headers import COMPACT, NAME_MAX, NAMES, NAMES_MAX, Headers, media_type, shown

LINES = [
    "Via: SIP/2.0/UDP a;branch=1, SIP/2.0/UDP b;branch=2",
    "v: SIP/2.0/UDP c;branch=3",
    "TO : <sip:a@b>",
    "l:0",
    "X-Odd.Name:  two: parts  ",
    "Supported:",
    "Require: 100rel, , timer",
]


def test_read() -> None:
    headers = Headers.read(LINES)
    assert headers.get("via") == "SIP/2.0/UDP a;branch=1, SIP/2.0/UDP b;branch=2"
    assert headers.get("Via") == headers.get("V") == headers.get("via")
    assert headers.all("via") == ["SIP/2.0/UDP a;branch=1, SIP/2.0/UDP b;branch=2", "SIP/2.0/UDP c;branch=3"]
    assert headers.values("VIA") == ["SIP/2.0/UDP a;branch=1", "SIP/2.0/UDP b;branch=2", "SIP/2.0/UDP c;branch=3"]
    assert headers.get("to") == "<sip:a@b>"
    assert headers.get("content-length") == "0"
    assert headers.get("x-odd.name") == "two: parts"
    assert headers.get("supported") == ""
    assert headers.values("supported") == []
    assert headers.values("require") == ["100rel", "timer"]
    assert headers.get("from") is None
    assert headers.all("from") == []
    assert len(headers) == len(LINES)
    assert "To" in headers
    assert "t" in headers
    assert "from" not in headers
    assert 7 not in headers


def test_text_and_back() -> None:
    headers = Headers.read(LINES)
    again = Headers.read(str(headers).split("\r\n")[:-1])
    assert again == headers
    assert Headers(list(headers)) == headers
    assert Headers([("x", "1")]) != Headers([("x", "2")])
    assert str(Headers([("call-id", "a"), ("WWW-AUTHENTICATE", "b"), ("x-new-thing", "c")])) == (
        "Call-ID: a\r\nWWW-Authenticate: b\r\nX-New-Thing: c\r\n"
    )


def test_plain_and_odd_lines_read_alike() -> None:
    plain = ["Via: a", "To: <sip:ä@b>", "Call-ID: x"]
    assert Headers.read([*plain, "v: b"]).first == {**Headers.read(plain).first}
    assert Headers.read([line.replace(": ", ":") for line in plain]) == Headers.read(plain)
    assert Headers.read([line.replace(": ", " \t: \t") + "\t " for line in plain]) == Headers.read(plain)


def test_only_blanks_are_stripped() -> None:
    assert Headers.read(["Subject: \xa0x\x85\t "]).get("s") == "\xa0x\x85"


@pytest.mark.parametrize(
    "line", ["Via", "To", "no colon here", ": value", "a b: c", "ä: c", " Via: x", "\tx", "", "<sip:a>: x"]
)
def test_read_invalid(line: str) -> None:
    with pytest.raises(Unreadable):
        Headers.read(["To: <sip:a@b>", line])


def test_salvage_keeps_what_is_right() -> None:
    headers = Headers.salvage(["Via: a", "nonsense", " x: y", "Via: b", ": z", "To: c"])
    assert list(headers) == [("via", "a"), ("via", "b"), ("to", "c")]


def test_with_first() -> None:
    headers = Headers([("via", "a"), ("via", "b"), ("to", "c")])
    assert list(headers.with_first("via", "x")) == [("via", "x"), ("via", "b"), ("to", "c")]
    assert list(headers.with_first("to", "x")) == [("via", "a"), ("via", "b"), ("to", "x")]
    assert headers.all("via") == ["a", "b"]


@pytest.mark.parametrize("short", sorted(COMPACT))
def test_compact(short: str) -> None:
    for name in (short, short.upper()):
        assert Headers.read([f"{name}: x"]).get(COMPACT[short]) == "x"


def test_table_of_names_is_bounded() -> None:
    for i in range(NAMES_MAX + 10):
        assert Headers.read([f"X-Junk-{i}: x"]).get(f"x-junk-{i}") == "x"
    long = "X-" + "y" * NAME_MAX
    assert Headers.read([f"{long}: x"]).get(long) == "x"
    assert len(NAMES) <= NAMES_MAX
    assert long not in NAMES
    for name in [name for name in NAMES if name.startswith("X-Junk-")]:
        del NAMES[name]


def test_shown() -> None:
    assert [shown(name) for name in ("call-id", "cseq", "mime-version", "x-own")] == [
        "Call-ID",
        "CSeq",
        "MIME-Version",
        "X-Own",
    ]


@pytest.mark.parametrize(
    ("text", "kind", "params"),
    [
        ("application/sdp", "application/sdp", NO_PARAMS),
        ("Text / Plain ; Charset=UTF-8", "text/plain", Params({"charset": "UTF-8"})),
        ('multipart/mixed;boundary="a b"', "multipart/mixed", Params({"boundary": '"a b"'})),
    ],
)
def test_media_type(text: str, kind: str, params: Params) -> None:
    assert media_type(text) == (kind, params)


@pytest.mark.parametrize("text", ["", "sdp", "application/", "/sdp", "a/b/c", "application/sdp;", "a/b c"])
def test_media_type_invalid(text: str) -> None:
    with pytest.raises(Unreadable):
        media_type(text)
