"""What is turned away when there is too much: a share that follows the lag, and counts."""

from __future__ import annotations

from edge.sessions.overload import Overload, OverloadSection

LATE = 0.3


def overload(calls: int = 0, waiting: int = 0, lag_ms: float = 100.0) -> Overload:
    section = OverloadSection(lag_ms=lag_ms, max_calls=10, max_waiting=5)
    return Overload(section, lambda: calls, lambda: waiting)


def refused(edge: Overload, tries: int = 1000) -> int:
    return sum(edge.refuses() for _ in range(tries))


def test_nothing_while_the_loop_is_in_time() -> None:
    edge = overload()
    edge.beat(0.09)
    assert refused(edge) == 0


def test_a_share_that_grows_with_each_late_beat() -> None:
    edge = overload()
    shares = []
    for _ in range(3):
        edge.beat(LATE)
        shares.append(edge.share)
        assert abs(refused(edge) - 1000 * edge.share) <= 2
    assert shares == sorted(shares)
    assert shares[0] > 0.2


def test_never_all_so_that_somebody_can_see_that_it_is_over() -> None:
    edge = overload()
    for _ in range(50):
        edge.beat(10.0)
    assert 900 < refused(edge) < 1000


def test_it_eases_and_ends() -> None:
    edge = overload()
    for _ in range(50):
        edge.beat(LATE)
    before = edge.share
    edge.beat(0.0)
    assert 0 < edge.share < before
    for _ in range(30):
        edge.beat(0.0)
    assert edge.share == 0.0
    assert refused(edge) == 0


def test_lag_may_be_left_alone() -> None:
    edge = overload(lag_ms=0)
    edge.beat(60.0)
    assert refused(edge) == 0


def test_too_many_calls_or_too_many_that_wait() -> None:
    assert not overload(calls=9).refuses()
    assert overload(calls=10).refuses()
    assert not overload(waiting=4).refuses()
    assert overload(waiting=5).refuses()
