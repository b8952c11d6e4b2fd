"""Dialogs in full, over sockets: PRACK, UPDATE, session timers, causes, and requests that are too large for UDP."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from typing import Any

import pytest

from tests.calls.callee import Callee
from tests.calls.caller import SECONDS, Call, Caller
from tests.calls.daemon import new, running
from tests.calls.exchange import ANSWER, STAY, Exchange, hangup, play
from tests.calls.message import Message, described, join
from tests.calls.rtp import Described, codes, linear, offer, payloads, sound, write_wav

DESK, FAR = "+14155550177", "127.0.0.8"
SPOKEN = codes(0.2, "PCMU")
REL = "Supported: 100rel, timer"
TRUNK = """
[[trunks]]
name = "desk"
networks = ["{host}/32"]
country = "US"
target = "sip:{host}:{port}"
outbound = true
session_expires = 300
"""


@pytest.fixture(scope="module")
def desk() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as made:
        made.bind(("127.0.0.7", 0))
        yield made


@pytest.fixture(scope="module")
def exchange(tmp_path_factory: pytest.TempPathFactory, desk: socket.socket) -> Iterator[Exchange]:
    host, port = desk.getsockname()
    made = new(
        tmp_path_factory.mktemp("dialogs"),
        TRUNK.format(host=host, port=port),
        environ={"EDGE_STORE__LAZY_MS": "20", "EDGE_SIP__ALLOW_PRIVATE": f'["{FAR}/32"]'},
    )
    with running(made):
        found = Exchange(made)
        write_wav(found.prompts / "early.wav", linear(SPOKEN, "PCMU"))
        yield found
        assert made.alive, made.words()


@pytest.fixture
def callee(exchange: Exchange, desk: socket.socket) -> Iterator[Callee]:
    with Callee(exchange.daemon.sip, desk) as found:
        yield found


def connect(**option: Any) -> dict[str, Any]:
    return {"id": "connect", "type": "connect", "option": {"destinations": [DESK], **option}}


def prack(call: Call, early: Message, body: bytes = b"") -> Message:
    """The answer to our PRACK."""
    call.enter(early)
    return call.ask("PRACK", f"RAck: {early.text('RSeq')} 1 INVITE", *described(body or None), body=body)


def test_early_media_behind_an_acknowledged_183(exchange: Exchange, caller: Caller) -> None:
    call = caller.call(exchange.number(play("early.wav"), ANSWER, STAY), offer(caller.media), REL)
    early = call.provisional(183)
    assert early.text("Require") == "100rel"
    again = call.provisional(183)  # T1 is over
    assert again.data == early.data
    assert prack(call, early).status == 200
    call.number = 1
    answer = call.answered()
    assert not answer.body, "said once, for sure"
    call.number = 2
    assert payloads(sound(caller.packets, "PCMU")).startswith(SPOKEN)
    call.hang_up()
    assert exchange.record(call.id)["outcome"] == "answered"


def test_early_media_for_who_leaves_the_offer_to_us(exchange: Exchange, caller: Caller) -> None:
    call = caller.call(exchange.number(play("early.wav"), hangup("busy")), None, REL)
    early = call.provisional(183)
    assert Described.read(early.body).address[1]
    caller.listen(0.1)
    assert not caller.packets, "nobody knows where to"
    assert prack(call, early, offer(caller.media)).status == 200
    call.number = 1
    assert call.refused().status == 486
    assert payloads(sound(caller.packets, "PCMU")) == SPOKEN


def test_who_gives_up_before_a_prack(exchange: Exchange, caller: Caller) -> None:
    """The flow has answered, but the 200 waits."""
    call = caller.call(exchange.number(play("early.wav"), ANSWER, STAY), offer(caller.media), REL)
    call.provisional(183)
    call.provisional(183)
    assert caller.answer(call.cancel()).status == 200
    assert call.refused().status == 487
    record = exchange.record(call.id)
    assert (record["outcome"], record["sip_code"], record["tm_progressing"]) == ("cancelled", 487, None)
    assert (record["hangup_by"], record["hangup_reason"]) == ("remote", "cancel")


def test_hold_and_resume_by_update(exchange: Exchange, caller: Caller) -> None:
    first = offer(caller.media)
    call = caller.call(exchange.number(ANSWER, STAY), first)
    answer = call.answered()
    held = call.ask("UPDATE", *described(first), body=offer(caller.media, direction="sendonly", version=2))
    assert held.status == 200
    assert "recvonly" in Described.read(held.body).attributes
    caller.listen(0.1)
    caller.drain()
    before = len(caller.packets)
    caller.listen(0.15)
    assert len(caller.packets) == before
    resumed = call.ask("UPDATE", *described(first), body=offer(caller.media, version=3))
    assert resumed.status == 200
    assert "sendrecv" in Described.read(resumed.body).attributes
    assert resumed.body != answer.body
    caller.hear(3)
    empty = call.ask("UPDATE", "Supported: timer", "Session-Expires: 600;refresher=uac")
    assert (empty.status, empty.body) == (200, b"")
    assert empty.text("Session-Expires") == "600;refresher=uac"
    call.hang_up()


def test_a_session_interval_is_agreed_on(exchange: Exchange, caller: Caller) -> None:
    number = exchange.number(ANSWER, STAY)
    small = caller.call(number, offer(caller.media), "Supported: timer", "Session-Expires: 60")
    refusal = small.refused()
    assert (refusal.status, refusal.text("Min-SE")) == (422, "90")
    assert exchange.record(small.id)["sip_code"] == 422
    call = caller.call(number, offer(caller.media), "Supported: timer", "Session-Expires: 600;refresher=uas")
    answer = call.answered()
    assert (answer.text("Session-Expires"), answer.text("Require")) == ("600;refresher=uas", "timer")
    call.hang_up()


def test_why_they_hang_up_is_passed_on_and_kept(exchange: Exchange, caller: Caller, callee: Callee) -> None:
    call = caller.call(exchange.number(connect()), offer(caller.media))
    rung = callee.rung()
    assert rung.invite.text("Session-Expires") == "300"
    rung.answers(offer(callee.media))
    call.answered()
    assert call.ask("BYE", 'Reason: SIP;cause=200, Q.850 ;cause=41;text="out of order"').status == 200
    assert rung.ended().text("Reason") == "Q.850;cause=41"
    record = exchange.record(call.id)
    assert (record["hangup_by"], record["hangup_reason"], record["edge"]["hangup_cause"]) == ("remote", "failed", 41)


def test_a_phone_that_wants_pracks_and_changes_its_media(exchange: Exchange, caller: Caller, callee: Callee) -> None:
    call = caller.call(exchange.number(connect(early_media=True)), offer(caller.media))
    rung = callee.rung()
    assert "100rel" in rung.invite.text("Supported")
    for rseq in (7, 7, 8):
        rung.says(183, "Require: 100rel", f"RSeq: {rseq}", body=offer(callee.media))
    for rseq in (7, 8):
        acknowledged = callee.request("PRACK")
        assert acknowledged.text("RAck") == f"{rseq} {rung.invite.number} INVITE"
        callee.reply(acknowledged, 200)
    call.provisional(183)
    moved = callee.answer(rung.send("UPDATE", body=offer(callee.media, version=2)))
    assert moved.status == 200
    assert Described.read(moved.body).address[1]
    rung.says(200)
    ack = callee.request("ACK")
    assert ack.number == rung.invite.number
    call.answered()
    rung.hang_up()
    call.ended()
    assert callee.left() == []


def test_who_leaves_the_offer_to_us_hears_whom_we_ring(exchange: Exchange, caller: Caller, callee: Callee) -> None:
    call = caller.call(exchange.number(connect(early_media=True)), None, REL)
    rung = callee.rung()
    rung.rings(offer(callee.media))
    early = call.provisional(183)
    assert prack(call, early, offer(caller.media)).status == 200
    call.number = 1
    there = Described.read(rung.invite.body).address
    for number in range(10):
        callee.rtp.sendto(struct.pack("!BBHII", 0x80, 0, number, number * 160, 7) + SPOKEN[:160], there)
    caller.hear(1)
    rung.answers(offer(callee.media))
    assert not call.answered().body
    call.number = 2
    call.hang_up()
    rung.ended()


@pytest.fixture
def far() -> Iterator[socket.socket]:
    """A phone at the host of a URI."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as made:
        made.bind((FAR, 0))
        made.settimeout(SECONDS)
        yield made


