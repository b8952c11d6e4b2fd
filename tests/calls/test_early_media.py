"""Audio before the answer, and calls whose caller leaves the offer to us."""

from __future__ import annotations

import pytest

from edge.media import rtcp
from edge.media.g711 import Codec
from tests.calls.caller import Caller
from tests.calls.exchange import ANSWER, STAY, Exchange, hangup, play
from tests.calls.rtp import Described, check_unbroken, codes, linear, offer, payloads, sound, write_wav

SPOKEN = codes(0.2, "PCMU")


@pytest.fixture(autouse=True)
def prompt(exchange: Exchange) -> None:
    write_wav(exchange.prompts / "early.wav", linear(SPOKEN, "PCMU"))


def test_playing_before_the_answer_is_a_183_and_the_answer_brings_the_same_sdp(
    exchange: Exchange, caller: Caller
) -> None:
    number = exchange.number(play("early.wav"), ANSWER, play("early.wav"), hangup())
    call = caller.call(number, offer(caller.media))
    trying = call.provisional(100)
    assert not trying.body
    early = call.provisional(183)
    assert early.text("Content-Type") == "application/sdp"
    assert ";tag=" in early.text("To")
    assert early.lines("Contact")
    call.caller.hear(5)
    assert not [message for message in caller.inbox if message.final], "the answer waits for the end of the prompt"
    answer = call.answered()
    assert answer.body == early.body
    assert answer.text("To") == early.text("To")
    call.ended()
    caller.drain()
    check_unbroken(caller.packets, "PCMU", 20)
    said = payloads(sound(caller.packets, "PCMU"))
    assert said.startswith(SPOKEN)
    assert said.endswith(SPOKEN)
    assert said.count(SPOKEN) == 2
    record = exchange.record(call.id)
    assert record["outcome"] == "answered"
    assert record["tm_create"] <= record["tm_ringing"] < record["tm_progressing"] < record["tm_hangup"]


def test_early_media_then_a_refusal_is_never_a_200(exchange: Exchange, caller: Caller) -> None:
    number = exchange.number(play("early.wav"), hangup("busy"))
    call = caller.call(number, offer(caller.media))
    early = call.provisional(183)
    refusal = call.refused()
    assert refusal.status == 486
    assert refusal.text("To") == early.text("To")
    caller.listen(0.1)
    assert not caller.left(), "one final answer, and no BYE"
    assert payloads(sound(caller.packets, "PCMU")) == SPOKEN
    assert rtcp.read(caller.reports[-1])[-1] == rtcp.Bye((caller.packets[0].ssrc,))
    record = exchange.record(call.id)
    assert (record["outcome"], record["sip_code"], record["tm_progressing"]) == ("rejected", 486, None)
    assert record["rtp_sent"] == len(caller.packets)


def test_a_caller_who_gives_up_hears_no_more(exchange: Exchange, caller: Caller) -> None:
    number = exchange.number(*[play("early.wav")] * 20, ANSWER, STAY)
    call = caller.call(number, offer(caller.media))
    call.provisional(183)
    caller.hear(3)
    cancel = call.cancel()
    assert caller.answer(cancel).status == 200
    assert call.refused().status == 487
    caller.drain()
    before = len(caller.packets)
    caller.listen(0.1)
    assert len(caller.packets) == before
    record = exchange.record(call.id)
    assert (record["outcome"], record["sip_code"], record["hangup_by"]) == ("cancelled", 487, "remote")
    last = record["steps"][-1]
    assert (last["type"], last["outcome"]) == ("play", "ended")


def test_the_audio_of_a_second_prompt_needs_no_second_183(exchange: Exchange, caller: Caller) -> None:
    number = exchange.number(play("early.wav"), {"type": "beep"}, play("early.wav"), hangup("busy"))
    call = caller.call(number, offer(caller.media))
    call.provisional(183)
    assert call.refused().status == 486
    assert not [message for message in caller.inbox if message.status == 183]
    check_unbroken(caller.packets, "PCMU", 20)


@pytest.mark.parametrize(("codec", "formats"), [("PCMU", "0 101"), ("PCMA", "8")])
def test_an_invite_without_sdp_gets_our_offer_and_audio_flows_once_the_ack_answers_it(
    exchange: Exchange, caller: Caller, codec: Codec, formats: str
) -> None:
    spoken = codes(0.2, codec)
    write_wav(exchange.prompts / f"late-{codec}.wav", linear(spoken, codec))
    number = exchange.number(ANSWER, play(f"late-{codec}.wav"), hangup())
    call = caller.call(number, None)
    answer = call.final()
    assert answer.status == 200
    ours = Described.read(answer.body)
    assert ours.formats == "0 8 101"
    assert ours.direction == "sendrecv"
    caller.listen(0.1)
    assert not caller.packets, "nobody knows where to send"
    call.acknowledge(answer, offer(caller.media, formats, ptime=30))
    call.ended()
    caller.drain()
    check_unbroken(caller.packets, codec, 30)
    assert caller.packets[0].source == ours.address
    assert payloads(sound(caller.packets, codec)).startswith(spoken)
    assert exchange.record(call.id)["codec"] == codec


def test_without_an_offer_there_is_no_early_media_but_still_an_answer(exchange: Exchange, caller: Caller) -> None:
    number = exchange.number(play("early.wav"), ANSWER, hangup())
    call = caller.call(number, None)
    answer = call.final()
    assert not [message for message in caller.inbox if message.status == 183]
    call.acknowledge(answer, offer(caller.media))
    call.ended()
    record = exchange.record(call.id)
    assert [step["outcome"] for step in record["steps"]] == ["failed", "done", "ended"]
    assert record["steps"][0]["note"] == "an INVITE without SDP has no media before its answer"


def test_an_answer_to_our_offer_that_is_none_ends_the_call(exchange: Exchange, caller: Caller) -> None:
    call = caller.call(exchange.number(ANSWER, STAY), None)
    call.acknowledge(call.final(), offer(caller.media, "18"))
    assert "Q.850" in call.ended().text("Reason")
    record = exchange.record(call.id)
    assert (record["hangup_by"], record["outcome"]) == ("local", "answered")
    assert "Incompatible media format" in record["error"]
    assert not caller.packets
