"""A call as its flow sees it: what each wish comes to on the wire and in the record, and how each end reaches it.

The agent and the media are real; only the SIP sockets are missing. The flow is the test.
"""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any, cast

import pytest

from edge.errors import Invalid, Unavailable
from edge.flows.session import HangupReason, SessionEnded
from edge.sessions.calls.call import Call
from edge.sessions.calls.causes import CAUSE_OF_REASON
from edge.sessions.calls.keys import TYPE_AHEAD
from edge.sessions.calls.offered import STATUS_OF_REASON, OfferedCall
from tests.media.conftest import sine, wav
from tests.sessions.ground import until
from tests.sessions.line import MESSAGE, Line, tag, talking
from tests.sip.ladder import invite, reply_to, request

HOLD = (
    b"v=0\r\no=- 1 2 IN IP4 192.0.2.9\r\ns=-\r\nc=IN IP4 192.0.2.9\r\nt=0 0\r\nm=audio 6000 RTP/AVP 0\r\na=sendonly\r\n"
)
G729 = b"v=0\r\no=- 1 1 IN IP4 192.0.2.9\r\ns=-\r\nc=IN IP4 192.0.2.9\r\nt=0 0\r\nm=audio 6000 RTP/AVP 18\r\n"
PCMA = b"v=0\r\no=- 1 1 IN IP4 192.0.2.9\r\ns=-\r\nc=IN IP4 192.0.2.9\r\nt=0 0\r\nm=audio 6000 RTP/AVP 8\r\n"
KEYS = PCMA.replace(b"AVP 8\r\n", b"AVP 8 101\r\na=rtpmap:101 telephone-event/8000\r\n")
DESTINATIONS = ["sip:desk@pbx.example", "tel:+14155550177"]


@pytest.fixture
async def line(tmp_path: Path) -> AsyncIterator[Line]:
    prompts = tmp_path / "prompts"
    prompts.mkdir()
    (prompts / "short.wav").write_bytes(wav(sine(440, 8000, 0.04).tobytes()))
    (prompts / "long.wav").write_bytes(wav(bytes(60 * 16000)))
    async with talking(tmp_path) as opened:
        yield opened


def offered(line: Line, **more: Any) -> OfferedCall:
    line >> invite(**more) << 100
    return line.call


async def up(line: Line, **more: Any) -> OfferedCall:
    """A call that is answered and acknowledged."""
    call = offered(line, **more)
    await call.answer()
    line << 200
    line.ack()
    assert line.quiet()
    return call


async def ended(work: Awaitable[Any]) -> SessionEnded:
    with pytest.raises(SessionEnded) as caught:
        async with asyncio.timeout(5):
            await work
    return caught.value


