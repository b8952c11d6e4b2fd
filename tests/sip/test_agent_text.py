"""Texts by MESSAGE, theirs and ours (RFC 3428)."""

from __future__ import annotations

import pytest

from edge.sip import errand, limits, text
from edge.sip.events import TextDone, TextOffer, TextOffered
from edge.sip.peer import Peer
from edge.sip.timers import GIVE_UP
from tests.sip.ladder import TCP, THEM, UDP, US, Fields, Ladder, reply_to, request

ACCEPT = "text/plain;charset=utf-8, message/cpim"


def message(body: bytes = b"hello", kind: str | None = "text/plain", **more: object) -> bytes:
    return request("MESSAGE", body=body, kind=kind, **more)  # type: ignore[arg-type]


def offered(ladder: Ladder, data: bytes) -> TextOffer:
    ladder >> data
    assert ladder.quiet()  # decided on once it is kept; never a 100 over UDP (RFC 4320 §4.1)
    return ladder.event(TextOffered).text


def test_a_text_waits_for_its_user() -> None:
    ladder = Ladder()
    offer = offered(ladder, message())
    assert (offer.text, offer.call_id, offer.target.user) == ("hello", "call-1", "+14155550100")
    ladder.at(0.5) >> message()
    assert ladder.quiet()
    assert not ladder.events
    ladder.agent.take_text(offer, 202, 1.0)
    ladder.drain() << 202
    assert ladder.last.to_tag is not None
    ladder >> message() << 202
    ladder.agent.take_text(offer, 404, 1.0)
    ladder.drain()
    assert ladder.quiet()
    ladder.gone()


def test_over_tcp() -> None:
    ladder = Ladder(TCP)
    offer = offered(ladder, message(via="SIP/2.0/TCP 192.0.2.9:5062"))
    ladder.agent.take_text(offer, 503, 0.0, [("Retry-After", "5")])
    ladder.drain() << 503
    assert ladder.to == TCP
    assert ladder.header("retry-after") == "5"
    assert ladder.agent.stats()["transactions"] == 0


def test_nobody_decides() -> None:
    ladder = Ladder()
    offer = offered(ladder, message())
    assert ladder.agent.stats()["texts"] == 1
    ladder.at(GIVE_UP) >> message()  # the last repeat may take its time
    assert not ladder.events
    ladder.at(limits.UNDECIDED_TEXT)
    assert ladder.agent.stats()["texts"] == 0
    ladder.agent.take_text(offer, 202, ladder.now)
    ladder.drain()
    assert ladder.quiet()
    ladder.gone()


@pytest.mark.parametrize(
    ("body", "kind", "fields", "expected"),
    [
        ("grüße".encode(), "text/plain;charset=UTF-8", {}, "grüße"),
        ("grüße".encode("latin-1"), "text/plain; charset=iso-8859-1", {}, "grüße"),
        ("grüße".encode(), 'text/plain; charset="utf-8"', {}, "grüße"),
        (b"hello", None, {}, "hello"),  # no Content-Type
        (b"hello", "TEXT/PLAIN", {}, "hello"),
        (b"a\xffb", "text/plain", {}, "a\ufffdb"),
        (b"hello", "text/plain", {"Content-Encoding": "identity"}, "hello"),
    ],
)
def test_what_a_text_says(body: bytes, kind: str | None, fields: Fields, expected: str) -> None:
    assert offered(Ladder(), message(body, kind, fields=fields)).text == expected


@pytest.mark.parametrize(
    ("body", "kind", "fields", "status", "header"),
    [
        (b"", None, {}, 200, None),
        (b"", "text/plain", {}, 200, None),
        (b"<x/>", "application/im-iscomposing+xml", {}, 415, ("accept", "text/plain, message/cpim")),
        (
            b"--x\r\nContent-Type: a/b\r\n\r\nc\r\n--x--",
            "multipart/signed; boundary=x",
            {},
            415,
            ("accept", "text/plain, message/cpim"),
        ),
        (b"x", "multipart/signed", {}, 400, None),
        (b"x", "nonsense", {}, 400, None),
        (b"x", "text/plain;charset=idna", {}, 415, ("accept", "text/plain;charset=utf-8, message/cpim")),
        (b"From: <im:a@h>\r\n\r\nContent-Type: a/b\r\n\r\nx", "message/cpim", {}, 415, ("accept", ACCEPT)),
        (b"From: <im:a@h>\r\n\r\n\r\n", "message/cpim", {}, 200, None),
        (b"From: <im:a@h>\r\n", "Message/CPIM", {}, 400, None),
        (b"", "message/cpim", {}, 200, None),
        (b"x", "message/cpim", {"Content-Encoding": "gzip"}, 415, ("accept-encoding", "identity")),
        (b"x", "text/plain", {"Content-Encoding": "gzip"}, 415, ("accept-encoding", "identity")),
        (b"<x/>", "text/html", {"Content-Disposition": "render;handling=optional"}, 200, None),
        (b"x" * (limits.TEXT + 1), "text/plain", {}, 513, None),
        (b"x", "text/plain", {"Require": "x"}, 420, ("unsupported", "x")),
    ],
)
def test_what_is_no_text(
    body: bytes, kind: str | None, fields: Fields, status: int, header: tuple[str, str] | None
) -> None:
    ladder = Ladder()
    ladder >> message(body, kind, fields=fields) << status
    if header:
        assert ladder.header(header[0]) == header[1]
    assert not ladder.events
    assert ladder.agent.stats()["transactions"] == 0


