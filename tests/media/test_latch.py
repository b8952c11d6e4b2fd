"""Whose packets are believed."""

from __future__ import annotations

import pytest

from edge.media.latch import CANDIDATES, PROBATION, Latch, Verdict

TOLD = ("198.51.100.9", 4000)
PUBLIC = ("8.8.4.4", 4000)
NEAR = "9.9.9.9"


def spoken(latch: Latch, source: tuple[str, int], *, count: int = 50, ssrc: int = 7, first: int = 1) -> list[Verdict]:
    """What is thought of each packet of somebody who talks."""
    return [latch.judge(source, ssrc, (first + n) % 2**16, 0.02 * n) for n in range(count)]


@pytest.mark.parametrize(
    ("told", "source"),
    [
        (PUBLIC, PUBLIC),
        (PUBLIC, ("8.8.4.4", 61234)),  # a NAT has another port
        (PUBLIC, (NEAR, 4000)),  # whose signalling it is
        (("10.0.0.4", 4000), (NEAR, 61234)),
        (("10.0.0.4", 4000), ("10.0.0.4", 4000)),
        (None, (NEAR, 4000)),
        (("2001:4860:4860::8888", 4000), ("2001:4860:4860::8888", 5000)),
    ],
)
def test_who_is_right_is_believed_at_once(told: tuple[str, int] | None, source: tuple[str, int]) -> None:
    latch = Latch(NEAR)
    latch.expect(told)
    assert latch.judge(source, 1, 1, 0.0) == "right"
    assert latch.knows(source[0])


@pytest.mark.parametrize(
    ("told", "source"),
    [
        (("10.0.0.4", 4000), ("1.1.1.1", 61234)),  # behind a NAT that has several addresses
        (None, ("1.1.1.1", 4000)),
        (PUBLIC, ("8.8.4.7", 4000)),  # a gateway beside it
        (("2001:4860:4860::8888", 4000), ("2001:4860:4860::64", 4000)),
    ],
)
def test_another_is_believed_after_some_packets_in_a_row(told: tuple[str, int] | None, source: tuple[str, int]) -> None:
    latch = Latch(NEAR)
    latch.expect(told)
    assert spoken(latch, source, count=PROBATION, first=65533) == ["no"] * (PROBATION - 1) + ["perhaps"]


@pytest.mark.parametrize("source", [("1.1.1.1", 4000), ("8.8.5.4", 4000), ("2001:4860:4860::8888", 4000)])
def test_nobody_else_is_ever_believed_when_the_address_was_told(source: tuple[str, int]) -> None:
    latch = Latch(NEAR)
    latch.expect(PUBLIC)
    assert set(spoken(latch, source)) == {"no"}


def test_what_is_sprayed_is_no_row() -> None:
    """One packet a port, again and again; all at once; of many sources; with numbers that do not follow."""
    latch = Latch()
    latch.expect(("10.0.0.4", 4000))
    assert {latch.judge(("1.1.1.1", 5), 7, 1, now / 50) for now in range(100)} == {"no"}
    assert {latch.judge(("1.1.1.1", 6), 7, n, 1.0) for n in range(100)} == {"no"}
    assert {latch.judge(("1.1.1.1", port), 7, 1, 2.0) for port in range(1000)} == {"no"}
    assert {latch.judge(("1.1.1.1", 7), 7, 10 * n, 3.0 + n / 50) for n in range(100)} == {"no"}
    assert {latch.judge(("1.1.1.1", 8), n, n, 6.0 + n / 50) for n in range(100)} == {"no"}


def test_memory_has_a_bound_and_others_do_not_push_out_who_talks() -> None:
    latch = Latch()
    verdicts = []
    for n in range(PROBATION):
        verdicts.append(latch.judge(("1.1.1.1", 4000), 7, n, n / 50))
        for port in range(CANDIDATES // 2):
            latch.judge(("1.1.1.2", 1000 + CANDIDATES * n + port), 7, n, n / 50)
    assert verdicts[-1] == "perhaps"


def test_who_was_heard_before_is_right() -> None:
    latch = Latch()
    latch.expect(PUBLIC, heard=("1.1.1.1", 4000))
    assert latch.judge(("1.1.1.1", 4002), 7, 1, 0.0) == "right"
    latch.expect(TOLD)
    assert latch.judge(("1.1.1.1", 4002), 7, 1, 0.0) == "no"
