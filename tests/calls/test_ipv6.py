"""Whole calls over IPv6: signalling, session descriptions, audio, texts."""

from __future__ import annotations

import pytest

from tests.calls.caller import Caller
from tests.calls.conftest import LOOPBACK, has_ipv6
from tests.calls.exchange import ANSWER, STAY, Exchange, hangup, play, redirect, sleep
from tests.calls.rtp import Described, check_unbroken, codes, linear, offer, payloads, presses, sound, write_wav

pytestmark = pytest.mark.skipif(not has_ipv6(), reason=f"optional: this machine has no {LOOPBACK}")


def calling(exchange: Exchange, transport: str = "udp") -> Caller:
    return Caller((LOOPBACK, exchange.daemon.sip[1]), transport=transport, host=LOOPBACK)


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_a_whole_call_with_audio(exchange: Exchange, transport: str) -> None:
    spoken = codes(0.3, "PCMU")
    write_wav(exchange.prompts / "six.wav", linear(spoken, "PCMU"))
    with calling(exchange, transport) as caller:
        call = caller.call(exchange.number(ANSWER, play("six.wav"), hangup("busy")), offer(caller.media))
        answer = call.answered()
        assert b"c=IN IP6 ::1\r\n" in answer.body
        assert answer.body.splitlines()[1].endswith(b" IN IP6 ::1")
        assert call.target.startswith(f"sip:[::1]:{caller.daemon[1]}")
        assert call.ended().text("Reason") == "Q.850;cause=17"
        caller.drain()
        check_unbroken(caller.packets, "PCMU", 20)
        assert payloads(sound(caller.packets, "PCMU")) == spoken
        assert caller.reports
        record = exchange.record(call.id)
        assert (record["trunk"], record["remote"], record["outcome"]) == ("six", "::1", "answered")


def test_keys_hold_and_the_callers_bye(exchange: Exchange) -> None:
    gather = {"type": "digits_receive", "option": {"duration": 4000, "length": 2}}
    with calling(exchange) as caller:
        call = caller.call(exchange.number(ANSWER, gather, STAY), offer(caller.media))
        there = Described.read(call.answered().body).address
        for packets in presses("42"):
            for packet in packets:
                caller.rtp.sendto(bytes(packet), there)
        caller.hear(3)
        held = call.reinvite(offer(caller.media, host="::", version=2))
        assert Described.read(held.body).direction == "recvonly"
        caller.drain()
        before = len(caller.packets)
        caller.listen(0.1)
        assert len(caller.packets) == before
        call.reinvite(offer(caller.media, version=3))
        caller.hear(3)
        call.hang_up()
        assert exchange.record(call.id)["steps"][1]["note"] == "2 keys"


def test_a_redirect_and_a_refusal(exchange: Exchange) -> None:
    with calling(exchange) as caller:
        number = exchange.number(redirect("sip:desk@[2001:db8::1]:5070"))
        answer = caller.call(number, offer(caller.media)).refused()
        assert (answer.status, answer.text("Contact")) == (302, "<sip:desk@[2001:db8::1]:5070>")
        assert f"received=::1;rport={caller.address[1]}" in answer.text("Via")
        call = caller.call(exchange.number(ANSWER), offer(caller.media, "18"))
        assert call.refused().text("Warning").startswith("305 [::1] ")


def test_cancel(exchange: Exchange) -> None:
    with calling(exchange) as caller:
        call = caller.call(exchange.number(sleep(5000)), offer(caller.media))
        call.provisional(100)
        assert caller.answer(call.cancel()).status == 200
        assert call.refused().status == 487


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_a_text_and_its_answer(exchange: Exchange, transport: str) -> None:
    number = exchange.number(texts=({"type": "reply", "option": {"text": "six"}},))
    with calling(exchange, transport) as caller:
        assert caller.answer(caller.text(number, "hello")).status == 202
        answer = caller.request("MESSAGE")
        assert (answer.body, answer.uri) == (b"six", f"sip:+14155550199@{caller.hostport}")
        assert f"<sip:{number}@[::1]:{caller.daemon[1]}>" in answer.text("From")
        caller.reply(answer, 200)


def test_audio_goes_by_the_family_that_the_caller_names(exchange: Exchange) -> None:
    """The caller signals over IPv6 and names an IPv4 address: that is where we send, from one that can reach it."""
    with calling(exchange) as caller, Caller(exchange.daemon.sip) as other:
        call = caller.call(exchange.number(ANSWER, STAY), offer(other.media))
        assert b"c=IN IP4 127.0.0.1" in call.answered().body
        assert other.until(lambda: other.packets or None, "audio")
        call.hang_up()
