"""Calls that are recorded: who is heard where in the file, and what ends it, by real RTP and over the API."""

from __future__ import annotations

import io
import socket
import urllib.request
import wave
from array import array
from typing import Any

import pytest
import soundfile

from edge.media.g711 import encode
from edge.recordings.limits import DRIFT_SECONDS
from tests.calls.caller import Call, Caller
from tests.calls.exchange import ANSWER, STAY, Action, Exchange, hangup, play, sleep
from tests.calls.rtp import Address, Described, Packet, codes, linear, offer, presses, sound, write_wav
from tests.calls.test_texts import at_the_trunk

FRAME = 160  # samples of a packet
STOP: Action = {"type": "recording_stop"}
NOTHING = b"\xff" * FRAME
KINDS = {"wav": "audio/wav", "mp3": "audio/mpeg", "ogg": "audio/ogg"}


def start(**option: Any) -> Action:
    return {"type": "recording_start", "option": option}


def gather(key: str, seconds: float = 10) -> Action:
    return {"type": "digits_receive", "option": {"duration": int(seconds * 1000), "key": key}}


def begin(caller: Caller, number: str) -> tuple[Call, Address]:
    """An answered call, and where its RTP goes."""
    call = caller.call(number, offer(caller.media, "0 101"))
    return call, Described.read(call.answered().body).address


def recording(exchange: Exchange) -> None:
    """Wait until a recording is under way."""
    exchange.wait(lambda: exchange.counted("edge_recordings_active"), "a recording")


class Mouth:
    """What a caller says, a packet for each that it hears."""

    def __init__(self, caller: Caller, there: Address) -> None:
        self._caller, self._there = caller, there
        self._count = 0

    def say(self, encoded: bytes) -> None:
        for at in range(0, len(encoded), FRAME):
            self._caller.hear(1)
            packet = Packet(
                0, not self._count, 700 + self._count, FRAME * self._count, 0xBEEF, encoded[at : at + FRAME]
            )
            self._caller.say(packet, self._there)
            self._count += 1

    def be_quiet(self, packets: int) -> None:
        self.say(NOTHING * packets)


def recorded(exchange: Exchange, call: Call, count: int = 1) -> list[dict[str, Any]]:
    """The recordings of a call once they are where they stay, first one first."""
    path = f"/v1.0/recordings?reference_id={exchange.record(call.id)['id']}"

    def look() -> list[dict[str, Any]]:
        found = exchange.daemon.all(path)
        return found if len(found) == count and all(one["edge"]["state"] == "stored" for one in found) else []

    found: list[dict[str, Any]] = exchange.wait(look, "the recording")
    return found[::-1]


def fetch(exchange: Exchange, found: dict[str, Any]) -> bytes:
    """The file of a recording."""
    url = f"{exchange.daemon.url}/v1.0/recordings/{found['id']}/file"
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {exchange.daemon.token}"})
    with urllib.request.urlopen(request, timeout=10) as response:
        body = response.read()
        kind = response.headers["Content-Type"]
    assert (len(body), kind) == (found["edge"]["bytes"], KINDS[found["format"]])
    return bytes(body)


def heard(exchange: Exchange, found: dict[str, Any]) -> tuple[bytes, bytes]:
    """Left and right of a WAV, µ-law again: what was said comes out code for code."""
    with wave.open(io.BytesIO(fetch(exchange, found))) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (2, 2, 8000)
        assert file.getnframes() == round(found["edge"]["seconds"] * 8000)
        samples = array("h", file.readframes(file.getnframes()))
    left, right = (encode(samples[side::2].tobytes(), "PCMU") for side in (0, 1))
    return left, right


def test_the_caller_is_left_and_we_are_right_on_one_time_line(exchange: Exchange, caller: Caller) -> None:
    spoken, prompt = codes(1.2, "PCMU", 1), codes(0.4, "PCMU", 2)
    write_wav(exchange.prompts / "answer-me.wav", linear(prompt, "PCMU"))
    number = exchange.number(ANSWER, start(), sleep(300), play("answer-me.wav"), gather("#"), STOP, hangup())
    call, there = begin(caller, number)
    recording(exchange)
    caller.drain()
    first = len(caller.packets)
    Mouth(caller, there).say(spoken)
    for packets in presses("#"):
        for packet in packets:
            caller.rtp.sendto(bytes(packet), there)
    call.ended()

    (found,) = recorded(exchange, call)
    assert found["edge"]["ending"] == "stopped"
    assert found["reference_type"] == "call"
    left, right = heard(exchange, found)
    at = left.index(spoken)
    assert set(left[:at] + left[at + len(spoken) :]) <= {0xFF}
    begun = right.index(prompt)
    assert set(right[:begun] + right[begun + len(prompt) :]) <= {0xFF}

    answered = caller.packets.index(sound(caller.packets, "PCMU")[0])
    apart = (at - begun) - (first - answered) * FRAME
    print(f"\na packet is {apart} samples after the one that it answered")
    # It is read a packet time later, and more when the machine is busy; and the time line moves by the drift it allows.
    assert -DRIFT_SECONDS * 8000 <= apart <= FRAME + DRIFT_SECONDS * 8000
    assert exchange.record(call.id)["steps"][1]["note"] == f"recording {found['id']}"


