"""Both sides on one time line: what came when and with which timestamp, and where it lies."""

from __future__ import annotations

from random import Random

import pytest

from edge.recordings.limits import AHEAD_SECONDS, DRIFT_SECONDS, WINDOW_SECONDS
from edge.recordings.timeline import FRAME, RATE, Timeline
from tests.recordings.sound import SAMPLES, STEP, packet, runs, sides

LONG = 10**9
DRIFT = int(DRIFT_SECONDS * RATE)
AHEAD = int(AHEAD_SECONDS * RATE)


class Tape:
    """What is taken, put together as a file would be."""

    def __init__(self) -> None:
        self.line = Timeline()
        self.file = bytearray()

    def put(self, number: int, at: float, *, timestamp: int | None = None, side: str = "left") -> None:
        self.line.put(side, SAMPLES * number if timestamp is None else timestamp, packet(number), at)  # type: ignore[arg-type]

    def take(self, at: float, *, longest: int = LONG, whole: bool = False) -> None:
        frames = self.line.take(at, longest=longest, whole=whole)
        start = frames.place * FRAME
        assert start <= len(self.file), "no hole in the file"
        self.file[start : start + frames.length * FRAME] = frames.stereo()

    def left(self) -> list[tuple[int, int, int]]:
        return runs(sides(bytes(self.file))[0])

    def right(self) -> list[tuple[int, int, int]]:
        return runs(sides(bytes(self.file))[1])


def at(number: int) -> float:
    return number * STEP


def place_of(number: int) -> tuple[int, int, int]:
    """Where packet `number` lies whole, when the first one was packet 0 at 0."""
    return number * SAMPLES, 1000 + number, SAMPLES


@pytest.fixture
def tape() -> Tape:
    return Tape()


def test_packets_lie_one_behind_the_other_however_unevenly_they_come(tape: Tape) -> None:
    chance = Random(1)
    for number in range(100):
        tape.put(number, at(number) + chance.uniform(0, 0.04) * (number > 0))
        if number % 17 == 0:
            tape.take(at(number))
    tape.take(at(100), whole=True)
    assert tape.left() == [place_of(number) for number in range(100)]
    assert tape.right() == []


def test_each_side_begins_when_its_first_packet_came(tape: Tape) -> None:
    tape.put(5, 0.5, timestamp=0xFFFFFF00)
    tape.put(6, 1.25, timestamp=77, side="right")
    tape.take(2.0)
    assert tape.left() == [(4000, 1005, SAMPLES)]
    assert tape.right() == [(10000, 1006, SAMPLES)]
    assert len(tape.file) == 2 * RATE * FRAME


def test_timestamps_run_over_their_end(tape: Tape) -> None:
    for number in range(4):
        tape.put(number, at(number), timestamp=(0xFFFFFFFF - 200 + SAMPLES * number) & 0xFFFFFFFF)
    tape.take(1.0)
    assert tape.left() == [place_of(number) for number in range(4)]


def test_what_is_missing_and_what_was_never_sent_is_silence(tape: Tape) -> None:
    for number in (0, 1, 3, 50):
        tape.put(number, at(number))
    tape.take(at(60))
    assert tape.left() == [place_of(number) for number in (0, 1, 3, 50)]
    assert len(tape.file) == 60 * SAMPLES * FRAME


def test_a_late_packet_goes_to_its_place_even_if_that_was_taken(tape: Tape) -> None:
    tape.put(0, at(0))
    tape.put(2, at(2))
    tape.take(at(3))
    tape.put(1, at(1) + WINDOW_SECONDS * 0.9)
    tape.take(at(100))
    assert tape.left() == [place_of(number) for number in range(3)]


def test_a_stall_of_the_network_moves_nothing(tape: Tape) -> None:
    for number in range(20):
        tape.put(number, at(number))
    tape.take(1.0)
    for number in range(20, 100):
        tape.put(number, max(at(number), at(20) + 1.5))
    tape.take(at(100))
    assert tape.left() == [place_of(number) for number in range(100)]


