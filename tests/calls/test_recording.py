"""Calls that are recorded: who is heard where in the file, and what ends it, by real RTP and over the API."""

from __future__ import annotations

import io
import urllib.request
import wave
from array import array
from typing import Any

from edge.media.g711 import encode
from tests.calls.caller import Call, Caller
from tests.calls.exchange import ANSWER, Action, Exchange, hangup, play, sleep
from tests.calls.rtp import Address, Described, Packet, codes, linear, offer, presses, sound, write_wav

FRAME = 160  # samples of a packet
STOP: Action = {"type": "recording_stop"}
NOTHING = b"\xff" * FRAME


def start(**option: Any) -> Action:
    return {"type": "recording_start", "option": option}


def gather(key: str, seconds: float = 10) -> Action:
    return {"type": "digits_receive", "option": {"duration": int(seconds * 1000), "key": key}}


def begin(caller: Caller, number: str) -> tuple[Call, Address]:
    """An answered call, and where its RTP goes."""
    call = caller.call(number, offer(caller.media, "0 101"))
    return call, Described.read(call.answered().body).address


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
            self._caller.rtp.sendto(bytes(packet), self._there)
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


def fetch(exchange: Exchange, recording: dict[str, Any]) -> bytes:
    url = f"{exchange.daemon.url}/v1.0/recordings/{recording['id']}/file"
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {exchange.daemon.token}"})
    with urllib.request.urlopen(request, timeout=10) as response:
        body = response.read()
        assert len(body) == recording["edge"]["bytes"]
        assert (
            response.headers["Content-Type"]
            == {"wav": "audio/wav", "mp3": "audio/mpeg", "ogg": "audio/ogg"}[recording["format"]]
        )
    return bytes(body)


def heard(exchange: Exchange, recording: dict[str, Any]) -> tuple[bytes, bytes]:
    """Left and right of a WAV, µ-law again: what was said comes out code for code."""
    with wave.open(io.BytesIO(fetch(exchange, recording))) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (2, 2, 8000)
        assert file.getnframes() == round(recording["edge"]["seconds"] * 8000)
        samples = array("h", file.readframes(file.getnframes()))
    left, right = (encode(samples[side::2].tobytes(), "PCMU") for side in (0, 1))
    return left, right


def test_the_caller_is_left_and_we_are_right_on_one_time_line(exchange: Exchange, caller: Caller) -> None:
    spoken, prompt = codes(1.2, "PCMU", 1), codes(0.4, "PCMU", 2)
    write_wav(exchange.prompts / "answer-me.wav", linear(prompt, "PCMU"))
    number = exchange.number(ANSWER, start(), sleep(300), play("answer-me.wav"), gather("#"), STOP, hangup())
    call, there = begin(caller, number)
    caller.hear(5)
    first = len(caller.packets)
    Mouth(caller, there).say(spoken)
    for packets in presses("#"):
        for packet in packets:
            caller.rtp.sendto(bytes(packet), there)
    call.ended()

    (recording,) = recorded(exchange, call)
    assert recording["edge"]["ending"] == "stopped"
    assert recording["reference_type"] == "call"
    left, right = heard(exchange, recording)
    at = left.index(spoken)
    assert left == left[:at].replace(b"\xff", b"\xff") + spoken + b"\xff" * (len(left) - at - len(spoken))
    assert set(left[:at]) <= {0xFF}
    begun = right.index(prompt)
    assert set(right[:begun] + right[begun + len(prompt) :]) <= {0xFF}

    answered = caller.packets.index(sound(caller.packets, "PCMU")[0])
    apart = (at - begun) - (first - answered) * FRAME
    print(f"\na packet is {apart} samples after the one that it answered")
    assert -FRAME <= apart <= 2 * FRAME
    assert exchange.record(call.id)["steps"][1]["note"] == f"recording {recording['id']}"
