"""Groups: which streams send when. One clock serves them all.

Waking up costs more than sending a dozen packets, so streams of one packet time share as few instants as they can: a
group takes up to `FULL` members before another is begun, half a packet time away, then a quarter, and so on. So 60
calls wake the process 50 times a second, not 500; and with a thousand no burst takes much longer than half a
millisecond.

Each group's next instant is the last one plus the packet time, never "now plus": what is late once is not late ever
after.
A group that is behind sends again at once until it has caught up. Only when it is behind by more than `MAX_BEHIND`, so
that nobody listens to it any more anyway, its instants are moved.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from typing import Generic, TypeVar

FULL = 160  # members, before another group is begun
SPACING_MS = 2  # of the groups of one packet time at their most
LATE_SECONDS = 0.005  # after its time; then a packet counts as late
MAX_BEHIND = 0.2  # seconds

M = TypeVar("M")  # a member
L = TypeVar("L")  # what its group keeps of it: what is needed for each packet, and nothing else


class Group(Generic[M, L]):
    """Members that send at `due` and every `period` seconds after it."""

    __slots__ = ("due", "members", "period", "phase", "ptime_ms", "swept")

    def __init__(self, ptime_ms: int, phase: int, due: float) -> None:
        self.ptime_ms = ptime_ms
        self.period = ptime_ms / 1000
        self.phase = phase
        self.due = due
        self.members: dict[M, L] = {}
        self.swept = due  # when its owner last looked after the members; the group itself does not use it


class Groups(Generic[M, L]):
    """All groups. `now` is monotonic seconds throughout."""

    def __init__(self) -> None:
        self._by_ptime: dict[int, list[Group[M, L]]] = {}
        self._heap: list[tuple[float, int, Group[M, L]]] = []
        self._count = 0  # of all groups ever made, so that no two entries of the heap are equal

    def join(self, member: M, line: L, ptime_ms: int, now: float) -> Group[M, L]:
        """Give the member a group: the fullest that is not full, a new one, or, without room for it, the least."""
        groups = self._by_ptime.setdefault(ptime_ms, [])
        open_ones = [group for group in groups if len(group.members) < FULL]
        if open_ones:
            group = max(open_ones, key=_size)
        elif len(groups) < max(1, ptime_ms // SPACING_MS):
            group = self._begin(groups, ptime_ms, now)
        else:
            group = min(groups, key=_size)
        group.members[member] = line
        return group

    def leave(self, member: M, group: Group[M, L]) -> None:
        """Take the member out; a group without any is forgotten when its time comes."""
        group.members.pop(member, None)

    def next_due(self) -> float | None:
        return self._heap[0][0] if self._heap else None

    def due(self, now: float) -> Iterator[tuple[Group[M, L], bool]]:
        """The groups whose time has come, and whether they are late; one that is behind comes several times."""
        heap = self._heap
        while heap and heap[0][0] <= now:
            due, number, group = heap[0]
            if not group.members:
                heapq.heappop(heap)
                self._by_ptime[group.ptime_ms].remove(group)
                continue
            behind = now - due
            skipped = behind // group.period if behind > MAX_BEHIND else 0
            group.due = due + (skipped + 1) * group.period
            heapq.heapreplace(heap, (group.due, number, group))
            yield group, behind > LATE_SECONDS

    def _begin(self, groups: list[Group[M, L]], ptime_ms: int, now: float) -> Group[M, L]:
        taken = {group.phase for group in groups}
        phase = next(number for number in range(len(groups) + 1) if number not in taken)
        due = now
        if groups:
            first = groups[0]
            due = first.due + (_spread(phase) - _spread(first.phase)) * first.period
            due += -((due - now) // first.period) * first.period  # the first such instant that is not past
        group: Group[M, L] = Group(ptime_ms, phase, due)
        groups.append(group)
        self._count += 1
        heapq.heappush(self._heap, (due, self._count, group))
        return group


def _size(group: Group[M, L]) -> int:
    return len(group.members)


def _spread(number: int) -> float:
    """0, 1/2, 1/4, 3/4, 1/8, 5/8 …: the bits of the number, mirrored at the point."""
    value, weight = 0.0, 0.5
    while number:
        value += weight * (number & 1)
        number >>= 1
        weight /= 2
    return value
