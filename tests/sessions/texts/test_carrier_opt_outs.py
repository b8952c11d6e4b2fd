"""Who opted out with a carrier has opted out here, once it says so, and until he takes it back there."""

from __future__ import annotations

import asyncio
import json
from typing import Any, cast

import pytest

from edge.errors import Forbidden
from edge.sessions.tables import events, messages
from edge.sessions.texts.opt_out_events import OptOutEvents
from edge.sessions.texts.tables import opt_outs, outbox
from edge.sms.carrier import Refused
from edge.sms.text import OutgoingText, Receipt, Report
from tests.sessions.ground import Frail, Ground
from tests.sessions.texts import test_desk as base
from tests.sessions.texts.test_manners import PAIR, Journal, Life, living, outcomes

STOPPED = Refused("telnyx answered 409: Blocked due to STOP message", code="40300")


class Post(base.Post):
    """A carrier that refuses what it is told to."""

    def __init__(self, *answers: Refused | None) -> None:
        super().__init__()
        self.answers = list(answers)
        self.tries = 0

    async def send(self, text: OutgoingText) -> Receipt:
        await asyncio.sleep(0)
        self.tries += 1
        if self.answers and (answer := self.answers.pop(0)) is not None:
            raise answer
        self.took.append(text)
        return Receipt(("id 1",))


def listening(life: Life) -> None:
    form = lambda found: {"peer": found.peer, "by": found.begun_by, "until": str(found.tm_end or "")}  # noqa: E731
    life.opt_outs._events = OptOutEvents(cast("Any", Journal()), form, life.clock)


async def told(ground: Ground) -> list[tuple[str, str]]:
    return [(row["type"], json.loads(row["body"])["data"]["by"]) for row in await ground.rows(events)]


async def test_a_refusal_for_an_opt_out_is_one_here_and_start_lifts_it(ground: Ground) -> None:
    post = Post(STOPPED)
    async with living(ground, post) as life:
        listening(life)
        await life.send()
        await life.settle()
        (sent,) = await ground.rows(outbox)
        assert (sent["state"], sent["code"], post.tries) == ("failed", "40300", 1)
        (row,) = await ground.rows(opt_outs)
        assert (row["id"], row["begun_by"], row["message_id"]) == (PAIR, "carrier post", sent["id"])
        with pytest.raises(Forbidden):
            await life.send()
        assert await told(ground) == [("opt_out_created", "carrier post")]
        await life.says("START")
        assert await outcomes(ground) == ["opted_in"]
        await life.send()
        await life.settle()
        assert [text.body for text in post.took][-1] == "news"
        assert sorted(await told(ground)) == [("opt_out_created", "carrier post"), ("opt_out_deleted", "carrier post")]


async def test_another_refusal_says_nothing_of_that(ground: Ground) -> None:
    async with living(ground, Post(Refused("no such number", code="40310"))) as life:
        await life.send()
        await life.settle()
        assert await ground.rows(opt_outs) == []


async def test_a_receipt_says_it_too(ground: Ground) -> None:
    async with living(ground, Post()) as life:
        listening(life)
        await life.send()
        await life.settle()
        await life.reports.take(Report("post", "id 1", "failed", life.clock(), code="40300", reason="blocked"))
        (sent,) = await ground.rows(outbox)
        (row,) = await ground.rows(opt_outs)
        (message,) = await ground.rows(messages)
        assert (sent["state"], row["begun_by"], row["number_id"]) == ("failed", "carrier post", message["number_id"])
        assert await told(ground) == [("opt_out_created", "carrier post")]


async def test_who_opted_out_before_stays_as_he_is(ground: Ground) -> None:
    async with living(ground, Post(None)) as life:
        listening(life)
        await life.send()
        await life.settle()
        await life.says("STOP")
        before = await ground.rows(opt_outs)
        await life.reports.take(Report("post", "id 1", "failed", life.clock(), code="40300"))
        assert await ground.rows(opt_outs) == before
        assert await told(ground) == [("opt_out_created", "text")]


async def test_a_second_one_after_he_came_back_is_told_again(ground: Ground) -> None:
    async with living(ground, Post(STOPPED, STOPPED)) as life:
        listening(life)
        for _ in range(2):
            await life.send()
            await life.settle()
            life.clock.move(1)
            await life.opt_outs.end(PAIR, "key")
            life.clock.move(1)
        assert [kind for kind, _ in await told(ground)].count("opt_out_created") == 2


@pytest.mark.parametrize("written", [False, True])
async def test_a_database_that_goes_away_meanwhile_loses_and_doubles_nothing(ground: Ground, written: bool) -> None:
    frail = Frail(ground.writer)
    (frail.forgetful if written else frail.refuses).add("outbox.failed")
    async with living(ground, Post(STOPPED), frail) as life:
        listening(life)
        await life.send()
        while "outbox.failed" not in frail.puts:
            await asyncio.sleep(0)
        frail.refuses.clear()
        await life.settle()
        assert len(await ground.rows(opt_outs)) == 1
        assert await told(ground) == [("opt_out_created", "carrier post")]


async def test_what_only_the_carrier_takes_for_a_keyword_is_one(ground: Ground) -> None:
    post = Post()
    async with living(ground, post, silent=("post",)) as life:
        listening(life)
        await life.says("no more please", keyword="stop")
        with pytest.raises(Forbidden):
            await life.send()
        await life.says("Join", keyword="start")
        await life.says("what?", keyword="help")
        await life.says("hello")
        assert await outcomes(ground) == ["opted_out", "opted_in", "helped", "finished"]
        assert [text.body for text in post.took] == ["got: hello"]
        assert sorted(await told(ground)) == [("opt_out_created", "text"), ("opt_out_deleted", "text")]


@pytest.mark.parametrize("words", ["genug", "STOP"])
async def test_the_event_of_such_a_keyword_is_there_though_the_process_dies_behind_the_commit(
    ground: Ground, words: str
) -> None:
    frail = Frail(ground.writer)
    async with living(ground, Post(), frail, silent=("post",)) as life:
        listening(life)
        frail.dies_at = (len(frail.puts), True)
        receiving = asyncio.create_task(life.says(words, keyword="stop"))
        await frail.dead.wait()
        receiving.cancel()
        assert ("opt_out_created", "text") in await told(ground)
