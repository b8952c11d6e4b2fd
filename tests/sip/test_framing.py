from __future__ import annotations

import time
from itertools import pairwise
from typing import cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.sip.framing import Framer, FramingError
from edge.sip.message import BODY_MAX, HEAD_MAX, Malformed, Request, check, parse


def sip(*lines: str, body: bytes = b"", start: str = "OPTIONS sip:a@b SIP/2.0") -> bytes:
    fields = ("Via: SIP/2.0/TCP a;branch=z9hG4bK1", "To: <sip:a@b>", "f: <sip:c@d>", "i: x", "CSeq: 1 OPTIONS")
    return "\r\n".join([start, *fields, *lines, "", ""]).encode() + body


def fault_of(data: bytes) -> Malformed:
    with pytest.raises(Malformed) as caught:
        check(cast(Request, parse(data)))
    return caught.value


LONG = sip("Content-Length: 5", body=b"hello")
SHORT = sip("L :\t3", body=b"\r\n\r")
FOLDED = sip("content-length:\r\n  004", body=b"\0\xff\r\n")
TWICE = sip("l: 2", "CONTENT-LENGTH: 2", body=b"hi")
NONE = sip("X-l: 7", "Subject: l: 9")
RESPONSE = sip("Content-Length: 0", start="SIP/2.0 200 OK")


def outcome(*chunks: bytes, head_max: int = HEAD_MAX, body_max: int = BODY_MAX) -> tuple[list[bytes], str]:
    """The messages that come out, and why the stream ended."""
    framer, found = Framer(head_max, body_max), []
    for chunk in chunks:
        try:
            found += framer.feed(chunk)
        except FramingError as fault:
            return found + fault.messages, fault.what
    return found, ""


@pytest.mark.parametrize(
    ("stream", "messages"),
    [
        (b"", []),
        (LONG, [LONG]),
        (LONG + SHORT + FOLDED + TWICE + NONE + RESPONSE, [LONG, SHORT, FOLDED, TWICE, NONE, RESPONSE]),
        (b"\r\n\r\n", [b""]),
        (b"\r\n\r\n\r\n\r\n" + LONG, [b"", b"", LONG]),
        (b"\r\n" + LONG + b"\r\n" + SHORT, [LONG, SHORT]),
        (LONG + b"\r\n\r\n\r\n" + SHORT + b"\r\n\r\n", [LONG, b"", SHORT, b""]),
        (b"\r\n", []),
        (b"\r\n\r", []),
        (LONG[:-1], []),
    ],
)
def test_messages(stream: bytes, messages: list[bytes]) -> None:
    assert outcome(stream) == (messages, "")
    for at in range(len(stream) + 1):
        assert outcome(stream[:at], stream[at:]) == (messages, "")
    assert outcome(*(stream[at : at + 1] for at in range(len(stream)))) == (messages, "")


@pytest.mark.parametrize(
    ("broken", "what", "answered"),
    [
        (sip("Content-Length: -999", body=b"v=0"), "wrong Content-Length", 400),
        (sip("Content-Length: ", body=b"v=0"), "wrong Content-Length", 400),
        (sip("Content-Length: 5, 5", body=b"hello"), "wrong Content-Length", 400),
        (sip("l: ٣", body=b"hello"), "wrong Content-Length", 400),
        (sip("Content-Length: 13", "Content-Length: 5", body=b"hello"), "several Content-Lengths", 400),
        (sip("Content-Length: 0", "l: 5", body=b"hello"), "several Content-Lengths", 400),
        (sip(f"Content-Length: {BODY_MAX + 1}"), "body too long", 513),
        (sip("l: 99999999999999999999"), "wrong Content-Length", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", "not SIP", None),
        (b"\x16\x03\x01\x02\x00", "not SIP", None),
        (b"\0", "not SIP", None),
        (b"\r\n\rX", "not SIP", None),
        (b"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\n\r\n", "not SIP", None),
        (b"A" * (HEAD_MAX + 4), "head too long", None),
        (sip("X: " + "y" * HEAD_MAX), "head too long", None),
    ],
)
def test_stream_ends(broken: bytes, what: str, answered: int | None) -> None:
    """What came before is handed out; so is the head that is to blame, if it can be answered."""
    found, why = outcome(LONG + b"\r\n\r\n" + broken)
    assert (found[:2], why) == ([LONG, b""], what)
    for at in (1, len(LONG), len(LONG) + 7, len(LONG) + len(broken) - 1):
        stream = LONG + b"\r\n\r\n" + broken
        assert outcome(stream[:at], stream[at:]) == (found, why)
    if answered is None:
        assert len(found) == 2
        return
    assert len(found) == 3
    fault = fault_of(found[2])
    assert fault.status == answered
    assert fault.request is not None


def test_limits_are_arguments() -> None:
    assert outcome(LONG, head_max=len(LONG) - 9, body_max=5) == ([LONG], "")
    assert outcome(LONG, head_max=len(LONG) - 10)[1] == "head too long"
    assert outcome(LONG, body_max=4)[1] == "body too long"


def test_pending() -> None:
    framer = Framer()
    for chunk, pending in (
        (b"\r", 0),
        (b"\n", 0),
        (b"OPT", 3),
        (LONG[3:-1], len(LONG) - 1),
        (b"o", 0),
        (b"\r\n\r\n", 0),
    ):
        framer.feed(chunk)
        assert framer.pending == pending


STREAM = b"".join([b"\r\n", LONG, b"\r\n\r\n", SHORT, FOLDED, b"\r\n\r\n\r\n", TWICE, NONE, RESPONSE])


@settings(max_examples=100, derandomize=True, deadline=None)
@given(st.lists(st.integers(0, len(STREAM)), max_size=12))
def test_segments_do_not_matter(cuts: list[int]) -> None:
    edges = [0, *sorted(cuts), len(STREAM)]
    chunks = [STREAM[a:b] for a, b in pairwise(edges)]
    assert outcome(*chunks) == outcome(STREAM)
    assert len(outcome(STREAM)[0]) == 8


@settings(max_examples=100, derandomize=True, deadline=None)
@given(
    st.lists(
        st.sampled_from([LONG, SHORT, NONE, b"\r\n", b"\r", b"\n", b"\0", b"l: 3\r\n", b"A B SIP/2.0\r\n", b"x"]),
        max_size=6,
    ),
    st.lists(st.integers(0, 200), max_size=4),
)
def test_any_stream(pieces: list[bytes], cuts: list[int]) -> None:
    stream = b"".join(pieces)
    edges = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    chunks = [stream[a:b] for a, b in pairwise(edges)]
    assert outcome(*chunks) == outcome(stream)


def test_single_bytes_are_linear() -> None:
    stream = sip("X: " + "y" * 30_000, "Content-Length: 30000", body=b"z" * 30_000)
    began = time.process_time()
    assert outcome(*(stream[at : at + 1] for at in range(len(stream)))) == ([stream], "")
    assert time.process_time() - began < 1


def test_many_messages_at_once_are_linear() -> None:
    began = time.process_time()
    assert len(outcome(LONG * 5000)[0]) == 5000
    assert time.process_time() - began < 1
