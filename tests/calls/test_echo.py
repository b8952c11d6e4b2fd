"""Callers who hear themselves, and keys that the edge presses for them."""

from __future__ import annotations

import time
from itertools import pairwise

import pytest

from tests.calls.caller import Caller
from tests.calls.exchange import ANSWER, Action, Exchange, hangup, sleep
from tests.calls.rtp import TYPES, Address, Described, Packet, codes, offer, presses, sound
from tests.calls.test_digits import gather


def echo(milliseconds: int, kind: str = "echo") -> Action:
    return {"type": kind, "option": {"duration": milliseconds}}


def send(digits: str, **more: int) -> Action:
    return {"type": "digits_send", "option": {"digits": digits, **more}}


def speak(caller: Caller, there: Address, count: int) -> list[Packet]:
    """Packets that differ from each other and from silence, sent."""
    said = [
        Packet(TYPES["PCMU"], place == 0, 700 + place, 9000 + 160 * place, 0x1234, codes(0.02, "PCMU", place))
        for place in range(count)
    ]
    for packet in said:
        caller.rtp.sendto(bytes(packet), there)
    return said


def comes_back(caller: Caller, said: list[Packet]) -> list[Packet]:
    """What was said is heard, in order and as one stream; what was heard."""
    caller.until(lambda: len(sound(caller.packets, "PCMU")) >= len(said) or None, "the echo")
    heard = sound(caller.packets, "PCMU")
    assert [packet.payload for packet in heard] == [packet.payload for packet in said]
    assert [(b.sequence - a.sequence) % 2**16 for a, b in pairwise(heard)] == [1] * (len(said) - 1)
    assert [(b.timestamp - a.timestamp) % 2**32 for a, b in pairwise(heard)] == [160] * (len(said) - 1)
    assert [packet.marker for packet in heard] == [True] + [False] * (len(said) - 1)
    assert {packet.ssrc for packet in caller.packets} == {heard[0].ssrc}
    return heard


@pytest.mark.parametrize("kind", ["echo", "stream_echo"])
def test_callers_hear_themselves_until_the_time_is_over(exchange: Exchange, caller: Caller, kind: str) -> None:
    call = caller.call(exchange.number(ANSWER, echo(600, kind), hangup("busy")), offer(caller.media))
    there = Described.read(call.answered().body).address
    comes_back(caller, speak(caller, there, 10))
    assert call.ended().text("Reason") == "Q.850;cause=17"
    record = exchange.record(call.id)
    assert [step["outcome"] for step in record["steps"]] == ["done", "done", "ended"]
    assert record["rtp_received"] == 10


def test_an_unanswered_call_hears_it_early(exchange: Exchange, caller: Caller) -> None:
    call = caller.call(exchange.number(echo(60_000)), offer(caller.media))
    there = Described.read(call.provisional(183).body).address
    comes_back(caller, speak(caller, there, 3))
    call.cancel()
    assert call.refused().status == 487


def test_keys_typed_during_an_echo_count_afterwards_and_silence_follows_it(exchange: Exchange, caller: Caller) -> None:
    judge = {"type": "branch", "option": {"target_ids": {"42": "right"}, "default_target_id": "wrong"}}
    right, wrong = {**hangup("busy"), "id": "right"}, {**hangup("noanswer"), "id": "wrong"}
    number = exchange.number(ANSWER, echo(400), gather(2), sleep(100), judge, right, wrong)
    call = caller.call(number, offer(caller.media))
    there = Described.read(call.answered().body).address
    for packets in presses("42"):
        for packet in packets:
            caller.rtp.sendto(bytes(packet), there)
    assert call.ended().text("Reason") == "Q.850;cause=17"
    caller.drain()
    events = [packet for packet in caller.packets if packet.kind == 101]
    assert [packet.payload for packet in events] == [packet.payload for keys in presses("42") for packet in keys]
    assert caller.packets[-1].kind == 0


def pressed(packets: list[Packet]) -> list[tuple[str, int, int]]:
    """The keys of telephone events: each with its duration in milliseconds, and how many ends were sent."""
    found: dict[int, list[Packet]] = {}
    for packet in packets:
        if packet.kind == 101:
            found.setdefault(packet.timestamp, []).append(packet)
    keys = []
    for one in found.values():
        key = "0123456789*#ABCD"[one[0].payload[0]]
        ends = [packet for packet in one if packet.payload[1] & 0x80]
        keys.append((key, int.from_bytes(one[-1].payload[2:], "big") // 8, len(ends)))
    return keys


def test_keys_are_pressed_for_as_long_as_the_step_says(exchange: Exchange, caller: Caller) -> None:
    number = exchange.number(ANSWER, send("1a#", duration=120, interval=60), hangup())
    call = caller.call(number, offer(caller.media))
    call.answered()
    began = time.monotonic()
    call.ended()
    assert time.monotonic() - began > 3 * 0.12 + 2 * 0.06
    caller.drain()
    assert pressed(caller.packets) == [("1", 120, 3), ("A", 120, 3), ("#", 120, 3)]
    record = exchange.record(call.id)
    assert record["steps"][1]["outcome"] == "done"
