"""Events on a real database: told in order for each resource, whoever fails, dies or is away."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Coroutine
from datetime import timedelta
from functools import partial
from typing import Any

import pytest

from edge.metrics import REGISTRY
from edge.sessions.events.event import KEEP, Event
from edge.sessions.events.journal import AGAIN_KIND, KIND
from edge.sessions.events.queue import Queued
from edge.sessions.events.streams import PAGE, PROBE_SECONDS, Events, EventsSection
from edge.sessions.events.table import EventTable
from edge.sessions.tables import events
from edge.sms.carrier import NotNow, Refused
from edge.store.metadata import micros, new_id
from edge.store.notice import Notices, cache_key
from edge.store.page import Place
from edge.store.writer import Statement
from tests.sessions.ground import Clock, Frail, Ground, Pauses, end, until

ANN, BOB = "11111111-1111-4111-8111-111111111111", "22222222-2222-4222-8222-222222222222"
AWAY = NotNow("the server answered 503", code="503")


class Server:
    """Takes what it is told, unless `answers` say otherwise, once each, or `broken` does for a resource."""

    def __init__(self) -> None:
        self.answers: list[Exception] = []
        self.broken: dict[str, Exception] = {}  # by what the body says
        self.away: set[str] = set()  # accounts
        self.tries: list[str] = []
        self.took: list[str] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.busy: list[str] = []
        self.most: dict[str, int] = defaultdict(int)

    async def tell(self, event: Queued) -> str:
        name = event.body.partition('"name":"')[2].partition('"')[0]
        self.tries.append(name)
        self.busy.append(event.customer_id)
        self.most[event.customer_id] = max(self.most[event.customer_id], self.busy.count(event.customer_id))
        try:
            await self.gate.wait()
            await asyncio.sleep(0)
        finally:
            self.busy.remove(event.customer_id)
        if event.customer_id in self.away:
            raise AWAY
        if (error := self.broken.get(name)) is not None:
            raise error
        if self.answers:
            raise self.answers.pop(0)
        self.took.append(name)
        return "200"


class Life:
    """One process."""

    def __init__(
        self,
        ground: Ground,
        *,
        node: str = "one",
        clock: Clock | None = None,
        server: Server | None = None,
        **section: Any,
    ) -> None:
        self.clock, self.server, self.notices = clock or Clock(), server or Server(), Notices()
        self.ground, self.writer = ground, Frail(ground.writer)
        self.events = Events(
            EventsSection(**section),
            ground.engine,
            self.writer.as_writer(),
            self.server.tell,
            self.notices,
            node=node,
            clock=self.clock,
            pause=Pauses(short=True),
            chance=lambda: 0.5,
        )

    async def __aenter__(self) -> Life:
        await self.events.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        """As `kill -9` does it."""
        streams = self.events._streams.values()
        tasks = [self.events._tending, *(task for stream in streams for task in (stream.task, *stream.flying))]
        await end([task for task in tasks if task is not None])

    async def happen(self, name: str, resource: str, *, customer_id: str = ANN, quiet: bool = False) -> str:
        """Something happens to a resource; `quiet`: this process is not told."""
        event = Event(customer_id, "number_updated", resource, name, {"name": name}, self.clock.now)
        await self.ground.writer.put(KEEP, [event.row()])
        if not quiet:
            self.notices.tell(cache_key(KIND, customer_id))
        return event.id

    async def settle(self, condition: Callable[[], bool] = lambda: True) -> None:
        await until(condition)
        await self.events.idle()

    async def pass_time(self, seconds: float) -> None:
        self.clock.move(seconds)
        for customer_id in (ANN, BOB):
            self.events.look(customer_id)
        await self.events.idle()

    async def states(self) -> dict[str, str]:
        rows = await self.ground.rows(events)
        return {row["body"].partition('"name":"')[2].partition('"')[0]: row["state"] for row in rows}


async def test_it_is_told_and_its_row_says_so(ground: Ground) -> None:
    async with Life(ground) as life:
        resource = new_id()
        event_id = await life.happen("a", resource)
        await life.settle(lambda: bool(life.server.took))
        (row,) = await ground.rows(events)
        assert (row["id"], row["resource_id"], row["type"]) == (event_id, resource, "number_updated")
        assert (row["state"], row["attempts"], row["code"], row["error"]) == ("sent", 1, "200", "")
        assert row["body"] == (
            f'{{"id":"{event_id}","type":"number_updated","timestamp":"2026-08-01T09:00:00.000000Z","data":{{"name":"a"}}}}'
        )
        assert not life.events._streams  # nothing is kept of an account that has nothing to be told


async def test_what_is_written_down_twice_is_one_event(ground: Ground) -> None:
    async with Life(ground) as life:
        resource = new_id()
        assert await life.happen("a", resource) == await life.happen("a", resource)
        await life.settle(lambda: bool(life.server.took))
        assert life.server.tries == ["a"]


async def test_of_one_resource_the_next_is_not_told_before_the_one_before_was_taken(ground: Ground) -> None:
    async with Life(ground) as life:
        life.server.broken["r0"] = AWAY
        resource, other = new_id(), new_id()
        for n in range(3):
            await life.happen(f"r{n}", resource)
        await life.settle(lambda: bool(life.server.tries))
        await life.happen("o0", other)
        await life.pass_time(1)  # the pause of the server is over, and that of the event
        await life.pass_time(2)
        assert life.server.took == ["o0"]
        assert set(life.server.tries) == {"r0", "o0"}
        del life.server.broken["r0"]
        await life.pass_time(4)
        await life.settle(lambda: len(life.server.took) == 4)
        assert life.server.took == ["o0", "r0", "r1", "r2"]


async def test_what_is_refused_or_given_up_lets_the_next_pass(ground: Ground) -> None:
    async with Life(ground, give_up_hours=0.001) as life:
        resource = new_id()
        life.server.broken = {"a": Refused("the server answered 422", code="422"), "b": AWAY}
        for name in "abc":
            await life.happen(name, resource)
        await life.settle(lambda: life.server.tries == ["a", "b"])
        await life.pass_time(3)
        await life.pass_time(3)
        await life.settle(lambda: life.server.took == ["c"])
        assert await life.states() == {"a": "failed", "b": "failed", "c": "sent"}
        rows = {row["code"]: row["error"] for row in await ground.rows(events)}
        assert rows["422"] == "the server answered 422"
        assert rows["503"] == "given up after 2 tries: the server answered 503"


async def test_many_resources_each_in_order_with_failures_here_and_there(ground: Ground) -> None:
    async with Life(ground) as life:
        resources = [new_id() for _ in range(7)]
        life.server.answers = [AWAY] * 9
        for n in range(70):
            await life.happen(f"{n % 7} {n:02}", resources[n % 7])
        for _ in range(40):
            await life.pass_time(61)
        await life.settle(lambda: len(life.server.took) == 70)
        for n in range(7):
            mine = [name for name in life.server.took if name.startswith(f"{n} ")]
            assert mine == sorted(mine)
            assert len(mine) == 10
        assert life.server.most[ANN] <= 4


async def test_a_server_that_is_away_is_asked_by_one_event_at_a_time(ground: Ground) -> None:
    async with Life(ground) as life:
        life.server.away.add(ANN)
        for n in range(2 * PAGE):
            await life.happen(f"{n}", new_id())
        await life.settle(lambda: bool(life.server.tries))
        first = len(life.server.tries)
        assert first <= 4
        await life.pass_time(0.9)
        assert len(life.server.tries) == first
        pauses = 0.0
        for tries in range(1, 12):
            await life.pass_time(PROBE_SECONDS)
            assert len(life.server.tries) == first + tries
            pauses += PROBE_SECONDS
        assert not life.events._held  # what is claimed and cannot be told is let go
        await life.happen("b", new_id(), customer_id=BOB)
        await life.settle(lambda: life.server.took == ["b"])
        life.server.away.clear()
        for _ in range(12):
            await life.pass_time(300)
        assert len(life.server.took) == 2 * PAGE + 1
        assert await life.states() == dict.fromkeys(await life.states(), "sent")


async def test_a_server_that_hangs_holds_up_its_own_account_only(ground: Ground) -> None:
    async with Life(ground) as life:
        life.server.gate.clear()
        for n in range(20):
            await life.happen(f"{n}", new_id())
        await life.happen("b", new_id(), customer_id=BOB)
        await until(lambda: BOB in life.server.busy)
        assert life.server.busy.count(ANN) == 4
        life.server.gate.set()
        await life.settle(lambda: len(life.server.took) == 21)


async def test_the_next_life_tells_what_the_last_one_had_to(ground: Ground) -> None:
    clock, resource = Clock(), new_id()
    async with Life(ground, clock=clock) as dead:
        dead.server.gate.clear()
        for n in range(3):
            await dead.happen(f"{n}", resource)
        await until(lambda: dead.server.tries == ["0"])
    async with Life(ground, clock=clock) as life:
        await life.settle(lambda: len(life.server.took) == 3)
        assert life.server.took == ["0", "1", "2"]


async def test_another_process_takes_over_from_a_dead_one(ground: Ground) -> None:
    clock, resource = Clock(), new_id()
    async with Life(ground, clock=clock) as dead:
        dead.server.gate.clear()
        await dead.happen("0", resource)
        await until(lambda: dead.server.tries == ["0"])
    async with Life(ground, node="two", clock=clock) as heir:
        await heir.happen("1", resource)
        await heir.settle()
        assert heir.server.tries == []  # the claim on the one before still holds
        await heir.pass_time(31)
        await heir.settle(lambda: heir.server.took == ["0", "1"])


async def test_two_processes_keep_the_order(ground: Ground) -> None:
    clock, server = Clock(), Server()
    resources = [new_id() for _ in range(3)]
    server.answers = [AWAY] * 7
    async with (
        Life(ground, node="one", clock=clock, server=server) as one,
        Life(ground, node="two", clock=clock, server=server) as two,
    ):
        for n in range(60):
            await (one, two)[n % 2].happen(f"{n % 3} {n:02}", resources[n % 3])
        for _ in range(40):
            clock.move(61)
            await asyncio.gather(one.events._sweep(), two.events._sweep())
            await asyncio.gather(one.events.idle(), two.events.idle())
        await until(lambda: len(server.took) == 60)
    for n in range(3):
        mine = [name for name in server.took if name.startswith(f"{n} ")]
        assert mine == sorted(mine)
        assert len(mine) == 20


async def test_a_process_that_was_frozen_tells_nothing_that_another_has_told(ground: Ground) -> None:
    clock, resource = Clock(), new_id()
    async with Life(ground, clock=clock, at_once=1) as frozen:
        frozen.server.gate.clear()
        await frozen.happen("b", new_id(), customer_id=BOB)
        await until(lambda: frozen.server.tries == ["b"])
        await frozen.happen("0", resource)  # claimed, and waits until the other account's server answers
        await until(lambda: len(frozen.events._held) == 2)
        async with Life(ground, node="two", clock=clock) as other:
            await other.happen("1", resource)
            clock.move(31)
            await other.events._sweep()
            await other.settle(lambda: [name for name in other.server.took if name != "b"] == ["0", "1"])
        await frozen.events._renew()
        frozen.server.gate.set()
        await frozen.settle()
        assert frozen.server.tries == ["b"]


@pytest.mark.parametrize(("answer", "statement"), [(AWAY, "events.again"), (Refused("no"), "events.failed")])
async def test_a_process_that_wakes_changes_no_event_that_another_has_by_now(
    ground: Ground, answer: Exception, statement: str
) -> None:
    taken = Statement.of("taken", "UPDATE events SET claimed_by = 'two', claimed_until = ?, attempts = 5, due = 7")
    async with Life(ground) as life:
        life.writer.refuses.add(statement)
        life.server.answers = [answer]
        await life.happen("a", new_id())
        await until(lambda: statement in life.writer.puts)
        await ground.writer.put(taken, [(micros(life.clock()) + 30_000_000,)])
        life.writer.refuses.clear()
        await life.events.idle()
        (row,) = await ground.rows(events)
        assert (row["state"], row["attempts"], micros(row["due"]), row["error"]) == ("queued", 5, 7, "")
        assert row["claimed_until"] > life.clock()


@pytest.mark.parametrize("wrote", [False, True])
async def test_a_crash_at_each_write_repeats_and_loses_nothing(ground: Ground, wrote: bool) -> None:
    clock, resources = Clock(), [new_id(), new_id()]
    for place in range(12):
        server = Server()
        async with Life(ground, clock=clock, server=server) as dead:
            dead.writer.dies_at = (len(dead.writer.puts) + place, wrote)
            server.answers = [AWAY]
            for n in range(4):
                await dead.happen(f"{place} {n}", resources[n % 2])
            for _ in range(6):
                clock.move(61)
                dead.events.look(ANN)
                await first_of(dead.events.idle(), dead.writer.dead.wait())
        async with Life(ground, clock=clock, server=server) as life:
            for _ in range(4):
                await life.pass_time(301)
            await life.settle(partial(_all_taken, server, {f"{place} {n}" for n in range(4)}))
        first = list(dict.fromkeys(server.took))  # what was told again comes after it was told once
        for n in range(2):
            assert [name for name in first if int(name[-1]) % 2 == n] == [f"{place} {n}", f"{place} {n + 2}"]
        assert set((await life.states()).values()) == {"sent"}


async def first_of(*ways: Coroutine[Any, Any, object]) -> None:
    """Wait for one of them."""
    tasks = [asyncio.create_task(way) for way in ways]
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in tasks:
        task.cancel()


def _all_taken(server: Server, wanted: set[str]) -> bool:
    return wanted <= set(server.took)


async def test_what_was_taken_while_the_database_was_away_is_not_told_again(ground: Ground) -> None:
    async with Life(ground) as life:
        await life.happen("a", new_id(), quiet=True)
        life.writer.refuses.add("events.over")
        life.events.look(ANN)
        await until(lambda: life.server.took == ["a"])
        await until(lambda: "events.over" in life.writer.puts)
        life.clock.move(31)  # its claim has run out, and nobody could renew it
        await life.events._sweep()
        life.writer.refuses.clear()
        await life.settle()
        assert life.server.tries == ["a"]
        assert await life.states() == {"a": "sent"}


async def test_what_nobody_could_tell_in_time_is_given_up(ground: Ground) -> None:
    async with Life(ground, give_up_hours=1) as life:
        resource = new_id()
        life.server.broken["a"] = AWAY
        await life.happen("a", resource)
        await life.settle(lambda: bool(life.server.tries))
        await life.happen("b", resource, quiet=True)
        life.clock.move(3601)
        await life.events._expire()
        assert await life.states() == {"a": "failed", "b": "failed"}


async def test_what_waits_is_measured_and_counted(ground: Ground) -> None:
    def value(name: str, **labels: str) -> float:
        return REGISTRY.get_sample_value(name, labels) or 0.0

    def outcomes() -> list[float]:
        return [value("edge_events_total", type="number_updated", outcome=o) for o in ("sent", "failed", "retried")]

    before = outcomes()
    async with Life(ground) as life:
        life.server.answers = [AWAY]
        await life.happen("a", new_id())
        await life.settle(lambda: bool(life.server.tries))
        life.clock.move(0.5)
        await life.events._measure()
        assert [value(f"edge_events_{name}") for name in ("depth", "oldest_seconds", "accounts_failing")] == [1, 0.5, 1]
        await life.pass_time(1)
        await life.events._measure()
        assert [value(f"edge_events_{name}") for name in ("depth", "oldest_seconds", "accounts_failing")] == [0, 0, 0]
    assert [new - old for new, old in zip(outcomes(), before, strict=True)] == [1, 0, 1]


# The table


async def test_lists_single_ones_and_their_end(ground: Ground) -> None:
    async with Life(ground) as life:
        table, resource, ids = EventTable(ground.engine), new_id(), []
        life.server.broken["1"] = Refused("no")
        begin = life.clock.now
        for n in range(4):
            ids.append(await life.happen(f"{n}", resource if n < 2 else new_id(), customer_id=BOB if n == 3 else ANN))
            await life.settle(lambda n=n: len(life.server.tries) == n + 1)  # type: ignore[misc]
            life.clock.move(1)

    async def listed(customer: str | None = ANN, **query: Any) -> list[int]:
        return [ids.index(row["id"]) for row in await table.list(customer, **query)]

    assert await listed() == [2, 1, 0]
    assert await listed(None) == [3, 2, 1, 0]
    assert await listed(state="failed") == [1]
    assert await listed(resource_id=resource) == [1, 0]
    assert await listed(type="flow_created") == []
    assert await listed(since=begin + timedelta(seconds=1), until=begin + timedelta(seconds=2)) == [1]
    assert await listed(after=Place(begin + timedelta(seconds=1), ids[1]), size=1) == [0]
    assert await table.get(ids[0], BOB) is None
    assert await table.get(ids[0]) is not None
    assert await table.purge(begin + timedelta(seconds=2), 1) == 1
    assert await table.purge(begin + timedelta(seconds=2), 5) == 1
    assert await listed(None) == [3, 2]


async def test_what_is_told_again_has_its_id_and_its_order(ground: Ground) -> None:
    async with Life(ground) as life:
        table, resource, server = EventTable(ground.engine), new_id(), life.server
        begin = life.clock.now
        server.broken = {"0": Refused("no"), "2": Refused("no")}
        ids = [await life.happen(f"{n}", resource) for n in range(4)]
        await life.settle(lambda: len(server.tries) == 4)
        server.broken = {}
        life.clock.move(100 * 3600)  # longer ago than anything is tried

        async def replayed(**query: Any) -> int:
            return await table.replay_all(ANN, life.clock.now, **{"until": None, "types": (), **query})

        assert await replayed(since=begin, states=["failed"], types=["flow_created"]) == 0
        assert await replayed(since=life.clock.now, states=["failed"]) == 0
        assert await replayed(since=begin, states=["failed"]) == 2
        await life.pass_time(0)
        assert server.took == ["1", "3", "0", "2"]
        assert await replayed(since=begin, until=life.clock.now, states=["failed", "sent"]) == 4
        await life.pass_time(0)
        assert server.took[4:] == ["0", "1", "2", "3"]
        await table.replay(ids[1], life.clock.now)
        await life.pass_time(0)
        assert server.took[8:] == ["1"]
        assert [row["id"] for row in sorted(await ground.rows(events), key=lambda row: row["seq"])] == ids


async def test_one_that_waits_is_tried_at_once_when_it_is_told_to_be(ground: Ground) -> None:
    async with Life(ground) as life:
        life.server.answers = [AWAY] * 4
        event_id = await life.happen("a", new_id())
        await life.settle(lambda: len(life.server.tries) == 1)
        for _ in range(3):
            await life.pass_time(10)
        await life.pass_time(7)
        assert len(life.server.tries) == 4
        await life.pass_time(0)
        await EventTable(ground.engine).replay(event_id, life.clock.now)
        life.notices.tell(cache_key(AGAIN_KIND, ANN))
        await life.settle(lambda: life.server.took == ["a"])
