"""The outbox on a real database: sent once, tried again, given up; through crashes and beside other processes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest

from edge.errors import Unavailable
from edge.metrics import REGISTRY
from edge.sessions.queues.claims import LEASE
from edge.sessions.queues.sender import Sender
from edge.sessions.tables import messages
from edge.sessions.texts.outbox import BOOKS, Outbox, OutboxSection, Outgoing, Rates
from edge.sessions.texts.tables import outbox
from edge.sms.carrier import Busy, Carrier, NotNow, Refused, SendError
from edge.sms.text import OutgoingText, Receipt
from edge.store.metadata import micros, new_id
from edge.store.writer import Statement, Writer
from tests.logged import logged
from tests.sessions.ground import Clock, Frail, Ground, Pauses, end, until

CUSTOMER = "11111111-1111-4111-8111-111111111111"


def text(body: str = "hi", peer: str = "+14155550111", **change: Any) -> Outgoing:
    found = Outgoing(new_id(), CUSTOMER, "pigeon", "+14155550100", peer, body, micros(Clock().now), route="back")
    return replace(found, **change)


class Loft(Carrier):
    """A carrier that does what `answers` say, and takes what they do not speak of."""

    def __init__(self, name: str = "pigeon") -> None:
        super().__init__(name)
        self.answers: list[Exception | None] = []
        self.took: list[OutgoingText] = []
        self.tries: list[str] = []
        self.stuck = False
        self.gate: asyncio.Event | None = None

    @property
    def bodies(self) -> list[str]:
        return [text.body for text in self.took]

    async def send(self, text: OutgoingText) -> Receipt:
        self.tries.append(text.body)
        await asyncio.sleep(0)
        answer = self.answers.pop(0) if self.answers else None
        if answer is not None:
            raise answer
        self.took.append(text)
        if self.gate is not None:
            await self.gate.wait()
        if self.stuck:
            await asyncio.Event().wait()
        return Receipt((f"ring {len(self.took)}",))


class Life:
    """One process: an outbox on the ground."""

    def __init__(
        self,
        ground: Ground,
        *,
        node: str = "one",
        writer: Writer | None = None,
        clock: Clock | None = None,
        loft: Loft | None = None,
        rates: Rates | None = None,
        **section: Any,
    ) -> None:
        self.clock = clock or Clock()
        self.pauses = Pauses(short=True)
        self.loft = loft or Loft()
        self.outbox = Outbox(
            OutboxSection(**section),
            ground.engine,
            writer or ground.writer,
            {self.loft.name: self.loft},
            node=node,
            rates={self.loft.name: rates or Rates()},
            clock=self.clock,
            ticks=lambda: self.clock.now.timestamp(),
            pause=self.pauses,
            chance=lambda: 0.5,
        )

    @property
    def sender(self) -> Sender[Outgoing]:
        return self.outbox._senders[self.loft.name]

    async def __aenter__(self) -> Life:
        await self.outbox.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.die()

    async def die(self) -> None:
        """As `kill -9` does it: nothing is written any more."""
        await end(self.outbox._tending)
        await self.sender.close()

    async def settle(self, condition: Callable[[], bool]) -> None:
        await until(condition)
        await self.outbox.idle()

    async def pass_time(self, seconds: float) -> None:
        """Move the clock as far as claims were renewed meanwhile, and let the sender see it."""
        self.clock.move(seconds)
        await self.outbox._claims.renew(self.clock())
        self.sender.begin_due()
        self.sender._lanes.look()
        await self.outbox.idle()


async def states(ground: Ground) -> list[str]:
    return [row["state"] for row in await ground.rows(outbox)]


async def test_a_text_is_sent_and_its_rows_say_so(ground: Ground) -> None:
    async with Life(ground) as life:
        mine = text(reference_id=CUSTOMER, conversation_id=CUSTOMER)
        assert await life.outbox.put(mine)
        await life.settle(lambda: bool(life.loft.took))
        assert life.loft.took == [OutgoingText(mine.id, CUSTOMER, "+14155550100", "+14155550111", "hi", "back")]
        (row,) = await ground.rows(outbox)
        assert (row["id"], row["state"], row["attempts"], row["carrier_id"]) == (mine.id, "sent", 1, "ring 1")
        assert row["tm_update"] == life.clock.now
        (kept,) = await ground.rows(messages)
        assert (kept["id"], kept["direction"], kept["text"], kept["peer"]) == (mine.id, "outbound", "hi", mine.peer)
        assert (kept["conversation_id"], kept["reference_id"], kept["flow_state"]) == (CUSTOMER, CUSTOMER, "none")


async def test_the_same_text_is_put_and_sent_once(ground: Ground) -> None:
    async with Life(ground) as life:
        mine = text()
        assert sorted(await asyncio.gather(*(life.outbox.put(mine) for _ in range(5)))) == [False] * 4 + [True]
        await life.settle(lambda: bool(life.loft.took))
        assert not await life.outbox.put(replace(mine, text="changed"))
        await life.outbox._catch_up()
        await life.outbox.idle()
        assert life.loft.bodies == ["hi"]
    async with Life(ground) as life:
        assert not await life.outbox.put(mine)
        await life.outbox._catch_up()
        await life.outbox.idle()
        assert life.loft.bodies == []


async def test_what_cannot_be_kept_is_not_taken_and_not_sent(ground: Ground) -> None:
    frail = Frail(ground.writer)
    async with Life(ground, writer=frail.as_writer()) as life:
        frail.away = True
        mine = text()
        with pytest.raises(Unavailable):
            await life.outbox.put(mine)
        frail.away = False
        assert await life.outbox.put(mine)
        await life.settle(lambda: bool(life.loft.took))
        assert life.loft.bodies == ["hi"]


async def test_what_was_kept_without_saying_so_is_sent_once(ground: Ground) -> None:
    frail = Frail(ground.writer)
    async with Life(ground, writer=frail.as_writer()) as life:
        frail.forgetful.add("outbox.queue")
        mine = text()
        with pytest.raises(Unavailable):
            await life.outbox.put(mine)
        assert await life.outbox.put(mine) is False
        await life.settle(lambda: bool(life.loft.took))
        assert life.loft.bodies == ["hi"]
        assert await states(ground) == ["sent"]


async def test_whoever_gives_up_waiting_does_not_stop_it(ground: Ground) -> None:
    frail = Frail(ground.writer)
    async with Life(ground, writer=frail.as_writer()) as life:
        waiting = asyncio.create_task(life.outbox.put(text()))
        await until(lambda: "outbox.queue" in frail.puts)
        waiting.cancel()
        with suppress(asyncio.CancelledError):
            await waiting
        await life.pauses.end()
        await life.settle(lambda: bool(life.loft.took))
        assert await states(ground) == ["sent"]


async def test_texts_between_two_numbers_leave_in_order(ground: Ground) -> None:
    async with Life(ground, at_once=8) as life:
        for number in range(30):
            await life.outbox.put(text(f"{number % 3} {number}", peer=f"+1415555020{number % 3}"))
        await life.settle(lambda: len(life.loft.took) == 30)
        for peer in range(3):
            mine = [body for body in life.loft.bodies if body.startswith(f"{peer} ")]
            assert mine == [f"{peer} {number}" for number in range(peer, 30, 3)]


# Trying again


async def test_the_wait_doubles_up_to_a_bound(ground: Ground) -> None:
    async with Life(ground, first_wait_seconds=1.0, longest_wait_seconds=10.0) as life:
        life.loft.answers = [NotNow("busy", code="503") for _ in range(6)]
        await life.outbox.put(text())
        await life.settle(lambda: len(life.loft.tries) == 1)
        for tries, wait in enumerate([1, 2, 4, 8, 10, 10], start=1):
            (row,) = await ground.rows(outbox)
            assert (row["state"], row["attempts"], row["code"], row["error"]) == ("queued", tries, "503", "busy")
            assert (row["due"] - life.clock.now).total_seconds() == wait
            await life.pass_time(wait - 0.001)
            assert len(life.loft.tries) == tries
            await life.pass_time(0.001)
            assert len(life.loft.tries) == tries + 1
        assert await states(ground) == ["sent"]


async def test_a_carrier_that_names_a_wait_gets_it(ground: Ground) -> None:
    async with Life(ground) as life:
        life.loft.answers = [NotNow("slow down", after=77.0)]
        await life.outbox.put(text())
        await life.settle(lambda: len(life.loft.tries) == 1)
        (row,) = await ground.rows(outbox)
        assert (row["due"] - life.clock.now).total_seconds() == 77


@pytest.mark.parametrize(("chance", "wait"), [(0.0, 0.8), (0.5, 1.0), (1.0, 1.2)])
def test_waits_are_spread(chance: float, wait: float) -> None:
    async def send(text: Outgoing) -> str:
        return ""

    writer = Frail.__new__(Frail).as_writer()
    sender = Sender("pigeon", send, BOOKS, OutboxSection(), writer, Clock(), Pauses(), lambda: chance, lambda: None)
    assert sender._wait(1, NotNow("busy")) == pytest.approx(wait)


async def test_what_is_refused_has_failed_with_the_reason(ground: Ground) -> None:
    async with Life(ground) as life:
        life.loft.answers = [Refused("no such number", code="404")]
        await life.outbox.put(text())
        await life.settle(lambda: len(life.loft.tries) == 1)
        (row,) = await ground.rows(outbox)
        assert (row["state"], row["attempts"], row["code"], row["error"]) == ("failed", 1, "404", "no such number")
        await life.pass_time(100_000)
        assert len(life.loft.tries) == 1


async def test_it_is_given_up_after_so_many_tries(ground: Ground) -> None:
    async with Life(ground, attempts=3) as life:
        life.loft.answers = [NotNow("busy") for _ in range(9)]
        await life.outbox.put(text())
        await life.settle(lambda: len(life.loft.tries) == 1)
        for _ in range(5):
            await life.pass_time(60)
        (row,) = await ground.rows(outbox)
        assert (row["state"], row["attempts"], row["error"]) == ("failed", 3, "given up after 3 tries: busy")


async def test_it_is_given_up_when_it_would_be_too_old(ground: Ground) -> None:
    async with Life(ground, give_up_hours=0.001, first_wait_seconds=2) as life:
        life.loft.answers = [NotNow("busy") for _ in range(9)]
        await life.outbox.put(text())
        await life.settle(lambda: len(life.loft.tries) == 1)
        await life.pass_time(2)
        assert await states(ground) == ["failed"]


async def test_a_fault_of_the_carriers_code_is_tried_again(ground: Ground) -> None:
    async with Life(ground) as life:
        life.loft.answers = [ZeroDivisionError("oops")]
        await life.outbox.put(text())
        await life.settle(lambda: len(life.loft.tries) == 1)
        assert (await ground.rows(outbox))[0]["error"] == "a fault of ours: ZeroDivisionError"
        await life.pass_time(1)
        assert life.loft.bodies == ["hi"]


async def test_one_that_waits_does_not_hold_up_the_next(ground: Ground) -> None:
    async with Life(ground) as life:
        life.loft.answers = [NotNow("busy")]
        await life.outbox.put(text("first"))
        await life.outbox.put(text("second"))
        await life.settle(lambda: bool(life.loft.took))
        assert life.loft.bodies == ["second"]
        await life.pass_time(1)
        assert life.loft.bodies == ["second", "first"]


async def test_a_sent_text_is_not_sent_again_because_sql_was_away(ground: Ground) -> None:
    frail = Frail(ground.writer)
    async with Life(ground, writer=frail.as_writer()) as life:
        frail.refuses.add("outbox.over")
        await life.outbox.put(text())
        await until(lambda: frail.puts.count("outbox.over") > 5)
        assert life.loft.bodies == ["hi"]
        frail.refuses.clear()
        await life.outbox.idle()
        assert await states(ground) == ["sent"]


# Rates, and carriers that are busy


async def test_a_carrier_is_given_so_many_segments_a_second(ground: Ground) -> None:
    async with Life(ground, rates=Rates(2.0)) as life:
        for body in ("a", "b" * 161, "c", "d"):  # 1, 2, 1 and 1 segments
            await life.outbox.put(text(body))
        await life.settle(lambda: bool(life.loft.took))
        went = {}
        for tenths in range(1, 31):
            await life.pass_time(0.1)
            went[tenths] = "".join(body[0] for body in life.loft.bodies)
        assert (went[4], went[6], went[14], went[16], went[21]) == ("a", "ab", "ab", "abc", "abcd")


async def test_a_number_that_has_to_wait_does_not_hold_up_another(ground: Ground) -> None:
    async with Life(ground, rates=Rates(None, 1.0), at_once=1) as life:
        for number in range(3):
            await life.outbox.put(text(f"a{number}", peer=f"+1415555020{number}"))
        await life.settle(lambda: bool(life.loft.took))
        await life.outbox.put(text("other", number="+14155550109"))
        await life.settle(lambda: len(life.loft.took) == 2)
        assert life.loft.bodies == ["a0", "other"]
        await life.pass_time(1)
        await life.pass_time(1)
        assert life.loft.bodies == ["a0", "other", "a1", "a2"]


async def test_when_a_carrier_is_busy_all_waits_and_one_goes_first(ground: Ground) -> None:
    async with Life(ground, attempts=2, at_once=2) as life:
        life.loft.answers = [Busy("no bind"), Busy("no bind"), Busy("no bind"), None]
        with logged() as lines:
            texts = [text(str(number), peer=f"+1415555020{number % 2}") for number in range(20)]
            await asyncio.gather(*(life.outbox.put(each) for each in texts))
            await life.settle(lambda: len(life.loft.tries) == 2)
            assert life.outbox._books.paused.labels("pigeon")._value.get() == 1
            await life.pass_time(0.9)
            assert life.loft.tries == ["0", "1"]
            await life.pass_time(0.1)
            assert life.loft.tries == ["0", "1", "0"]  # one goes first, and it is busy still
            await life.pass_time(1.9)
            assert len(life.loft.tries) == 3
            await life.pass_time(0.1)
            await life.settle(lambda: len(life.loft.took) == 20)
        for lane in range(2):  # nothing was overtaken
            mine = [body for body in life.loft.bodies if int(body) % 2 == lane]
            assert mine == [str(number) for number in range(lane, 20, 2)]
        assert {row["attempts"] for row in await ground.rows(outbox)} == {1}  # to be told to wait is no try
        assert [line["event"] for line in lines() if "channel" in line["event"]] == [
            "a channel is busy, all that is for it waits",
            "a channel is there again",
        ]
        assert life.outbox._books.paused.labels("pigeon")._value.get() == 0


async def test_a_carrier_that_is_busy_says_for_how_long(ground: Ground) -> None:
    async with Life(ground) as life:
        life.loft.answers = [Busy("slow down", after=60.0)]
        await life.outbox.put(text())
        await life.settle(lambda: len(life.loft.tries) == 1)
        await life.pass_time(59)
        assert life.loft.took == []
        await life.pass_time(1)
        assert life.loft.bodies == ["hi"]


async def test_a_refusal_ends_the_pause_too(ground: Ground) -> None:
    async with Life(ground) as life:
        life.loft.answers = [Busy("no bind"), Refused("no such number")]
        await life.outbox.put(text("first"))
        await life.outbox.put(text("second", peer="+14155550112"))
        await life.settle(lambda: len(life.loft.tries) == 1)
        await life.pass_time(1)
        await life.settle(lambda: life.loft.bodies == ["second"])
        assert sorted(await states(ground)) == ["failed", "sent"]


async def test_what_gets_too_old_in_a_pause_is_given_up(ground: Ground) -> None:
    async with Life(ground, give_up_hours=1) as life:
        life.loft.answers = [Busy("no bind", after=7200.0)]
        await life.outbox.put(text("old"))
        await life.settle(lambda: len(life.loft.tries) == 1)
        life.clock.move(3000)
        await life.outbox.put(text("new", tm_create=micros(life.clock.now)))
        life.clock.move(601)
        await life.outbox._claims.renew(life.clock())
        await life.sender.look_after()
        old, new = await ground.rows(outbox)
        assert (old["state"], old["attempts"], old["error"]) == ("failed", 0, "given up after 0 tries: no bind")
        assert new["state"] == "queued"
        assert [held.item.text for held in life.sender.held.values()] == ["new"]


# Crashes, and other processes


async def test_what_a_dead_process_left_is_sent_in_order(ground: Ground) -> None:
    async with Life(ground) as dead:
        dead.loft.answers = [NotNow("busy") for _ in range(3)]
        for body in ("a", "b", "c"):
            await dead.outbox.put(text(body, tm_create=micros(Clock().now) + ord(body)))
        await dead.settle(lambda: len(dead.loft.tries) == 3)
    clock = Clock()
    async with Life(ground, clock=clock) as life:
        await life.outbox.idle()
        assert life.loft.tries == []  # they wait for their time in the next life too
        await life.pass_time(1)
        assert life.loft.bodies == ["a", "b", "c"]
        assert await states(ground) == ["sent"] * 3
        assert {row["attempts"] for row in await ground.rows(outbox)} == {2}


async def test_one_that_died_while_sending_sends_again_under_the_same_id(ground: Ground) -> None:
    mine = text()
    async with Life(ground) as dead:
        dead.loft.stuck = True
        await dead.outbox.put(mine)
        await until(lambda: bool(dead.loft.took))
    async with Life(ground) as life:
        await life.settle(lambda: bool(life.loft.took))
        assert [t.id for t in life.loft.took] == [mine.id]


async def test_of_two_processes_one_sends(ground: Ground) -> None:
    clock = Clock()
    async with Life(ground, clock=clock) as dead:
        dead.loft.stuck = True
        await dead.outbox.put(text())
        await until(lambda: bool(dead.loft.took))
    heirs = [Life(ground, node=name, clock=clock) for name in ("two", "three")]
    for heir in heirs:
        await heir.outbox.start()
    await asyncio.gather(*(heir.outbox._catch_up() for heir in heirs))
    assert [heir.loft.tries for heir in heirs] == [[], []]  # the claim still holds
    clock.move(LEASE.total_seconds() + 1)
    await asyncio.gather(*(heir.outbox._catch_up() for heir in heirs))
    await until(lambda: any(heir.loft.took for heir in heirs))
    for heir in heirs:
        await heir.outbox.idle()
    assert sum(len(heir.loft.tries) for heir in heirs) == 1
    assert await states(ground) == ["sent"]
    for heir in heirs:
        await heir.die()


async def test_a_row_that_is_sent_while_it_is_read_is_not_sent_again(
    ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Life(ground) as life:
        sent = asyncio.Event()
        life.loft.gate = sent
        await life.outbox.put(text())
        read = life.outbox._waiting

        async def slowly(*which: Any) -> Any:
            rows = await read(*which)
            sent.set()
            await until(lambda: not life.sender.held)
            return rows

        monkeypatch.setattr(life.outbox, "_waiting", slowly)
        life.outbox._unsure = True
        await life.outbox._catch_up()
        await life.outbox.idle()
        assert life.loft.bodies == ["hi"]


async def test_a_living_process_keeps_its_claims(ground: Ground) -> None:
    clock = Clock()
    async with Life(ground, clock=clock) as life, Life(ground, node="two", clock=clock) as other:
        life.loft.stuck = True
        await life.outbox.put(text())
        await until(lambda: bool(life.loft.took))
        for _ in range(3):
            clock.move(LEASE.total_seconds() * 0.7)
            await life.outbox._claims.renew(clock())
            await other.outbox._catch_up()
            await other.outbox.idle()
        assert other.loft.tries == []


async def test_a_process_that_is_stopped_leaves_its_texts_to_the_next(ground: Ground) -> None:
    clock = Clock()
    life = Life(ground, clock=clock)
    await life.outbox.start()
    life.loft.answers = [NotNow("busy")]
    await life.outbox.put(text())
    await life.settle(lambda: bool(life.loft.tries))
    await life.outbox.close()
    async with Life(ground, node="two", clock=clock) as heir:
        await heir.pass_time(1)
        assert heir.loft.bodies == ["hi"]


async def test_more_texts_than_memory_takes_are_all_sent(ground: Ground) -> None:
    async with Life(ground, held=4) as life:
        await asyncio.gather(*(life.outbox.put(text(str(number), peer=f"+1415555{number:04}")) for number in range(40)))
        assert len(life.sender.held) <= 4
        await life.settle(lambda: len(life.loft.took) == 40)
        assert sorted(map(int, life.loft.bodies)) == list(range(40))
        await until(lambda: not life.sender.held)
        assert await states(ground) == ["sent"] * 40


async def test_what_no_carrier_sends_is_given_up_in_the_end(ground: Ground) -> None:
    async with Life(ground, give_up_hours=1) as life:
        await life.outbox.put(text(carrier="gone"))
        await life.outbox._expire()
        assert await states(ground) == ["queued"]
        life.clock.move(3601)
        await life.outbox._expire()
        (row,) = await ground.rows(outbox)
        assert (row["state"], row["error"]) == ("failed", "nobody sent it in time")


async def test_depth_and_age_are_measured(ground: Ground) -> None:
    def measured() -> tuple[float | None, float | None]:
        labels = {"carrier": "measured"}
        return (
            REGISTRY.get_sample_value("edge_outbox_depth", labels),
            REGISTRY.get_sample_value("edge_outbox_oldest_seconds", labels),
        )

    def sent() -> float:
        labels = {"carrier": "measured", "direction": "outbound", "outcome": "sent"}
        return REGISTRY.get_sample_value("edge_texts_total", labels) or 0.0

    before = sent()
    async with Life(ground, loft=Loft("measured")) as life:
        life.loft.answers = [NotNow("busy"), NotNow("busy")]
        await life.outbox.put(text(carrier="measured"))
        await life.outbox.put(text(carrier="measured"))
        await life.settle(lambda: len(life.loft.tries) == 2)
        life.clock.move(0.5)
        await life.outbox._measure()
        assert measured() == (2, 0.5)
        await life.pass_time(1)
        await life.outbox._measure()
        assert measured() == (0, 0)
        assert sent() == before + 2


TAKEN = Statement.of("taken", "UPDATE outbox SET claimed_by = 'two', claimed_until = ?, attempts = 5, due = 7")


@pytest.mark.parametrize(
    ("answer", "statement"), [(NotNow("later", code="1"), "outbox.again"), (Refused("no", code="2"), "outbox.failed")]
)
async def test_a_process_that_wakes_changes_no_row_that_another_has_by_now(
    ground: Ground, answer: SendError, statement: str
) -> None:
    """It was stopped between the carrier's answer and the row that says so."""
    frail = Frail(ground.writer)
    async with Life(ground, writer=frail.as_writer()) as life:
        frail.refuses.add(statement)
        life.loft.answers = [answer]
        await life.outbox.put(text())
        await until(lambda: statement in frail.puts)
        await ground.writer.put(TAKEN, [(micros(life.clock()) + 30_000_000,)])
        frail.refuses.clear()
        await life.outbox.idle()
        (row,) = await ground.rows(outbox)
        assert (row["state"], row["attempts"], micros(row["due"]), row["code"]) == ("queued", 5, 7, "")
        assert row["claimed_by"] == "two"
        assert row["claimed_until"] > life.clock()
        assert life.sender.held == {}


async def test_that_it_was_sent_is_written_whoever_has_the_row(ground: Ground) -> None:
    frail = Frail(ground.writer)
    async with Life(ground, writer=frail.as_writer()) as life:
        frail.refuses.add("outbox.over")
        await life.outbox.put(text())
        await until(lambda: "outbox.over" in frail.puts)
        await ground.writer.put(TAKEN, [(micros(life.clock()) + 30_000_000,)])
        frail.refuses.clear()
        await life.outbox.idle()
        (row,) = await ground.rows(outbox)
        assert (row["state"], row["carrier_id"]) == ("sent", "ring 1")
