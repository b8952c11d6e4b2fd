"""Releases: shares that add up, callers who stay where they are, and a version that loses its share."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from pydantic import ValidationError

from edge.numbers.release import Release

CALLERS = [f"+14155550100 +1415555{n:04}" for n in range(10_000)]


def release(*shares: tuple[int, int], **fields: Any) -> Release:
    versions = [{"version": version, "percent": percent} for version, percent in shares]
    return Release.model_validate({"versions": versions, **fields})


def test_callers_are_split_by_the_shares_and_each_stays_with_his_version() -> None:
    split = release((12, 95), (13, 5))
    got = {caller: split.pick(caller) for caller in CALLERS}
    count = Counter(got.values())
    assert 400 <= count[13] <= 600
    assert count[12] + count[13] == len(CALLERS)
    assert {caller: release((12, 95), (13, 5)).pick(caller) for caller in CALLERS} == got


def test_a_last_share_that_grows_keeps_the_callers_it_had() -> None:
    small, large = release((12, 95), (13, 5)), release((12, 60), (13, 40))
    assert {large.pick(caller) for caller in CALLERS if small.pick(caller) == 13} == {13}


def test_one_version_is_pinned_and_not_on_trial() -> None:
    pinned = release((12, 100))
    assert {pinned.pick(caller) for caller in CALLERS[:100]} == {12}
    assert pinned.on_trial is None
    assert release((13, 5), (12, 95)).on_trial == 13


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ([(12, 95), (13, 5)], [(12, 100)]),
        ([(11, 60), (12, 30), (13, 10)], [(11, 67), (12, 33)]),
        ([(10, 1), (11, 1), (13, 98)], [(10, 50), (11, 50)]),
        ([(10, 98), (11, 1), (12, 1)], [(10, 99), (11, 1)]),
    ],
)
def test_who_loses_its_share_leaves_it_to_the_others(before: Any, after: Any) -> None:
    split = release(*before, rollback_percent=7)
    assert split.on_trial is not None
    rest = split.without(split.on_trial, "why")
    assert [(share.version, share.percent) for share in rest.versions] == after
    assert (rest.rolled_back, rest.rollback_percent) == ("why", 7)
    assert Release.model_validate(rest.model_dump()) == rest


@pytest.mark.parametrize(
    ("shares", "what"),
    [
        ([(1, 50), (2, 40)], "the shares make 90 percent, not 100"),
        ([(1, 50), (1, 50)], "a version is there twice"),
        ([], "at least 1 item"),
        ([(n, 10) for n in range(1, 11)], "at most 5 items"),
        ([(0, 100)], "greater than or equal to 1"),
    ],
)
def test_shares_that_make_no_release(shares: Any, what: str) -> None:
    with pytest.raises(ValidationError, match=what):
        release(*shares)
