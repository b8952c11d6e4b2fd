"""Events of messages: each says what the API shows at that moment, and is written with what it tells of or not."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any, cast

import pytest
import sqlalchemy as sa

from edge.errors import Unavailable
from edge.sessions.events.journal import Journal
from edge.sessions.tables import events, messages
from edge.sessions.texts.dead_letters import DeadLetters
from edge.sessions.texts.events import MessageEvents
from edge.sessions.texts.inbox import Inbox, InboxSection
from edge.sessions.texts.incoming import Incoming, Performed
from edge.sessions.texts.message import Message, MessageTable
from edge.sessions.texts.outbox import Outbox, OutboxSection, Outgoing
from edge.sessions.texts.reports import ReceiptsSection, Reports
from edge.sms.carrier import Carrier, Refused
from edge.sms.text import OutgoingText, Receipt, Report
from edge.store.engine import reading
from edge.store.metadata import NIL, micros, new_id
from tests.sessions.ground import Clock, Frail, Ground, Pauses, end, until

ANN, FLOW = "11111111-1111-4111-8111-111111111111", "22222222-2222-4222-8222-222222222222"
OURS, THEIRS = "+14155550100", "+14155550111"


class Pigeon(Carrier):
    """Takes a text in two parts, or refuses it."""

    def __init__(self) -> None:
        super().__init__("pigeon")
        self.refuses = False

    async def send(self, text: OutgoingText) -> Receipt:
        if self.refuses:
            raise Refused("no such number", code="7")
        return Receipt(("a", "b"))


class Listener:
    """The journal, of an account whose server hears what `wants` says."""

    def __init__(self) -> None:
        self.wants = {"message_created", "message_updated", "message_deleted"}
        self.away = False
        self.told: list[str] = []

    async def hears(self, customer_id: str, type: str) -> bool:
        if self.away:
            raise Unavailable("nobody knows the account")
        assert customer_id == ANN
        return type in self.wants

    def written(self, customer_id: str) -> None:
        self.told.append(customer_id)


class Life:
    """One process: texts come in and go out."""

    def __init__(self, ground: Ground) -> None:
        self.ground, self.clock, self.writer = ground, Clock(), Frail(ground.writer)
        self.listener, self.carrier, self.table = Listener(), Pigeon(), MessageTable(ground.engine)
        news = MessageEvents(cast("Journal", self.listener), self.table, self.clock)
        writer = self.writer.as_writer()
        pace: Any = {"clock": self.clock, "pause": Pauses(short=True)}
        self.reports = Reports(ReceiptsSection(), ground.engine, ground.reader, writer, self.clock, news)
        self.outbox = Outbox(
            *(OutboxSection(), ground.engine, writer, {"pigeon": self.carrier}),
            node="one",
            along=self.reports,
            news=news,
            **pace,
        )
        self.inbox = Inbox(InboxSection(), ground.engine, writer, self.perform, node="one", news=news, **pace)
        self.letters = DeadLetters(self.table, writer, self.outbox, self.inbox, self.may, self.clock, news)

    async def perform(self, text: Incoming) -> Performed:
        return Performed("finished")

    async def may(self, message: Message) -> None:
        """It may."""

    def text(self, **change: Any) -> Outgoing:
        fields = {"id": new_id(), "customer_id": ANN, "carrier": "pigeon", "number": OURS, "peer": THEIRS}
        return Outgoing(**{**fields, "text": "hello", "tm_create": micros(self.clock.now), **change})

    async def sends(self) -> str:
        mine = self.text()
        assert await self.outbox.put(mine)
        await self.settle()
        return mine.id

    async def settle(self) -> None:
        await until(lambda: not any(sender.held for sender in self.outbox._senders.values()))
        await self.outbox.idle()
        await self.inbox.idle()

    async def receives(self, **change: Any) -> str:
        fields = {"id": new_id(), "carrier": "pigeon", "carrier_id": new_id(), "number": OURS, "peer": THEIRS}
        more = {"text": "hi", "route": "", "tm_create": micros(self.clock.now), "customer_id": ANN, "number_id": FLOW}
        accepted = await self.inbox.accept(Incoming(**{**fields, **more, **change}))
        return accepted.text.id

    async def says(self, status: Any, carrier_id: str = "a", **more: Any) -> None:
        await self.reports.take(Report("pigeon", carrier_id, status, self.clock.now, **more))

    async def events(self) -> list[dict[str, Any]]:
        async with reading(self.ground.engine) as connection:
            bodies = (await connection.execute(sa.select(events.c.body).order_by(events.c.seq))).scalars()
            return [json.loads(body) for body in bodies]

    async def told(self) -> list[tuple[str, str]]:
        return [(event["type"], event["data"]["targets"][0]["status"]) for event in await self.events()]

    async def last_is_what_is_shown(self, message_id: str) -> dict[str, Any]:
        """The last event says what the API shows now."""
        shown = await self.table.get(message_id)
        assert shown is not None
        event = (await self.events())[-1]
        assert event["data"] == shown.model_dump(mode="json")
        return event


@pytest.fixture
async def life(ground: Ground) -> AsyncIterator[Life]:
    life = Life(ground)
    await life.outbox.start()
    await life.inbox.start()
    yield life
    await end([*life.outbox._tending, *life.inbox._tending])
    for sender in life.outbox._senders.values():
        await sender.close()


async def test_a_text_that_comes_in(life: Life) -> None:
    message_id = await life.receives(media=("https://a/1.png",), parts=2, route="way", lookup_source="memory")
    event = await life.last_is_what_is_shown(message_id)
    assert (event["type"], event["timestamp"]) == ("message_created", "2026-08-01T09:00:00.000000Z")
    assert event["data"]["edge"]["media"] == ["https://a/1.png"]
    assert life.listener.told == [ANN]


async def test_a_text_that_comes_in_and_runs_a_flow_is_told_as_it_began(life: Life) -> None:
    message_id = await life.receives(flow_id=FLOW)
    await life.settle()
    (event,) = await life.events()
    assert (event["data"]["edge"]["flow_state"], event["data"]["edge"]["attempts"]) == ("pending", 1)
    shown = await life.table.get(message_id)
    assert shown is not None
    assert shown.edge.flow_state == "done"


async def test_a_text_that_comes_again_is_told_once_and_one_that_is_refused_never(life: Life) -> None:
    first = await life.receives(carrier_id="same")
    assert await life.receives(carrier_id="same") == first
    await life.receives(refusal="NumberSuspended")
    await life.receives(refusal="NumberUnknown", customer_id=NIL)
    await life.receives(direction="timer")
    assert [event["data"]["id"] for event in await life.events()] == [first]
    assert life.listener.told == [ANN]


async def test_a_text_that_goes_out_from_its_beginning_to_its_receipts(life: Life) -> None:
    life.carrier.refuses = True
    mine = life.text()
    original = life.carrier.send
    gate: list[dict[str, Any]] = []

    async def send(text: OutgoingText) -> Receipt:
        gate.append(await life.last_is_what_is_shown(mine.id))
        return await original(text)

    life.carrier.send = send  # type: ignore[method-assign]
    assert await life.outbox.put(mine)
    assert not await life.outbox.put(mine)
    await life.settle()
    assert gate[0]["type"] == "message_created"
    await life.last_is_what_is_shown(mine.id)
    life.carrier.refuses = False
    life.clock.move(60)
    life.carrier.send = original  # type: ignore[method-assign]
    await life.letters.resend(mine.id, ANN)
    await until(lambda: len(life.listener.told) >= 4)
    await life.settle()
    await life.last_is_what_is_shown(mine.id)
    life.clock.move(1)
    await life.says("delivered", "a")  # of one part: the message is where it was
    life.clock.move(1)
    await life.says("delivered", "b")
    event = await life.last_is_what_is_shown(mine.id)
    assert [one["status"] for one in event["data"]["edge"]["receipts"]] == ["delivered", "delivered"]
    assert len(event["data"]["edge"]["history"]) == 1
    await life.says("delivered", "b")
    assert await life.told() == [
        ("message_created", "queued"),
        ("message_updated", "failed"),
        ("message_updated", "queued"),
        ("message_updated", "sent"),
        ("message_updated", "delivered"),
    ]
    assert len({event["id"] for event in await life.events()}) == 5


async def test_a_failure_that_a_receipt_tells(life: Life) -> None:
    message_id = await life.sends()
    await life.says("failed", "b", code="30003", reason="the phone is off")
    event = await life.last_is_what_is_shown(message_id)
    assert (event["data"]["edge"]["code"], event["data"]["edge"]["reason"]) == ("30003", "the phone is off")


async def test_one_that_nobody_sends_any_more_is_given_up(life: Life) -> None:
    mine = life.text(carrier="gone")
    assert await life.outbox.put(mine)
    life.clock.move(25 * 3600)
    await life.outbox._expire()
    event = await life.last_is_what_is_shown(mine.id)
    assert event["data"]["targets"][0]["status"] == "failed"


async def test_what_is_deleted_takes_its_words_along(life: Life) -> None:
    message_id = await life.sends()
    async with life.ground.engine.begin() as connection:
        await connection.execute(sa.update(events).values(state="sent"))
    await life.letters.delete(message_id, ANN)
    (event,) = await life.events()
    assert (event["type"], event["data"]["id"], event["data"]["text"]) == ("message_deleted", message_id, "")
    assert event["data"]["tm_delete"] is not None


@pytest.mark.parametrize("wants", [set[str](), {"message_created"}, {"message_updated"}])
async def test_only_what_is_wanted_is_told(life: Life, wants: set[str]) -> None:
    life.listener.wants = wants
    await life.receives()
    await life.sends()
    await life.says("delivered", "a")
    await life.says("delivered", "b")
    assert {event["type"] for event in await life.events()} == wants
    assert len(await life.ground.rows(messages)) == 2


async def test_a_text_waits_for_who_is_to_be_told(life: Life) -> None:
    life.listener.away = True
    with pytest.raises(Unavailable):
        await life.receives()
    with pytest.raises(Unavailable):
        await life.outbox.put(life.text())
    assert await life.ground.rows(messages) == []
    life.listener.away = False
    await life.receives()
    await life.sends()
    assert [type for type, _ in await life.told()] == ["message_created", "message_created", "message_updated"]


@pytest.mark.parametrize("statement", ["inbox.keep", "outbox.queue"])
@pytest.mark.parametrize("wrote", [False, True])
async def test_a_crash_leaves_a_text_with_its_event_or_neither(ground: Ground, statement: str, wrote: bool) -> None:
    life = Life(ground)
    if wrote:
        life.writer.forgetful.add(statement)
    else:
        life.writer.refuses.add(statement)
    with pytest.raises(Unavailable):
        await (life.receives() if statement == "inbox.keep" else life.outbox.put(life.text()))
    kept, told = await ground.rows(messages), await life.events()
    assert [event["data"]["id"] for event in told] == [row["id"] for row in kept]
    assert len(kept) == wrote
