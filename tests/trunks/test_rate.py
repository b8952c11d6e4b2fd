"""So many calls a second, and bursts of what a second may bring."""

from __future__ import annotations

import pytest

from edge.trunks.rate import Rate


def taken(rate: Rate, at: float, tries: int = 100) -> int:
    return sum(rate.take(at) for _ in range(tries))


@pytest.mark.parametrize(("rate", "burst"), [(10.0, 10), (2.5, 2), (0.5, 1)])
def test_a_burst_is_what_a_second_may_bring(rate: float, burst: int) -> None:
    assert taken(Rate(rate), 1000.0) == burst


def test_then_it_goes_at_its_rate() -> None:
    rate = Rate(10.0)
    assert taken(rate, 0.0) == 10
    assert [taken(rate, 0.1 * tenth + 1e-6) for tenth in range(1, 6)] == [1, 1, 1, 1, 1]


def test_it_saves_no_more_than_a_second() -> None:
    rate = Rate(10.0)
    taken(rate, 0.0)
    assert taken(rate, 3600.0) == 10


def test_what_is_refused_costs_nothing_later() -> None:
    rate = Rate(1.0)
    assert taken(rate, 0.0, tries=1000) == 1
    assert taken(rate, 1.0) == 1
