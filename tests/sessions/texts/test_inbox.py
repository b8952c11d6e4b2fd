"""The inbox on a real database, through crashes: a process "dies" when its objects are dropped without a word."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import suppress
from dataclasses import replace
from itertools import count
from typing import Any

import pytest

from edge.errors import NumberUnknown, Unavailable
from edge.sessions.queues.claims import LEASE
from edge.sessions.tables import messages
from edge.sessions.texts.inbox import Inbox, InboxSection
from edge.sessions.texts.incoming import Incoming, Performed
from edge.store.metadata import NIL, micros, new_id
from edge.store.writer import Writer
from tests.sessions.ground import Clock, Frail, Ground, Pauses, end, until

OURS = "+14155550100"
FLOW = "11111111-1111-4111-8111-111111111111"
NUMBERED = count(1)


def text(number: int | None = None, peer: str = "+14155550111", **change: Any) -> Incoming:
    at = 1_785_574_800_000_000 + (number if number is not None else next(NUMBERED))
    return replace(
        Incoming(
            id=new_id(),
            carrier="loopback",
            carrier_id=str(at),
            number=OURS,
            peer=peer,
            text="hello",
            route="",
            tm_create=at,
            customer_id=FLOW,
            flow_id=FLOW,
        ),
        **change,
    )


class Flows:
    """Stands in for what runs flows: notes what it was given; `stuck` texts never come to an end."""

    def __init__(self) -> None:
        self.ran: list[str] = []
        self.stuck: set[str] = set()
        self.errors: list[Exception] = []
        self.at_once = 0
        self.most = 0

    async def __call__(self, text: Incoming) -> Performed:
        if self.errors:
            raise self.errors.pop(0)
        self.ran.append(text.carrier_id)
        self.at_once += 1
        self.most = max(self.most, self.at_once)
        await asyncio.sleep(0)
        if text.carrier_id in self.stuck:
            await asyncio.Event().wait()
        self.at_once -= 1
        return Performed("finished", flow_version=3, steps='[{"step":"1"}]')


class Life:
    """One process: an inbox on the ground."""

    def __init__(
        self,
        ground: Ground,
        *,
        node: str = "one",
        writer: Writer | None = None,
        clock: Clock | None = None,
        stuck: str = "",
        **section: Any,
    ) -> None:
        self.flows = Flows()
        self.flows.stuck.add(stuck)
        self.clock = clock or Clock()
        self.pauses = Pauses(short=True)
        self.inbox = Inbox(
            InboxSection(**section),
            ground.engine,
            writer or ground.writer,
            self.flows,
            node=node,
            clock=self.clock,
            pause=self.pauses,
        )

    async def __aenter__(self) -> Life:
        await self.inbox.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.die()

    async def die(self) -> None:
        """As `kill -9` does it: nothing is written any more."""
        await end(self.inbox._tending)
        await self.inbox._lanes.close()


async def test_a_text_is_kept_before_it_is_accepted_and_run_once(ground: Ground) -> None:
    async with Life(ground) as life:
        mine = text()
        kept, new = await life.inbox.accept(mine)
        assert (kept.id, new) == (mine.id, True)
        row = (await ground.rows(messages))[0]
        assert (row["id"], row["text"], row["direction"]) == (mine.id, "hello", "inbound")
        await life.inbox.idle()
        assert life.flows.ran == [mine.carrier_id]
        row = (await ground.rows(messages))[0]
        assert (row["flow_state"], row["outcome"], row["flow_version"]) == ("done", "finished", 3)
        assert row["steps"] == [{"step": "1"}]
        assert row["tm_update"] == life.clock.now
        assert row["attempts"] == 1


async def test_the_same_text_again_gets_the_same_answer_and_runs_nothing(ground: Ground) -> None:
    async with Life(ground) as life:
        mine = text(refusal="")
        await life.inbox.accept(mine)
        again, new = await life.inbox.accept(replace(mine, id=new_id(), text="changed"))
        assert (again.id, again.text, new) == (mine.id, "hello", False)
        await life.inbox.idle()
        assert life.flows.ran == [mine.carrier_id]


async def test_a_refusal_is_repeated_too(ground: Ground) -> None:
    async with Life(ground) as life:
        mine = text(refusal="NumberUnknown", customer_id=NIL, flow_id=NIL)
        assert (await life.inbox.accept(mine)).text.refused_with is NumberUnknown
        assert (await life.inbox.accept(replace(mine, id=new_id()))).text.refused_with is NumberUnknown
        assert life.flows.ran == []


async def test_two_that_arrive_at_once_are_one(ground: Ground) -> None:
    async with Life(ground) as life, Life(ground, node="two") as other:
        mine = text()
        accepted = await asyncio.gather(
            *(who.inbox.accept(replace(mine, id=new_id())) for who in (life, other, life, other, life, other))
        )
        assert len({kept.id for kept, _ in accepted}) == 1
        assert sum(new for _, new in accepted) == 1
        await asyncio.gather(life.inbox.idle(), other.inbox.idle())
        assert len(life.flows.ran) + len(other.flows.ran) == 1
        assert len(await ground.rows(messages)) == 1


async def test_the_same_id_at_another_carrier_is_another_text(ground: Ground) -> None:
    async with Life(ground) as life:
        await life.inbox.accept(text(1))
        assert (await life.inbox.accept(text(1, carrier="sip"))).new


async def test_what_came_beside_the_words_is_kept_and_found_again(ground: Ground) -> None:
    urls = ("https://media.example/1.jpg", "https://media.example/ü")
    mine = text(media=urls, number=7)
    async with Life(ground, stuck=mine.carrier_id) as first:
        await first.inbox.accept(mine)
        assert (await ground.rows(messages))[0]["media"] == list(urls)
        again, new = await first.inbox.accept(replace(mine, id=new_id(), media=()))
        assert (again.media, new) == (urls, False)
    async with Life(ground) as second:
        await second.inbox.idle()
        assert second.flows.ran == [mine.carrier_id]


@pytest.mark.parametrize("change", [{"flow_id": NIL}, {"refusal": "NumberSuspended"}])
async def test_a_text_without_a_flow_is_kept_and_done(ground: Ground, change: dict[str, Any]) -> None:
    async with Life(ground) as life:
        await life.inbox.accept(text(**change))
        await life.inbox.idle()
        assert life.flows.ran == []
        assert (await ground.rows(messages))[0]["flow_state"] == "none"


async def test_what_cannot_be_kept_is_not_accepted(ground: Ground) -> None:
    frail = Frail(ground.writer)
    async with Life(ground, writer=frail.as_writer()) as life:
        frail.away = True
        mine = text()
        results = await asyncio.gather(life.inbox.accept(mine), life.inbox.accept(mine), return_exceptions=True)
        assert [type(result) for result in results] == [Unavailable, Unavailable]
        frail.away = False
        assert (await life.inbox.accept(mine)).new
        await life.inbox.idle()
        assert life.flows.ran == [mine.carrier_id]


async def test_whoever_gives_up_waiting_loses_nothing(ground: Ground) -> None:
    async with Life(ground) as life:
        mine = text()
        waiting = asyncio.create_task(life.inbox.accept(mine))
        await asyncio.sleep(0)
        waiting.cancel()
        with suppress(asyncio.CancelledError):
            await waiting
        assert not (await life.inbox.accept(replace(mine, id=new_id()))).new
        await life.pauses.end()
        await until(lambda: life.flows.ran == [mine.carrier_id])
        await life.inbox.idle()


async def test_whoever_waited_for_the_first_may_ask_again_when_it_gives_up(ground: Ground) -> None:
    async with Life(ground) as life:
        mine = text()
        first = asyncio.create_task(life.inbox.accept(mine))
        second = asyncio.create_task(life.inbox.accept(replace(mine, id=new_id())))
        await asyncio.sleep(0)
        first.cancel()
        with pytest.raises(Unavailable):
            await second
        assert not (await life.inbox.accept(replace(mine, id=new_id()))).new


async def test_texts_of_a_pair_are_run_in_order(ground: Ground) -> None:
    async with Life(ground) as life:
        texts = [text(i, peer=f"+1415555020{i % 3}") for i in range(30)]
        await asyncio.gather(*map(life.inbox.accept, texts))
        await life.inbox.idle()
        for peer in range(3):
            assert [i for i in life.flows.ran if i in {t.carrier_id for t in texts[peer::3]}] == [
                t.carrier_id for t in texts[peer::3]
            ]


async def test_no_more_run_at_once_than_allowed(ground: Ground) -> None:
    async with Life(ground, runs=4) as life:
        await asyncio.gather(*(life.inbox.accept(text(i, peer=f"+1415555{i:04}")) for i in range(20)))
        await life.inbox.idle()
        assert life.flows.most == 4
        assert len(life.flows.ran) == 20


# Crashes


async def test_what_a_dead_process_left_is_run_in_order(ground: Ground) -> None:
    async with Life(ground) as dead:
        texts = [text(i) for i in range(5)]
        dead.flows.stuck.add(texts[1].carrier_id)
        for one in texts:
            await dead.inbox.accept(one)
        await until(lambda: len(dead.flows.ran) == 2)
    async with Life(ground) as life:
        await life.inbox.idle()
        assert life.flows.ran == [t.carrier_id for t in texts[1:]]
        assert [row["flow_state"] for row in await ground.rows(messages)] == ["done"] * 5
    async with Life(ground) as life:
        await life.inbox.idle()
        assert life.flows.ran == []


async def test_a_text_that_kills_its_process_is_given_up_after_some_runs(ground: Ground) -> None:
    killer, other = text(1), text(2, peer="+14155550222")
    runs = 0
    for life_number in range(5):
        async with Life(ground, attempts=3, stuck=killer.carrier_id) as life:
            if life_number == 0:
                await life.inbox.accept(killer)
                await life.inbox.accept(other)
            await until(lambda: not life.inbox._held or killer.carrier_id in life.flows.ran)
            runs += killer.carrier_id in life.flows.ran
    assert runs == 3
    rows = {row["carrier_id"]: row for row in await ground.rows(messages)}
    assert rows[killer.carrier_id]["flow_state"] == "failed"
    assert rows[killer.carrier_id]["error"] == "given up: 3 runs ended together with the process"
    assert rows[other.carrier_id]["flow_state"] == "done"


async def test_a_text_that_only_waited_is_not_given_up(ground: Ground) -> None:
    killer, waiting = text(1), text(2)
    for life_number in range(3):
        async with Life(ground, attempts=2, stuck=killer.carrier_id) as life:
            if life_number == 0:
                await life.inbox.accept(killer)
                await life.inbox.accept(waiting)
            await until(lambda: killer.carrier_id in life.flows.ran or not life.inbox._held)
            if life_number == 2:
                await until(lambda: waiting.carrier_id in life.flows.ran)


async def test_a_process_that_is_stopped_holds_it_against_nobody(ground: Ground) -> None:
    mine = text()
    for life_number in range(4):
        life = Life(ground, attempts=2, stuck=mine.carrier_id)
        await life.inbox.start()
        if life_number == 0:
            await life.inbox.accept(mine)
        await until(lambda: life.flows.ran)  # noqa: B023
        await life.inbox.close()
    row = (await ground.rows(messages))[0]
    assert (row["flow_state"], row["attempts"], micros(row["claimed_until"])) == ("pending", 0, 0)


async def test_another_process_waits_until_the_claim_has_run_out(ground: Ground) -> None:
    clock = Clock()
    async with Life(ground, clock=clock) as dead:
        mine = text()
        dead.flows.stuck.add(mine.carrier_id)
        await dead.inbox.accept(mine)
        async with Life(ground, node="two", clock=clock) as heir:
            clock.move(LEASE.total_seconds() - 1)
            await dead.pauses.end()
            await until(lambda: len(dead.pauses.taken) == 2)  # it has renewed its claim
            clock.move(LEASE.total_seconds() - 1)
            await heir.pauses.end()
            await until(lambda: len(heir.pauses.taken) == 2)
            assert heir.flows.ran == []
            await dead.die()
            clock.move(2)
            await heir.pauses.end()
            await until(lambda: heir.flows.ran == [mine.carrier_id])
            await heir.inbox.idle()


async def test_a_row_that_the_database_kept_without_saying_so_is_run(ground: Ground) -> None:
    frail = Frail(ground.writer)
    async with Life(ground, writer=frail.as_writer()) as life:
        frail.forgetful.add("inbox.keep")
        mine = text()
        with pytest.raises(Unavailable):
            await life.inbox.accept(mine)
        again, new = await life.inbox.accept(replace(mine, id=new_id()))
        assert (again.id, new) == (mine.id, False)
        await life.pauses.end()
        await until(lambda: life.flows.ran == [mine.carrier_id])
        await life.inbox.idle()


async def test_a_run_waits_for_what_is_away_and_survives_what_is_wrong(ground: Ground) -> None:
    async with Life(ground) as life:
        life.flows.errors = [Unavailable("no flows"), Unavailable("no flows"), ZeroDivisionError("oops")]
        await life.inbox.accept(text())
        await life.inbox.idle()
        assert life.pauses.taken[1:] == [0.1, 0.3]
        row = (await ground.rows(messages))[0]
        assert (row["flow_state"], row["outcome"], row["error"]) == ("done", "failed", "ZeroDivisionError: oops")


async def test_a_fault_that_no_database_can_hold_is_written_down_all_the_same(ground: Ground) -> None:
    async with Life(ground) as life:
        life.flows.errors = [ZeroDivisionError("a\0b \ud83d")]
        await life.inbox.accept(text())
        await life.inbox.idle()
        row = (await ground.rows(messages))[0]
        assert (row["flow_state"], row["error"]) == ("done", "ZeroDivisionError: a\ufffdb ?")
        assert not life.inbox._held


async def test_the_end_of_a_run_is_written_down_however_long_that_takes(ground: Ground) -> None:
    frail = Frail(ground.writer)
    async with Life(ground, writer=frail.as_writer()) as life:
        mine = text()
        frail.refuses.add("inbox.done")
        await life.inbox.accept(mine)
        await until(lambda: frail.puts.count("inbox.done") > 5)
        frail.refuses.clear()
        await life.inbox.idle()
        assert life.flows.ran == [mine.carrier_id]
        assert (await ground.rows(messages))[0]["flow_state"] == "done"


async def test_more_texts_than_memory_takes_wait_in_sql_and_keep_their_order(ground: Ground) -> None:
    async with Life(ground, held=4) as life:
        texts = [text(i, peer=f"+1415555030{i % 2}") for i in range(40)]
        held = 0
        for start in range(0, 40, 8):
            await asyncio.gather(*map(life.inbox.accept, texts[start : start + 8]))
            held = max(held, len(life.inbox._held))
        await until(lambda: len(life.flows.ran) == 40)
        await life.inbox.idle()
        assert held <= 4
        assert Counter(life.flows.ran) == Counter(t.carrier_id for t in texts)
        for peer in range(2):
            mine = [t.carrier_id for t in texts[peer::2]]
            assert [i for i in life.flows.ran if i in mine] == mine
        await until(lambda: not life.inbox._behind)
        assert {row["attempts"] for row in await ground.rows(messages)} == {1}
