"""Stepping a coroutine without a task, until it waits."""

from __future__ import annotations

import asyncio
from contextvars import ContextVar

import pytest

from edge.flows.eager import breathe, start

WHO: ContextVar[str] = ContextVar("WHO", default="nobody")


async def test_what_never_waits_is_done_at_once_without_a_task() -> None:
    seen: list[object] = []

    async def work() -> None:
        seen.append(len(asyncio.all_tasks()))

    assert start(work()) is None
    assert seen == [1]  # the test's own


async def test_what_waits_goes_on_in_a_task_from_there() -> None:
    seen: list[str] = []
    gate: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def work() -> None:
        seen.append("first")
        seen.append(await gate)
        await breathe()
        await asyncio.sleep(0)
        async with asyncio.timeout(5):  # there is a task now
            seen.append("last")

    task = start(work(), name="a run")
    assert task is not None
    assert (task.get_name(), seen) == ("a run", ["first"])
    await asyncio.sleep(0)
    assert seen == ["first"]
    gate.set_result("then")
    await task
    assert seen == ["first", "then", "last"]


async def test_what_was_awaited_may_be_over_before_the_task_looks() -> None:
    gate: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    seen: list[str] = []

    async def work() -> None:
        seen.append(await gate)

    task = start(work())
    gate.set_result("early")
    assert task is not None
    await task
    assert seen == ["early"]


async def test_an_exception_before_the_first_wait_is_raised_here() -> None:
    async def work() -> None:
        raise RuntimeError("at once")

    with pytest.raises(RuntimeError, match="at once"):
        start(work())


async def test_an_exception_after_it_is_the_tasks() -> None:
    async def work() -> None:
        await breathe()
        raise RuntimeError("later")

    task = start(work())
    assert task is not None
    with pytest.raises(RuntimeError, match="later"):
        await task


@pytest.mark.parametrize("turns", [0, 1, 2])
async def test_cancellation_arrives_whether_the_task_has_begun_or_not(turns: int) -> None:
    gate: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    seen: list[str] = []

    async def work() -> None:
        try:
            await gate
        finally:
            seen.append("cleaned up")

    task = start(work())
    assert task is not None
    for _ in range(turns):
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert seen == ["cleaned up"]
    assert gate.cancelled()


async def test_a_coroutine_may_outlive_one_cancellation() -> None:
    async def work() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            await asyncio.sleep(0)
            raise RuntimeError("went on") from None

    task = start(work())
    assert task is not None
    task.cancel()
    with pytest.raises(RuntimeError, match="went on"):
        await task


async def test_the_context_is_a_copy_on_both_sides_of_the_first_wait() -> None:
    seen: list[str] = []

    async def work() -> None:
        WHO.set("the run")
        await breathe()
        seen.append(WHO.get())

    WHO.set("the test")
    task = start(work())
    assert WHO.get() == "the test"
    assert task is not None
    await task
    assert seen == ["the run"]
