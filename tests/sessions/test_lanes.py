from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from edge.sessions.lanes import Lanes


class Gate:
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
    lanes, gate = Lanes(10), Gate()
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
    lanes, gate = Lanes(2), Gate()
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
    lanes, gate = Lanes(1), Gate()
    lanes.add("a", gate.work("a1"))
    lanes.add("a", gate.work("a2"))
    lanes.add("b", gate.work("b1"))
    await gate.let()
    await lanes.close()
    await gate.let("a1", "a2", "b1")
    assert gate.begun == ["a1"]
