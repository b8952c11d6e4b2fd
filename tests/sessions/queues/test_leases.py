"""Leases on a real database: one holder at a time, whatever befalls it, and an heir soon after."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import sqlalchemy as sa

from edge.errors import Unavailable
from edge.metrics import REGISTRY
from edge.sessions.queues.leases import LEAVE_SECONDS, SECONDS, Lease, Leases, insist
from edge.sessions.tables import leases
from edge.store.engine import writing
from edge.store.writer import Writer
from tests.logged import logged
from tests.sessions.ground import Frail, Ground, Pauses, end, until


class Time:
    """The clock that processes reckon by; the database's goes along when it is told to."""

    def __init__(self, ground: Ground) -> None:
        self.now = 1000.0
        self._ground = ground

    def __call__(self) -> float:
        return self.now

    async def go_on(self, seconds: float) -> None:
        self.now += seconds
        earlier = leases.c.until - int(seconds * 1_000_000)
        async with writing(self._ground.engine) as connection:
            await connection.execute(sa.update(leases).values(until=earlier).where(leases.c.until > 0))


class Edge:
    """A process with a lease, that does something under it."""

    def __init__(self, ground: Ground, time: Time, node: str, *, writer: Writer | None = None) -> None:
        self.pauses = Pauses()
        self.leases = Leases(writer or ground.writer, ["bind"], node=node, clock=time, pause=self.pauses)
        self.lease: Lease = self.leases["bind"]
        self.does: list[str] = []
        self.lease.during("first", lambda: self._do("first"))
        self.lease.during("second", lambda: self._do("second"))

    async def _do(self, what: str) -> None:
        self.does.append(what)
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            self.does.append(f"no more {what}")

    async def die(self) -> None:
        """As `kill -9` does it."""
        if self.leases._task is not None:
            await end([self.leases._task])
            self.leases._task = None


@pytest.fixture
def time(ground: Ground) -> Time:
    return Time(ground)


async def row(ground: Ground) -> dict[str, Any]:
    (found,) = await ground.rows_of(leases)
    return found


async def test_of_two_who_try_one_has_it(ground: Ground, time: Time) -> None:
    edges = [Edge(ground, time, name) for name in ("one", "two", "three")]
    await asyncio.gather(*(edge.leases.start() for edge in edges))
    assert sum(edge.lease.held for edge in edges) == 1
    holder = next(edge for edge in edges if edge.lease.held)
    await until(lambda: holder.does == ["first", "second"])
    assert [edge.does for edge in edges if edge is not holder] == [[], []]
    assert REGISTRY.get_sample_value("edge_lease_held", {"name": "bind"}) == 1
    for edge in edges:
        await edge.leases.close()


async def test_it_is_renewed_for_as_long_as_its_holder_lives(ground: Ground, time: Time) -> None:
    one, two = Edge(ground, time, "one"), Edge(ground, time, "two")
    await one.leases.start()
    await two.leases.start()
    for _ in range(10):
        await time.go_on(2)
        await one.leases.ask()
        await two.leases.ask()
        assert (one.lease.held, two.lease.held) == (True, False)
    assert one.does == ["first", "second"]
    await one.leases.close()
    await two.leases.close()


async def test_when_its_holder_is_killed_another_has_it_after_its_end(ground: Ground, time: Time) -> None:
    one, two = Edge(ground, time, "one"), Edge(ground, time, "two")
    await one.leases.start()
    await two.leases.start()
    await one.die()
    await time.go_on(SECONDS - 0.5)
    await two.leases.ask()
    assert not two.lease.held
    await time.go_on(1)
    await two.leases.ask()
    assert two.lease.held
    await until(lambda: two.does == ["first", "second"])
    assert (await row(ground))["holder"] == "two"
    await one.lease.leave()
    await two.leases.close()


async def test_one_that_starts_again_under_its_name_has_it_at_once(ground: Ground, time: Time) -> None:
    dead = Edge(ground, time, "one")
    await dead.leases.start()
    await dead.die()
    again = Edge(ground, time, "one")
    await again.leases.start()
    assert again.lease.held
    await dead.lease.leave()
    await again.leases.close()


async def test_what_it_allows_is_over_before_somebody_else_can_have_it(ground: Ground, time: Time) -> None:
    frail = Frail(ground.writer)
    one, two = Edge(ground, time, "one", writer=frail.as_writer()), Edge(ground, time, "two")
    await one.leases.start()
    await two.leases.start()
    frail.away = True
    with pytest.raises(Unavailable):
        await one.leases.ask()
    await time.go_on(SECONDS - LEAVE_SECONDS - 0.1)
    assert one.lease.held
    await time.go_on(0.2)
    assert not one.lease.held
    one.lease.look()  # as its timer does
    await until(lambda: one.lease._task is None)
    assert one.does == ["first", "second", "no more first", "no more second"]
    await two.leases.ask()
    assert not two.lease.held  # there is time between the two
    await time.go_on(LEAVE_SECONDS)
    await two.leases.ask()
    assert two.lease.held
    await one.leases.close()
    await two.leases.close()


