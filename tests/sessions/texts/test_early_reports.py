"""Receipts that come before their texts, or belong to none, on a real database."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
import sqlalchemy as sa

from edge.sessions.texts.reports import ReceiptsSection, Reports
from edge.sessions.texts.tables import early_reports, outbox
from edge.store.metadata import micros
from tests.sessions.ground import Ground
from tests.sessions.texts.test_reports import Life, counted, living, says


async def test_receipts_of_nothing_are_kept_for_a_while_and_counted(ground: Ground) -> None:
    early, unmatched = counted("early"), counted("unmatched")
    async with living(ground) as life:
        for name in ("x", "x", "y"):
            await life.reports.take(says(carrier_id=name))
        assert len(await ground.rows_of(early_reports)) == 2
        life.clock.move(3599)
        await life.reports.early.purge()
        assert len(await ground.rows_of(early_reports)) == 2
        life.clock.move(2)
        await life.reports.early.purge()
        assert await ground.rows_of(early_reports) == []
    assert (counted("early"), counted("unmatched")) == (early + 3, unmatched + 2)


async def test_of_too_many_receipts_of_nothing_the_oldest_of_their_carrier_go(
    ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edge.sessions.texts.early_reports.PURGE_BATCH", 2)
    gone, unmatched = counted("crowded_out"), counted("unmatched")
    async with living(ground) as life:
        life.reports = Reports(
            ReceiptsSection(unmatched_kept=3), ground.engine, ground.reader, ground.writer, life.clock
        )
        for n in range(8):
            await life.reports.take(replace(says(carrier_id=f"x{n}"), received_at=life.clock.now))
            life.clock.move(1)
        await life.reports.take(replace(says(carrier_id="y"), carrier="dove"))
        await life.reports.early.purge()
        left = {(row["carrier"], row["carrier_id"]) for row in await ground.rows_of(early_reports)}
        assert left == {("pigeon", "x5"), ("pigeon", "x6"), ("pigeon", "x7"), ("dove", "y")}
    assert (counted("crowded_out"), counted("unmatched")) == (gone + 5, unmatched)


async def looked(life: Life) -> None:
    """Once through what watches."""

    async def pause(_: float) -> None:
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await life.reports.early.watch(pause)


async def test_while_no_receipt_was_early_nobody_looks_for_them(ground: Ground) -> None:
    async with living(ground, "a") as one:
        two = Life(ground, one.loft)
        await looked(one)
        one.loft.meanwhile = lambda: two.reports.take(says())
        await one.sends()
        assert (await one.state())[0] == "sent"  # the other one has kept it
        await looked(one)
        assert (await one.state())[0] == "delivered"
        one.loft.ids, one.loft.meanwhile = ("b",), lambda: one.reports.take(says(carrier_id="b"))
        await one.sends()
        assert {row["state"] for row in await ground.rows(outbox)} == {"delivered"}


async def test_what_a_dead_process_left_is_found_by_the_next_look(ground: Ground) -> None:
    """It had written the answer down, and died before it looked for receipts of it."""
    async with living(ground, "a") as life:
        await life.reports.take(says())
        life.clock.move(60)
        async with ground.engine.begin() as connection:
            hidden = (await connection.execute(sa.select(early_reports))).mappings().one()
            await connection.execute(sa.delete(early_reports))
        await life.sends()
        async with ground.engine.begin() as connection:
            await connection.execute(sa.insert(early_reports).values(**hidden))
        await life.reports.early.look(micros(life.clock.now))
        assert (await life.state())[0] == "sent"  # that look is not at ones so old
        await looked(life)
        assert (await life.state())[0] == "delivered"
        assert await ground.rows_of(early_reports) == []


async def test_a_look_goes_on_behind_what_it_cannot_apply(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge.sessions.texts.early_reports.PAGE", 2)
    async with living(ground, "a") as life:
        for n in range(5):
            await life.reports.take(says(carrier_id="a", code=str(n), destination=f"+4930000000{n}"))
            await life.reports.take(says(carrier_id="a", status="sent", destination=f"+4930000000{n}"))
        await life.sends()
        await life.reports.early.look()
        assert (await life.state())[0] == "sent"
