"""The clock of all streams, without a clock."""

from __future__ import annotations

from itertools import pairwise

import pytest

from edge.media.group import FULL, LATE_SECONDS, MAX_BEHIND, Group, Groups


def run(groups: Groups[int, None], until: float) -> dict[int, list[float]]:
    """The instants at which each member would have sent, woken up exactly then."""
    sent: dict[int, list[float]] = {}
    while (due := groups.next_due()) is not None and due < until:
        for group, late in groups.due(due):
            assert not late
            for member in group.members:
                sent.setdefault(member, []).append(due)
    return sent


@pytest.mark.parametrize("ptime", [10, 20, 25, 30, 40, 60])
def test_members_send_every_packet_time_without_drift(ptime: int) -> None:
    groups: Groups[int, None] = Groups()
    groups.join(1, None, ptime, 100.0)
    times = run(groups, 159.999)[1]
    assert times[0] == 100.0
    assert len(times) == 60_000 // ptime
    assert times[-1] == pytest.approx(100.0 + (len(times) - 1) * ptime / 1000, abs=1e-6)


def test_few_streams_share_one_instant() -> None:
    groups: Groups[int, None] = Groups()
    joined = {id(groups.join(member, None, 20, member / 1000)) for member in range(FULL)}
    assert len(joined) == 1


def test_full_groups_are_spread_over_the_packet_time() -> None:
    groups: Groups[int, None] = Groups()
    for member in range(4 * FULL):
        groups.join(member, None, 20, 5.0)
    times = run(groups, 6.0)
    instants = sorted({round(t % 0.02 * 1000) % 20 for member in times.values() for t in member})
    assert instants == [0, 5, 10, 15]
    assert all(b - a == pytest.approx(0.02) for member in times.values() for a, b in pairwise(member))
    assert min(t for member in times.values() for t in member) >= 5.0


def test_beyond_the_closest_spacing_groups_grow_evenly() -> None:
    groups: Groups[int, None] = Groups()
    for member in range(6 * FULL):
        groups.join(member, None, 10, 0.0)
    sizes = {id(group): len(group.members) for group, _ in groups.due(0.0099)}
    assert len(sizes) == 5
    assert max(sizes.values()) - min(sizes.values()) <= 1
    assert sum(sizes.values()) == 6 * FULL


def test_packet_times_do_not_mix() -> None:
    groups: Groups[int, None] = Groups()
    assert groups.join(1, None, 20, 0.0) is not groups.join(2, None, 30, 0.0)
    sent = run(groups, 0.61)
    assert (len(sent[1]), len(sent[2])) == (31, 21)


def test_who_left_sends_no_more_and_an_empty_group_is_forgotten() -> None:
    groups: Groups[int, None] = Groups()
    group = groups.join(1, None, 20, 0.0)
    groups.leave(1, group)
    groups.leave(1, group)
    assert list(groups.due(0.0)) == []
    assert groups.next_due() is None
    assert groups.join(2, None, 20, 7.0).due == 7.0


def test_a_late_one_is_counted_and_catches_up() -> None:
    groups: Groups[int, None] = Groups()
    groups.join(1, None, 20, 0.0)
    assert [late for _, late in groups.due(LATE_SECONDS)] == [False]
    assert [late for _, late in groups.due(0.081)] == [True, True, True, False]
    assert groups.next_due() == pytest.approx(0.1)


def test_one_that_is_far_behind_goes_on_from_here_in_its_old_rhythm() -> None:
    groups: Groups[int, None] = Groups()
    groups.join(1, None, 20, 0.0)
    assert len(list(groups.due(0.005 + MAX_BEHIND * 10))) == 1
    assert groups.next_due() == pytest.approx(MAX_BEHIND * 10 + 0.02)


def test_room_that_was_left_is_filled_first() -> None:
    groups: Groups[int, None] = Groups()
    joined: list[Group[int, None]] = [groups.join(member, None, 20, 0.0) for member in range(FULL + 1)]
    groups.leave(3, joined[3])
    assert groups.join(1000, None, 20, 0.0) is joined[0]