def begun(work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
    return asyncio.create_task(work)


def body(line: Line) -> str:
    return bytes(line.last).partition(b"\r\n\r\n")[2].decode()


# The answer


async def test_the_answer_names_a_port_of_ours_and_what_was_agreed(line: Line) -> None:
    call = offered(line, body=PCMA)
    assert (call.answered, call.attempt.outcome) == (False, "failed")
    await call.answer()
    line << 200
    port = re.search(r"m=audio (\d+) RTP/AVP 8\r\n", body(line))
    assert port is not None
    assert 18000 <= int(port[1]) < 19000
    assert (call.answered, call.attempt.outcome, call.attempt.sip_code) == (True, "answered", 200)
    assert call.attempt.codec == "PCMA"
    assert call.attempt.tm_progressing is not None
    await call.answer()
    assert line.quiet()


@pytest.mark.parametrize(
    ("offer", "status", "warning"), [(G729, 488, True), (b"v=0\r\nnonsense\r\n", 400, False)], ids=["G.729", "nonsense"]
)
async def test_an_offer_that_cannot_be_agreed_to_is_refused_for_good(
    line: Line, offer: bytes, status: int, warning: bool
) -> None:
    call = offered(line, body=offer)
    end = await ended(call.answer())
    line << status
    assert ("warning" in line.last.headers) == warning
    assert (end.by, call.attempt.outcome, call.attempt.sip_code) == ("local", "rejected", status)
    assert call.attempt.error != ""
    assert await ended(call.answer()) is end
    assert line.quiet()


async def test_without_ports_the_call_is_503(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing_left(*_: Any, **__: Any) -> Any:
        raise Unavailable("no port for media is free")

    monkeypatch.setattr(line.media, "open", nothing_left)
    call = offered(line)
    await ended(call.answer())
    line << 503
    assert call.attempt.error == "no port for media is free"


async def test_when_the_offer_is_ours_the_flow_waits_for_its_answer_in_the_ack(line: Line) -> None:
    call = offered(line, body=b"")
    answering = begun(call.answer())
    await line.comes(200)
    assert "m=audio" in body(line)
    assert not answering.done()
    line >> request("ACK", branch="ack", to_tag=tag(line.header("to")), body=PCMA, kind="application/sdp")
    await asyncio.wait_for(answering, 5)
    assert call.attempt.codec == "PCMA"


@pytest.mark.parametrize("answer", [G729, b"nonsense"], ids=["G.729", "nonsense"])
async def test_an_answer_that_cannot_be_agreed_to_ends_the_call(line: Line, answer: bytes) -> None:
    call = offered(line, body=b"")
    answering = begun(call.answer())
    await line.comes(200)
    line >> request("ACK", branch="ack", to_tag=tag(line.header("to")), body=answer, kind="application/sdp") << "BYE"
    await ended(answering)
    assert (call.attempt.hangup_by, call.attempt.hangup_reason) == ("local", "failed")
    assert call.attempt.error != ""


async def test_an_answer_that_is_never_acknowledged_ends_the_call(line: Line) -> None:
    call = offered(line)
    await call.answer()
    waiting = begun(call.sleep(60))
    await asyncio.sleep(0)
    line.later(40)
    end = await ended(waiting)
    assert (end.by, end.reason) == ("local", "timeout")
    assert (call.attempt.error, call.attempt.hangup_cause) == ("no ACK", 102)
    assert (call.attempt.outcome, call.attempt.hangup_by) == ("answered", "local")


# The end, from our side


@pytest.mark.parametrize("reason", sorted(STATUS_OF_REASON))
async def test_a_hangup_before_the_answer_is_a_status(line: Line, reason: str) -> None:
    call = offered(line)
    end = await ended(call.hangup(cast("HangupReason", reason)))
    line << STATUS_OF_REASON[reason]
    assert line.header("reason") == f"Q.850;cause={CAUSE_OF_REASON[reason]}"
    assert end.by == "local"
    assert (call.attempt.outcome, call.attempt.sip_code) == ("rejected", STATUS_OF_REASON[reason])
    assert (call.attempt.hangup_by, call.attempt.hangup_reason) == ("local", reason)


@pytest.mark.parametrize("reason", sorted(STATUS_OF_REASON))
async def test_a_hangup_after_the_answer_is_a_bye(line: Line, reason: str) -> None:
    call = await up(line)
    end = await ended(call.hangup(cast("HangupReason", reason)))
    line << "BYE"
    assert line.header("reason") == f"Q.850;cause={CAUSE_OF_REASON[reason]}"
    assert (end.by, end.reason) == ("local", reason)
    assert (call.attempt.outcome, call.attempt.hangup_reason) == ("answered", reason)


async def test_only_the_first_end_counts(line: Line) -> None:
    call = offered(line)
    call.hang_up("busy")
    line << 486
    call.hang_up("normal", status=503)
    call.refuse(404)
    call.closed("remote", None)
    assert line.quiet()
    assert (call.attempt.hangup_by, call.attempt.hangup_reason, call.attempt.sip_code) == ("local", "busy", 486)


async def test_an_answered_call_cannot_be_refused(line: Line) -> None:
    call = await up(line)
    call.refuse(404)
    assert line.quiet()
    assert (call.ended, call.attempt.sip_code) == (None, 200)


WISHES: dict[str, Callable[[Call], Coroutine[Any, Any, Any]]] = {
    "answer": lambda call: call.answer(),
    "play": lambda call: call.play(["long.wav"]),
    "beep": lambda call: call.beep(),
    "digits": lambda call: call.receive_digits(end_keys="#", length=0, seconds=60),
    "sleep": lambda call: call.sleep(60),
    "echo": lambda call: call.echo(60),
    "block": lambda call: call.block(60),
    "send_digits": lambda call: call.send_digits("1" * 100, press_ms=1000, gap_ms=5000),
    "redirect": lambda call: call.redirect(DESTINATIONS),
    "hangup": lambda call: call.hangup("busy"),
    "send_text": lambda call: call.send_text("+14155550100", "+14155550199", "hello"),
}


@pytest.mark.parametrize("wish", WISHES)
async def test_after_the_end_no_wish_is_heard(line: Line, wish: str) -> None:
    call = offered(line)
    line >> request("CANCEL", branch="one") << 200 << 487
    end = await ended(WISHES[wish](call))
    assert (end.by, end.reason) == ("remote", "cancel")
    assert line.quiet()
    assert line.sent == []
    assert (call.attempt.outcome, call.attempt.sip_code) == ("cancelled", 487)


@pytest.mark.parametrize("wish", ["play", "beep", "digits", "sleep", "block", "echo", "send_digits", "redirect"])
async def test_a_bye_ends_whatever_waits(line: Line, wish: str) -> None:
    call = await up(line, body=KEYS)
    waiting = begun(WISHES[wish](call))
    if wish == "redirect":
        await line.comes("REFER")
    else:
        await turns()
    assert not waiting.done()
    line.bye() << 200
    end = await ended(waiting)
    assert (end.by, end.reason) == ("remote", "normal")
    assert (call.attempt.outcome, call.attempt.hangup_by) == ("answered", "remote")


async def test_a_block_lasts_until_somebody_says_to_go_on(line: Line) -> None:
    call = await up(line)
    waiting = begun(call.block(60))
    await turns()
    assert not waiting.done()
    call.go_on({"agent": "bob"})
    assert await waiting == {"agent": "bob"}
    assert await call.block(0) is None  # that was for one block


async def test_who_says_so_too_early_is_heard_by_the_next_block(line: Line) -> None:
    call = await up(line)
    call.go_on({})
    assert await call.block(60) == {}
    assert await call.block(0) is None


async def test_a_call_says_how_far_it_is(line: Line) -> None:
    call = offered(line)
    seen: list[str] = [call.status]
    await call.answer()
    seen.append(call.status)
    line << 200
    line.ack()
    line.bye() << 200
    assert [*seen, call.status] == ["ringing", "progressing", "hangup"]


async def turns() -> None:
    """Let what was begun come to where it waits: some of it goes by a thread."""
    for _ in range(5):
        await asyncio.sleep(0.001)


async def test_a_bye_ends_the_wait_for_a_text_to_be_kept(line: Line) -> None:
    call = await up(line)
    kept = asyncio.Event()

    async def slow(*_: Any) -> str:
        await kept.wait()
        return MESSAGE

    object.__setattr__(line.desk, "send_text", slow)
    waiting = begun(call.send_text("+14155550100", "+14155550199", "hello"))
    await asyncio.sleep(0)
    line.bye() << 200
    await ended(waiting)


async def test_a_text_of_a_flow_goes_to_the_desk(line: Line) -> None:
    call = await up(line)
    assert await call.send_text("+14155550100", "+14155550199", "hello") == MESSAGE
    assert line.sent == [("+14155550100", "+14155550199", "hello")]


# Audio


async def test_before_the_answer_audio_is_early_media_and_the_answer_says_the_same(line: Line) -> None:
    call = offered(line)
    await call.play(["short.wav", "short.wav"])
    line << 183
    early = body(line)
    assert "m=audio" in early
    assert call.attempt.tm_ringing is not None
    await call.play(["short.wav"])  # no second 183
    await call.answer()
    line << 200
    assert body(line) == early
    call.close()
    assert call.attempt.rtp_sent > 4


@pytest.mark.parametrize("source", ["not-there.wav", "../short.wav", "/etc/passwd"])
async def test_what_cannot_be_played_is_named_and_nothing_of_the_list_is_played(line: Line, source: str) -> None:
    call = offered(line)
    with pytest.raises(Invalid) as caught:
        await call.play(["long.wav", source])
    assert source in str(caught.value) or any(source in str(fault) for fault in caught.value.faults)
    assert line.quiet()
    assert call.ended is None


async def test_without_sdp_nothing_can_be_played_before_the_answer(line: Line) -> None:
    call = offered(line, body=b"")
    with pytest.raises(Invalid, match="without SDP has no media before its answer"):
        await call.beep()
    assert line.quiet()
    assert call.ended is None


async def test_early_media_that_cannot_be_agreed_on_refuses_the_call(line: Line) -> None:
    call = offered(line, body=G729)
    await ended(call.play(["short.wav"]))
    line << 488


async def test_closing_gives_the_port_back_and_writes_down_what_passed(line: Line) -> None:
    call = await up(line)
    await call.play(["short.wav"])
    port = int(body(line).partition("m=audio ")[2].split()[0])
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        with pytest.raises(OSError, match="in use"):
            other.bind(("127.0.0.1", port))
        call.close()
        other.bind(("127.0.0.1", port))
    sent = call.attempt.rtp_sent
    assert sent >= 2
    call.close()
    assert call.attempt.rtp_sent == sent


async def test_before_the_answer_echoes_and_keys_are_early_media(line: Line) -> None:
    call = offered(line, body=KEYS)
    await call.echo(0)
    line << 183
    await call.send_digits("1", press_ms=40, gap_ms=0)
    assert line.quiet()


async def test_who_takes_no_telephone_events_hears_tones(line: Line) -> None:
    call = await up(line, body=PCMA)
    assert call.key_ways() == ("tones",)
    await call.send_digits("1", press_ms=40, gap_ms=20)
    assert call.ended is None
    assert line.quiet()


# Talking


def say(call: Call, text: str = "Hello", *, keys_end: bool = False, wait: bool = True) -> Coroutine[Any, Any, None]:
    return call.say(text, language="", voice="", provider="", keys_end=keys_end, wait=wait)


def loud(call: Call) -> bool:
    """Whether something is played."""
    return call._stream is not None and call._stream.sender._playing is not None


async def test_a_call_is_answered_once_its_text_can_be_heard(line: Line) -> None:
    call = offered(line)
    line.parrot.gate.clear()
    saying = begun(say(call))
    await until(lambda: line.parrot.busy)
    assert line.quiet()
    line.parrot.gate.set()
    await line.comes(200)
    line.ack()
    await asyncio.wait_for(saying, 5)
    assert call.attempt.outcome == "answered"
    await say(call)  # the same again, without another synthesis or answer
    assert [phrase.text for phrase, _, _ in line.parrot.asked] == ["Hello"]
    assert line.quiet()


async def test_a_text_that_cannot_be_spoken_answers_nothing(line: Line) -> None:
    call = offered(line)
    line.parrot.fault = Unavailable("no breath")
    with pytest.raises(Unavailable, match="no breath"):
        await say(call)
    assert (line.quiet(), call.answered, call.ended) == (True, False, None)


async def test_a_caller_who_hangs_up_waits_for_no_voice(line: Line) -> None:
    call = offered(line)
    line.parrot.gate.clear()
    saying = begun(say(call))
    await until(lambda: line.parrot.busy)
    line >> request("CANCEL") << 200 << 487
    assert (await ended(saying)).by == "remote"
    line.parrot.gate.set()  # and the text is there for the next caller


async def test_a_key_ends_the_talking_and_stays(line: Line) -> None:
    call = await up(line)
    line.parrot.samples = 8000  # a second for each letter
    saying = begun(say(call, keys_end=True))
    await until(lambda: line.parrot.asked and call._stream is not None and call._stream._playing is not None)
    call.typed("4")
    await asyncio.wait_for(saying, 5)
    assert await digits(call, length=1) == "4"


async def test_a_key_that_was_typed_before_leaves_the_talking_out(line: Line) -> None:
    call = await up(line)
    line.parrot.samples = 8000
    call.typed("4")
    await asyncio.wait_for(say(call, keys_end=True), 5)
    assert line.parrot.asked == []
    assert await digits(call, length=1) == "4"


async def test_a_key_typed_while_the_voice_thinks_leaves_the_talking_out(line: Line) -> None:
    call = await up(line)
    line.parrot.samples = 8000
    line.parrot.gate.clear()
    saying = begun(say(call, keys_end=True))
    await until(lambda: line.parrot.busy)
    call.typed("4")
    line.parrot.gate.set()
    await asyncio.wait_for(saying, 5)
    assert await digits(call, length=1) == "4"


async def test_a_text_may_be_spoken_while_the_flow_goes_on(line: Line) -> None:
    call = await up(line)
    line.parrot.samples = 8000
    await asyncio.wait_for(say(call, wait=False), 5)
    assert loud(call)
    call.typed("4")
    assert await digits(call, length=1) == "4"
    assert loud(call)
    await say(call, "Bye", keys_end=True, wait=False)
    assert loud(call)
    call.typed("5")
    assert not loud(call)
    assert await digits(call, length=1) == "5"


async def test_what_is_spoken_meanwhile_ends_when_something_else_is_played(line: Line) -> None:
    call = await up(line)
    line.parrot.samples = 8000
    await say(call, keys_end=True, wait=False)
    await asyncio.wait_for(call.play(["short.wav"]), 5)
    assert not loud(call)
    await say(call, wait=False)
    await asyncio.wait_for(call.echo(0.01), 5)
    assert not loud(call)
    await say(call, wait=False)
    call.close()  # with nobody to tell


async def test_without_that_wish_a_key_ends_nothing(line: Line) -> None:
    call = await up(line)
    line.parrot.samples = 800
    saying = begun(say(call))
    await until(lambda: call._stream is not None and call._stream._playing is not None)
    call.typed("4")
    for _ in range(3):
        await asyncio.sleep(0)
    assert not saying.done()
    await asyncio.wait_for(saying, 5)
    assert await digits(call, length=1) == "4"


# Keys


async def digits(call: Call, *, end_keys: str = "", length: int = 0, seconds: float = 60) -> str:
    async with asyncio.timeout(5):
        return await call.receive_digits(end_keys=end_keys, length=length, seconds=seconds)


@pytest.mark.parametrize(
    ("typed", "end_keys", "length", "taken", "left"),
    [
        ("123#45", "#", 0, "123#", "45"),
        ("123#45", "", 4, "123#", "45"),
        ("12", "*#", 2, "12", ""),
        ("*", "*#", 9, "*", ""),
    ],
)
async def test_keys_typed_before_count_first_and_the_rest_is_kept(
    line: Line, typed: str, end_keys: str, length: int, taken: str, left: str
) -> None:
    call = await up(line)
    call.typed(typed)
    assert await digits(call, end_keys=end_keys, length=length) == taken
    assert await digits(call, seconds=0) == left


async def test_keys_typed_meanwhile_end_the_wait(line: Line) -> None:
    call = await up(line)
    collecting = begun(digits(call, end_keys="#"))
    for key in "12#":
        await asyncio.sleep(0)
        assert not collecting.done()
        call.typed(key)
    assert await collecting == "12#"


async def test_what_was_typed_when_the_time_is_over_is_the_answer(line: Line) -> None:
    call = await up(line)
    call.typed("7")
    assert await digits(call, seconds=0.01) == "7"
    assert await digits(call, seconds=0) == ""


async def test_keys_come_by_info(line: Line) -> None:
    call = await up(line)
    ours = tag(line.header("to"))
    collecting = begun(digits(call, length=1))
    await asyncio.sleep(0)
    relay = request(
        "INFO", branch="info", cseq=2, to_tag=ours, kind="application/dtmf-relay", body=b"Signal=5\r\nDuration=160\r\n"
    )
    line >> relay << 200
    assert await collecting == "5"


async def test_of_keys_nobody_asks_for_the_oldest_go(line: Line) -> None:
    call = await up(line)
    call.typed("0" * 10)
    call.typed("1" * TYPE_AHEAD)
    assert await digits(call, seconds=0) == "1" * TYPE_AHEAD


async def test_keys_do_not_shorten_a_sleep(line: Line) -> None:
    call = await up(line)
    sleeping = begun(call.sleep(0.02))
    await asyncio.sleep(0)
    call.typed("1")
    await asyncio.sleep(0)
    assert not sleeping.done()
    await asyncio.wait_for(sleeping, 5)
    assert await digits(call, seconds=0) == "1"


# Elsewhere


async def test_before_the_answer_a_redirect_is_a_302(line: Line) -> None:
    call = offered(line)
    end = await ended(call.redirect(DESTINATIONS))
    line << 302
    assert [contact.partition(">")[0][1:] for contact in line.last.headers.values("contact")] == DESTINATIONS
    assert (end.by, end.reason) == ("local", "redirect")
    assert (call.attempt.outcome, call.attempt.sip_code) == ("redirected", 302)


async def test_a_redirect_without_hops_left_is_483(line: Line) -> None:
    call = offered(line, fields={"Max-Forwards": "0"})
    await ended(call.redirect(DESTINATIONS))
    line << 483
    assert (call.attempt.outcome, call.attempt.sip_code) == ("rejected", 483)


def notify(line: Line, ours: str, cseq: int, status: int) -> None:
    state = "active;expires=60" if status < 200 else "terminated;reason=noresource"
    line >> request(
        "NOTIFY",
        branch=f"notify-{cseq}",
        cseq=cseq,
        to_tag=ours,
        kind="message/sipfrag;version=2.0",
        body=f"SIP/2.0 {status} Whatever\r\n".encode(),
        fields={"Event": "refer", "Subscription-State": state},
    )
    line << 200


async def test_after_the_answer_a_redirect_is_a_refer_and_its_success_the_end(line: Line) -> None:
    call = await up(line)
    ours = tag(line.header("to"))
    moving = begun(call.redirect(DESTINATIONS))
    await line.comes("REFER")
    assert line.header("refer-to") == f"<{DESTINATIONS[0]}>"
    line >> reply_to(line, 202)
    notify(line, ours, 2, 180)
    await turns()
    assert not moving.done()
    notify(line, ours, 3, 200)
    end = await ended(moving)
    await line.comes("BYE")
    assert (end.by, end.reason) == ("local", "redirect")
    assert (call.attempt.outcome, call.attempt.hangup_reason) == ("answered", "redirect")


async def test_destinations_are_tried_one_after_another_and_then_the_flow_goes_on(line: Line) -> None:
    call = await up(line)
    ours = tag(line.header("to"))
    moving = begun(call.redirect(DESTINATIONS))
    await line.comes("REFER")
    line >> reply_to(line, 603)
    await line.comes("REFER")
    assert line.header("refer-to") == f"<{DESTINATIONS[1]}>"
    line >> reply_to(line, 202)
    notify(line, ours, 2, 486)
    with pytest.raises(Unavailable, match="the transfer failed with 486"):
        await asyncio.wait_for(moving, 5)
    assert call.ended is None
    assert line.quiet()


async def test_a_phone_that_does_not_allow_refer_is_not_asked(line: Line) -> None:
    call = await up(line, fields={"Allow": "INVITE, ACK, BYE, CANCEL"})
    with pytest.raises(Invalid, match="does not allow REFER"):
        await call.redirect(DESTINATIONS)
    assert line.quiet()
    assert call.ended is None


# A new offer in the call


def reinvite(line: Line, sdp: bytes) -> Line:
    ours = tag(line.header("to"))
    line >> invite(branch="again", cseq=2, to_tag=ours, body=sdp)
    return line


async def test_a_hold_is_answered_and_the_call_goes_on(line: Line) -> None:
    call = await up(line)
    reinvite(line, HOLD) << 200
    assert "a=recvonly" in body(line) or "a=inactive" in body(line)
    line.ack()
    assert call.ended is None
    assert line.quiet()


@pytest.mark.parametrize(
    ("offer", "status", "warning"), [(G729, 488, True), (b"nonsense", 400, False)], ids=["G.729", "nonsense"]
)
async def test_a_new_offer_that_cannot_be_agreed_to_leaves_the_call_as_it_was(
    line: Line, offer: bytes, status: int, warning: bool
) -> None:
    call = await up(line)
    reinvite(line, offer) << status
    assert ("warning" in line.last.headers) == warning
    assert (call.ended, call.attempt.codec, call.attempt.sip_code) == (None, "PCMU", 200)


async def test_a_hold_is_a_hold_with_any_codec(line: Line) -> None:
    call = await up(line)
    reinvite(line, G729 + b"a=inactive\r\n") << 200
    assert "m=audio 0 " in body(line)
    assert (call.ended, call.attempt.codec) == (None, "PCMU")


async def test_asked_for_an_offer_ours_is_the_next_version(line: Line) -> None:
    await up(line)
    first = re.search(r"o=\S+ (\d+) (\d+) ", body(line))
    reinvite(line, b"") << 200
    second = re.search(r"o=\S+ (\d+) (\d+) ", body(line))
    assert first is not None
    assert second is not None
    assert (second[1], int(second[2])) == (first[1], int(first[2]) + 1)
