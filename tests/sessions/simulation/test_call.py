"""Simulated calls: what the caller hears, types and waits for, in a time that nobody waits for."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from tests.sessions.simulation.trying import attempt, told, wav

ANSWER = {"id": "up", "type": "answer"}
GREET = {"id": "hi", "type": "play", "option": {"stream_urls": ["hi.wav"]}}
HANG_UP = {"id": "bye", "type": "hangup"}


def keys(id: str = "ask", **option: Any) -> dict[str, Any]:
    return {"id": id, "type": "digits_receive", "option": {"duration": 5000, **option}}


async def test_a_file_lasts_as_long_as_it_does(tmp_path: Path) -> None:
    wav(tmp_path, "hi.wav", 2.5)
    found = await attempt(ANSWER, GREET, HANG_UP, prompts=tmp_path)
    assert told(found) == [
        "0.0 up: answers the call",
        "0.0 hi: plays hi.wav, 2.5 s",
        "2.5 bye: hangs up: BYE, cause 16",
    ]
    assert found.runs[0].seconds == 2.5


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ("hi.wav", "cannot be opened: No such file or directory"),
        ("https://example.com/hi.wav", "it is not fetched"),
        ("text.wav", "byte 0: is not a RIFF/WAVE file"),
    ],
)
async def test_what_cannot_be_read_lasts_a_nominal_time_and_says_so(tmp_path: Path, source: str, why: str) -> None:
    (tmp_path / "text.wav").write_text("hello")
    found = await attempt(ANSWER, {"id": "p", "type": "play", "option": {"stream_urls": [source]}}, prompts=tmp_path)
    assert told(found)[1:3] == [f"0.0 p: plays {source}, 5.0 s", f"0.0 p: assumed: {source} lasts 5.0 s: {why}"]


async def test_before_the_answer_it_is_early_media_and_a_refusal() -> None:
    found = await attempt(GREET, {"id": "no", "type": "hangup", "option": {"reason": "busy"}})
    assert told(found)[0] == "0.0 hi: 183: early media, the call is not answered"
    assert told(found)[-1] == "5.0 no: refuses the call: 486"


async def test_keys_come_after_the_answer_with_their_pauses() -> None:
    found = await attempt(
        {"id": "ring", "type": "sleep", "option": {"duration": 2000}}, ANSWER, keys(length=3), digits="1,,3#"
    )
    assert told(found)[3:-1] == [
        "2.0 ask: the caller types 1",
        "4.2 ask: the caller types 3",
        "4.4 ask: the caller types #",
        '4.4 ask: gets "13#"',
    ]


async def test_keys_typed_during_the_greeting_count() -> None:
    found = await attempt(ANSWER, GREET, keys(length=1), keys("again", length=1), digits="12")
    assert [line for line in told(found) if "gets" in line] == ['5.0 ask: gets "1"', '5.0 again: gets "2"']


async def test_an_end_key_and_the_end_of_the_time() -> None:
    found = await attempt(ANSWER, keys(key="#"), keys("more"), digits="12#,,9")
    assert told(found)[-4:-1] == [
        "0.4 more: waits for keys, 5 s at most",
        "2.6 more: the caller types 9",
        '5.4 more: gets "9": the time is over',
    ]


def talk(text: str, **option: Any) -> dict[str, Any]:
    return {"id": "t", "type": "talk", "option": {"text": text, **option}}


async def test_a_text_is_said_and_lasts_a_while() -> None:
    found = await attempt(talk("<speak>A text of <break/>thirty letters.</speak>", language="en-GB"), HANG_UP)
    assert told(found) == [
        "0.0 t: answers the call",
        '0.0 t: says "A text of thirty letters." (en-GB)',
        "0.0 t: assumed: that lasts 1.7 s: a second for 15 characters",
        "1.7 bye: hangs up: BYE, cause 16",
    ]


async def test_a_key_ends_what_is_said_and_one_before_leaves_it_out() -> None:
    next = {"digits_handle": "next"}
    long = talk("x" * 150, **next)
    again = {**talk("never heard", **next), "id": "again"}
    found = await attempt(long, again, keys(length=1), HANG_UP, digits=",4")
    assert told(found)[3:] == [
        "1.0 t: the caller types 4",
        "1.0 t: stops talking",
        "1.0 again: leaves out what it would say: a key was typed",
        "1.0 ask: waits for 1 key, 5 s at most",
        '1.0 ask: gets "4"',
        "1.0 bye: hangs up: BYE, cause 16",
    ]


async def test_a_text_said_while_the_flow_goes_on_takes_no_time() -> None:
    found = await attempt(talk("Hello", **{"async": True}), HANG_UP)
    assert told(found)[1:] == ['0.0 t: says "Hello" and goes on meanwhile', "0.0 bye: hangs up: BYE, cause 16"]


async def test_a_fork_is_noted() -> None:
    start = {"id": "f", "type": "external_media_start", "option": {"external_host": "198.51.100.9:4000"}}
    found = await attempt(start, {"id": "s", "type": "external_media_stop"}, HANG_UP)
    assert told(found) == [
        "0.0 f: 183: early media, the call is not answered",
        "0.0 f: sends the audio to 198.51.100.9:4000, ulaw",
        "0.0 s: sends the audio to nobody any more: 1 ended",
        "0.0 bye: refuses the call: 603",
    ]


async def test_who_waits_for_nothing_hangs_up() -> None:
    loop = {"id": "again", "type": "goto", "option": {"target_id": "ask", "loop_count": 100}}
    found = await attempt(ANSWER, keys(), loop, patience=12)
    assert told(found)[-1] == "12.0 ask: the caller hangs up: nothing happened for him for 12 s"
    assert (found.runs[0].outcome, found.runs[0].why) == ("ended", "the caller hung up")


async def test_a_key_makes_him_patient_again_and_listening_is_no_waiting() -> None:
    loop = {"id": "again", "type": "goto", "option": {"target_id": "hi", "loop_count": 100}}
    found = await attempt(ANSWER, GREET, keys(), loop, digits=",,,,,,,1", patience=12)
    assert told(found)[-1].startswith("29.0 ask: the caller hangs up")  # 3 + 5 + 4 s of asking after his key


async def test_the_caller_hangs_up_when_the_script_says_so() -> None:
    found = await attempt(ANSWER, GREET, keys(), hangup=3)
    assert told(found)[-1] == "3.0 hi: the caller hangs up"
    assert found.never_reached == ("ask",)


async def test_hours_go_by_in_no_time_and_a_run_is_cut_as_in_reality() -> None:
    hour = {"id": "sleep", "type": "sleep", "option": {"duration": 3_600_000}}
    again = {"id": "again", "type": "goto", "option": {"target_id": "sleep", "loop_count": 100}}
    begun = time.monotonic()
    found = await attempt(hour, again, HANG_UP, patience=86_400)
    assert time.monotonic() - begun < 5
    assert found.runs[0].cut_by == "seconds"
    assert told(found)[-1].endswith("refuses the call: 500")


@pytest.mark.parametrize(("connect", "status"), [("busy", 486), ("noanswer", 408), ("declined", 603), ("failed", 503)])
async def test_a_transfer_fails_as_the_script_says(connect: str, status: int) -> None:
    send = {"id": "desk", "type": "redirect", "option": {"destinations": ["sip:desk@example.com"]}}
    found = await attempt(ANSWER, send, HANG_UP, connect=connect)
    assert told(found)[1:-1] == [
        "0.0 desk: refers the caller to sip:desk@example.com",
        f"0.0 desk: that comes out as {status}",
        f"0.0 desk: fails: the transfer failed with {status}; the flow goes on",
    ]
    assert (await attempt(send, connect=connect)).runs[0].why == "the caller was sent elsewhere"  # a 302 cannot fail


async def test_who_is_connected_talks_and_then_the_flow_goes_on() -> None:
    ring = {"id": "c", "type": "connect", "option": {"destinations": ["+14155550177", "+14155550178"]}}
    found = await attempt(ring, GREET, HANG_UP, talk=12)
    assert told(found)[:4] == [
        "0.0 c: rings tel:+14155550177, tel:+14155550178, at once",
        "0.0 c: answers the call",
        "0.0 c: tel:+14155550177 answers, and they talk for 12 s",
        "12.0 hi: plays hi.wav, 5.0 s",
    ]


async def test_keys_during_a_conversation_are_for_the_other_side() -> None:
    ring = {"id": "ring", "type": "connect", "option": {"destinations": ["sip:bob@example.com"]}}
    found = await attempt(ring, keys(length=1), HANG_UP, digits="1,,,,2", talk=3)
    assert [line for line in told(found) if "gets" in line] == ['4.2 ask: gets "2"']


@pytest.mark.parametrize(
    ("connect", "status", "seconds"), [("busy", 486, 0.0), ("noanswer", 480, 40.0), ("failed", 503, 0.0)]
)
async def test_a_connect_fails_as_the_script_says(connect: str, status: int, seconds: float) -> None:
    option = {"destinations": ["+14155550177", "+14155550178"], "order": "in_turn", "ring_timeout": 20_000}
    found = await attempt({"id": "c", "type": "connect", "option": option}, HANG_UP, connect=connect)
    assert told(found) == [
        "0.0 c: rings tel:+14155550177, tel:+14155550178, one after another",
        f"{seconds} c: that comes out as {status}",
        f"{seconds} bye: refuses the call: 603",
    ]
    relayed = {"id": "c", "type": "connect", "option": {**option, "relay_reason": True}}
    assert told(await attempt(relayed, HANG_UP, connect=connect))[-1] == f"{seconds} c: refuses the call: {status}"


async def test_calls_of_their_own_are_told_and_nobody_is_called() -> None:
    steps = [{"type": "beep"}]
    option = {"destinations": ["+14155550177"], "actions": steps}
    one = {"id": "c", "type": "call", "option": option}
    two = {"id": "d", "type": "call", "option": {**option, "chained": True}}
    assert told(await attempt(one, two, HANG_UP))[:2] == [
        "0.0 c: calls tel:+14155550177 with steps of their own",
        "0.0 d: calls tel:+14155550177 with steps of their own, chained to this one",
    ]


async def test_keys_that_are_never_typed_are_told() -> None:
    found = await attempt(GREET, digits="1,2")
    assert told(found)[-2:] == ["5.0 : refuses the call: 603", "5.0 : the caller never came to type 12"]


async def test_what_the_flow_reads_of_the_caller() -> None:
    say = {"id": "who", "type": "variable_set", "option": {"key": "who", "value": "${voipbin.call.source.target}"}}
    state = {"id": "how", "type": "variable_set", "option": {"key": "how", "value": "${edge.call.status}"}}
    found = await attempt(say, ANSWER, state, caller="+442079460000", name="Ann")
    assert found.variables == {"who": "+442079460000", "how": "progressing"}
    assert told(found)[0] == '0.0 who: who is "+442079460000" from now on'
    assert (await attempt(say, anonymous=True)).variables == {"who": "anonymous"}
    assert (await attempt(say, caller="")).variables == {"who": ""}
    assert (await attempt(say, variables={"voipbin.call.source.target": "x"})).variables == {"who": "x"}


async def test_a_text_from_a_number_that_may_not_be_ours() -> None:
    send = {"id": "s", "type": "message_send", "option": {"destinations": ["+14155550122"], "text": "a ${x}\nb"}}
    assert told(await attempt(send, variables={"x": "1"}))[0] == (
        '0.0 s: texts +14155550122 from +14155550100: "a 1\\nb"'
    )
    send["option"]["source"] = "+14155550101"  # type: ignore[index]
    assert told(await attempt(send))[0] == "0.0 s: assumed: +14155550101 is an active number of this account"


def record(id: str = "rec", **option: Any) -> dict[str, Any]:
    return {"id": id, "type": "recording_start", "option": option}


def stop(id: str = "enough") -> dict[str, Any]:
    return {"id": id, "type": "recording_stop"}


async def test_a_recording_is_noted_and_ends_by_key_or_time_or_when_the_flow_says_so() -> None:
    name = {"id": "name", "type": "variable_set", "option": {"key": "name", "value": "${voipbin.recording.format}"}}
    wait = {"id": "wait", "type": "sleep", "option": {"duration": 3000}}
    found = await attempt(
        *(ANSWER, record(beep_start=True, end_of_key="#"), record("twice"), keys(key="#"), stop("late")),
        *(record("short", duration=2, end_of_silence=5), wait, stop("over"), record("last"), name, stop(), HANG_UP),
        digits=",1#",
    )
    said = [line.partition("_")[0] for line in told(found)]
    assert said[1:3] == ["0.0 rec: beeps", "0.5 rec: records into call"]
    assert "1.2 ask: # ends the recording" in said
    assert "1.2 short: assumed: nobody is silent for so long that the recording ends" in said
    assert said[-2:] == ["4.2 enough: ends the recording", "4.2 bye: hangs up: BYE, cause 16"]
    failed = [line.partition(";")[0] for line in said if "fails" in line]
    assert failed == [
        "0.5 twice: fails: a recording is under way",
        "1.2 late: fails: no recording is under way",
        "4.2 over: fails: no recording is under way",
    ]


async def test_a_call_that_is_not_answered_is_not_recorded() -> None:
    found = await attempt(record(), HANG_UP)
    assert told(found)[0].startswith("0.0 rec: fails: only an answered call can be recorded")


async def test_a_failure_goes_where_the_step_says() -> None:
    send = {"id": "go", "type": "redirect", "option": {"destinations": ["sip:a@b"]}, "failure_id": "sorry"}
    found = await attempt(ANSWER, send, HANG_UP, {"id": "sorry", "type": "beep"}, connect="busy")
    assert told(found)[3] == "0.0 go: fails: the transfer failed with 486; the flow goes on at its failure_id"
    assert found.never_reached == ("bye",)
