"""Who waits is woken, runs out of time, or is told that the session is over."""

from __future__ import annotations

import asyncio

import pytest

from edge.flows.session import SessionEnded
from edge.sessions.calls.waiting import Waiting


def end(waiting: Waiting) -> None:
    waiting.ended = SessionEnded("remote")
    waiting.break_off()


async def test_a_wake_has_it_look_again() -> None:
    waiting, seen = Waiting(), list[int]()
    task = asyncio.create_task(waiting.until(lambda: len(seen) == 2, 60))
    for number in range(2):
        await asyncio.sleep(0)
        assert not task.done()
        seen.append(number)
        waiting.wake()
        waiting.wake()  # the second changes nothing
    assert await task


async def test_the_time_is_over() -> None:
    assert not await Waiting().until(lambda: False, 0)
    assert not await Waiting().until(lambda: False, 0.001)


async def test_the_end_is_told_to_who_waits_and_to_who_would() -> None:
    waiting = Waiting()
    task = asyncio.create_task(waiting.wait())
    await asyncio.sleep(0)
    end(waiting)
    with pytest.raises(SessionEnded):
        await task
    with pytest.raises(SessionEnded):
        waiting.alive()


async def test_work_is_given_up_at_the_end() -> None:
    waiting, given_up = Waiting(), asyncio.Event()

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            given_up.set()

    task = asyncio.create_task(waiting.during(work()))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    end(waiting)
    with pytest.raises(SessionEnded):
        await task
    await given_up.wait()


async def test_work_returns_or_fails_as_ever() -> None:
    async def work(divisor: int) -> float:
        await asyncio.sleep(0)
        return 1 / divisor

    waiting = Waiting()
    assert await waiting.during(work(2)) == 0.5
    with pytest.raises(ZeroDivisionError):
        await waiting.during(work(0))
