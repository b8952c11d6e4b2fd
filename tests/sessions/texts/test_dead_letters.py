"""Dead letters are begun anew: under their own ids, once, with all that belongs to a new try; through crashes."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from edge.errors import Conflict, Forbidden, NotFound, Unavailable
from edge.sessions.tables import messages
from edge.sessions.texts.dead_letters import HISTORY, DeadLetters
from edge.sessions.texts.message import Message, MessageTable
from edge.sessions.texts.outbox import BOOKS
from edge.sessions.texts.tables import early_reports, outbox, sent_parts
from edge.sms.carrier import NotNow
from edge.store.metadata import NIL
from tests.sessions.ground import Clock, Frail, Ground, until
from tests.sessions.texts.test_desk import OURS, Library, Post, action
from tests.sessions.texts.test_desk import Life as Texts
from tests.sessions.texts.test_desk import living as texting
from tests.sessions.texts.test_message import ONE, TWO, fill, name, row, sending
from tests.sessions.texts.test_outbox import CUSTOMER
from tests.sessions.texts.test_parking import says as writes
from tests.sessions.texts.test_reports import Life as Sending
from tests.sessions.texts.test_reports import living, says


class Bell:
    def __init__(self) -> None:
        self.rung = 0

    def wake(self) -> None:
        self.rung += 1


async def anything(_: Message) -> None:
    pass


def letters(ground: Ground, life: Sending | None = None, texts: Texts | None = None, **change: Any) -> DeadLetters:
    parts: dict[str, Any] = {
        "table": MessageTable(ground.engine),
        "writer": ground.writer,
        "outbox": life.outbox if life is not None else Bell(),
        "inbox": texts.inbox if texts is not None else Bell(),
        "may": anything,
        "clock": life.clock if life is not None else texts.clock if texts is not None else Clock(),
        "news": life,
    }
    return DeadLetters(**{**parts, **change})


async def failed(life: Sending, **more: Any) -> str:
    """A text that its carrier refused; its id."""
    life.loft.refuses = True
    mine = await life.sends(**more)
    life.loft.refuses = False
    return mine.id


async def test_a_text_that_was_refused_is_sent_again_under_its_id(ground: Ground) -> None:
    async with living(ground, "a") as life:
        mine = await failed(life)
        life.clock.move(60)
        shown = await letters(ground, life).resend(mine, CUSTOMER)
        assert shown.targets[0].status == "queued"
        assert [past.model_dump() for past in shown.edge.history] == [
            {
                "status": "failed",
                "carrier": "pigeon",
                "code": "7",
                "reason": "no",
                "attempts": 1,
                "tm_update": "2026-08-01T09:00:00.000000Z",
            }
        ]
        await until(lambda: len(life.loft.took) == 2)
        await life.settle()
        assert [taken.id for taken in life.loft.took] == [mine, mine]
        (one,) = await ground.rows(outbox)
        assert (one["state"], one["attempts"], one["carrier_id"], one["error"]) == ("sent", 1, "a", "")
        assert await life.announced() == ["failed", "queued", "sent"]
        await life.reports.take(says())
        assert (await life.state())[0] == "delivered"


async def test_its_tries_and_hours_are_counted_from_now(ground: Ground) -> None:
    async with living(ground, "a") as life:
        mine = await failed(life)
        life.clock.move(48 * 3600)
        busy = [NotNow("busy")]

        async def answer() -> None:
            if busy:
                raise busy.pop()

        life.loft.meanwhile = answer
        await letters(ground, life).resend(mine, CUSTOMER)
        await until(lambda: not busy)
        sender = life.outbox._senders["pigeon"]
        await until(lambda: bool(sender._queue))
        assert (await life.state())[0] == "queued"  # it is not given up because it is two days old
        life.clock.move(2)
        sender.begin_due()
        await life.settle()
        assert (await life.state())[0] == "sent"
        (one,) = await ground.rows(outbox)
        assert one["attempts"] == 2


async def test_what_waits_since_it_was_sent_again_expires_by_that_age(ground: Ground) -> None:
    async with living(ground, "a") as life:
        await failed(life, carrier="pigeon")
        async with ground.engine.begin() as connection:
            change = {
                "state": "queued",
                "tm_queued": life.clock.now + timedelta(hours=20),
                "claimed_until": life.clock.now,
            }
            await connection.execute(sa.update(outbox).values(**change))
        life.clock.move(30 * 3600)
        await life.outbox._expire()
        assert (await life.state())[0] == "queued"
        life.clock.move(20 * 3600)
        await life.outbox._expire()
        assert (await life.state())[0] == "failed"
        assert BOOKS.since is outbox.c.tm_queued


async def test_receipts_of_the_first_sending_are_not_of_the_second(ground: Ground) -> None:
    async with living(ground, "a", "b") as life:
        mine = (await life.sends()).id
        await life.reports.take(says("failed", "a", code="27"))
        life.loft.ids = ("c",)
        await letters(ground, life).resend(mine, CUSTOMER)
        await until(lambda: len(life.loft.took) == 2)
        await life.settle()
        await life.reports.take(says("delivered", "a"))
        await life.reports.take(says("delivered", "b"))
        assert (await life.state())[0] == "sent"
        assert [part["carrier_id"] for part in await ground.rows_of(sent_parts)] == ["c"]
        await life.reports.take(says("delivered", "c"))
        assert (await life.state())[0] == "delivered"
        assert len(await ground.rows_of(early_reports)) == 2


@pytest.mark.parametrize("state", ["queued", "sent", "delivered"])
async def test_what_is_not_dead_is_not_begun_anew(ground: Ground, state: str) -> None:
    await fill(ground, [row(1, direction="outbound")], [sending(1, state=state)])
    async with living(ground) as life:
        with pytest.raises(Conflict, match="no dead letter"):
            await letters(ground, life).resend(name(1), ONE)


@pytest.mark.parametrize(
    "change",
    [
        {"flow_state": "done", "outcome": "finished"},
        {"flow_state": "pending"},
        {"flow_state": "none", "refusal": "NumberUnknown"},
        {"flow_state": "done", "outcome": "parked"},
    ],
)
async def test_an_incoming_one_that_is_not_dead_is_not_run_again(ground: Ground, change: dict[str, Any]) -> None:
    await fill(ground, [row(1, **change)])
    async with living(ground) as life:
        with pytest.raises(Conflict, match="no dead letter"):
            await letters(ground, life).resend(name(1), ONE)


async def test_a_strangers_message_is_not_there(ground: Ground) -> None:
    await fill(ground, [row(1, direction="outbound")], [sending(1, state="failed")])
    async with living(ground) as life:
        mine = letters(ground, life)
        for customer, which in ((TWO, name(1)), (ONE, name(2))):
            for attempt in (mine.resend, mine.delete):
                with pytest.raises(NotFound):
                    await attempt(which, customer)


async def test_one_that_may_not_be_sent_stays_dead(ground: Ground) -> None:
    async with living(ground) as life:
        mine = await failed(life)

        async def may(message: Message) -> None:
            raise Conflict(f"{message.targets[0].destination.target} wants no texts", reason="OPTED_OUT")

        with pytest.raises(Conflict, match="wants no texts"):
            await letters(ground, life, may=may).resend(mine, None)
        assert await life.state() == ("failed", "7", "no")


async def test_one_whose_carrier_is_no_more_goes_by_another(ground: Ground) -> None:
    old = [row(1, direction="outbound", carrier="gone", route="back")]
    await fill(ground, old, [sending(1, state="failed", carrier="gone")])
    async with living(ground, "a") as life:
        await letters(ground, life, way=lambda _: "pigeon").resend(name(1), ONE)
        await until(lambda: bool(life.loft.took))
        await life.settle()
        assert life.loft.took[0].route == ""
        (one,) = await ground.rows(messages)
        assert one["carrier"] == "pigeon"
        message = await MessageTable(ground.engine).get(name(1))
        assert message is not None
        assert message.edge.history[0].carrier == "gone"


async def test_two_who_begin_one_anew_at_once_begin_it_once(ground: Ground) -> None:
    async with living(ground, "a") as life:
        mine, dead = await failed(life), letters(ground, life)
        results = await asyncio.gather(*(dead.resend(mine, None) for _ in range(5)), return_exceptions=True)
        assert sorted(type(result).__name__ for result in results) == ["Conflict"] * 4 + ["Message"]
        await until(lambda: len(life.loft.took) == 2)
        await life.settle()
        assert len(life.loft.took) == 2


async def test_of_its_history_so_much_is_kept(ground: Ground) -> None:
    async with living(ground) as life:
        mine, dead = await failed(life), letters(ground, life)
        life.loft.refuses = True
        for n in range(HISTORY + 2):
            await dead.resend(mine, None)
            await until(lambda n=n: len(life.loft.took) == n + 2)
            await life.settle()
        message = await MessageTable(ground.engine).get(mine)
        assert message is not None
        assert len(message.edge.history) == HISTORY


async def test_many_are_begun_anew_by_what_they_have_in_common(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge.sessions.texts.dead_letters.AT_ONCE", 3)
    out = [
        *(sending(n, state="failed", customer_id=ONE, code="30", carrier="elsewhere") for n in range(1, 9)),
        sending(9, state="failed", customer_id=ONE, code="31", carrier="elsewhere"),
        sending(10, state="sent", customer_id=ONE, carrier="elsewhere"),
        sending(11, state="failed", customer_id=TWO, code="30", carrier="elsewhere"),
    ]
    rows = [row(n, direction="outbound", customer_id=TWO if n == 11 else ONE) for n in range(1, 12)]
    await fill(ground, [*rows, row(12, flow_state="failed")], out)

    async def may(message: Message) -> None:
        if message.id == name(4):
            raise Forbidden("not any more")

    async with living(ground) as life:
        dead = letters(ground, life, may=may)
        assert await dead.resend_all(ONE, 5, code="30") == (4, 1, True)
        assert await dead.resend_all(ONE, 5, code="30") == (3, 1, False)
        assert await dead.resend_all(ONE, 5, code="30") == (0, 1, False)
        states = {r["id"]: r["state"] for r in await ground.rows(outbox)}
        assert {number for number in range(1, 12) if states[name(number)] == "queued"} == {1, 2, 3, 5, 6, 7, 8}
        assert await dead.resend_all(ONE, 50) == (2, 1, False)  # with the incoming one


async def test_many_are_not_counted_while_sql_is_away(ground: Ground) -> None:
    frail = Frail(ground.writer)
    async with living(ground) as life:
        await failed(life)
        frail.away = True
        with pytest.raises(Unavailable):
            await letters(ground, life, writer=frail.as_writer()).resend_all(None, 5)
        assert (await life.state())[0] == "failed"


@pytest.mark.parametrize("written", [False, True], ids=["before", "after"])
async def test_a_crash_while_it_is_begun_anew_begins_it_once_or_not_at_all(ground: Ground, written: bool) -> None:
    async with living(ground, "a") as life:
        mine = await failed(life)
    frail = Frail(ground.writer)
    frail.dies_at = (0, written)
    task = asyncio.create_task(letters(ground, life, writer=frail.as_writer()).resend(mine, None))
    await frail.dead.wait()
    task.cancel()
    async with living(ground, "a") as after:
        dead = letters(ground, after)
        if written:
            with pytest.raises(Conflict):
                await dead.resend(mine, None)
        else:
            await dead.resend(mine, None)
        await until(lambda: bool(after.loft.took))
        await after.settle()
        assert (await after.state())[0] == "sent"
        assert len(after.loft.took) == 1
        message = await MessageTable(ground.engine).get(mine)
        assert message is not None
        assert len(message.edge.history) == 1


# Incoming ones

BROKEN = {"id": "b", **action("fetch_flow", flow_id="77777777-7777-4777-8777-777777777777")}
FIRST = {"id": "f", **action("reply", text="first")}
SECOND = {"id": "s", **action("reply", text="second")}


async def test_the_flow_of_an_incoming_one_is_run_again_and_says_nothing_twice(ground: Ground) -> None:
    post = Post()
    async with texting(ground, Library(FIRST, BROKEN), post) as life:
        verdict = await life.desk.receive(writes("hi"))
        await life.settle()
    (dead,) = await MessageTable(ground.engine).dead(None)
    assert (dead.id, dead.edge.outcome, dead.targets[0].status) == (verdict.message_id, "failed", "received")
    assert dead.edge.reason
    async with texting(ground, Library(FIRST, SECOND), post) as life:
        shown = await letters(ground, texts=life).resend(verdict.message_id, None)
        assert [past.status for past in shown.edge.history] == ["failed"]
        await until(lambda: len(post.took) == 2)
        await life.settle()
    assert [text.body for text in post.took] == ["first", "second"]
    message = await MessageTable(ground.engine).get(verdict.message_id)
    assert message is not None
    assert (message.edge.flow_state, message.edge.outcome, message.edge.attempts) == ("done", "finished", 1)
    assert message.edge.history[0].reason == dead.edge.error
    assert await MessageTable(ground.engine).dead(None) == []


@pytest.mark.parametrize("written", [False, True], ids=["before", "after"])
async def test_a_crash_while_its_flow_is_begun_anew_runs_it_once_more(ground: Ground, written: bool) -> None:
    post = Post()
    async with texting(ground, Library(FIRST, BROKEN), post) as life:
        verdict = await life.desk.receive(writes("hi"))
        await life.settle()
    frail = Frail(ground.writer)
    frail.dies_at = (0, written)
    task = asyncio.create_task(letters(ground, writer=frail.as_writer()).resend(verdict.message_id, None))
    await frail.dead.wait()
    task.cancel()
    async with texting(ground, Library(FIRST, SECOND), post) as life:
        if not written:
            await letters(ground, texts=life).resend(verdict.message_id, None)
        await until(lambda: len(post.took) == 2)
        await life.settle()
        with pytest.raises(Conflict):
            await letters(ground, texts=life).resend(verdict.message_id, None)
    assert [text.body for text in post.took] == ["first", "second"]


async def test_a_run_that_failed_while_it_was_waited_for_is_run_anew(ground: Ground) -> None:
    post = Post()
    wait = {"id": "w", **action("text_receive", duration=60_000)}
    async with texting(ground, Library(FIRST, wait, BROKEN), post) as life:
        for body in ("hi", "Ann"):
            verdict = await life.desk.receive(writes(body))
            await life.settle()
        await letters(ground, texts=life).resend(verdict.message_id, None)
        await until(lambda: len(post.took) == 2)
        await life.settle()
    assert [text.body for text in post.took] == ["first", "first"]
    assert {text.destination for text in post.took} == {post.took[0].destination}
    assert {text.source for text in post.took} == {OURS}


async def test_a_text_that_took_the_process_down_is_run_again_from_the_first_attempt(ground: Ground) -> None:
    post = Post()
    await fill(ground, [row(1, flow_state="failed", attempts=5, error="given up", flow_id=NIL)])
    async with texting(ground, Library(FIRST), post) as life:
        await letters(ground, texts=life).resend(name(1), None)
        while (await ground.rows(messages))[0]["flow_state"] == "pending":
            await asyncio.sleep(0.001)
    (one,) = await ground.rows(messages)
    assert (one["attempts"], one["flow_state"]) == (1, "done")


# The end of a record


async def test_a_deleted_message_is_shown_no_more_and_its_repeat_is_still_known(ground: Ground) -> None:
    post = Post()
    async with texting(ground, Library(FIRST), post) as life:
        verdict = await life.desk.receive(writes("secret"))
        await life.settle()
        dead, table = letters(ground, texts=life), MessageTable(ground.engine)
        gone = await dead.delete(verdict.message_id, None)
        assert (gone.text, gone.tm_delete) == ("secret", "2026-08-01T09:00:00.000000Z")
        assert await table.get(verdict.message_id) is None
        assert [message.text for message in await table.list(None)] == ["first"]
        assert all("secret" not in str(row["text"]) for row in await ground.rows(messages))
        again = await life.desk.receive(writes("secret"))
        assert (again.message_id, again.repeated) == (verdict.message_id, True)
        for attempt in (dead.delete, dead.resend):
            with pytest.raises(NotFound):
                await attempt(verdict.message_id, None)


@pytest.mark.parametrize(
    ("change", "out"), [({"flow_state": "pending"}, None), ({"direction": "outbound"}, {"state": "queued"})]
)
async def test_what_is_still_at_work_is_not_deleted(
    ground: Ground, change: dict[str, Any], out: dict[str, Any] | None
) -> None:
    await fill(ground, [row(1, **change)], [sending(1, carrier="elsewhere", **out)] if out else None)
    async with living(ground) as life:
        with pytest.raises(Conflict, match="still to be"):
            await letters(ground, life).delete(name(1), ONE)
        assert await MessageTable(ground.engine).get(name(1)) is not None