def test_a_caller_who_hangs_up_is_recorded_to_his_last_word(exchange: Exchange, caller: Caller) -> None:
    spoken = codes(0.6, "PCMU", 3)
    call, there = begin(caller, exchange.number(ANSWER, start(), STAY))
    recording(exchange)
    Mouth(caller, there).say(spoken)
    caller.hear(2)
    call.hang_up()
    (found,) = recorded(exchange, call)
    assert found["edge"]["ending"] == "hangup"
    left, right = heard(exchange, found)
    assert spoken in left
    assert set(right) <= {0xFF}


def test_it_ends_when_nobody_is_heard_and_the_flow_goes_on(exchange: Exchange, caller: Caller) -> None:
    spoken = codes(0.5, "PCMU", 4)
    number = exchange.number(ANSWER, start(end_of_silence=1), sleep(2500), STOP, hangup())
    call, there = begin(caller, number)
    recording(exchange)
    mouth = Mouth(caller, there)
    mouth.say(spoken)
    mouth.be_quiet(90)
    call.ended()
    (found,) = recorded(exchange, call)
    assert found["edge"]["ending"] == "silence"
    left, _ = heard(exchange, found)
    end = (left.index(spoken) + len(spoken)) / 8000
    assert 1.0 <= found["edge"]["seconds"] - end <= 2.0
    steps = exchange.record(call.id)["steps"]
    assert (steps[3]["outcome"], steps[3]["note"]) == ("failed", "no recording is under way")


def test_a_key_ends_it_and_the_flow_has_it_too(exchange: Exchange, caller: Caller) -> None:
    number = exchange.number(ANSWER, start(end_of_key="#"), gather("#"), hangup())
    call, there = begin(caller, number)
    Mouth(caller, there).say(codes(0.3, "PCMU", 5))
    for packets in presses("4#"):
        for packet in packets:
            caller.rtp.sendto(bytes(packet), there)
    call.ended()
    (found,) = recorded(exchange, call)
    assert found["edge"]["ending"] == "key"
    assert exchange.record(call.id)["steps"][2]["note"] == "2 keys"


def test_a_duration_is_kept_to_the_sample(exchange: Exchange, caller: Caller) -> None:
    call, there = begin(caller, exchange.number(ANSWER, start(duration=1), sleep(1700), hangup()))
    Mouth(caller, there).say(codes(1.4, "PCMU", 6))
    call.ended()
    (found,) = recorded(exchange, call)
    assert (found["edge"]["ending"], found["edge"]["seconds"]) == ("duration", 1.0)


def test_the_beep_is_heard_and_not_recorded(exchange: Exchange, caller: Caller) -> None:
    call, _ = begin(caller, exchange.number(ANSWER, start(beep_start=True), sleep(300), hangup()))
    call.ended()
    caller.drain()
    assert 20 <= len(sound(caller.packets, "PCMU")) <= 26
    (found,) = recorded(exchange, call)
    _, right = heard(exchange, found)
    assert set(right) <= {0xFF}
    assert 0.2 < found["edge"]["seconds"] < 0.6


def test_a_call_that_is_not_answered_is_not_recorded(exchange: Exchange, caller: Caller) -> None:
    call = caller.call(exchange.number(start(), hangup("busy")), offer(caller.media))
    call.refused()
    step = exchange.record(call.id)["steps"][0]
    assert (step["outcome"], step["note"]) == ("failed", "only an answered call can be recorded")


def test_two_in_one_call_one_after_the_other(exchange: Exchange, caller: Caller) -> None:
    flow = (ANSWER, start(), start(), sleep(200), STOP, start(duration=5), sleep(200), hangup())
    call, _ = begin(caller, exchange.number(*flow))
    call.ended()
    first, second = recorded(exchange, call, 2)
    assert (first["edge"]["ending"], second["edge"]["ending"]) == ("stopped", "hangup")
    assert exchange.record(call.id)["steps"][2]["note"] == "a recording is under way"


@pytest.mark.parametrize("format", ["mp3", "ogg"])
def test_other_formats(exchange: Exchange, caller: Caller, format: str) -> None:
    call, there = begin(caller, exchange.number(ANSWER, start(format=format), sleep(1000), hangup()))
    Mouth(caller, there).say(codes(0.8, "PCMU", 7))
    call.ended()
    (found,) = recorded(exchange, call)
    assert found["filenames"] == [f"{found['recording_name']}.{format}"]
    file = soundfile.info(io.BytesIO(fetch(exchange, found)))
    assert (file.channels, file.samplerate, file.format) == (2, 8000, format.upper())
    assert file.duration == pytest.approx(found["edge"]["seconds"], abs=0.3)


def test_the_flow_of_its_end_runs_when_the_file_is_there(
    exchange: Exchange, caller: Caller, trunk: socket.socket
) -> None:
    number = exchange.number(ANSWER)
    text = "${voipbin.recording.id} ${voipbin.call.id} ${voipbin.activeflow.reference_type}"
    option = {"source": number, "destinations": ["+14155550123"], "text": text}
    after = exchange.flow({"type": "message_send", "option": option})
    call, there = begin(caller, exchange.number(ANSWER, start(on_end_flow_id=after), sleep(300), hangup()))
    Mouth(caller, there).say(codes(0.2, "PCMU", 8))
    call.ended()
    (found,) = recorded(exchange, call)
    (sent,) = exchange.wait(lambda: exchange.texts(number, "outbound"), "the text")
    assert at_the_trunk(trunk, exchange, number).body.decode() == sent["text"]
    assert sent["text"] == f"{found['id']} {found['reference_id']} recording"
