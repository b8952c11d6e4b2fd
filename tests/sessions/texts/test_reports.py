"""Delivery receipts on a real database: they find their texts, in any order, spelling and number, through crashes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa

from edge.errors import Unavailable
from edge.metrics import REGISTRY
from edge.sessions.conversation import conversation_id
from edge.sessions.tables import memories
from edge.sessions.texts.news import Changed
from edge.sessions.texts.outbox import Outbox, OutboxSection, Outgoing
from edge.sessions.texts.reports import ReceiptsSection, Reports
from edge.sessions.texts.tables import early_reports, outbox, sent_parts
from edge.sms.carrier import Carrier, Refused
from edge.sms.text import OutgoingText, Receipt, Report
from edge.store.metadata import new_id
from edge.store.writer import Row, Statement, Then
from tests.sessions.ground import Clock, Frail, Ground, Pauses, end, until
from tests.sessions.texts.test_outbox import CUSTOMER, text

NOW = Clock().now
OTHER = "22222222-2222-4222-8222-222222222222"
TOLD = Statement.of("told", "INSERT INTO memories (number_id, peer, name, value, tm_expire) VALUES (?, ?, ?, ?, 1)")


def says(status: Any = "delivered", carrier_id: str = "a", **more: Any) -> Report:
    return Report("pigeon", carrier_id, status, NOW, **more)


def counted(outcome: str) -> float:
    return REGISTRY.get_sample_value("edge_receipts_total", {"carrier": "pigeon", "outcome": outcome}) or 0.0


class Loft(Carrier):
    """Takes everything, and calls it by the ids given; `meanwhile` is done before it answers."""

    def __init__(self, *ids: str) -> None:
        super().__init__("pigeon")
        self.ids = ids
        self.took: list[OutgoingText] = []
        self.meanwhile: Any = None
        self.refuses = False

    async def send(self, text: OutgoingText) -> Receipt:
        await asyncio.sleep(0)
        self.took.append(text)
        if self.meanwhile is not None:
            await self.meanwhile()
        if self.refuses:
            raise Refused("no", code="7")
        return Receipt(self.ids)


class Life:
    """One process: an outbox and what carriers tell of its texts."""

    def __init__(self, ground: Ground, loft: Loft, frail: Frail | None = None, node: str = "one") -> None:
        self.ground = ground
        self.loft = loft
        self.clock = Clock()
        self.frail = frail or Frail(ground.writer)
        self.told: list[Changed] = []
        writer = self.frail.as_writer()
        self.reports = Reports(ReceiptsSection(), ground.engine, ground.reader, writer, self.clock, self)
        self.outbox = Outbox(
            OutboxSection(),
            ground.engine,
            writer,
            {"pigeon": loft},
            node=node,
            along=self.reports,
            clock=self.clock,
            pause=Pauses(short=True),
        )

    async def changed(self, change: Changed) -> Sequence[Then]:
        self.told.append(change)
        return [(TOLD, (change.message_id, change.state, new_id(), change.reason))]

    async def hears(self, customer_id: str) -> bool:
        return False

    def created(self, columns: Sequence[str], row: Row) -> Sequence[Then]:
        raise AssertionError("nobody wants to know")

    def written(self, customer_id: str) -> None:
        """What was written is looked at in SQL."""

    async def sends(self, **change: Any) -> Outgoing:
        mine = text(**change)
        await self.outbox.put(mine)
        await self.settle()
        return mine

    async def settle(self) -> None:
        await until(lambda: self.frail.dead.is_set() or not any(s.held for s in self.outbox._senders.values()))
        idle, dead = asyncio.create_task(self.outbox.idle()), asyncio.create_task(self.frail.dead.wait())
        await asyncio.wait([idle, dead], return_when=asyncio.FIRST_COMPLETED)
        idle.cancel()
        dead.cancel()

    async def die(self) -> None:
        await end(self.outbox._tending)
        for sender in self.outbox._senders.values():
            await sender.close()

    async def state(self) -> tuple[str, str, str]:
        (row,) = await self.ground.rows(outbox)
        return row["state"], row["code"], row["error"]

    async def states(self) -> list[str]:
        found = await self.ground.rows_of(sent_parts)
        return [row["state"] for row in sorted(found, key=lambda row: row["place"])]

    async def announced(self) -> list[str]:
        """What was written with the changes, in any order."""
        return sorted(row["peer"] for row in await self.ground.rows_of(memories))


@asynccontextmanager
async def living(ground: Ground, *ids: str, frail: Frail | None = None, node: str = "one") -> AsyncIterator[Life]:
    life = Life(ground, Loft(*ids), frail, node)
    await life.outbox.start()
    try:
        yield life
    finally:
        await life.die()


async def test_a_text_that_was_sent_becomes_delivered(ground: Ground) -> None:
    before = counted("delivered")
    async with living(ground, "a") as life:
        mine = await life.sends()
        (part,) = await ground.rows_of(sent_parts)
        assert (part["message_id"], part["place"], part["carrier"], part["carrier_id"]) == (mine.id, 0, "pigeon", "a")
        life.clock.move(5)
        await life.reports.take(says())
        assert await life.state() == ("delivered", "", "")
        (row,) = await ground.rows(outbox)
        assert row["tm_update"] == life.clock.now
        assert await life.states() == ["delivered"]
        assert [(c.message_id, c.customer_id, c.state) for c in life.told] == [
            (mine.id, CUSTOMER, "sent"),
            (mine.id, CUSTOMER, "delivered"),
        ]
        assert await life.announced() == ["delivered", "sent"]
    assert counted("delivered") == before + 1


async def test_all_parts_have_to_be_delivered(ground: Ground) -> None:
    async with living(ground, "a", "b", "c") as life:
        await life.sends()
        for carrier_id, state in (("b", "sent"), ("a", "sent"), ("a", "sent"), ("c", "delivered")):
            await life.reports.take(says(carrier_id=carrier_id))
            assert (await life.state())[0] == state
        assert await life.announced() == ["delivered", "sent"]


async def test_one_part_that_failed_is_a_failure_with_the_carriers_code_and_reason(ground: Ground) -> None:
    async with living(ground, "a", "b") as life:
        await life.sends()
        await life.reports.take(says(carrier_id="a"))
        await life.reports.take(says("failed", "b", code="27", reason="absent subscriber"))
        assert await life.state() == ("failed", "27", "absent subscriber")
        await life.reports.take(says("delivered", "b"))
        assert await life.state() == ("failed", "27", "absent subscriber")
        assert await life.states() == ["delivered", "failed"]


@pytest.mark.parametrize("last", ["delivered", "failed"])
async def test_nothing_goes_back_and_a_repeat_changes_nothing(ground: Ground, last: str) -> None:
    async with living(ground, "a") as life:
        await life.sends()
        await life.reports.take(says("sent"))
        await life.reports.take(says(last, code="1"))
        before = await ground.rows(outbox)
        for status in ("sent", last, "failed", "delivered"):
            await life.reports.take(says(status, code="2"))
        assert await ground.rows(outbox) == before
        assert await life.announced() == sorted(["sent", last])


async def test_a_receipt_that_is_faster_than_the_answer_is_applied_with_it(ground: Ground) -> None:
    async with living(ground, "a") as life:

        async def meanwhile() -> None:
            await life.reports.take(says("sent"))
            await life.reports.take(says())
            await life.reports.take(says())
            assert len(await ground.rows_of(early_reports)) == 2
            assert await life.states() == []

        life.loft.meanwhile = meanwhile
        await life.sends()
        assert await life.state() == ("delivered", "", "")
        assert await ground.rows_of(early_reports) == []
        assert await life.announced() == ["delivered", "sent"]


async def test_it_may_be_faster_and_name_our_id_only(ground: Ground) -> None:
    async with living(ground) as life:
        life.loft.meanwhile = lambda: life.reports.take(says("failed", "", message_id=life.loft.took[0].id))
        await life.sends()
        assert await life.state() == ("failed", "", "its carrier says that it was not delivered")
        assert await ground.rows_of(early_reports) == []


async def test_our_id_means_all_parts_or_the_one_that_is_named(ground: Ground) -> None:
    async with living(ground, "a", "b") as life:
        mine = await life.sends()
        await life.reports.take(says("delivered", "b", message_id=mine.id))
        assert await life.states() == ["sent", "delivered"]
        await life.reports.take(says("delivered", "", message_id=mine.id))
        assert await life.states() == ["delivered", "delivered"]
        assert (await life.state())[0] == "delivered"


async def test_a_text_that_was_given_up_and_yet_came_is_delivered(ground: Ground) -> None:
    async with living(ground) as life:
        life.loft.refuses = True
        mine = await life.sends()
        assert await life.state() == ("failed", "7", "no")
        await life.reports.take(says("failed", "", message_id=mine.id, code="8"))
        assert await life.state() == ("failed", "7", "no")
        await life.reports.take(says("delivered", "", message_id=mine.id))
        assert await life.state() == ("delivered", "", "")


@pytest.mark.parametrize(
    ("kept", "said"),
    [("abc", "ABC"), ("000017", "17"), ("17", "00017"), ("ff", "255"), ("00FF", "255"), ("255", "FF"), ("255", "00ff")],
)
@pytest.mark.parametrize("early", [False, True])
async def test_an_id_in_another_spelling_finds_its_text(ground: Ground, kept: str, said: str, early: bool) -> None:
    async with living(ground, kept) as life:
        report = says(carrier_id=said, destination="14155550111")
        if early:
            life.loft.meanwhile = lambda: life.reports.take(report)
        await life.sends()
        await life.reports.take(report)
        assert (await life.state())[0] == "delivered"
        assert await ground.rows_of(early_reports) == []


async def test_the_exact_id_goes_before_the_other_spellings(ground: Ground) -> None:
    async with living(ground, "ff") as life:
        await life.sends()
        life.loft.ids = ("255",)
        exact = await life.sends()
        await life.reports.take(says(carrier_id="255"))
        assert {row["id"]: row["state"] for row in await ground.rows(outbox)}[exact.id] == "delivered"
        assert sorted(row["state"] for row in await ground.rows(outbox)) == ["delivered", "sent"]


@pytest.mark.parametrize(
    ("carrier_id", "named", "found"),
    [
        ("255", {}, False),  # it may be anybody's
        ("255", {"destination": "14155550111"}, True),
        ("255", {"destination": "0014155550111", "source": "4155550100"}, True),
        ("255", {"destination": "+14155550112"}, False),
        ("255", {"source": "+14155550112"}, False),
        ("ff", {"source": "+14155550112"}, True),  # an exact id; carriers do replace who sends
        ("ff", {"destination": "+14155550112"}, False),  # but not who it is for
        ("ff", {"account": CUSTOMER}, True),
        ("ff", {"account": OTHER}, False),
    ],
)
async def test_where_a_receipt_names_the_numbers_they_have_to_be_the_texts(
    ground: Ground, carrier_id: str, named: dict[str, str], found: bool
) -> None:
    async with living(ground, "ff") as life:
        await life.sends()
        await life.reports.take(says(carrier_id=carrier_id, **named))
        assert (await life.state())[0] == ("delivered" if found else "sent")


async def test_another_carriers_receipt_is_not_ours(ground: Ground) -> None:
    async with living(ground, "a") as life:
        mine = await life.sends()
        await life.reports.take(replace(says(), carrier="dove"))
        await life.reports.take(replace(says(message_id=mine.id), carrier="dove"))
        assert (await life.state())[0] == "sent"


async def test_an_id_that_came_again_means_the_newer_text_and_an_old_one_is_not_meant_at_all(ground: Ground) -> None:
    async with living(ground, "1") as life:
        old = await life.sends()
        life.clock.move(3600)
        await life.sends()
        await life.reports.take(says(carrier_id="1"))
        states = {row["id"]: row["state"] for row in await ground.rows(outbox)}
        assert states[old.id] == "sent"
        await life.reports.take(says(carrier_id="1"))  # the one that is not over yet
        assert {row["state"] for row in await ground.rows(outbox)} == {"delivered"}
        life.loft.ids = ("2",)
        await life.sends()
        life.clock.move(8 * 86_400)
        await life.reports.take(says(carrier_id="2"))
        assert [row["state"] for row in await ground.rows(outbox)].count("sent") == 1


async def test_a_text_that_nobody_sent_in_time_has_failed_and_that_is_told(ground: Ground) -> None:
    async with living(ground) as life:
        mine = text(carrier="gone")
        await life.outbox.put(mine)
        life.clock.move(24 * 3600 - 1)
        await life.outbox._expire()
        assert (await life.state())[0] == "queued"
        life.clock.move(2)
        await asyncio.gather(life.outbox._expire(), Life(ground, life.loft, node="two").outbox._expire())
        assert await life.state() == ("failed", "", "nobody sent it in time")
        assert await life.announced() == ["failed"]


async def test_two_receipts_of_two_parts_at_once_at_two_processes_are_one_delivered_text(ground: Ground) -> None:
    ids = [f"p{n}" for n in range(8)]
    async with living(ground, *ids) as one:
        await one.sends()
        two = Life(ground, one.loft)
        await asyncio.gather(
            *(one.reports.take(says(carrier_id=i)) for i in ids[::2]),
            *(two.reports.take(says(carrier_id=i)) for i in ids[1::2]),
        )
        assert (await one.state())[0] == "delivered"
        assert set(await one.states()) == {"delivered"}
        assert await one.announced() == ["delivered", "sent"]


async def test_the_answer_and_the_receipt_at_once_at_two_processes_meet(ground: Ground) -> None:
    async with living(ground, "a") as one:
        two = Life(ground, one.loft)
        for n in range(20):
            one.loft.ids = (f"id{n}",)
            taking: list[asyncio.Task[None]] = []

            async def meanwhile(n: int = n, taking: list[asyncio.Task[None]] = taking) -> None:
                taking.append(asyncio.create_task(two.reports.take(says(carrier_id=f"id{n}"))))
                for _ in range(n % 5):
                    await asyncio.sleep(0)

            one.loft.meanwhile = meanwhile
            await one.sends()
            await asyncio.gather(*taking)
        assert {row["state"] for row in await ground.rows(outbox)} == {"delivered"}


async def test_what_cannot_be_kept_is_not_taken(ground: Ground) -> None:
    frail = Frail(ground.writer)
    async with living(ground, "a", frail=frail) as life:
        await life.sends()
        frail.away = True
        for report in (says(), says(carrier_id="nothing")):
            with pytest.raises(Unavailable):
                await life.reports.take(report)
        frail.away = False
        await life.reports.take(says())
        assert (await life.state())[0] == "delivered"


@pytest.mark.parametrize("written", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("place", range(4))  # the text, the early receipt, the answer, and what follows
async def test_a_crash_at_any_write_loses_and_doubles_nothing(ground: Ground, place: int, written: bool) -> None:
    """The receipt comes before the answer. What was not acknowledged comes again after the restart."""
    loft, frail = Loft("a"), Frail(ground.writer)
    life = Life(ground, loft, frail)
    acknowledged: list[bool] = []

    async def meanwhile() -> None:
        await life.reports.take(says())
        acknowledged.append(True)

    loft.meanwhile = meanwhile
    await life.outbox.start()
    frail.puts.clear()
    frail.dies_at = (place, written)
    mine = text()
    putting = asyncio.create_task(life.outbox.put(mine))
    dead = asyncio.create_task(frail.dead.wait())
    await asyncio.wait([putting, dead], return_when=asyncio.FIRST_COMPLETED)
    if putting.done():
        await life.settle()
    putting.cancel()
    dead.cancel()
    await life.die()
    assert frail.dead.is_set()
    loft.meanwhile = None
    async with living(ground) as after:
        after.loft.ids = ("a",)
        await after.outbox.put(mine)
        while (await after.state())[0] == "queued":
            await asyncio.sleep(0.001)
        if not acknowledged:
            await after.reports.take(says())
        await after.reports.early.look()
        assert (await after.state())[0] == "delivered"
        assert await ground.rows_of(early_reports) == []
        assert await after.announced() == ["delivered", "sent"]


@pytest.mark.parametrize("written", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("place", range(2))
async def test_a_crash_while_parts_are_reported_loses_nothing(ground: Ground, place: int, written: bool) -> None:
    async with living(ground, "a", "b") as life:
        await life.sends()
    frail = Frail(ground.writer)
    dying = Life(ground, life.loft, frail)
    frail.dies_at = (place, written)
    done: list[str] = []

    async def reporting() -> None:
        for part in ("a", "b"):
            await dying.reports.take(says(carrier_id=part))
            done.append(part)

    task = asyncio.create_task(reporting())
    await frail.dead.wait()
    await end([task])
    after = Life(ground, life.loft)
    for part in {"a", "b"} - set(done):
        await after.reports.take(says(carrier_id=part))
    assert (await after.state())[0] == "delivered"
    assert await after.announced() == ["delivered", "sent"]


TALK = conversation_id(CUSTOMER, "+14155550100", "+14155550111")


@pytest.mark.parametrize("called", ["16", "17"])
async def test_a_text_under_way_may_be_the_one_that_is_called_exactly_so(ground: Ground, called: str) -> None:
    """The receipt of the second text is faster than the answer that says what it is called."""
    before, early = counted("ambiguous"), counted("early")
    async with living(ground, "10") as life:
        first = await life.sends(conversation_id=TALK)
        life.loft.ids = (called,)
        life.loft.meanwhile = lambda: life.reports.take(
            says(carrier_id="16", source="+14155550100", destination="+14155550111")
        )
        second = await life.sends(conversation_id=TALK)
        await life.reports.early.look()
        states = {row["id"]: row["state"] for row in await ground.rows(outbox)}
        meant, other = (second, first) if called == "16" else (first, second)
        assert (states[meant.id], states[other.id]) == ("delivered", "sent")
        assert await ground.rows_of(early_reports) == []
    assert (counted("ambiguous"), counted("early")) == (before + 1, early)


async def test_a_short_id_may_be_that_of_a_try_whose_answer_was_lost(ground: Ground) -> None:
    async with living(ground, "10") as life:
        mine = await life.sends(conversation_id=TALK)
        life.loft.ids = ("20",)
        tried = await life.sends(conversation_id=TALK)
        async with ground.engine.begin() as connection:
            await connection.execute(sa.update(outbox).where(outbox.c.id == tried.id).values(attempts=2))
        await life.reports.take(says(carrier_id="16", destination="+14155550111"))
        states = {row["id"]: row["state"] for row in await ground.rows(outbox)}
        assert states[mine.id] == "sent"
        await life.reports.take(says(carrier_id="10", destination="+14155550111"))
        states = {row["id"]: row["state"] for row in await ground.rows(outbox)}
        assert states[mine.id] == "delivered"