async def test_one_that_was_frozen_knows_that_it_has_it_no_more(ground: Ground, time: Time) -> None:
    one, two = Edge(ground, time, "one"), Edge(ground, time, "two")
    await one.leases.start()
    await two.leases.start()
    await until(lambda: len(one.does) == 2)
    await time.go_on(60)
    await two.leases.ask()
    assert (one.lease.held, two.lease.held) == (False, True)
    await one.leases.ask()
    assert not one.lease.held
    one.lease.look()
    await until(lambda: one.lease._task is None)
    await one.leases.close()
    assert (await row(ground))["holder"] == "two"
    assert (await row(ground))["until"] > 0  # it lets go of its own only
    await two.leases.close()


async def test_an_answer_that_came_late_counts_from_when_it_was_asked_for(ground: Ground, time: Time) -> None:
    frail = Frail(ground.writer)
    one = Edge(ground, time, "one", writer=frail.as_writer())
    ask = frail.put_each

    async def slow(statement: Any, rows: Any) -> list[bool]:
        done = await ask(statement, rows)
        time.now += SECONDS - LEAVE_SECONDS
        return done

    frail.put_each = slow  # type: ignore[method-assign]
    await one.leases.start()
    assert not one.lease.held
    assert one.does == []
    await one.leases.close()


async def test_what_is_let_go_of_another_has_at_once(ground: Ground, time: Time) -> None:
    one, two = Edge(ground, time, "one"), Edge(ground, time, "two")
    await one.leases.start()
    await two.leases.start()
    await until(lambda: len(one.does) == 2)
    await one.leases.close()
    assert one.does == ["first", "second", "no more first", "no more second"]
    assert REGISTRY.get_sample_value("edge_lease_held", {"name": "bind"}) == 0
    await two.leases.ask()
    assert two.lease.held
    await one.leases.close()  # a second time changes nothing
    await two.leases.ask()
    assert two.lease.held
    await two.leases.close()


async def test_it_is_begun_again_only_once_the_last_time_is_over(ground: Ground, time: Time) -> None:
    one = Edge(ground, time, "one")
    await one.leases.start()
    await until(lambda: len(one.does) == 2)
    await time.go_on(SECONDS)
    one.lease.look()
    await one.leases.ask()  # nobody else wanted it
    await until(lambda: len(one.does) == 6)
    assert one.does == ["first", "second", "no more first", "no more second", "first", "second"]
    await one.leases.close()


async def test_a_database_that_is_away_at_the_start_is_said(ground: Ground, time: Time) -> None:
    frail = Frail(ground.writer)
    frail.away = True
    with pytest.raises(Unavailable):
        await Edge(ground, time, "one", writer=frail.as_writer()).leases.start()


async def test_without_names_nothing_is_written(ground: Ground) -> None:
    frail = Frail(ground.writer)
    none = Leases(frail.as_writer(), [], node="one")
    await none.start()
    await none.close()
    assert frail.puts == []


async def test_it_goes_on_asking_whatever_happens(ground: Ground, time: Time) -> None:
    frail = Frail(ground.writer)
    one = Edge(ground, time, "one", writer=frail.as_writer())
    await one.leases.start()
    frail.refuses.add("lease.take")
    for _ in range(3):
        await until(lambda: one.pauses._waiting)
        asked = len(frail.puts)
        await one.pauses.end()
        await until(lambda asked=asked: len(frail.puts) > asked)
    assert set(one.pauses.taken) == {2.0}  # it is held still
    frail.refuses.clear()
    await time.go_on(SECONDS)
    assert not one.lease.held
    await until(lambda: one.pauses._waiting)
    await one.pauses.end()
    await until(lambda: one.lease.held)
    await one.leases.close()


async def test_work_that_ends_or_raises_is_begun_again() -> None:
    pauses, times = Pauses(short=True), 0

    async def work() -> None:
        nonlocal times
        times += 1
        if times == 1:
            raise ZeroDivisionError("oops")
        if times == 6:
            await asyncio.Event().wait()

    with logged() as lines:
        task = asyncio.create_task(insist("it", work, pauses))
        await until(lambda: times == 4 and pauses._waiting)
        assert pauses.taken == [1.0, 2.0, 5.0, 10.0]
        await pauses.end()
        await until(lambda: times == 5 and pauses._waiting)
        await pauses.end()
        await until(lambda: times == 6)
        await end([task])
    assert [line["event"] for line in lines()][:2] == [
        "work failed that goes on for ever",
        "work ended that goes on for ever",
    ]
