"""The order of attempts: who is rung when, who is given up, and what is told when nobody answers."""

from __future__ import annotations

import pytest

from edge.sessions.calls.dialing import NO_ANSWER, NO_ANSWER_CAUSE, Cancel, Dialing, Ring, Verdict


def in_turn(count: int = 3) -> Dialing:
    dialing = Dialing(count, together=False, seconds=20)
    assert dialing.begin(100.0) == [Ring(0)]
    return dialing


def at_once(count: int = 3) -> Dialing:
    dialing = Dialing(count, together=True, seconds=20)
    assert dialing.begin(100.0) == [Ring(index) for index in range(count)]
    return dialing


# One after another


@pytest.mark.parametrize("status", [408, 500, 503, 504])
def test_the_next_is_rung_when_a_network_failed(status: int) -> None:
    dialing = in_turn()
    assert dialing.failed(0, status, None, 105.0) == [Ring(1)]
    assert dialing.deadline == 125.0
    assert not dialing.over


@pytest.mark.parametrize("status", [302, 403, 404, 480, 486, 487, 600, 603])
def test_what_a_human_or_his_phone_said_ends_it(status: int) -> None:
    dialing = in_turn()
    assert dialing.failed(0, status, 17, 105.0) == []
    assert dialing.over
    assert dialing.verdict == Verdict(0, status, 17)
    assert dialing.deadline is None


def test_who_rings_too_long_is_cancelled_and_the_next_rung() -> None:
    dialing = in_turn()
    assert dialing.deadline == 120.0
    assert dialing.wake(119.9) == []
    assert dialing.wake(120.0) == [Cancel(0), Ring(1)]
    assert dialing.deadline == 140.0


def test_the_487_of_who_was_cancelled_says_nothing() -> None:
    dialing = in_turn()
    dialing.wake(120.0)
    assert dialing.failed(0, 487, None, 120.1) == []
    assert not dialing.over


def test_an_answer_that_comes_too_late_does_not_count() -> None:
    dialing = in_turn()
    dialing.wake(120.0)
    assert dialing.answered(0) == []
    assert dialing.winner is None
    assert dialing.answered(1) == []
    assert dialing.winner == 1
    assert dialing.over


def test_the_last_that_rings_too_long_is_the_end() -> None:
    dialing = in_turn(2)
    dialing.failed(0, 503, None, 101.0)
    assert dialing.wake(121.0) == [Cancel(1)]
    assert dialing.over
    assert dialing.verdict == Verdict(1, NO_ANSWER, NO_ANSWER_CAUSE)


def test_the_last_answer_is_the_one_that_is_told() -> None:
    dialing = in_turn(2)
    dialing.failed(0, 503, 41, 101.0)
    assert dialing.failed(1, 500, None, 102.0) == []
    assert dialing.over
    assert dialing.verdict == Verdict(1, 500, None)


def test_the_first_that_answers_is_the_only_one_rung() -> None:
    dialing = in_turn()
    assert dialing.answered(0) == []
    assert (dialing.winner, dialing.over, dialing.deadline) == (0, True, None)


# All at once


def test_the_first_answer_wins_and_the_others_are_cancelled() -> None:
    dialing = at_once()
    assert dialing.answered(1) == [Cancel(0), Cancel(2)]
    assert (dialing.winner, dialing.over, dialing.deadline) == (1, True, None)
    assert dialing.answered(0) == []
    assert dialing.winner == 1


@pytest.mark.parametrize("status", [404, 408, 486, 487, 500, 600, 603])
def test_one_phone_does_not_speak_for_the_others(status: int) -> None:
    dialing = at_once()
    assert dialing.failed(0, status, None, 101.0) == []
    assert not dialing.over
    assert dialing.answered(2) == [Cancel(1)]


@pytest.mark.parametrize("status", [604, 606, 607])
def test_any_other_6xx_ends_all(status: int) -> None:
    dialing = at_once()
    assert dialing.failed(1, status, None, 101.0) == [Cancel(0), Cancel(2)]
    assert dialing.over
    assert dialing.verdict == Verdict(1, status, None)


def test_all_that_ring_too_long_are_cancelled() -> None:
    dialing = at_once()
    dialing.failed(1, 503, None, 101.0)
    assert dialing.wake(120.0) == [Cancel(0), Cancel(2)]
    assert dialing.over
    assert dialing.verdict == Verdict(0, NO_ANSWER, NO_ANSWER_CAUSE)


@pytest.mark.parametrize(
    ("statuses", "told"),
    [((503, 486, 404), 1), ((404, 408, 503), 0), ((486, 603, 600), 1), ((480, 486, 500), 1), ((503, 500, 480), 2)],
)
def test_of_all_answers_the_one_that_says_most_is_told(statuses: tuple[int, ...], told: int) -> None:
    dialing = at_once()
    for index, status in enumerate(statuses):
        assert not dialing.over
        dialing.failed(index, status, None, 101.0)
    assert dialing.over
    assert dialing.verdict == Verdict(told, statuses[told], None)


def test_nothing_happens_after_the_end() -> None:
    dialing = at_once(1)
    dialing.failed(0, 486, 17, 101.0)
    assert dialing.wake(1000.0) == []
    assert dialing.failed(0, 503, None, 102.0) == []
    assert dialing.verdict == Verdict(0, 486, 17)
