"""Texts of a carrier that only one process sends by, on a real database: whoever puts them, and whoever dies."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from itertools import count
from typing import Any, Final

import pytest

from edge.sessions.queues.backlog import LOOK_SECONDS
from edge.sessions.queues.claims import LEASE
from edge.sessions.queues.leases import SECONDS, Lease, Leases
from edge.sessions.queues.sender import Sender
from edge.sessions.texts.outbox import Outbox, OutboxSection, Outgoing
from edge.sessions.texts.tables import outbox
from edge.sms.carrier import NotNow
from edge.store.metadata import micros, new_id
from edge.store.writer import Writer
from tests.sessions.ground import Clock, Frail, Ground, Pauses, end, until
from tests.sessions.queues.test_leases import Time
from tests.sessions.texts.test_outbox import CUSTOMER, Life, Loft

NAME: Final = "carrier:pigeon"
_times = count()  # what is put at the same time is read in the order of ids, which is by chance


def text(body: str = "hi", peer: str = "+14155550111", **change: Any) -> Outgoing:
    when = micros(Clock().now) + next(_times)
    found = Outgoing(new_id(), CUSTOMER, "pigeon", "+14155550100", peer, body, when)
    return replace(found, **change)


class Edge:
    """One process: an outbox whose carrier has a lease."""

    def __init__(
        self,
        ground: Ground,
        time: Time,
        node: str,
        *,
        writer: Writer | None = None,
        clock: Clock | None = None,
        **section: Any,
    ) -> None:
        self.ground = ground
        self.loft = Loft()
        self.clock = clock or Clock()
        self.pauses = Pauses()
        writer = writer or ground.writer
        self.leases = Leases(writer, [NAME], node=node, clock=time, pause=self.pauses)
        self.outbox = Outbox(
            OutboxSection(**section),
            ground.engine,
            writer,
            {"pigeon": self.loft},
            node=node,
            leases={"pigeon": self.lease},
            clock=self.clock,
            pause=self.pauses,
            chance=lambda: 0.5,
        )

    @property
    def lease(self) -> Lease:
        return self.leases[NAME]

    @property
    def sender(self) -> Sender[Outgoing]:
        return self.outbox._senders["pigeon"]

    async def start(self) -> Edge:
        await self.outbox.start()
        await self.leases.start()
        return self

    async def die(self) -> None:
        """As `kill -9` does it: nothing is written any more."""
        await end([*self.outbox._tending, *([self.leases._task] if self.leases._task else [])])
        await self.sender.close()

    async def close(self) -> None:
        await self.leases.close()
        await self.outbox.close()

    async def look(self) -> None:
        """Have it look for what others put, as it does a few times a second."""
        looked = self.pauses.taken.count(LOOK_SECONDS)
        if self.ground.engine.dialect.name == "sqlite":
            await self.outbox._catch_up()
            return
        await until(lambda: LOOK_SECONDS in self.pauses.taken)
        await self.pauses.end()
        await until(lambda: self.pauses.taken.count(LOOK_SECONDS) > looked)

    async def settle(self, condition: Callable[[], bool]) -> None:
        await until(condition)
        await self.outbox.idle()


@pytest.fixture
def time(ground: Ground) -> Time:
    return Time(ground)


async def claims(ground: Ground) -> list[tuple[str, str, bool]]:
    """Of each text: its state, who claimed it last, and whether that holds."""
    return [
        (row["state"], row["claimed_by"], row["claimed_until"].timestamp() > 0) for row in await ground.rows(outbox)
    ]


async def test_the_one_who_has_the_lease_sends_at_once(ground: Ground, time: Time) -> None:
    one = await Edge(ground, time, "one").start()
    await one.outbox.put(text())
    await one.settle(lambda: bool(one.loft.took))
    assert await claims(ground) == [("sent", "one", False)]
    await one.close()


async def test_the_others_put_and_the_one_finds(ground: Ground, time: Time) -> None:
    one = await Edge(ground, time, "one").start()
    two = await Edge(ground, time, "two").start()
    await until(lambda: one.lease._task is not None and not one.outbox._one_reads.locked())
    for number in range(3):
        await two.outbox.put(text(str(number)))
    assert await claims(ground) == [("queued", "", False)] * 3
    await two.outbox.idle()
    await one.look()
    await one.settle(lambda: len(one.loft.took) == 3)
    assert one.loft.bodies == ["0", "1", "2"]
    assert two.loft.tries == []
    assert two.sender.held == {}
    await one.close()
    await two.close()


async def test_who_takes_over_sends_what_the_dead_had_without_waiting_for_its_claims(
    ground: Ground, time: Time
) -> None:
    one = await Edge(ground, time, "one").start()
    two = await Edge(ground, time, "two").start()
    one.loft.answers = [NotNow("busy")]
    one.loft.stuck = True
    texts = [text("waits", peer="+14155550112"), text("under way"), text("behind it")]
    for each in texts:
        await one.outbox.put(each)
    await until(lambda: len(one.loft.tries) == 2)
    await until(lambda: one.sender._at_work.keys() == {texts[1].id})
    await one.die()
    await time.go_on(SECONDS + 1)
    two.clock.move(2)  # far less than the claims of the dead hold
    await two.leases.ask()
    await two.settle(lambda: len(two.loft.took) == 3)
    assert sorted(two.loft.bodies) == sorted(t.text for t in texts)
    assert {row[:2] for row in await claims(ground)} == {("sent", "two")}
    await one.lease.leave()
    await two.close()


async def test_who_lets_go_sends_no_more_and_leaves_the_rest(ground: Ground, time: Time) -> None:
    one = await Edge(ground, time, "one", at_once=1).start()
    two = await Edge(ground, time, "two").start()
    gate = one.loft.gate = asyncio.Event()
    for number in range(4):
        await one.outbox.put(text(str(number), peer=f"+1415555020{number}"))
    await until(lambda: len(one.loft.took) == 1)
    closing = asyncio.create_task(one.leases.close())
    await until(lambda: not one.lease.held)
    gate.set()  # what is under way may be answered still
    await closing
    assert one.loft.bodies == ["0"]
    assert await claims(ground) == [("sent", "one", False)] + [("queued", "one", True)] * 3
    await one.outbox.put(text("late"))
    assert one.sender.held == {}
    await two.leases.ask()
    await two.settle(lambda: len(two.loft.took) == 4)
    assert two.loft.bodies == ["1", "2", "3", "late"]
    await one.close()
    await two.close()


async def test_one_that_was_frozen_does_not_send_what_another_has_sent(ground: Ground, time: Time) -> None:
    one = await Edge(ground, time, "one", at_once=1).start()
    two = await Edge(ground, time, "two").start()
    gate = one.loft.gate = asyncio.Event()
    for number in range(3):
        await one.outbox.put(text(str(number), peer=f"+1415555020{number}"))
    await until(lambda: len(one.loft.took) == 1)
    await time.go_on(60)  # nothing of it runs meanwhile
    await two.leases.ask()
    await two.settle(lambda: len(two.loft.took) == 3)
    gate.set()  # the first thing that it wakes up to: there is room for the next
    await one.outbox.idle()
    assert one.loft.bodies == ["0"]
    await one.leases.ask()
    assert not one.lease.held
    assert {row[:2] for row in await claims(ground)} == {("sent", "two")}
    await one.close()
    await two.close()


async def test_what_was_sent_is_written_down_though_the_lease_is_gone(ground: Ground, time: Time) -> None:
    frail = Frail(ground.writer)
    one = await Edge(ground, time, "one", writer=frail.as_writer()).start()
    frail.refuses.add("outbox.over")
    one.pauses.short = True
    await one.outbox.put(text())
    await until(lambda: frail.puts.count("outbox.over") > 2)
    frail.refuses.add("lease.take")
    await time.go_on(SECONDS)
    one.lease.look()
    await until(lambda: one.lease._task is None)
    frail.refuses.discard("outbox.over")
    await one.outbox.idle()
    assert [state for state, *_ in await claims(ground)] == ["sent"]
    assert one.loft.bodies == ["hi"]
    await one.close()


async def test_a_text_that_is_put_while_the_lease_ends_is_left_to_the_next(ground: Ground, time: Time) -> None:
    frail = Frail(ground.writer)
    one = await Edge(ground, time, "one", writer=frail.as_writer()).start()
    two = await Edge(ground, time, "two").start()
    keep = frail.put_with

    async def slow(statement: Any, row: Any, then: Any) -> bool:
        done = await keep(statement, row, then)
        time.now += SECONDS
        return done

    frail.put_with = slow  # type: ignore[method-assign]
    assert await one.outbox.put(text())
    await until(lambda: "claim.outbox.let_go" in frail.puts)
    await one.outbox._catch_up()
    assert await claims(ground) == [("queued", "one", False)]
    assert one.loft.tries == []
    await time.go_on(SECONDS)
    await two.leases.ask()
    await two.settle(lambda: bool(two.loft.took))
    await one.close()
    await two.close()


async def test_a_text_that_is_put_while_the_lease_is_taken_is_sent(ground: Ground, time: Time) -> None:
    frail = Frail(ground.writer)
    one = Edge(ground, time, "one", writer=frail.as_writer())
    await one.outbox.start()
    keep = frail.put_with

    async def slow(statement: Any, row: Any, then: Any) -> bool:
        if statement.name == "outbox.queue":
            await one.leases.start()
            await until(lambda: one.lease.held and not one.outbox._one_reads.locked())
        return await keep(statement, row, then)

    frail.put_with = slow  # type: ignore[method-assign]
    await one.outbox.put(text())
    await one.settle(lambda: bool(one.loft.took))
    await one.close()


async def test_a_process_whose_claims_ran_out_reads_again_what_is_its_own(ground: Ground) -> None:
    """The same without a lease: it was frozen while another took its texts over."""
    clock = Clock()
    one = Life(ground, node="one", clock=clock, at_once=1)
    two = Life(ground, node="two", clock=clock)
    await one.outbox.start()
    await two.outbox.start()
    gate = one.loft.gate = asyncio.Event()
    for number in range(3):
        await one.outbox.put(text(str(number), peer=f"+1415555020{number}", route="back"))
    await until(lambda: len(one.loft.took) == 1)
    clock.move(LEASE.total_seconds() + 1)
    await two.outbox._catch_up()
    await two.settle(lambda: len(two.loft.took) == 3)
    gate.set()
    await one.outbox.idle()
    await one.outbox._catch_up()
    await one.outbox.idle()
    assert one.loft.bodies == ["0"]
    assert one.sender.held == {}
    await one.outbox.put(text("new"))
    await one.settle(lambda: one.loft.bodies == ["0", "new"])
    await one.die()
    await two.die()
