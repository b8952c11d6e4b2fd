"""The gate of a channel, on a clock that only moves when told to."""

from __future__ import annotations

import math

import pytest

from edge.sessions.queues.gate import GROUPS, LONGEST_NAMED, LONGEST_PAUSE, Gate


class Ticks:
    def __init__(self) -> None:
        self.now = 500.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def ticks() -> Ticks:
    return Ticks()


def gone(gate: Gate, ticks: Ticks, seconds: float, units: float = 1.0, group: str = "a") -> int:
    """How many go in a time, each as soon as it may."""
    end, times = ticks.now + seconds, 0
    while (wait := max(gate.wait(), gate.wait_of(group))) + ticks.now < end:
        ticks.now += wait
        gate.go(group, units)
        times += 1
    ticks.now = end
    return times


def test_without_a_rate_all_may_go(ticks: Ticks) -> None:
    gate = Gate(ticks)
    for _ in range(1000):
        gate.go("a", 9)
    assert (gate.wait(), gate.wait_of("a")) == (0, 0)


@pytest.mark.parametrize(
    ("rate", "units", "times"), [(10, 1, 101), (10, 2, 51), (0.5, 1, 6), (1, 7, 2), (200, 1, 2005)]
)
def test_so_many_units_go_in_ten_seconds_at_a_rate(ticks: Ticks, rate: float, units: float, times: int) -> None:
    assert gone(Gate(ticks, rate), ticks, 10, units) in (times - 1, times)


def test_what_was_not_used_is_not_made_up_for(ticks: Ticks) -> None:
    gate = Gate(ticks, 10)
    gate.go("a", 1)
    ticks.now += 3600
    assert gone(gate, ticks, 1) <= 11


def test_a_timer_that_is_late_costs_nothing(ticks: Ticks) -> None:
    gate, times = Gate(ticks, 100), 0
    end = ticks.now + 10
    while ticks.now < end:
        ticks.now += gate.wait() + 0.003
        gate.go("a", 1)
        times += 1
    assert 990 <= times <= 1003


def test_groups_have_a_rate_of_their_own(ticks: Ticks) -> None:
    gate = Gate(ticks, None, 1)
    gate.go("a", 3)
    assert (gate.wait(), gate.wait_of("b")) == (0, 0)
    assert gate.wait_of("a") == pytest.approx(3, abs=0.03)
    for number in range(GROUPS + 1):
        gate.go(number, 1)
    ticks.now += 60
    gate.go("b", 1)
    assert len(gate._of_groups) == 1


def test_what_is_busy_gets_nothing_and_then_one_thing_first(ticks: Ticks) -> None:
    gate = Gate(ticks)
    assert gate.busy(None) == 1
    assert (gate.paused, gate.wait()) == (True, 1)
    ticks.now += 0.4
    assert gate.busy(None) is None  # of what went before
    assert gate.wait() == pytest.approx(0.6)
    ticks.now += 0.6
    assert gate.wait() == 0
    gate.go("a", 1)
    assert gate.wait() == math.inf
    assert gate.answered()
    assert (gate.paused, gate.wait()) == (False, 0)
    assert not gate.answered()


def test_pauses_grow_up_to_a_bound_and_begin_anew(ticks: Ticks) -> None:
    gate, waits = Gate(ticks), []
    for _ in range(7):
        waits.append(gate.busy(None))
        ticks.now += gate.wait()
        gate.go("a", 1)
    assert waits == [1, 2, 4, 8, 15, 15, LONGEST_PAUSE]
    gate.answered()
    assert gate.busy(None) == 1


def test_a_channel_may_say_how_long(ticks: Ticks) -> None:
    gate = Gate(ticks)
    assert gate.busy(77) == 77
    assert gate.busy(100) is None
    assert gate.wait() == 100
    assert Gate(ticks).busy(1e9) == LONGEST_NAMED


def test_an_answer_of_before_the_pause_does_not_end_it(ticks: Ticks) -> None:
    gate = Gate(ticks)
    gate.busy(None)
    assert not gate.answered()
    assert gate.wait() == 1


def test_when_what_went_first_did_not_get_there_the_next_does(ticks: Ticks) -> None:
    gate = Gate(ticks)
    gate.busy(None)
    ticks.now += 1
    gate.go("a", 1)
    gate.returned()
    assert gate.wait() == 0
