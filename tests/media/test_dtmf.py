"""Keys as they arrive, in all the ways they get lost, repeated and cut."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.errors import Invalid
from edge.media import dtmf
from edge.media.dtmf import DIGITS, SEGMENT, DigitReader, press

Events = list[tuple[int, int, bool, int]]  # timestamp, event, end bit, duration


def payload(event: int, end: bool, duration: int) -> bytes:
    return bytes([event, 0x80 | 10 if end else 10]) + duration.to_bytes(2, "big")


def heard(events: Events) -> str:
    reader = DigitReader()
    return "".join(reader.read(payload(event, end, duration), timestamp) for timestamp, event, end, duration in events)


FIVE: Events = [(1000, 5, False, 160), (1000, 5, False, 320), *[(1000, 5, True, 480)] * 3]
AGAIN: Events = [(3000, 5, False, 160), (3000, 5, False, 320), *[(3000, 5, True, 480)] * 3]
POUND: Events = [(5000, 11, False, 160), *[(5000, 11, True, 320)] * 3]


@pytest.mark.parametrize(
    ("events", "digits"),
    [
        (FIVE, "5"),
        (FIVE + AGAIN + POUND, "55#"),
        (FIVE[:1], "5"),
        (FIVE[-1:], "5"),
        (FIVE[:2] + AGAIN, "55"),  # the ends are lost
        (FIVE[2:] + AGAIN[2:], "55"),  # all but the ends are lost
        (FIVE + FIVE, "5"),  # each packet twice
        (FIVE[:2] + AGAIN[:1] + FIVE[2:] + AGAIN[1:], "55"),  # stragglers of the first
        ([(0xFFFFFF00, 1, False, 160), (0xFFFFFF00, 1, True, 320), (800, 2, False, 160), (800, 2, True, 320)], "12"),
        (
            [(0, 7, False, d) for d in range(800, SEGMENT, 800)]
            + [(0, 7, False, SEGMENT), (SEGMENT, 7, False, 800), (SEGMENT, 7, True, 1600)],
            "7",
        ),
        (
            [(0, 7, False, 65000), (SEGMENT, 7, False, 800), (2 * SEGMENT, 7, False, 800), (2 * SEGMENT, 7, True, 900)],
            "7",
        ),
        ([(0, 7, True, 800), (SEGMENT, 7, False, 800), (SEGMENT, 7, True, 900)], "77"),  # ended, so pressed anew
        ([(0, 7, False, 800), (SEGMENT, 8, False, 800)], "78"),
        ([(0, 16, False, 160), (0, 16, True, 320), (900, 36, True, 100), (1800, 255, True, 1)], ""),  # flash and others
        ([(0, 10, True, 1), (500, 12, True, 1), (900, 15, True, 1)], "*AD"),
        ([(4_000_000_000, 1, True, 400), (100, 2, True, 400)], "12"),  # the clock begins anew
        ([(5_000_000, 1, True, 400), (100, 2, True, 400)], "12"),
    ],
)
def test_what_is_heard(events: Events, digits: str) -> None:
    assert heard(events) == digits


def test_several_presses_in_one_packet() -> None:
    reader = DigitReader()
    both = payload(1, True, 400) + payload(2, False, 160)
    assert reader.read(both, 1000) == "12"
    assert reader.read(payload(1, True, 400) + payload(2, True, 320), 1000) == ""
    assert reader.read(payload(2, True, 320), 1400) == ""
    assert reader.read(payload(3, False, 160), 1720) == "3"


@pytest.mark.parametrize("data", [b"", b"\x01", b"\x01\x0a\x00", b"\x01\x0a\x00\xa0\x01"])
def test_a_malformed_payload_is_no_digit(data: bytes) -> None:
    assert DigitReader().read(data, 0) == ""


@settings(max_examples=30)
@given(st.lists(st.sampled_from(DIGITS), min_size=1, max_size=8), st.integers(0, 2**32 - 1), st.randoms())
def test_each_press_is_heard_once_whatever_is_lost_or_doubled(
    keys: list[str], start: int, chance: random.Random
) -> None:
    reader, digits, timestamp = DigitReader(), "", start
    for key in keys:
        sent = [packet for packet in press(key, 120, 20) for _ in range(chance.choice([0, 1, 1, 2]))]
        for data in sent or press(key, 120, 20)[-1:]:
            digits += reader.read(data, timestamp)
        timestamp = timestamp + chance.randrange(1600, 40000) & 0xFFFFFFFF
    assert digits == "".join(keys)


@pytest.mark.parametrize(
    ("milliseconds", "ptime", "durations"),
    [
        (100, 20, [160, 320, 480, 640, 800, 800, 800]),
        (100, 30, [240, 480, 720, 800, 800, 800]),
        (40, 60, [320, 320, 320]),
        (20, 10, [80, 160, 160, 160]),
    ],
)
def test_a_press_is_updates_and_three_ends(milliseconds: int, ptime: int, durations: list[int]) -> None:
    packets = press("9", milliseconds, ptime)
    assert [int.from_bytes(packet[2:], "big") for packet in packets] == durations
    assert [packet[1] >= 0x80 for packet in packets] == [False] * (len(packets) - 3) + [True] * 3
    assert {packet[0] for packet in packets} == {9}


def test_a_press_is_no_longer_than_one_packet_can_say() -> None:
    assert press("1", 60_000, 20)[-1][2:] == b"\xff\xff"


def test_the_text_of_digits() -> None:
    assert dtmf.check("12,*#ad") == "12,*#AD"
    with pytest.raises(Invalid, match="'x' at place 3"):
        dtmf.check("12x4")