def test_a_text_in_an_envelope() -> None:
    body = "From: Ann <im:ann@h>\r\nTo: <tel:+14155550100>\r\n\r\nContent-type: text/plain\r\n\r\nGrüße".encode()
    offer = offered(Ladder(), message(body, "message/cpim"))
    assert offer.text == "Grüße"
    assert offer.wrapped == ("im:ann@h", "tel:+14155550100", "Grüße")
    assert offered(Ladder(), message()).wrapped is None


def test_a_text_within_a_call() -> None:
    ladder = Ladder()
    call = ladder.up()
    offer = offered(ladder, message(branch="text", to_tag=call.local_tag, cseq=2))
    ladder.agent.take_text(offer, 202, 0.0)
    ladder.drain() << 202
    assert ladder.last.to_tag == call.local_tag


def test_too_many_undecided(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text, "PENDING_TEXTS", 2)
    ladder = Ladder()
    offers = [offered(ladder, message(branch=str(n), call_id=str(n))) for n in range(2)]
    ladder >> message(branch="2", call_id="2") << 503
    assert 2 <= int(ladder.header("retry-after")) <= 10
    ladder.agent.take_text(offers[0], 202, 0.0)
    ladder.drain() << 202
    offered(ladder, message(branch="3", call_id="3"))


# Ours


def send(ladder: Ladder, peer: Peer = UDP) -> int:
    id = ladder.agent.send_text(
        peer=peer,
        uri="sip:+14155550199@192.0.2.9",
        from_="sip:+14155550100@192.0.2.1",
        to='"Ann" <sip:+14155550199@192.0.2.9>',
        body="grüße".encode(),
        now=ladder.now,
    )
    ladder.drain()
    return id


def test_a_text_of_ours() -> None:
    ladder = Ladder()
    id = send(ladder)
    ladder << "MESSAGE"
    assert ladder.to == UDP
    assert ladder.request.uri == "sip:+14155550199@192.0.2.9"
    assert ladder.header("from").startswith("<sip:+14155550100@192.0.2.1>;tag=t")
    assert ladder.header("to") == '"Ann" <sip:+14155550199@192.0.2.9>'
    assert ladder.header("content-type") == "text/plain;charset=utf-8"
    assert ladder.header("max-forwards") == "70"
    assert ladder.request.body.decode() == "grüße"
    ladder.at(0.5) << "MESSAGE"
    ladder >> reply_to(ladder, 100)
    ladder.at(5) << "MESSAGE"  # no more than each T2 (§17.1.2.2)
    ladder >> reply_to(ladder, 202)
    assert ladder.event(TextDone) == TextDone(id, 202)
    ladder >> reply_to(ladder, 202)
    assert not ladder.events
    ladder.gone()


def test_two_texts_are_two() -> None:
    ladder = Ladder()
    assert send(ladder) != send(ladder)
    ladder << "MESSAGE"
    first = ladder.last
    ladder << "MESSAGE"
    assert ladder.last.call_id != first.call_id


def test_nobody_answers() -> None:
    ladder = Ladder()
    id = send(ladder)
    ladder.at(GIVE_UP)
    assert ladder.event(TextDone) == TextDone(id, 408)
    ladder.gone()


def test_nobody_is_there() -> None:
    ladder = Ladder()
    id = send(ladder)
    ladder.agent.lost(UDP, 0.0)
    ladder.drain()
    assert ladder.event(TextDone) == TextDone(id, 503)
    ladder.gone()


def test_a_connection_that_is_gone_is_tried_anew() -> None:
    ladder = Ladder()
    id = send(ladder, TCP)
    ladder << "MESSAGE"
    assert ladder.to == TCP
    ladder.agent.lost(TCP, 0.0)
    ladder.drain() << "MESSAGE"
    assert ladder.to == Peer("tcp", US, THEM, 0)
    assert not ladder.events
    ladder.agent.lost(Peer("tcp", US, THEM, 0), 0.0)
    ladder.drain()
    assert ladder.event(TextDone) == TextDone(id, 503)
    ladder.gone()


def test_too_many_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(errand, "CLIENT_TRANSACTIONS", 1)
    ladder = Ladder()
    send(ladder)
    id = send(ladder)
    assert ladder.event(TextDone) == TextDone(id, 503)
