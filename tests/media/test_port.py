from __future__ import annotations

import pytest

from edge.media.port import Ports


@pytest.mark.parametrize(
    ("first", "last", "pairs"),
    [(20000, 20005, [20000, 20002, 20004]), (20001, 20006, [20002, 20004]), (20000, 20004, [20000, 20002]), (9, 9, [])],
)
def test_pairs_are_even_and_within_the_range(first: int, last: int, pairs: list[int]) -> None:
    ports = Ports(first, last, 30)
    assert [ports.take(0) for _ in pairs] == pairs
    assert ports.take(0) is None


def test_a_pair_rests_before_it_is_used_again() -> None:
    ports = Ports(20000, 20003, 30)
    one, two = ports.take(0), ports.take(0)
    assert one is not None
    assert two is not None
    ports.give(two, 5)
    ports.give(one, 6)
    assert ports.take(34.9) is None
    assert ports.take(35) == two
    assert ports.take(35) is None
    assert ports.take(36) == one


def test_pairs_come_round_in_turn() -> None:
    ports = Ports(20000, 20005, 0)
    first = ports.take(0)
    assert first is not None
    ports.give(first, 0)
    assert [ports.take(1) for _ in range(3)] == [20002, 20004, 20000]
