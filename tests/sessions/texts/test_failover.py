"""Texts that one carrier does not take and another does, on a real database."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from edge.sessions.queues.sender import Sender
from edge.sessions.tables import messages
from edge.sessions.texts.message import MessageTable
from edge.sessions.texts.outbox import Outbox, OutboxSection, Outgoing
from edge.sessions.texts.reports import ReceiptsSection, Reports
from edge.sessions.texts.routes import TextRoute, TextRoutes
from edge.sessions.texts.tables import outbox
from edge.sms.carrier import Busy, NotNow, Refused
from edge.sms.text import Report
from edge.store.metadata import micros, new_id
from edge.store.writer import Statement, Writer
from tests.sessions.ground import Clock, Frail, Ground, Pauses, end, until
from tests.sessions.texts.test_outbox import CUSTOMER, Loft

NAMES = ("raven", "pigeon", "dove")
ROUTES = [TextRoute(destination="+1", carriers=("raven", "pigeon", "dove"))]


class Life:
    """One process with three carriers."""

    def __init__(
        self, ground: Ground, *, writer: Writer | None = None, routes: list[TextRoute] | None = None, **section: Any
    ) -> None:
        self.clock = Clock()
        self.lofts = {name: Loft(name) for name in NAMES}
        writer = writer or ground.writer
        self.reports = Reports(ReceiptsSection(), ground.engine, ground.reader, writer, self.clock)
        self.outbox = Outbox(
            OutboxSection(**section),
            ground.engine,
            writer,
            self.lofts,
            node="one",
            along=self.reports,
            routes=TextRoutes(ROUTES if routes is None else routes, NAMES),
            clock=self.clock,
            ticks=lambda: self.clock.now.timestamp(),
            pause=Pauses(short=True),
            chance=lambda: 0.5,
        )

    def __getitem__(self, name: str) -> Loft:
        return self.lofts[name]

    def sender(self, name: str) -> Sender[Outgoing]:
        return self.outbox._senders[name]

    async def __aenter__(self) -> Life:
        await self.outbox.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await end(self.outbox._tending)
        for name in NAMES:
            await self.sender(name).close()

    async def pass_time(self, seconds: float) -> None:
        self.clock.move(seconds)
        await self.outbox._claims.renew(self.clock())
        for _ in NAMES:
            for name in NAMES:
                self.sender(name).begin_due()
                self.sender(name)._lanes.look()
            await self.outbox.idle()


def text(body: str = "hi", carrier: str = "raven", **change: Any) -> Outgoing:
    found = Outgoing(
        new_id(), CUSTOMER, carrier, "+14155550100", "+14155550111", body, micros(Clock().now), route="back"
    )
    return replace(found, **change)


async def row(ground: Ground) -> tuple[str, str, str]:
    """Of the only text: its carrier, how far it got, and who passed it on."""
    (found,) = await ground.rows(outbox)
    (shown,) = await ground.rows(messages)
    assert shown["carrier"] == found["carrier"]
    return found["carrier"], found["state"], found["passed"]


async def test_what_one_carrier_refuses_and_another_might_take_goes_there_at_once(ground: Ground) -> None:
    async with Life(ground) as life:
        life["raven"].answers = [Refused("no route to that country", elsewhere=True, code="11")]
        await life.outbox.put(text())
        await until(lambda: bool(life["pigeon"].took))
        await life.outbox.idle()
        assert await row(ground) == ("pigeon", "sent", "raven")
        assert [taken.route for taken in life["pigeon"].took] == [""]  # what was the other's way is not this one's
        message = await MessageTable(ground.engine).get((await ground.rows(outbox))[0]["id"])
        assert message is not None
        assert message.edge.carrier == "pigeon"
        assert life.sender("raven").held == {}


async def test_each_is_tried_once_around_before_it_has_failed(ground: Ground) -> None:
    async with Life(ground) as life:
        for loft in life.lofts.values():
            loft.answers = [Refused(f"not by {loft.name}", elsewhere=True)]
        await life.outbox.put(text(carrier="pigeon"))  # an answer: the carrier that its text came by goes first
        await until(lambda: len(life["dove"].tries) == 1)
        await life.outbox.idle()
        assert [len(life[name].tries) for name in NAMES] == [1, 1, 1]
        assert await row(ground) == ("dove", "failed", "pigeon raven")
        (found,) = await ground.rows(outbox)
        assert (found["attempts"], found["error"]) == (3, "not by dove")


@pytest.mark.parametrize(
    ("error", "routes"),
    [
        (Refused("no such number"), ROUTES),
        (Refused("not by us", elsewhere=True), []),
        (Refused("not by us", elsewhere=True), [TextRoute(destination="+49", carriers=("dove",))]),
    ],
)
async def test_what_nobody_would_take_or_nobody_else_may_has_failed(
    ground: Ground, error: Refused, routes: list[TextRoute]
) -> None:
    async with Life(ground, routes=routes) as life:
        life["raven"].answers = [error]
        await life.outbox.put(text())
        await until(lambda: bool(life["raven"].tries))
        await life.outbox.idle()
        assert await row(ground) == ("raven", "failed", "")


async def test_what_is_put_off_for_a_while_goes_to_the_next_and_stays_with_the_last(ground: Ground) -> None:
    async with Life(ground, failover_seconds=10, longest_wait_seconds=4) as life:
        for loft in life.lofts.values():
            loft.answers = [NotNow("later") for _ in range(50)]
        await life.outbox.put(text())
        await until(lambda: bool(life["raven"].tries))
        await life.outbox.idle()
        seen = {}
        for second in range(1, 61):
            await life.pass_time(1)
            seen[second] = await row(ground)
        assert seen[9] == ("raven", "queued", "")
        assert seen[14] == ("pigeon", "queued", "raven")
        assert seen[30] == seen[60] == ("dove", "queued", "raven pigeon")
        life["dove"].answers = []
        await life.pass_time(5)
        assert await row(ground) == ("dove", "sent", "raven pigeon")


async def test_what_waits_for_a_carrier_that_is_busy_goes_to_the_next(ground: Ground) -> None:
    async with Life(ground, failover_seconds=10) as life:
        life["raven"].answers = [Busy("no bind", after=600)]
        for number in range(5):
            await life.outbox.put(text(str(number)))
        await until(lambda: bool(life["raven"].tries))
        life.clock.move(9)
        await life.sender("raven").look_after()
        assert life["pigeon"].tries == []
        life.clock.move(2)
        await life.sender("raven").look_after()
        await until(lambda: len(life["pigeon"].took) == 5)
        await life.outbox.idle()
        assert life["pigeon"].bodies == ["0", "1", "2", "3", "4"]
        assert {found["attempts"] for found in await ground.rows(outbox)} == {1}
        assert life.sender("raven").held == {}


async def test_it_goes_on_with_the_carrier_that_has_it_after_a_restart(ground: Ground) -> None:
    async with Life(ground) as dead:
        dead["raven"].answers = [Refused("not by us", elsewhere=True)]
        dead["pigeon"].stuck = True
        await dead.outbox.put(text())
        await until(lambda: bool(dead["pigeon"].took))
    async with Life(ground) as life:
        life["pigeon"].answers = [Refused("nor by us", elsewhere=True)]
        await life.pass_time(1)
        await until(lambda: bool(life["dove"].took))
        await life.outbox.idle()
        assert life["raven"].tries == []
        assert await row(ground) == ("dove", "sent", "raven pigeon")


@pytest.mark.parametrize("written", [True, False])
async def test_a_database_that_goes_away_meanwhile_makes_no_two_of_it(ground: Ground, written: bool) -> None:
    frail = Frail(ground.writer)
    async with Life(ground, writer=frail.as_writer()) as life:
        (frail.forgetful if written else frail.refuses).add("outbox.pass_on")
        life["raven"].answers = [Refused("not by us", elsewhere=True)]
        await life.outbox.put(text())
        await until(lambda: "outbox.pass_on" in frail.puts)
        frail.refuses.clear()
        await until(lambda: bool(life["pigeon"].took))
        await life.outbox.idle()
        assert life["pigeon"].bodies == ["hi"]
        assert await row(ground) == ("pigeon", "sent", "raven")


async def test_what_another_process_took_over_meanwhile_is_not_moved_away_from_it(ground: Ground) -> None:
    frail = Frail(ground.writer)
    async with Life(ground, writer=frail.as_writer()) as life:
        frail.refuses.add("outbox.pass_on")
        life["raven"].answers = [Refused("not by us", elsewhere=True)]
        await life.outbox.put(text())
        await until(lambda: "outbox.pass_on" in frail.puts)
        until_then = micros(life.clock()) + 30_000_000
        await ground.writer.put(
            Statement.of("taken", "UPDATE outbox SET claimed_by = 'two', claimed_until = ?"), [(until_then,)]
        )
        frail.refuses.clear()
        await until(lambda: not life.sender("raven").held)
        await life.outbox.idle()
        assert life["pigeon"].took == []  # the other one sends it just now
        assert await row(ground) == ("raven", "queued", "")


async def test_receipts_find_it_under_the_carrier_that_took_it(ground: Ground) -> None:
    async with Life(ground) as life:
        life["raven"].answers = [Refused("not by us", elsewhere=True)]
        await life.outbox.put(text())
        await until(lambda: bool(life["pigeon"].took))
        await life.outbox.idle()
        for carrier, state in (("raven", "sent"), ("pigeon", "delivered")):
            await life.reports.take(Report(carrier, "ring 1", "delivered", life.clock()))
            assert (await row(ground))[1] == state
