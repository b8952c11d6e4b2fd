"""What is refused before anybody is asked, and in which order (RFC 3261 §8.2), OPTIONS, draining, overload."""

from __future__ import annotations

from typing import Any

import pytest

from edge.sip import agent, limits
from edge.sip.events import CallOffered
from edge.sip.handle import Offer
from edge.sip.screen import SERVED
from tests.sip.ladder import OURS, SDP, Fields, Ladder, invite, request


def refused(data: bytes, status: int) -> Ladder:
    """The request is answered by `status`, twice the same, and leaves nothing behind."""
    ladder = Ladder()
    ladder >> data << status
    tag = ladder.last.to_tag
    assert tag is not None
    ladder >> data << status
    assert ladder.last.to_tag == tag  # §8.2.7
    assert not ladder.events
    assert set(ladder.agent.stats().values()) == {0}
    return ladder


@pytest.mark.parametrize("method", ["REGISTER", "SUBSCRIBE", "PUBLISH", "REFER"])
def test_known_but_not_served(method: str) -> None:
    assert refused(request(method), 405).header("allow") == ", ".join(SERVED)


@pytest.mark.parametrize("method", ["FOO", "invite", "!%Z"])
def test_unknown(method: str) -> None:
    refused(request(method), 501)


@pytest.mark.parametrize("uri", ["mailto:a@b", "soap.beep://a", "h323:x"])
def test_scheme(uri: str) -> None:
    refused(request("OPTIONS", uri=uri, fields={"To": "<sip:a@b>"}), 416)
    refused(invite(uri=uri), 416)


@pytest.mark.parametrize("uri", ["sip:+1415@a", "SIPS:+1415@a", "tel:+14155550100", "sip:192.0.2.1"])
def test_schemes_that_are_read(uri: str) -> None:
    ladder = Ladder()
    ladder >> invite(uri=uri) << 100
    assert ladder.event(CallOffered)


@pytest.mark.parametrize(
    ("fields", "status", "name", "value"),
    [
        ({"Require": "100rel, timer"}, 420, "unsupported", "100rel"),
        ({"Content-Type": "application/isup"}, 415, "accept", "application/sdp"),
        ({"Content-Type": "nonsense"}, 400, None, None),
        ({"Content-Encoding": "gzip"}, 415, "accept-encoding", "identity"),
        ({"Accept": "text/plain, application/isup;q=1"}, 406, None, None),
        ({"Accept": ""}, 406, None, None),
    ],
)
def test_what_an_invite_may_not_want(fields: Fields, status: int, name: str | None, value: str | None) -> None:
    ladder = refused(invite(fields=fields), status)
    if name:
        assert ladder.header(name) == value


@pytest.mark.parametrize(
    ("fields", "body"),
    [
        ({"Content-Type": "Application/SDP ; charset=utf-8"}, SDP),
        ({"Content-Type": None}, SDP),  # RFC 2543 took it for granted
        ({"Content-Type": "application/isup", "Content-Disposition": "signal;handling=optional"}, None),
        ({"Content-Encoding": "identity"}, SDP),
        ({"Accept": "text/plain, application/sdp;q=0.5"}, SDP),
        ({"Accept": "application/*"}, SDP),
        ({"Accept": "*/*"}, SDP),
        ({"Require": ""}, SDP),
        ({"Proxy-Require": "x", "Supported": "100rel, timer, replaces"}, SDP),
    ],
)
def test_what_an_invite_may_want(fields: Fields, body: bytes | None) -> None:
    ladder = Ladder()
    ladder >> invite(fields=fields) << 100
    offer = ladder.event(CallOffered).offer
    assert isinstance(offer, Offer)
    assert offer.sdp == body


def test_sdp_among_the_parts_of_a_body() -> None:
    part = b"--b\r\nContent-Type: application/isup\r\nContent-Disposition: signal;handling=optional\r\n\r\nx\r\n"
    body = part + b"--b\r\nContent-Type: application/sdp\r\n\r\n" + SDP + b"\r\n--b--\r\n"
    ladder = Ladder()
    ladder >> invite(body=body, fields={"Content-Type": "multipart/mixed;boundary=b"}) << 100
    assert ladder.event(CallOffered).offer.sdp == SDP
    refused(
        invite(body=body.replace(b"optional", b"required"), fields={"Content-Type": "multipart/mixed;boundary=b"}), 415
    )


def test_a_body_that_is_too_big() -> None:
    refused(invite(body=SDP + b"a=" + b"x" * limits.BODY + b"\r\n"), 513)


