"""Texts that are spoken to callers, by espeak-ng itself: heard whole, ended by a key, made once."""

from __future__ import annotations

import shutil
import subprocess
import time
from pathlib import Path

import pytest

from edge.media.audio import read_wav
from tests.calls.caller import Call, Caller
from tests.calls.daemon import daemon
from tests.calls.exchange import ANSWER, Action, Exchange, hangup, sleep
from tests.calls.rtp import Described, check_unbroken, filled, offer, payloads, presses, sound

pytestmark = pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="espeak-ng is not installed")

LONG = "This goes on and on, and nobody who knows what to press has to hear all of it. " * 5


def talk(text: str, **option: object) -> Action:
    return {"type": "talk", "option": {"text": text, **option}}


def spoken(text: str, voice: str = "en-us") -> bytes:
    """What espeak-ng says, as the edge sends it."""
    command = ["espeak-ng", "--stdin", "--stdout", "-b", "1", "-s", "160", "-v", voice]
    wav = subprocess.run(command, input=text.encode(), capture_output=True, check=True).stdout
    return filled(read_wav(wav, "espeak-ng").encoded("PCMU"), "PCMU", 160)


def said(caller: Caller) -> bytes:
    return payloads(sound(caller.packets, "PCMU"))


def test_a_text_is_answered_and_heard_to_its_end(exchange: Exchange, caller: Caller) -> None:
    number = exchange.number(talk("You called ${voipbin.call.destination.target:-nobody}."), hangup())
    call = caller.call(number, offer(caller.media))
    call.answered()
    call.ended(20)
    caller.drain()
    check_unbroken(caller.packets, "PCMU", 20)
    assert said(caller) in spoken(f"You called {number}.")
    assert len(said(caller)) > 8000
    (step, _) = exchange.record(call.id)["steps"]
    assert (step["outcome"], step["note"]) == ("done", "")


def test_languages_and_marked_up_texts(exchange: Exchange, caller: Caller) -> None:
    number = exchange.number(ANSWER, talk("Guten Tag.", language="de-AT"), hangup())
    caller.call(number, offer(caller.media)).answered()
    caller.request("BYE", 20)
    caller.drain()
    assert said(caller) in spoken("Guten Tag.", "de")
    with Caller(exchange.daemon.sip) as other:
        number = exchange.number(talk("<speak>One <break time='2s'/> two</speak>"), hangup())
        other.call(number, offer(other.media)).answered()
        other.request("BYE", 20)
        other.drain()
        assert len(other.packets) > 130


def begin(exchange: Exchange, caller: Caller, *actions: Action) -> tuple[Call, tuple[str, int]]:
    call = caller.call(exchange.number(*actions), offer(caller.media))
    return call, Described.read(call.answered(seconds=15).body).address


GATHER: Action = {"type": "digits_receive", "option": {"duration": 5000, "length": 2}}
JUDGE: Action = {"type": "branch", "option": {"target_ids": {"12": "right"}, "default_target_id": "wrong"}}
ENDS: list[Action] = [{**hangup("busy"), "id": "right"}, {**hangup("noanswer"), "id": "wrong"}]


def test_a_key_ends_the_talking_and_is_the_first_of_those_asked_for(exchange: Exchange, caller: Caller) -> None:
    call, there = begin(exchange, caller, talk(LONG, digits_handle="next"), GATHER, JUDGE, *ENDS)
    caller.until(lambda: len(sound(caller.packets, "PCMU")) > 10 or None, "the voice", 15)
    began = time.monotonic()
    for packets in presses("12"):
        for packet in packets:
            caller.rtp.sendto(bytes(packet), there)
    assert call.ended().text("Reason") == "Q.850;cause=17"
    assert time.monotonic() - began < 3
    assert len(said(caller)) < len(spoken(LONG)) / 2