@pytest.mark.parametrize("ahead", [10**6, -(10**6), 2**31])
def test_a_clock_that_jumps_begins_anew_where_its_packet_came(tape: Tape, ahead: int) -> None:
    tape.put(0, at(0))
    for number in range(1, 4):
        tape.put(number, at(number), timestamp=(SAMPLES * number + ahead) & 0xFFFFFFFF)
    tape.take(at(10))
    assert tape.left() == [place_of(number) for number in range(4)]


def off_after_ten_minutes(speed: float, pause: int) -> list[int]:
    """How far each packet lies from where it came, when a clock is off by a thousandth, which is twenty times as much
    as a bad one. After each `pause` packets there are ten of silence."""
    line, off = Timeline(), []
    for number in range(30_000):
        now = at(number) * speed
        pcm = bytes(2 * SAMPLES) if number % pause < 10 else packet(number % 100)
        behind = line.put("left", SAMPLES * number, pcm, now)
        off.append(behind - SAMPLES - round(now * RATE))
        if number % 20 == 0:
            line.take(now, longest=LONG)
    return off


@pytest.mark.parametrize("speed", [0.999, 1.001])
def test_a_clock_that_goes_wrong_never_drifts_far(speed: float) -> None:
    """It is looked at every five seconds, or when the caller takes a breath, which here he does every two."""
    off = off_after_ten_minutes(speed, 100)
    assert max(map(abs, off)) <= DRIFT + int(0.001 * 5.1 * RATE) + SAMPLES


def test_one_that_is_ahead_and_never_silent_is_cut_at_last() -> None:
    off = off_after_ten_minutes(0.999, 10**9)
    assert AHEAD - SAMPLES <= max(off) <= AHEAD


@pytest.mark.parametrize("late", [2, 5, 20])
def test_when_the_first_packets_come_late_and_together_not_one_is_lost(tape: Tape, late: int) -> None:
    for number in range(100):
        tape.put(number, max(at(number), at(late)))
    tape.take(at(200), whole=True)
    assert tape.left() == [(place + late * SAMPLES, value, size) for place, value, size in map(place_of, range(100))]


def test_and_at_the_next_pause_they_are_where_they_belong(tape: Tape) -> None:
    for number in range(50):
        tape.put(number, max(at(number), at(10)))
    for number in range(50, 70):
        tape.line.put("left", SAMPLES * number, bytes(2 * SAMPLES), at(number))
    for number in range(70, 80):
        tape.put(number, at(number))
    tape.take(at(80), whole=True)
    assert tape.left()[-10:] == [place_of(number) for number in range(70, 80)]


def test_both_sides_lie_beside_each_other(tape: Tape) -> None:
    for number in range(50):
        tape.put(number, at(number))
        tape.put(number, at(number), timestamp=9_000 + SAMPLES * number, side="right")
        tape.take(at(number))
    tape.take(at(50), whole=True)
    assert tape.left() == tape.right() == [place_of(number) for number in range(50)]


def test_nothing_behind_the_longest_is_given(tape: Tape) -> None:
    for number in range(10):
        tape.put(number, at(number))
    tape.take(at(4), longest=1000)
    tape.take(at(10), longest=1000)
    tape.take(at(11), longest=1000, whole=True)
    assert len(tape.file) == 1000 * FRAME
    assert tape.left()[-1] == (960, 1006, 40)


def test_whole_takes_the_last_packet_to_its_end(tape: Tape) -> None:
    tape.put(0, 0.1)
    tape.take(0.1)
    assert tape.left() == []
    tape.take(0.1, whole=True)
    assert tape.left() == [(800, 1000, SAMPLES)]


def test_memory_is_that_of_the_window(tape: Tape) -> None:
    for number in range(5000):
        tape.put(number, at(number))
        tape.take(at(number))
    held = sum(len(heard) for heard in tape.line._heard.values())
    assert held <= (WINDOW_SECONDS + 1) * RATE * 2 * 2
