"""Whom texts are not sent to: who opted out, machines, and whoever takes part in a loop."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any, cast

import pytest
import sqlalchemy as sa
from structlog.testing import capture_logs

from edge.errors import Exhausted, Forbidden, Unavailable
from edge.log import logfmt, redact
from edge.numbers.number import Number, NumberMetadata
from edge.plugins import load
from edge.sessions.conversation import conversation_id
from edge.sessions.tables import events, messages
from edge.sessions.texts.carrier_opt_outs import CarrierOptOuts
from edge.sessions.texts.desk import TextDesk, TextRuns
from edge.sessions.texts.inbox import Inbox, InboxSection
from edge.sessions.texts.incoming import Incoming
from edge.sessions.texts.manners import MINUTE, PAIRS, LoopGuard, Manners, MannersSection, mute_kind
from edge.sessions.texts.opt_out_events import OptOutEvents
from edge.sessions.texts.opt_outs import LOOK_BACK, Filter, OptOuts, _ended
from edge.sessions.texts.opting import Opting
from edge.sessions.texts.outbox import Outbox, OutboxSection, Outgoing
from edge.sessions.texts.reports import ReceiptsSection, Reports
from edge.sessions.texts.routes import TextRoutes
from edge.sessions.texts.session import TextSending
from edge.sessions.texts.tables import opt_outs, outbox
from edge.sms.carrier import NotNow
from edge.sms.keywords import DEFAULTS, Keywords
from edge.sms.text import Text
from edge.store.engine import reading
from edge.store.metadata import NIL, metadata, micros, new_id
from edge.store.tiers import Found
from tests.sessions.ground import Frail, Ground, Pauses, reach
from tests.sessions.texts import test_desk as base

load("edge.actions")

CUSTOMER, OURS, BARE, PEER, NOW = base.CUSTOMER, base.OURS, base.BARE, base.PEER, base.NOW
PAIR = conversation_id(CUSTOMER, OURS, PEER)
EN = DEFAULTS[0]
STOPPED, STARTED, HELPED = (said.replace("{number}", OURS) for said in (EN.stopped, EN.started, EN.helped))
SAYS = base.REPLY  # a flow that repeats what was said


class Seconds:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Life(base.Life):
    """One process with manners."""

    def __init__(
        self,
        ground: Ground,
        post: base.Post,
        frail: Frail,
        *,
        node: str = "one",
        section: MannersSection,
        silent: tuple[str, ...] = (),
        number: Number | None = None,
        library: base.Library = SAYS,
    ) -> None:
        super().__init__(ground, post, library, frail)
        self.seconds = Seconds()
        clock = self.clock
        writer = frail.as_writer()
        self.opt_outs = OptOuts(ground.engine, ground.reader, writer, clock)
        self.manners = Manners(section, self.opt_outs, self.seconds, lambda *asked: self.owns(*asked))
        ask = self.manners.hand_over
        pauses = Pauses(short=True)
        learning = CarrierOptOuts(self.opt_outs, {"post": {"40300"}})
        self.reports = Reports(ReceiptsSection(), ground.engine, ground.reader, writer, clock, None, learning)
        self.outbox = Outbox(
            *(OutboxSection(), ground.engine, writer, {"post": post}),
            node=node,
            along=self.reports,
            ask=ask,
            clock=clock,
            pause=pauses,
        )
        routes = TextRoutes((), ("post",))
        self.sending = TextSending(self.outbox, self.owns, lambda: micros(clock()), routes, None, self.manners)
        opting = Opting(Keywords(), self.opt_outs, self.sending, silent)
        if number is not None:
            self.directory.find = lambda digits, /: _found(number)  # type: ignore[method-assign]  # the story says whose numbers are
        self.runs = TextRuns(self.directory, self.sending, reach(flows=library), self.parking, clock, opting)
        self.inbox = Inbox(
            InboxSection(), ground.engine, writer, self.runs.perform, node=node, clock=clock, pause=pauses
        )
        self.desk = TextDesk(self.directory, self.inbox, opting=opting)

    async def start(self) -> None:
        await self.opt_outs.start()
        await super().start()

    async def says(self, *bodies: str, number: str = OURS, peer: str = PEER, keyword: Any = "") -> None:
        """He texts, one after another, and all that comes of it happens; `keyword` is what it is to his carrier."""
        for body in bodies:
            text = Text("post", new_id(), peer, number, body, self.clock(), country="US", keyword=keyword)
            await self.desk.receive(text)
            await self.settle()

    async def send(self, peer: str = PEER, text: str = "news") -> None:
        await self.sending.send(id=new_id(), customer_id=CUSTOMER, source=OURS, destination=peer, text=text)


async def _found(number: Number) -> Found[Number]:
    return Found(number, "sql")


@asynccontextmanager
async def living(
    ground: Ground, post: base.Post | None = None, frail: Frail | None = None, **more: Any
) -> AsyncIterator[Life]:
    more.setdefault("section", MannersSection())
    life = Life(ground, post or base.Post(), frail or Frail(ground.writer), **more)
    await life.start()
    try:
        yield life
    finally:
        await life.die()


def bodies(post: base.Post) -> list[str]:
    return [text.body for text in post.took]


async def outcomes(ground: Ground) -> list[str]:
    return [row["outcome"] for row in await ground.rows(messages) if row["direction"] == "inbound"]


# Keywords


async def test_who_stops_is_told_so_once_and_gets_nothing_until_he_starts(ground: Ground) -> None:
    post = base.Post()
    async with living(ground, post) as life:
        await life.says("hi", "STOP", "Stop.", "hello?", "start", "hi again")
        assert bodies(post) == ["got: hi", STOPPED, STARTED, "got: hi again"]
        assert await outcomes(ground) == ["finished", "opted_out", "opted_out", "finished", "opted_in", "finished"]
        steps = [row["steps"] for row in await ground.rows(messages) if row["text"] == "hello?"]
        assert steps[0][0]["note"] == f"{PEER} has opted out of texts from {OURS}"
        (row,) = await ground.rows(opt_outs)
        assert (row["id"], row["begun_by"], row["ended_by"], row["word"]) == (PAIR, "text", "text", "STOP")


async def test_help_is_answered_each_time_also_to_who_stopped_and_start_without_stop_is_a_text(ground: Ground) -> None:
    post = base.Post()
    async with living(ground, post) as life:
        await life.says("help", "HELP!", "start", "stop", "help")
        assert bodies(post) == [HELPED, HELPED, "got: start", STOPPED, HELPED]
        assert await outcomes(ground) == ["helped", "helped", "finished", "opted_out", "helped"]


async def test_a_number_without_a_flow_keeps_to_keywords_too(ground: Ground) -> None:
    post = base.Post()
    async with living(ground, post) as life:
        await life.says("hello", "stop", "start", "start", number=BARE)
        assert bodies(post) == [said.replace(OURS, BARE) for said in (STOPPED, STARTED)]
        assert await outcomes(ground) == ["", "opted_out", "opted_in", "opted_in"]


@pytest.mark.parametrize(
    ("who", "answers", "kept"),
    [("edge", [STOPPED], 1), ("both", [STOPPED], 1), ("flow", ["got: stop"], 0)],
)
async def test_a_number_says_who_gets_keywords(ground: Ground, who: Any, answers: list[str], kept: int) -> None:
    number = base.NUMBERS[OURS].model_copy(update={"metadata": NumberMetadata(keywords=who)})
    post = base.Post()
    async with living(ground, post, number=number) as life:
        await life.says("stop")
        assert bodies(post) == answers
        assert len(await ground.rows(opt_outs)) == kept
        assert await outcomes(ground) == [{"edge": "opted_out"}.get(who, "finished")]


async def test_a_carrier_that_answers_keywords_itself_is_not_echoed(ground: Ground) -> None:
    post = base.Post()
    async with living(ground, post, silent=("post",)) as life:
        await life.says("help", "stop", "hello")
        assert bodies(post) == []
        assert await outcomes(ground) == ["helped", "opted_out", "finished"]


async def test_a_stop_counts_before_its_turn_comes(ground: Ground) -> None:
    """The flow of an earlier text still runs when he stops: what it sends from then on is not sent."""
    gate, post = asyncio.Event(), base.Post()
    library = base.Library(base.action("sleep", duration=1000), base.action("reply", text="late"))
    async with living(ground, post, library=library) as life:

        async def perform(text: Any, run: Any = life.inbox._perform) -> Any:
            if text.text == "hi":
                await gate.wait()
            return await run(text)

        life.inbox._perform = perform
        for body in ("hi", "stop"):
            await life.desk.receive(replace(base.TEXT, id=new_id(), body=body))
        assert await life.opt_outs.holds(PAIR)
        gate.set()
        await life.settle()
        assert bodies(post) == [STOPPED]


async def test_a_repeated_stop_is_the_same_one(ground: Ground) -> None:
    post = base.Post()
    async with living(ground, post) as life:
        stop, start = (replace(base.TEXT, id=body, body=body) for body in ("stop", "start"))
        for text in (stop, start, stop):  # his carrier sends the first again, long after
            await life.desk.receive(text)
            await life.settle()
        assert not await life.opt_outs.holds(PAIR)
        assert bodies(post) == [STOPPED, STARTED]


async def test_a_suspended_number_is_stopped_and_says_nothing(ground: Ground) -> None:
    post = base.Post()
    async with living(ground, post) as life:
        await life.says("stop", number=base.SUSPENDED)
        assert await life.opt_outs.holds(conversation_id(CUSTOMER, base.SUSPENDED, PEER))
        assert bodies(post) == []


WRITES = range(4)  # the text with its opt-out, the answer, what became of it, the end


@pytest.mark.parametrize("written", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("place", WRITES)
async def test_a_crash_at_any_write_answers_once(ground: Ground, place: int, written: bool) -> None:
    post, frail = base.Post(), Frail(ground.writer)
    life = Life(ground, post, frail, section=MannersSection())
    await life.start()
    frail.puts.clear()
    frail.dies_at = (place, written)
    text = replace(base.TEXT, body="stop")
    receiving = asyncio.create_task(life.desk.receive(text))
    dead = asyncio.create_task(frail.dead.wait())
    await asyncio.wait([receiving, dead], return_when=asyncio.FIRST_COMPLETED)
    acknowledged = receiving.done()
    if acknowledged:
        await life.settle()
    assert frail.dead.is_set()
    receiving.cancel()
    dead.cancel()
    await life.die()
    async with living(ground, post) as after:
        if not acknowledged:
            await after.desk.receive(text)
        await after.settle()
        assert await after.opt_outs.holds(PAIR)
        assert {text.body for text in post.took} == {STOPPED}
        assert len({text.id for text in post.took}) == 1
        assert await outcomes(ground) == ["opted_out"]


# Every sending


async def test_nothing_is_sent_to_who_opted_out_whoever_asks_for_it(ground: Ground) -> None:
    async with living(ground) as life:
        await life.opt_outs.enter(CUSTOMER, NIL, OURS, PEER, "key")
        with pytest.raises(Forbidden) as refused:
            await life.send()
        assert (refused.value.reason, refused.value.message) == (
            "OPTED_OUT",
            f"{PEER} has opted out of texts from {OURS}",
        )
        await life.send("+14155550112")
        assert await life.opt_outs.end(PAIR, "key")
        assert not await life.opt_outs.end(PAIR, "key")
        await life.send()


async def test_a_text_that_waited_is_not_sent_after_its_receiver_opted_out(ground: Ground) -> None:
    post = base.Post()
    async with living(ground, post) as life:
        taken = Outgoing(
            new_id(), CUSTOMER, "post", OURS, PEER, "late", micros(NOW), conversation_id=PAIR, number_id=NIL
        )
        await life.opt_outs.enter(CUSTOMER, NIL, OURS, PEER, "key")
        await life.outbox.put(taken)
        await life.settle()
        (row,) = await ground.rows(outbox)
        assert (row["state"], row["code"]) == ("failed", "OPTED_OUT")
        assert row["error"] == f"{PEER} has opted out of texts from {OURS}"
        assert bodies(post) == []


async def test_a_text_that_waited_is_not_sent_from_a_number_that_is_somebody_elses_by_now(ground: Ground) -> None:
    post = base.Post()
    async with living(ground, post) as life:

        async def owns(digits: str, customer: str) -> Number | None:
            return None

        life.owns = owns  # type: ignore[method-assign]  # the story says whose numbers are
        await life.outbox.put(Outgoing(new_id(), CUSTOMER, "post", OURS, PEER, "late", micros(NOW), number_id=NIL))
        await life.settle()
        (row,) = await ground.rows(outbox)
        assert (row["state"], row["code"]) == ("failed", "SOURCE_NOT_ALLOWED")
        assert row["error"] == f"{OURS} is no active number of this account any more"
        assert bodies(post) == []


async def test_whose_a_number_is_by_now_is_not_guessed(ground: Ground) -> None:
    async def away(digits: str, customer: str) -> Number | None:
        raise Unavailable("the database is away")

    async with living(ground) as life:
        life.owns = away  # type: ignore[method-assign]  # the story says whose numbers are
        with pytest.raises(NotNow):
            await life.manners.hand_over(
                Outgoing(new_id(), CUSTOMER, "post", OURS, PEER, "late", micros(NOW), number_id=NIL)
            )


async def test_what_another_process_was_told_counts_here(ground: Ground) -> None:
    async with living(ground) as one, living(ground, node="two") as two:
        await two.send()
        await one.says("stop")
        await two.opt_outs.look()
        with pytest.raises(Forbidden):
            await two.send()
        await one.says("start")
        await two.send()
        one.clock.move(LOOK_BACK.total_seconds() / 2)
        await one.says("stop", peer="+14155550112")
        two.clock.move(LOOK_BACK.total_seconds())  # clocks that differ
        for _ in range(2):
            await two.opt_outs.look()
        with pytest.raises(Forbidden):
            await two.send("+14155550112")


async def test_a_restart_knows_all_who_opted_out(ground: Ground) -> None:
    async with living(ground) as life:
        for n in range(30):
            await life.opt_outs.enter(CUSTOMER, NIL, OURS, f"+1415555{n:04}", "key")
    async with living(ground) as life:
        for n in range(30):
            with pytest.raises(Forbidden):
                await life.send(f"+1415555{n:04}")


async def test_the_next_owner_of_a_number_begins_anew_and_who_got_it_back_does_not(ground: Ground) -> None:
    async with living(ground) as life:
        await life.says("stop")
        assert not await life.opt_outs.holds(conversation_id(base.STRANGER, OURS, PEER))
        again = Number(**{**base.NUMBERS[OURS].model_dump(), "id": new_id()})
        life.directory.find = lambda digits, /: _found(again)  # type: ignore[method-assign]  # the story says whose numbers are
        with pytest.raises(Forbidden):
            await life.send()


async def test_whether_somebody_opted_out_is_not_guessed(ground: Ground) -> None:
    async with living(ground) as life:
        await life.opt_outs.enter(CUSTOMER, NIL, OURS, PEER, "key")

        async def away(id: str) -> Any:
            raise Unavailable("the database is away")

        life.opt_outs.standing = away  # type: ignore[method-assign]  # the story says whose numbers are
        with pytest.raises(Unavailable):
            await life.send()
        await life.send("+14155550112")  # of whom nobody ever heard is not asked about


async def test_old_ones_go_that_were_taken_back_and_no_others(ground: Ground) -> None:
    async with living(ground) as life:
        for peer in (PEER, "+14155550112"):
            await life.opt_outs.enter(CUSTOMER, NIL, OURS, peer, "key")
        await life.opt_outs.end(PAIR, "key")
        life.clock.move(1)
        assert [await life.opt_outs.purge(life.clock(), 10) for _ in range(2)] == [1, 0]
        assert [one.peer for one in await life.opt_outs.list(CUSTOMER)] == ["+14155550112"]


class Journal:
    """Of an account whose server wants to know all."""

    async def hears(self, customer_id: str, type: str) -> bool:
        return customer_id == CUSTOMER

    def written(self, customer_id: str) -> None:
        assert customer_id == CUSTOMER


async def test_an_accounts_server_is_told_who_opted_out_and_that_it_was_taken_back(ground: Ground) -> None:
    async with living(ground) as life:
        told = OptOutEvents(
            cast("Any", Journal()), lambda found: {"peer": found.peer, "by": found.begun_by}, life.clock
        )
        life.opt_outs._events = told
        await life.says("stop", "stop", "help", "start")
        life.clock.move(1)
        await life.opt_outs.enter(CUSTOMER, NIL, OURS, PEER, "key")
        await life.opt_outs.enter(CUSTOMER, NIL, OURS, PEER, "key")
        life.clock.move(1)
        assert [await life.opt_outs.end(PAIR, "key") for _ in range(2)] == [True, False]
    rows = [(row["type"], json.loads(row["body"])["data"]["by"]) for row in await ground.rows(events)]
    assert sorted(rows) == [
        ("opt_out_created", "key"),
        ("opt_out_created", "text"),
        ("opt_out_deleted", "key"),
        ("opt_out_deleted", "text"),
    ]


async def test_who_opts_out_while_the_filter_is_made_anew_is_in_it(
    ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with living(ground) as life:
        id = conversation_id(CUSTOMER, OURS, PEER)

        @asynccontextmanager
        async def slow(engine: Any) -> AsyncIterator[Any]:
            async with reading(engine) as connection:
                yield connection
            life.opt_outs.told(stop, "STOP")  # its row is about to be written

        stop = Incoming(new_id(), "post", "1", OURS, PEER, "STOP", "", 0, conversation_id=id, keyword="stop")
        monkeypatch.setattr("edge.sessions.texts.opt_outs.reading", slow)
        await life.opt_outs.start()
        assert life.opt_outs.suspects(id)


def test_the_filter_forgets_nobody_and_is_seldom_wrong() -> None:
    some = Filter(5_000)
    ids = [new_id() for _ in range(5_000)]
    for id in ids:
        some.add(id)
    assert all(id in some for id in ids)
    assert sum(new_id() in some for _ in range(5_000)) < 100


# Machines


@pytest.mark.parametrize(
    ("peer", "kind"),
    [
        (PEER, None),
        ("14155550111", None),
        ("123456789", None),
        ("sip:alice@192.0.2.1", None),
        ("12345", "short_codes"),
        ("12345678", "short_codes"),
        ("*123#", "short_codes"),
        ("ACME", "names"),
        ("a@b.example", "names"),
        ("anonymous", "names"),
        ("", "names"),
        (OURS, "itself"),
    ],
)
async def test_machines_are_not_answered_unless_that_is_wanted(ground: Ground, peer: str, kind: Any) -> None:
    assert mute_kind(OURS, peer) == kind
    if not peer:
        return
    post = base.Post()
    async with living(ground, post) as life:
        await life.says("hi", peer=peer)
        assert bodies(post) == ([] if kind else ["got: hi"])
        (row,) = [row for row in await ground.rows(messages) if row["direction"] == "inbound"]
        assert row["outcome"] == "finished"
        assert row["steps"][0]["outcome"] == ("failed" if kind else "done")
    if kind:
        async with living(ground, post, section=MannersSection(answer=(kind,))) as life:
            await life.says("hi", peer=peer)
            assert bodies(post) == ["got: hi"]


# Loops


async def test_a_loop_stops_and_a_minute_later_it_may_begin_again(ground: Ground) -> None:
    post = base.Post()
    async with living(ground, post, section=MannersSection(a_minute=3)) as life:
        await life.says(*"12345")
        assert bodies(post) == ["got: 1", "got: 2", "got: 3"]
        rows = [row for row in await ground.rows(messages) if row["direction"] == "inbound"]
        assert [row["steps"][0]["outcome"] for row in rows] == ["done"] * 3 + ["failed"] * 2
        assert "too often: a loop" in rows[-1]["steps"][0]["note"]
        life.seconds.now += MINUTE - 1
        await life.says("6")
        life.seconds.now += MINUTE - 1
        await life.says("7")
        assert len(post.took) == 3
        with pytest.raises(Exhausted) as refused:
            await life.send()
        assert refused.value.reason == "TEXT_LOOP"
        life.seconds.now += MINUTE
        await life.says("8")
        assert bodies(post)[3:] == ["got: 8"]


def test_a_loop_in_the_log_names_nobody() -> None:
    with capture_logs() as lines:
        Manners(MannersSection(), cast("OptOuts", None), Seconds())._guard._stops((OURS, PEER))
    (line,) = lines
    assert PEER not in logfmt(None, "warning", redact(None, "warning", line))


def test_pairs_are_counted_apart_and_answers_to_one_text_once() -> None:
    clock = Seconds()
    stopped: list[tuple[str, str]] = []
    guard = LoopGuard(2, clock, stopped.append)
    assert all(guard.admits(("a", "b"), "one text") for _ in range(9))
    assert guard.admits(("a", "b"), "another")
    assert guard.admits(("b", "a"), "another")
    assert not guard.admits(("a", "b"), NIL)
    assert not guard.admits(("a", "b"), "one text")
    assert stopped == [("a", "b")]
    assert all(guard.admits(("a", "c"), NIL) for _ in range(2))
    clock.now += MINUTE
    assert guard.admits(("a", "b"), NIL)
    assert len(guard) == 1  # who was quiet for a minute is not kept


def test_without_a_limit_nothing_is_counted() -> None:
    guard = LoopGuard(0, Seconds())
    assert all(guard.admits(("a", "b"), NIL) for _ in range(100))
    assert len(guard) == 0


def test_no_more_pairs_are_counted_than_there_is_room_for() -> None:
    clock = Seconds()
    guard = LoopGuard(1, clock)
    for n in range(PAIRS + 10):
        guard.admits(("a", str(n)), NIL)
    assert len(guard) == PAIRS


async def test_two_numbers_of_ours_do_not_answer_each_other_for_ever(ground: Ground) -> None:
    """What one sends comes in at the other, and its flow answers."""
    post = base.Post()
    async with living(ground, post, section=MannersSection(a_minute=5)) as life:
        await life.says("hi", peer=base.SAVED)
        passed = 0
        while passed < len(post.took):
            text = post.took[passed]
            passed += 1
            await life.says(str(passed), number=text.destination, peer=text.source)
        assert passed == 10


def test_those_that_were_taken_back_are_purged_by_an_index() -> None:
    engine = sa.create_engine("sqlite://")
    metadata.create_all(engine, tables=[opt_outs])
    query = _ended(NOW, 10).compile(engine, compile_kwargs={"literal_binds": True})
    with engine.connect() as connection:
        steps = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {query}").all()
    assert "ix_opt_outs_tm_end" in " ".join(str(step[3]) for step in steps)