@pytest.mark.parametrize("listens", [True, False])
def test_what_is_too_large_for_udp(exchange: Exchange, far: socket.socket, caller: Caller, listens: bool) -> None:
    """Over TCP where somebody listens, else over UDP."""
    host, port = far.getsockname()
    server = socket.create_server((host, port)) if listens else None
    step = {"id": "connect", "type": "connect", "option": {"destinations": [f"sip:desk@{host}:{port};x={'y' * 900}"]}}
    call = caller.call(exchange.number(step), offer(caller.media))
    if server is not None:
        server.settimeout(SECONDS)
        connection, _ = server.accept()
        with connection:
            data = b""
            while b"m=audio" not in data:
                data += connection.recv(65536)
            assert b"Via: SIP/2.0/TCP " in data
            invite = Message(data)
            lines = [line for name in ("Via", "From", "Call-ID", "CSeq") for line in invite.lines(name)]
            busy = [b"SIP/2.0 486 Busy", *lines, f"To: {invite.text('To')};tag=far".encode()]
            connection.sendall(join(busy, (), b""))
            assert connection.recv(65536).startswith(b"ACK ")
        server.close()
        call.refused()  # the flow is over
    else:
        data = far.recv(65536)
        assert b"Via: SIP/2.0/UDP " in data
        call.cancel()
        call.refused()
    assert data.startswith(b"INVITE sip:desk@")
    assert len(data) > 1300
