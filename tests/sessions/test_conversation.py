"""Conversations, as the inbox and the outbox write them."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any

import sqlalchemy as sa

from edge.sessions.conversation import Conversation, ConversationTable, conversation_id
from edge.sessions.tables import conversations, messages
from edge.sessions.texts.inbox import Inbox, InboxSection
from edge.sessions.texts.incoming import Incoming, Performed
from edge.sessions.texts.outbox import Outbox, OutboxSection, Outgoing
from edge.store.engine import writing
from edge.store.metadata import NIL, micros, new_id
from edge.store.page import Place
from tests.sessions.ground import Clock, Ground

ANN, BOB = "11111111-1111-4111-8111-111111111111", "22222222-2222-4222-8222-222222222222"
OURS, OTHER, PEER = "+14155550100", "+14155550101", "+14155550111"
NUMBER = "44444444-4444-4444-8444-444444444444"
HERE = conversation_id(ANN, OURS, PEER)


def came(body: str, minute: int, **change: Any) -> Incoming:
    given: dict[str, Any] = {"id": new_id(), "peer": PEER, "customer_id": ANN, "number": OURS, **change}
    return Incoming(
        **{"carrier": "sip", "route": "back", **given},
        carrier_id=given["id"],
        text=body,
        tm_create=at(minute),
        number_id=NUMBER,
        conversation_id=conversation_id(given["customer_id"], given["number"], given["peer"]),
    )


def went(body: str, minute: int, **change: Any) -> Outgoing:
    given: dict[str, Any] = {"id": new_id(), "peer": PEER, "customer_id": ANN, "number": OURS, **change}
    return Outgoing(
        **{"carrier": "sip", **given},
        text=body,
        tm_create=at(minute),
        number_id=NUMBER,
        conversation_id=conversation_id(given["customer_id"], given["number"], given["peer"]),
    )


def at(minute: int) -> int:
    return micros(Clock().now + timedelta(minutes=minute))


async def keep(ground: Ground, *texts: Incoming | Outgoing) -> ConversationTable:
    """What the inbox and the outbox do with them, one after another."""
    box = Outbox(OutboxSection(), ground.engine, ground.writer, {}, node="one", clock=Clock())
    inbox = Inbox(InboxSection(), ground.engine, ground.writer, nobody, node="one", clock=Clock())
    for text in texts:
        await (inbox.accept(text) if isinstance(text, Incoming) else box.put(text))
    return ConversationTable(ground.engine)


async def nobody(text: Incoming) -> Performed:
    raise AssertionError(f"{text.id} has no flow")


async def test_an_answer_goes_the_way_of_the_newest_text_that_came_in(ground: Ground) -> None:
    table = await keep(
        ground,
        went("hello?", 0, carrier="other"),
        came("1", 1, route="old"),
        came("2", 2, carrier="pigeon", route="new"),
        came("late", 1, carrier="snail", route="older"),
        went("3", 3, carrier="other"),
    )
    assert await table.find(HERE, ANN) == Conversation(HERE, OURS, PEER, "pigeon", "new")


async def test_one_that_we_began_goes_the_way_it_went(ground: Ground) -> None:
    table = await keep(ground, went("1", 1, carrier="sip"), went("2", 2, carrier="pigeon"))
    assert await table.find(HERE, ANN) == Conversation(HERE, OURS, PEER, "pigeon", "", texted=False)


async def test_another_accounts_does_not_exist(ground: Ground) -> None:
    table = await keep(ground, came("1", 1))
    assert await table.find(HERE, BOB) is None
    assert await table.find(new_id(), ANN) is None
    assert await table.find("", ANN) is None
    assert await table.get(HERE, BOB) is None
    assert (await table.get(HERE, None)) == (await table.get(HERE, ANN))


async def test_a_conversation_tells_who_talked_last_and_what_was_said(ground: Ground) -> None:
    first, last = came("hi", 1), went("hello", 4)
    table = await keep(ground, first, went("one moment", 2), came("?", 3), last)
    shown = await table.get(HERE, ANN)
    assert shown is not None
    assert (shown.customer_id, shown.number_id, shown.number, shown.peer) == (ANN, NUMBER, OURS, PEER)
    assert (shown.message_id, shown.direction, shown.text) == (last.id, "outbound", "hello")
    assert (micros(shown.tm_create), micros(shown.tm_update)) == (at(1), at(4))


async def test_a_text_that_is_repeated_is_nothing_new(ground: Ground) -> None:
    first = came("hi", 1)
    again = replace(first, id=new_id(), tm_create=at(9))
    table = await keep(ground, first, again)
    shown = await table.get(HERE, ANN)
    assert shown is not None
    assert (shown.message_id, micros(shown.tm_update)) == (first.id, at(1))


async def test_two_texts_at_once_make_one_conversation(ground: Ground) -> None:
    inboxes = [
        Inbox(InboxSection(), ground.engine, ground.writer, nobody, node=node, clock=Clock()) for node in ("one", "two")
    ]
    await asyncio.gather(*(inboxes[n % 2].accept(came(str(n), 1)) for n in range(20)))
    assert [row["id"] for row in await ground.rows(conversations)] == [HERE]


async def test_what_belongs_to_nobody_and_what_nobody_sent_makes_none(ground: Ground) -> None:
    stray = replace(came("who?", 1), conversation_id=NIL, customer_id=NIL)
    await keep(ground, stray, replace(came("", 2), direction="timer"), replace(went("x", 3), conversation_id=NIL))
    assert await ground.rows(conversations) == []


async def test_a_recycled_number_begins_anew_and_a_number_that_came_back_goes_on(ground: Ground) -> None:
    table = await keep(ground, came("to Ann", 1), came("to Bob", 2, customer_id=BOB), came("to Ann again", 3))
    (anns,), (bobs,) = await table.list(ANN), await table.list(BOB)
    assert (anns.id, anns.text, bobs.text) == (HERE, "to Ann again", "to Bob")
    assert anns.id != bobs.id


async def test_a_list_begins_where_something_was_said_last_and_goes_on_behind_a_place(ground: Ground) -> None:
    others = [f"+1415555020{n}" for n in range(5)]
    texts = [came(peer, n, peer=peer, number=OURS if n % 2 else OTHER) for n, peer in enumerate(others)]
    table = await keep(ground, *texts, went("again", 9, peer=others[1]), came("Bob's", 5, customer_id=BOB))

    async def peers(**which: Any) -> list[str]:
        return [shown.peer for shown in await table.list(ANN, **which)]

    assert await peers() == [others[n] for n in (1, 4, 3, 2, 0)]
    assert await peers(number=OTHER) == [others[n] for n in (4, 2, 0)]
    assert await peers(peer=others[2]) == [others[2]]
    assert await peers(since=Clock().now + timedelta(minutes=3)) == [others[n] for n in (1, 4, 3)]
    first = await table.list(ANN, size=2)
    assert await peers(after=Place(first[-1].tm_update, first[-1].id)) == [others[n] for n in (3, 2, 0)]
    assert len(await table.list(None)) == 6


async def test_one_in_which_nothing_was_said_for_long_goes(ground: Ground) -> None:
    table = await keep(ground, came("old", 1), came("new", 5, peer=OTHER))
    before = Clock().now + timedelta(minutes=3)
    assert [await table.purge(before, 10) for _ in range(2)] == [1, 0]
    assert [row["peer"] for row in await ground.rows(conversations)] == [OTHER]


async def test_a_conversation_outlives_its_newest_text(ground: Ground) -> None:
    first, last = came("hi", 1, carrier="pigeon", route="back"), came("bye", 2)
    table = await keep(ground, first, last)
    async with writing(ground.engine) as connection:
        await connection.execute(sa.delete(messages).where(messages.c.id == last.id))
    (shown,) = await table.list(ANN)
    assert (shown.id, shown.text, shown.direction) == (HERE, None, None)
    assert await table.find(HERE, ANN) == Conversation(HERE, OURS, PEER, "pigeon", "back")