@pytest.mark.parametrize(
    ("first", "second", "status"),
    [  # each pair of faults, and which one is told
        ({"method": "REGISTER"}, {"uri": "mailto:a"}, 405),
        ({"uri": "mailto:a@b"}, {"fields": {"Require": "x"}}, 416),
    ],
)
def test_the_order(first: dict[str, object], second: dict[str, object], status: int) -> None:
    asked: dict[str, Any] = {"method": "OPTIONS", "fields": {"To": "<sip:a@b>"}, **first, **second}
    refused(request(**asked), status)


def test_extensions_come_before_the_body() -> None:
    refused(invite(fields={"Require": "x", "Content-Type": "text/html"}), 420)


@pytest.mark.parametrize("uri", ["sip:192.0.2.1", "sip:anybody@192.0.2.1", "sip:ping@192.0.2.1;x=y", "tel:+1"])
def test_options(uri: str) -> None:
    ladder = refused(request("OPTIONS", uri=uri, fields={"Max-Forwards": "0"}), 200)
    assert ladder.header("allow") == ", ".join(SERVED)
    assert "application/sdp" in ladder.header("accept")
    assert ladder.header("supported") == "timer, norefersub"


# Malformed


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (request("OPTIONS").replace(b"SIP/2.0\r\nVia", b"SIP/7.0\r\nVia"), 505),
        (request("OPTIONS", fields={"CSeq": "1 INVITE"}), 400),
        (request("FOO", fields={"CSeq": "1 BAR"}), 501),
        (request("OPTIONS", fields={"Max-Forwards": "-1"}), 400),
        (request("OPTIONS", fields={"Content-Length": "99"}), 400),
    ],
)
def test_malformed(data: bytes, status: int) -> None:
    refused(data, status)


def test_a_request_without_a_to_is_answered_without_one() -> None:
    ladder = Ladder()
    ladder >> request("OPTIONS", fields={"To": None})
    (peer, data), *more = ladder.out
    assert data.startswith(b"SIP/2.0 400 ")
    assert not more
    assert peer == ladder.peer


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x00" * 20,
        b"hello\r\n\r\n",
        request("OPTIONS", fields={"Via": None}),
        request("ACK", fields={"CSeq": "x"}),
        b"SIP/2.0 200 OK\r\n\r\n",
        b"SIP/2.0 9999 OK\r\nVia: SIP/2.0/UDP a;branch=z9hG4bK1\r\n\r\n",
        request("OPTIONS").replace(b"OPTIONS sip:+14155550100@192.0.2.1 SIP/2.0", b"SIP/2.0 200 OK"),
    ],
)
def test_silence(data: bytes) -> None:
    ladder = Ladder()
    ladder >> data
    assert ladder.quiet()
    assert not ladder.events


# Draining and overload


@pytest.mark.parametrize("data", [invite(), request("MESSAGE", body=b"x", kind="text/plain"), request("OPTIONS")])
def test_draining(data: bytes) -> None:
    ladder = Ladder()
    call = ladder.up(invite(branch="before", call_id="before"))
    offer = ladder.offered(invite(branch="second", call_id="second"))
    ladder.agent.drain(0.0)
    ladder >> data << 503
    assert 2 <= int(ladder.header("retry-after")) <= 10
    ladder.agent.answer(offer, OURS, 0.0)
    ladder.drain() << 200
    ladder >> request("OPTIONS", branch="x", call_id="before", to_tag=call.local_tag, cseq=2) << 200
    ladder >> request("BYE", branch="y", call_id="before", to_tag=call.local_tag, cseq=3) << 200
    ladder.out.clear()
    ladder.gone()


def test_retry_after_is_spread() -> None:
    ladder = Ladder()
    ladder.agent.drain(0.0)
    told = set()
    for number in range(200):
        ladder >> invite(call_id=f"call-{number}") << 503
        told.add(int(ladder.header("retry-after")))
    assert told == set(range(2, 11))


def test_too_many_transactions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agent, "SERVER_TRANSACTIONS", 1)
    ladder = Ladder()
    ladder.offered()
    ladder >> invite(branch="two", call_id="two") << 503
    ladder >> request("CANCEL") << 200 << 487  # what is there is served


def test_too_many_dialogs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agent, "DIALOGS", 1)
    ladder = Ladder()
    call = ladder.up()
    ladder >> invite(branch="two", call_id="two") << 503
    ladder >> request("BYE", branch="bye", to_tag=call.local_tag, cseq=2) << 200
    ladder >> invite(branch="three", call_id="three") << 100
