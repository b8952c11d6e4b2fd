from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from edge.sessions.queues.gate import Gate
from edge.sessions.queues.lanes import Again, Lanes


class Doors:
    """Work that notes when it begins, and ends when it is let through."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.open: dict[str, asyncio.Event] = {}

    def work(self, name: str) -> Callable[[], Awaitable[None]]:
        event = self.open[name] = asyncio.Event()

        async def go() -> None:
            self.begun.append(name)
            await event.wait()

        return go

    async def let(self, *names: str) -> None:
        for name in names:
            self.open[name].set()
        for _ in range(4):
            await asyncio.sleep(0)


async def test_one_lane_keeps_its_order_and_lanes_run_beside_each_other() -> None:
    lanes, gate = Lanes(10), Doors()
    for name in ("a1", "a2", "b1", "a3"):
        lanes.add(name[0], gate.work(name))
    await gate.let()
    assert gate.begun == ["a1", "b1"]
    await gate.let("a1")
    assert gate.begun == ["a1", "b1", "a2"]
    await gate.let("b1", "a2")
    assert gate.begun == ["a1", "b1", "a2", "a3"]
    await gate.let("a3")
    await lanes.idle()
    assert lanes.free("a")


async def test_no_more_at_once_than_allowed_and_lanes_take_turns() -> None:
    lanes, gate = Lanes(2), Doors()
    for name in ("a1", "a2", "b1", "c1"):
        lanes.add(name[0], gate.work(name))
    await gate.let()
    assert gate.begun == ["a1", "b1"]
    assert not lanes.free("d")
    await gate.let("a1")
    assert gate.begun[2:] == ["c1"]
    await gate.let("c1")
    assert gate.begun[3:] == ["a2"]
    await gate.let("b1", "a2")
    await lanes.idle()


async def test_what_fails_does_not_stop_its_lane() -> None:
    lanes, done = Lanes(1), []

    async def fail() -> None:
        raise RuntimeError("no")

    async def work() -> None:
        done.append(1)

    lanes.add("a", fail)
    lanes.add("a", work)
    await lanes.idle()
    assert done == [1]


async def test_closing_cancels_what_runs_and_forgets_what_waits() -> None:
    lanes, gate = Lanes(1), Doors()
    lanes.add("a", gate.work("a1"))
    lanes.add("a", gate.work("a2"))
    lanes.add("b", gate.work("b1"))
    await gate.let()
    await lanes.close()
    await gate.let("a1", "a2", "b1")
    assert gate.begun == ["a1"]


# With a gate


class Ticks:
    def __init__(self) -> None:
        self.now = 500.0

    def __call__(self) -> float:
        return self.now


def paced(*rates: float | None, limit: int = 100) -> tuple[Lanes, Ticks, list[str], Callable[[str, str], None]]:
    """Lanes with a gate, its clock, what has begun, and what adds a piece to a lane of a group."""
    ticks, begun = Ticks(), list[str]()
    lanes = Lanes(limit, Gate(ticks, *rates))

    def add(group: str, name: str) -> None:
        async def work() -> None:
            begun.append(name)

        lanes.add(name[:-1], work, group=group)

    return lanes, ticks, begun, add


async def turn(lanes: Lanes, ticks: Ticks, seconds: float = 0.0) -> None:
    ticks.now += seconds
    lanes.look()
    await lanes.idle()


async def test_at_a_rate_groups_take_turns_and_lanes_keep_their_order() -> None:
    lanes, ticks, begun, add = paced(1.0)
    for name in ("a1", "a2", "b1", "a3"):
        add("one", name)
    add("two", "c1")
    await turn(lanes, ticks)
    assert begun == ["a1"]
    await turn(lanes, ticks, 0.5)
    assert begun == ["a1"]
    for _ in range(5):
        await turn(lanes, ticks, 1)
    assert begun == ["a1", "c1", "b1", "a2", "a3"] or begun == ["a1", "b1", "c1", "a2", "a3"]


async def test_a_group_that_waits_does_not_hold_up_the_others() -> None:
    lanes, ticks, begun, add = paced(None, 1.0, limit=2)
    for name in ("a1", "a2", "b1"):
        add("one", name)
    await turn(lanes, ticks)
    for name in ("c1", "d1"):
        add("two" if name == "c1" else "three", name)
    await turn(lanes, ticks)
    assert begun == ["a1", "c1", "d1"]
    await turn(lanes, ticks, 1)
    assert begun[3:] in (["b1"], ["a2"])
    await turn(lanes, ticks, 1)
    assert sorted(begun[3:]) == ["a2", "b1"]


async def test_a_gate_opens_by_itself() -> None:
    lanes = Lanes(10, Gate(asyncio.get_running_loop().time, 500.0, 400.0))
    done = asyncio.Event()
    names: list[int] = []

    def piece(name: int) -> Callable[[], Awaitable[None]]:
        async def work() -> None:
            names.append(name)
            if name == 19:
                done.set()

        return work

    began = asyncio.get_running_loop().time()
    for name in range(20):
        lanes.add("a", piece(name), group="g")
    async with asyncio.timeout(5):
        await done.wait()
    assert names == [*range(20)]
    assert asyncio.get_running_loop().time() - began > 19 / 500 - 0.021 - 0.001
    await lanes.close()


async def test_a_piece_that_is_to_be_done_again_stays_at_the_head_of_its_lane() -> None:
    lanes, begun = Lanes(10), list[str]()

    def piece(name: str, *results: Again | None) -> Callable[[], Awaitable[Again | None]]:
        left = [*results]

        async def work() -> Again | None:
            begun.append(name)
            return left.pop(0) if left else None

        return work

    lanes.add("a", piece("a1", "again", "again"))
    lanes.add("a", piece("a2"))
    await lanes.idle()
    assert begun == ["a1", "a1", "a1", "a2"]
    assert lanes.free("a")


async def test_what_is_cleared_is_not_begun_and_what_is_at_work_goes_on() -> None:
    lanes, gate = Lanes(1), Doors()
    for name in ("a1", "a2", "b1"):
        lanes.add(name[0], gate.work(name))
    await gate.let()
    lanes.clear()
    lanes.add("b", gate.work("b2"))
    await gate.let("a1")
    assert gate.begun == ["a1", "b2"]
    await gate.let("b2")
    await lanes.idle()
    assert lanes.free("a")
    assert lanes.free("b")