def test_keys_that_wait_leave_the_talking_out(exchange: Exchange, caller: Caller) -> None:
    again = talk(LONG + "!", digits_handle="next")
    call, there = begin(exchange, caller, ANSWER, sleep(500), again, GATHER, JUDGE, *ENDS)
    for packets in presses("12"):
        for packet in packets:
            caller.rtp.sendto(bytes(packet), there)
    assert call.ended().text("Reason") == "Q.850;cause=17"
    caller.drain()
    assert not sound(caller.packets, "PCMU")


def test_without_that_wish_keys_wait_until_it_has_spoken(exchange: Exchange, caller: Caller) -> None:
    call, there = begin(exchange, caller, talk("Please hold the line."), GATHER, JUDGE, *ENDS)
    for packets in presses("12"):
        for packet in packets:
            caller.rtp.sendto(bytes(packet), there)
    assert call.ended(20).text("Reason") == "Q.850;cause=17"
    caller.drain()
    assert said(caller) in spoken("Please hold the line.")


def test_keys_are_taken_while_a_text_is_spoken(exchange: Exchange, caller: Caller) -> None:
    begun = talk(LONG + "?", digits_handle="next", **{"async": True})
    call, there = begin(exchange, caller, begun, GATHER, JUDGE, *ENDS)
    caller.until(lambda: len(sound(caller.packets, "PCMU")) > 10 or None, "the voice", 15)
    for packets in presses("1"):
        for packet in packets:
            caller.rtp.sendto(bytes(packet), there)
    caller.drain()
    before = len(caller.packets)
    caller.hear(10)
    assert not sound(caller.packets[before + 5 :], "PCMU"), "the key ended it"
    for packets in presses("2", first=2000, timestamp=90_000):
        for packet in packets:
            caller.rtp.sendto(bytes(packet), there)
    assert call.ended().text("Reason") == "Q.850;cause=17"


def test_a_text_is_made_once_for_all_calls(exchange: Exchange) -> None:
    def counted(outcome: str) -> float:
        return exchange.counted("edge_speech_total", outcome=outcome)

    number = exchange.number(ANSWER, talk("Once and for all."), hangup())
    before = counted("spoken"), counted("memory")
    for _ in range(3):
        with Caller(exchange.daemon.sip) as one:
            one.call(number, offer(one.media)).answered()
            one.request("BYE", 20)
    assert (counted("spoken") - before[0], counted("memory") - before[1]) == (1, 2)
    folder = exchange.daemon.folder / "var" / "speech"
    assert folder.stat().st_mode & 0o777 == 0o700
    assert all(path.stat().st_mode & 0o777 == 0o600 for path in folder.iterdir())


@pytest.mark.parametrize(
    ("action", "note"),
    [
        (talk("Qapla", language="tlh"), "espeak-ng has no language 'tlh'"),
        (talk("Hello", provider="polly"), "there is no voice 'polly' in the configuration, only espeak"),
        (talk("Hello", voice_id="nobody"), "espeak-ng has no voice 'nobody'"),
        (talk(" "), "there is nothing to say"),
    ],
)
def test_what_cannot_be_spoken_is_a_step_that_failed(
    exchange: Exchange, caller: Caller, action: Action, note: str
) -> None:
    call = caller.call(exchange.number(action, hangup("busy")), offer(caller.media))
    assert call.refused(15).status == 486
    step = exchange.record(call.id)["steps"][0]
    assert step["outcome"] == "failed"
    assert note in step["note"]


def test_a_voice_that_is_missing_is_told_at_the_start_and_costs_its_words_only(tmp_path: Path) -> None:
    extra = '\n[[voices]]\nkind = "espeak"\nprogram = "no-such-program"\n'
    with daemon(tmp_path, extra) as made, Caller(made.sip) as caller:
        (line,) = made.lines("voice cannot speak")
        assert "the program no-such-program is not installed" in line
        exchange = Exchange(made)
        call = caller.call(exchange.number(ANSWER, talk("Hello"), sleep(100), hangup("busy")), offer(caller.media))
        call.answered()
        assert call.ended().text("Reason") == "Q.850;cause=17"
        step = exchange.record(call.id)["steps"][1]
        assert step["note"] == "cannot run no-such-program: No such file or directory"
