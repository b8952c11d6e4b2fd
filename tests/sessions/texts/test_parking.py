"""Flows that wait for the next text: they go on where they were, after a restart too, and never twice."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa

from edge.flows.action import Park
from edge.flows.flow import compile_flow
from edge.flows.parked import from_json, to_json
from edge.flows.run import Run
from edge.sessions.tables import messages
from edge.sessions.texts.incoming import Incoming
from edge.sessions.texts.message import MessageTable
from edge.sessions.texts.parking import timer_id_of
from edge.sessions.texts.tables import parked_runs
from edge.sms.text import Text
from edge.store.metadata import NIL
from tests.sessions.ground import Clock, Frail, Ground
from tests.sessions.texts.test_desk import (
    CUSTOMER,
    FLOW,
    NUMBERS,
    OTHER,
    OURS,
    PEER,
    TEXT,
    Library,
    Life,
    Post,
    action,
    living,
)

MINUTE = 60_000
ASK = {"id": "ask", **action("reply", text="Your name?")}
WAIT = {"id": "wait", **action("text_receive", duration=MINUTE, timeout_target_id="late")}
THANKS = {"id": "thanks", **action("reply", text="Thanks ${voipbin.conversation_message.text}, ${first}")}
LATE = {"id": "late", **action("reply", text="Too late${voipbin.conversation_message.text} (${first})")}
KEEP = {"id": "keep", **action("variable_set", key="first", value="${voipbin.conversation_message.text}")}
STOP = {"id": "stop", "type": "stop"}
TALK = Library(KEEP, ASK, WAIT, THANKS, STOP, LATE)


def says(body: str, id: str = "", **more: Any) -> Text:
    return replace(TEXT, id=id or f"id-{body}", body=body, **more)


def sent(post: Post) -> list[str]:
    """What was sent, once each."""
    return list({text.id: text.body for text in post.took}.values())


async def outcomes(ground: Ground) -> list[str]:
    return [row["outcome"] for row in await ground.rows(messages) if row["direction"] == "inbound"]


async def test_the_next_text_goes_to_the_flow_that_waits_with_what_it_had_set(ground: Ground) -> None:
    post = Post()
    async with living(ground, TALK, post) as life:
        for body in ("hi", "Ann", "hello again"):
            await life.desk.receive(says(body))
            await life.settle()
    assert sent(post) == ["Your name?", "Thanks Ann, hi", "Your name?"]
    assert await outcomes(ground) == ["parked", "stopped", "parked"]
    first, second, _ = [row for row in await ground.rows(messages) if row["direction"] == "inbound"]
    assert [step["step"] for step in first["steps"]] == ["keep", "ask", "wait"]
    assert [step["step"] for step in second["steps"]] == ["keep", "ask", "wait", "thanks", "stop"]
    assert second["flow_version"] == 4


async def test_it_waits_for_one_person_at_one_number(ground: Ground) -> None:
    post = Post()
    async with living(ground, TALK, post) as life:
        await life.desk.receive(says("hi"))
        await life.settle()
        await life.desk.receive(says("other", source="+14155550112"))
        await life.settle()
    assert sent(post) == ["Your name?", "Your name?"]


async def test_after_a_restart_it_goes_on_where_it_was_even_if_the_flow_has_changed(ground: Ground) -> None:
    post = Post()
    async with living(ground, TALK, post) as life:
        await life.desk.receive(says("hi"))
        await life.settle()
    changed = Library(KEEP, ASK, WAIT, THANKS, STOP, LATE)
    new = compile_flow({"actions": [{"type": "reply", "option": {"text": "new"}}]})
    versions = changed.flows[FLOW]

    async def find(flow_id: str, /) -> Any:
        return (await TALK.find(flow_id))._replace(value=replace(new, id=FLOW, customer_id=CUSTOMER, version=5))

    changed.find = find  # type: ignore[method-assign]  # the newest version is another one now
    assert versions.version == 4
    async with living(ground, changed, post) as life:
        await life.desk.receive(says("Ann"))
        await life.settle()
        await life.desk.receive(says("and now"))
        await life.settle()
    assert sent(post) == ["Your name?", "Thanks Ann, hi", "new"]


async def test_when_no_text_comes_in_time_it_goes_on_with_the_timeout_target(ground: Ground) -> None:
    post = Post()
    async with living(ground, TALK, post) as life:
        await life.desk.receive(says("hi"))
        await life.settle()
        life.clock.move(59)
        await life.parking.look(life.inbox.accept)
        await life.settle()
        assert sent(post) == ["Your name?"]
        life.clock.move(2)
        for _ in range(3):
            await life.parking.look(life.inbox.accept)
            await life.settle()
        assert sent(post) == ["Your name?", "Too late (hi)"]
        await life.desk.receive(says("Ann"))
        await life.settle()
    assert sent(post) == ["Your name?", "Too late (hi)", "Your name?"]
    answer = post.took[1]
    assert (answer.source, answer.destination, answer.route) == (OURS, PEER, "back")


@pytest.mark.parametrize("now", [None, {"id": OTHER}, {"status": "released"}, {"status": "suspended"}])
async def test_a_number_that_is_ours_no_more_says_nothing_when_the_time_is_over(
    ground: Ground, monkeypatch: pytest.MonkeyPatch, now: dict[str, Any] | None
) -> None:
    post = Post()
    async with living(ground, TALK, post) as life:
        await life.desk.receive(says("hi"))
        await life.settle()
        if now is None:
            monkeypatch.delitem(NUMBERS, OURS)
        else:
            monkeypatch.setitem(NUMBERS, OURS, NUMBERS[OURS].model_copy(update=now))
        life.clock.move(61)
        await life.parking.look(life.inbox.accept)
        await life.settle()
    assert sent(post) == ["Your name?"]
    (timer,) = [row for row in await ground.rows(messages) if row["direction"] == "timer"]
    assert (timer["outcome"], timer["error"]) == ("failed", f"{OURS} is active no more")
    (parked,) = await ground.rows_of(parked_runs)
    assert (parked["state"], parked["due"]) == ("", 0)


async def test_a_text_that_was_faster_than_the_timer_has_the_run(ground: Ground) -> None:
    post = Post()
    async with living(ground, TALK, post) as life:
        await life.desk.receive(says("hi"))
        await life.settle()
        life.clock.move(61)
        both = life.desk.receive(says("Ann")), life.parking.look(life.inbox.accept)
        await asyncio.gather(*both)
        await life.settle()
        assert sent(post) == ["Your name?", "Thanks Ann, hi"]


async def test_two_edges_put_one_timer_into_the_inbox(ground: Ground) -> None:
    post = Post()
    async with living(ground, TALK, post) as one:
        await one.desk.receive(says("hi"))
        await one.settle()
        one.clock.move(61)
        two = Life(ground, post, TALK, Frail(ground.writer))
        two.clock.move(61)
        (timer,) = await ground.rows_of(parked_runs)
        assert timer["due"] > 0
        await one.parking.look(one.inbox.accept)
        await two.parking.look(one.inbox.accept)
        await one.settle()
    assert sent(post) == ["Your name?", "Too late (hi)"]
    assert len([row for row in await ground.rows(messages) if row["direction"] == "timer"]) == 1


async def test_a_timer_that_cannot_be_read_keeps_no_other_waiting(ground: Ground) -> None:
    post = Post()
    async with living(ground, TALK, post) as life:
        for source in ("+14155550112", PEER):
            await life.desk.receive(says("hi", f"id-{source}", source=source))
            await life.settle()
            life.clock.move(1)
        async with ground.engine.begin() as connection:
            change = sa.update(parked_runs).where(parked_runs.c.peer == "+14155550112")
            await connection.execute(change.values(timer='{"of": "another version"}'))
        life.clock.move(61)
        await life.parking.look(life.inbox.accept)
        await life.settle()
    assert [text.destination for text in post.took if text.body == "Too late (hi)"] == [PEER]


async def test_a_look_that_goes_wrong_is_not_the_last_one(ground: Ground) -> None:
    looks = list[int]()

    async def wrong(_: Incoming) -> None:
        raise AssertionError

    async def look(_: Any) -> None:
        looks.append(len(looks))
        raise ZeroDivisionError

    async def pause(_: float) -> None:
        if len(looks) == 3:
            raise asyncio.CancelledError

    async with living(ground, TALK) as life:
        object.__setattr__(life.parking, "look", look)
        with pytest.raises(asyncio.CancelledError):
            await life.parking.watch(wrong, pause)
    assert looks == [0, 1, 2]


async def test_nobody_is_shown_a_timer(ground: Ground) -> None:
    async with living(ground, TALK) as life:
        await life.desk.receive(says("hi"))
        await life.settle()
        life.clock.move(61)
        await life.parking.look(life.inbox.accept)
        await life.settle()
    table = MessageTable(ground.engine)
    shown = await table.list(None)
    assert sorted(message.text for message in shown) == ["Too late (hi)", "Your name?", "hi"]
    (timer,) = [row for row in await ground.rows(messages) if row["direction"] == "timer"]
    assert await table.get(timer["id"]) is None


async def test_a_text_whose_run_is_repeated_does_not_take_itself_for_the_next_one(ground: Ground) -> None:
    post = Post()
    async with living(ground, TALK, post) as life:
        verdict = await life.desk.receive(says("hi"))
        await life.settle()
        (row,) = [row for row in await ground.rows(messages) if row["id"] == verdict.message_id]
        again = {name: row[name] for name in Incoming.__dataclass_fields__ if name in row} | {"tm_create": 1}
        performed = await life.runs.perform(Incoming(**again))
        assert performed.outcome == "parked"
        await life.settle()
    assert sent(post) == ["Your name?"]


@pytest.mark.parametrize("written", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("place", range(8))  # the text, begin, the answer and its receipt, the park, the end …
@pytest.mark.parametrize("which", [0, 1], ids=["hi", "Ann"])
async def test_a_crash_at_any_write_loses_and_doubles_nothing(
    ground: Ground, which: int, place: int, written: bool
) -> None:
    post = Post()
    bodies = ("hi", "Ann")
    for index, body in enumerate(bodies):
        frail = Frail(ground.writer)
        life = Life(ground, post, TALK, frail)
        await life.start()
        frail.puts.clear()
        frail.dies_at = (place, written) if index == which else None
        receiving = asyncio.create_task(life.desk.receive(says(body)))
        dead = asyncio.create_task(frail.dead.wait())
        await asyncio.wait([receiving, dead], return_when=asyncio.FIRST_COMPLETED)
        acknowledged = receiving.done()
        if acknowledged:
            await life.settle()
        receiving.cancel()
        dead.cancel()
        await life.die()
        async with living(ground, TALK, post) as after:
            if not acknowledged:
                await after.desk.receive(says(body))
            await after.settle()
    assert sent(post) == ["Your name?", "Thanks Ann, hi"]
    assert await outcomes(ground) == ["parked", "stopped"]


async def test_a_flow_that_is_gone_is_a_failure_and_waits_no_longer(ground: Ground) -> None:
    post = Post()
    async with living(ground, TALK, post) as life:
        await life.desk.receive(says("hi"))
        await life.settle()
    gone = Library(KEEP, ASK, WAIT, THANKS, STOP, LATE)
    gone.flows[FLOW] = replace(gone.flows[FLOW], version=9)
    async with living(ground, gone, post) as life:
        await life.desk.receive(says("Ann"))
        await life.settle()
        await life.desk.receive(says("hi", "id-third"))
        await life.settle()
    assert await outcomes(ground) == ["parked", "failed", "parked"]
    assert sent(post) == ["Your name?", "Your name?"]


async def test_it_waits_inside_a_flow_that_another_one_entered_and_comes_back(ground: Ground) -> None:
    post = Post()
    menu = {"id": "menu", **action("fetch_flow", flow_id=OTHER)}
    after = {"id": "after", **action("reply", text="after ${voipbin.conversation_message.text}")}
    library = Library(menu, after, other={"id": "w", **action("text_receive", duration=MINUTE)})
    async with living(ground, library, post) as life:
        for body in ("hi", "Ann"):
            await life.desk.receive(says(body))
            await life.settle()
    assert sent(post) == ["after Ann"]


async def test_counters_and_steps_that_were_fetched_are_kept() -> None:
    clock = Clock()
    loop = [
        {"id": "w", "type": "text_receive"},
        {"id": "g", "type": "goto", "option": {"target_id": "w", "loop_count": 2}},
        {"id": "r", "type": "reply", "option": {"text": "x"}},
    ]
    root = compile_flow({"actions": loop}, id=FLOW, customer_id=CUSTOMER, version=4)
    fetched = compile_flow({"actions": loop}, customer_id=CUSTOMER)
    run = Run(root, id="run", medium="message", clock=clock)
    run.waiting += [(root, 1), (fetched, 2)]
    run.parked = Park(5.0, "r")
    run.variables.set("own", "1")
    run.variables.set_system("edge.flow.error", "why")
    for flow in (root, fetched):
        run.step = flow.steps[1]
        assert run.count_down(2)
    run.entries.append(("w", "text_receive", "done", ""))

    async def find(flow_id: str, version: int) -> Any:
        assert (flow_id, version) == (FLOW, 4)
        return root

    copy = await from_json(to_json(run), find, clock=clock, variables={"given": "2"})
    assert (copy.id, copy.medium, copy.flow, copy.parked) == ("run", "message", root, run.parked)
    assert [index for _, index in copy.waiting] == [1, 2]
    assert copy.waiting[1][0].id == NIL
    assert copy.variables.own() == run.variables.own()
    assert (copy.variables.get("given"), copy.entries) == ("2", run.entries)
    for flow, _ in copy.waiting:
        copy.step = flow.steps[1]
        assert (copy.count_down(2), copy.count_down(2)) == (True, False)
    copy.resume(timed_out=True)
    assert copy.at == (copy.at[0], 2)
    assert copy.parked is None


def test_a_timer_has_the_id_of_its_text() -> None:
    assert timer_id_of(NIL) == timer_id_of(NIL) != timer_id_of(FLOW)
