"""Deadlines: the order of waking, replacing and forgetting them, and that stale ones do not stay."""

from __future__ import annotations

from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.sip.timers import LANES, SWEEP, T1, T2, Timed, Timers


class Machine(Timed):
    __slots__ = ("again", "log", "name", "timers")

    def __init__(self, name: str, log: list[tuple[str, float]], timers: Timers, again: float | None = None) -> None:
        self.due = inf
        self.name = name
        self.log = log
        self.timers = timers
        self.again = again

    def expire(self, now: float) -> None:
        self.log.append((self.name, now))
        if self.again is not None:
            self.timers.set(self, now, self.again)


def test_they_fire_in_order_whichever_queue_they_are_in() -> None:
    timers = Timers()
    log: list[tuple[str, float]] = []
    for name, delay in (("c", T2), ("a", T1), ("b", 1.7), ("d", T2)):
        timers.set(Machine(name, log, timers), 0.0, delay)
    assert timers.next() == T1
    timers.fire(T2)
    assert [name for name, _ in log] == ["a", "b", "c", "d"]
    assert len(timers) == 0
    assert timers.next() is None


def test_nothing_fires_early() -> None:
    timers = Timers()
    log: list[tuple[str, float]] = []
    timers.set(Machine("a", log, timers), 10.0, T1)
    timers.fire(10.499)
    assert log == []
    timers.fire(10.5)
    assert log == [("a", 10.5)]


@pytest.mark.parametrize("delay", [T1, 0.3])
def test_setting_again_replaces(delay: float) -> None:
    timers = Timers()
    log: list[tuple[str, float]] = []
    machine = Machine("a", log, timers)
    timers.set(machine, 0.0, delay)
    timers.set(machine, 0.0, 3.0)
    assert timers.next() == 3.0
    timers.fire(2.0)
    assert log == []
    timers.fire(3.0)
    assert log == [("a", 3.0)]


def test_the_same_moment_set_twice_fires_once() -> None:
    timers = Timers()
    log: list[tuple[str, float]] = []
    machine = Machine("a", log, timers)
    timers.set(machine, 0.0, T1)
    timers.set(machine, 0.0, T1)
    timers.fire(T1)
    assert log == [("a", T1)]
    assert len(timers) == 0


def test_a_stopped_one_does_not_fire() -> None:
    timers = Timers()
    log: list[tuple[str, float]] = []
    machine = Machine("a", log, timers)
    timers.set(machine, 0.0, T1)
    timers.stop(machine)
    timers.stop(machine)
    assert timers.next() is None
    timers.fire(100.0)
    assert log == []


def test_a_machine_may_set_itself_again_and_stop_another() -> None:
    timers = Timers()
    log: list[tuple[str, float]] = []

    class Killer(Machine):
        __slots__ = ("victim",)
        victim: Machine

        def expire(self, now: float) -> None:
            super().expire(now)
            timers.stop(self.victim)

    killer = Killer("killer", log, timers, again=T1)
    killer.victim = Machine("victim", log, timers)
    timers.set(killer, 0.0, T1)
    timers.set(killer.victim, 0.0, T1)
    timers.fire(1.2)
    assert [name for name, _ in log] == ["killer"]  # set again from the time it was woken at, 1.2
    assert timers.next() == 1.2 + T1


def test_set_before_never_passes_its_stop() -> None:
    timers = Timers()
    machine = Machine("a", [], timers)
    timers.set_before(machine, 0.1, T2, 32.0)
    assert timers.next() == 0.1 + T2
    timers.set_before(machine, 30.1, T2, 32.0)
    assert timers.next() == 32.0


def test_stale_ones_are_swept_out() -> None:
    timers = Timers()
    machines = [Machine(str(n), [], timers) for n in range(3 * SWEEP)]
    for n, machine in enumerate(machines):
        timers.set(machine, 0.0, LANES[n % len(LANES)] if n % 2 else 100.0 + n)
    for machine in machines[: 2 * SWEEP]:
        timers.stop(machine)
    assert len(timers) < 2 * SWEEP
    timers.fire(1e9)
    assert len(timers) == 0
    assert all(machine.log[0][0] == machine.name for machine in machines[2 * SWEEP :])
    assert not any(machine.log for machine in machines[: 2 * SWEEP])


@given(st.lists(st.tuples(st.sampled_from("abcd"), st.sampled_from([0.3, T1, T2, 7.0, None]), st.floats(0.0, 3.0))))
def test_as_a_plain_dictionary_of_deadlines_would(steps: list[tuple[str, float | None, float]]) -> None:
    timers = Timers()
    log: list[tuple[str, float]] = []
    machines = {name: Machine(name, log, timers) for name in "abcd"}
    model: dict[str, float] = {}
    expected: list[str] = []
    now = 0.0
    for name, delay, passes in steps:
        if delay is None:
            timers.stop(machines[name])
            model.pop(name, None)
        else:
            timers.set(machines[name], now, delay)
            model[name] = now + delay
        now += passes
        due = sorted((deadline, name) for name, deadline in model.items() if deadline <= now)
        expected += [name for _, name in due]
        for _, each in due:
            del model[each]
        timers.fire(now)
        assert sorted(name for name, _ in log) == sorted(expected)
        assert timers.next() == min(model.values(), default=None)
    timers.fire(1e9)
    assert len(timers) == 0
