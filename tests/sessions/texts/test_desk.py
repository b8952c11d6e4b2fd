"""Texts from the desk to the carrier: what each is answered, and that no crash between loses or doubles one."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest

from edge.errors import EdgeError, NumberIncomplete, NumberReleased, NumberSuspended, NumberUnknown, Unavailable
from edge.flows.flow import Flow, compile_flow
from edge.metrics import REGISTRY
from edge.numbers.number import Number
from edge.plugins import load
from edge.sessions.conversation import conversation_id
from edge.sessions.memory import Memory, MemorySection
from edge.sessions.queues.books import Along
from edge.sessions.tables import messages
from edge.sessions.texts.desk import TextDesk, TextRuns
from edge.sessions.texts.inbox import Inbox, InboxSection
from edge.sessions.texts.outbox import Outbox, OutboxSection, Outgoing
from edge.sessions.texts.parking import Parking
from edge.sessions.texts.routes import TextRoutes
from edge.sessions.texts.session import TextSending
from edge.sessions.texts.tables import outbox
from edge.sms.carrier import Carrier
from edge.sms.text import ID_LIMIT, OutgoingText, Receipt, Text, Verdict
from edge.store.metadata import NIL, micros
from edge.store.tiers import Found
from tests.sessions.ground import Clock, Frail, Ground, Pauses, end, reach, until

load("edge.actions")

CUSTOMER = "11111111-1111-4111-8111-111111111111"
STRANGER = "22222222-2222-4222-8222-222222222222"
FLOW = "55555555-5555-4555-8555-555555555555"
OTHER = "66666666-6666-4666-8666-666666666666"
OURS, BARE, SUSPENDED, PENDING, RELEASED, SAVED = (f"+1415555010{last}" for last in range(6))
PEER = "+14155550111"
NOW = Clock().now
TEXT = Text("post", "id-1", PEER, OURS, "hello", NOW, country="US", route="back")


def number(digits: str, status: Any = "active", flow: str = FLOW, fallback: str = NIL) -> Number:
    return Number(
        id=f"44444444-4444-4444-8444-{digits[1:]:0>12}",
        customer_id=CUSTOMER,
        number=digits,
        status=status,
        message_flow_id=flow,
        fallback_flow_id=fallback,
        name="Main",
        tm_create=NOW,
    )


NUMBERS = {
    OURS: number(OURS),
    BARE: number(BARE, flow=NIL),
    SUSPENDED: number(SUSPENDED, "suspended"),
    PENDING: number(PENDING, "pending"),
    RELEASED: number(RELEASED, "released"),
    SAVED: number(SAVED, fallback=OTHER),
}


class Directory:
    def __init__(self) -> None:
        self.away = False

    async def find(self, digits: str, /) -> Found[Number]:
        if self.away:
            raise Unavailable("no tier knows")
        return Found(NUMBERS.get(digits), "sql")


class Library:
    """One flow of those actions, and `other` under its id; `after` is what the first names for its completion."""

    def __init__(self, *actions: dict[str, Any], other: dict[str, Any] | None = None, after: str = NIL) -> None:
        document = {"actions": list(actions), "on_complete_flow_id": after}
        self.flows = {FLOW: compile_flow(document, id=FLOW, customer_id=CUSTOMER, version=4)}
        if other is not None:
            self.flows[OTHER] = compile_flow({"actions": [other]}, id=OTHER, customer_id=CUSTOMER, version=2)

    async def find(self, flow_id: str, /) -> Found[Flow]:
        return Found(self.flows.get(flow_id), "sql")

    async def find_version(self, flow_id: str, version: int, /) -> Found[Flow]:
        found = self.flows.get(flow_id)
        return Found(found if found is not None and found.version == version else None, "sql")


def action(kind: str, **option: Any) -> dict[str, Any]:
    return {"type": kind, "option": option}


class Post(Carrier):
    """Takes everything, over all lives of the process."""

    def __init__(self) -> None:
        super().__init__("post")
        self.took: list[OutgoingText] = []

    async def send(self, text: OutgoingText) -> Receipt:
        await asyncio.sleep(0)
        self.took.append(text)
        return Receipt()


class Life:
    """One process: the desk and all behind it."""

    def __init__(
        self,
        ground: Ground,
        post: Post,
        library: Library,
        frail: Frail,
        along: Along[Outgoing] | None = None,
    ) -> None:
        self.clock = clock = Clock()
        pauses = Pauses(short=True)
        self.directory = Directory()
        self.outbox = Outbox(
            OutboxSection(),
            ground.engine,
            frail.as_writer(),
            {"post": post},
            node="one",
            along=along,
            clock=clock,
            pause=pauses,
        )
        sending = TextSending(self.outbox, self.owns, lambda: micros(clock()), TextRoutes([], ["sip"]))
        memory = Memory(MemorySection(), ground.engine, ground.reader, frail.as_writer(), clock)
        self.parking = Parking(ground.engine, ground.reader, frail.as_writer(), clock)
        self.runs = runs = TextRuns(self.directory, sending, reach(flows=library, memory=memory), self.parking, clock)
        self.inbox = Inbox(
            InboxSection(), ground.engine, frail.as_writer(), runs.perform, node="one", clock=clock, pause=pauses
        )
        self.desk = TextDesk(self.directory, self.inbox)
        self.frail = frail

    async def owns(self, digits: str, customer: str) -> Number | None:
        found = NUMBERS.get(digits)
        return found if found is not None and found.customer_id == customer and found.status == "active" else None

    async def start(self) -> None:
        await self.outbox.start()
        await self.inbox.start()

    async def settle(self) -> None:
        """Until nothing is to be done, or the process has died."""
        await until(lambda: self.frail.dead.is_set() or not self.inbox._held)
        box = self.outbox
        await until(lambda: self.frail.dead.is_set() or not (box._unsure or box._one_reads.locked()))
        await until(lambda: self.frail.dead.is_set() or not any(s.held for s in self.outbox._senders.values()))

    async def die(self) -> None:
        """As `kill -9` does it: nothing is written any more."""
        await end([*self.inbox._tending, *self.outbox._tending])
        await self.inbox._lanes.close()
        for sender in self.outbox._senders.values():
            await sender.close()


REPLY = Library(action("reply", text="got: ${voipbin.conversation_message.text}"))


@asynccontextmanager
async def living(
    ground: Ground, library: Library = REPLY, post: Post | None = None, frail: Frail | None = None
) -> AsyncIterator[Life]:
    life = Life(ground, post or Post(), library, frail or Frail(ground.writer))
    await life.start()
    try:
        yield life
    finally:
        await life.die()


@pytest.mark.parametrize(
    ("destination", "refusal", "row"),
    [
        (OURS, None, {"customer_id": CUSTOMER, "flow_id": FLOW, "number": OURS, "flow_state": "done"}),
        ("(415) 555-0100", None, {"customer_id": CUSTOMER, "number": OURS}),
        (f"sip:{OURS}@127.0.0.1:5060", None, {"customer_id": CUSTOMER, "number": OURS}),
        (BARE, None, {"customer_id": CUSTOMER, "flow_id": NIL, "flow_state": "none"}),
        (SUSPENDED, NumberSuspended, {"customer_id": CUSTOMER, "flow_state": "none"}),
        (PENDING, NumberUnknown, {"customer_id": NIL, "conversation_id": NIL, "flow_id": NIL}),
        (RELEASED, NumberReleased, {"customer_id": NIL, "flow_id": NIL, "flow_state": "none"}),
        ("+14155559999", NumberUnknown, {"customer_id": NIL, "number": "+14155559999"}),
        ("sip:alice@127.0.0.1", NumberUnknown, {"number": "sip:alice@127.0.0.1"}),
        ("+1415", NumberIncomplete, {"number": "+1415"}),
    ],
)
async def test_a_text_is_kept_and_answered(
    ground: Ground, destination: str, refusal: type[EdgeError] | None, row: dict[str, Any]
) -> None:
    async with living(ground) as life:
        verdict = await life.desk.receive(replace(TEXT, destination=destination))
        assert (verdict.refusal, verdict.repeated) == (refusal, False)
        await life.settle()
        (kept, *_) = [r for r in await ground.rows(messages) if r["direction"] == "inbound"]
        assert kept["id"] == verdict.message_id
        assert {name: kept[name] for name in row} == row
        again = await life.desk.receive(replace(TEXT, destination=destination))
        assert again == Verdict(verdict.message_id, refusal, repeated=True)


async def test_the_longest_id_is_kept(ground: Ground) -> None:
    chance = random.Random(1)  # what cannot be packed, in four octets each
    id = "".join(chr(chance.randrange(0x10000, 0x1FFFF)) for _ in range(ID_LIMIT))
    async with living(ground) as life:
        first = await life.desk.receive(Text("post", id, PEER, OURS, "hi", NOW))
        assert await life.desk.receive(Text("post", id, PEER, OURS, "hi", NOW)) == replace(first, repeated=True)


async def test_a_reply_reaches_the_sender(ground: Ground) -> None:
    post = Post()
    async with living(ground, post=post) as life:
        verdict = await life.desk.receive(replace(TEXT, body="${voipbin.conversation.id}"))
        await life.settle()
        (sent,) = post.took
        assert (sent.source, sent.destination, sent.route) == (OURS, PEER, "back")
        assert sent.body == "got: ${voipbin.conversation.id}"
        inbound, outbound = sorted(await ground.rows(messages), key=lambda row: str(row["direction"]))
        assert (inbound["outcome"], inbound["flow_version"], inbound["lookup_source"]) == ("finished", 4, "sql")
        assert [step["type"] for step in inbound["steps"]] == ["reply"]
        assert outbound["reference_id"] == verdict.message_id
        assert inbound["conversation_id"] == outbound["conversation_id"] == conversation_id(CUSTOMER, OURS, PEER)


@pytest.mark.parametrize(
    ("source", "peer"),
    [("4155550111", PEER), ("tel:+1-415-555-0111", PEER), ("12345", "12345"), ("ACME", "ACME"), ("sip:b@h", "sip:b@h")],
)
async def test_a_sender_is_a_number_where_he_can_be_one(ground: Ground, source: str, peer: str) -> None:
    async with living(ground) as life:
        await life.desk.receive(replace(TEXT, source=source))
        await life.settle()
        assert {row["peer"] for row in await ground.rows(messages)} == {peer}


async def test_a_customers_key_reaches_only_its_own_numbers(ground: Ground) -> None:
    async with living(ground) as life:
        assert (await life.desk.receive(replace(TEXT, id="a", account=STRANGER))).refusal is NumberUnknown
        assert (await life.desk.receive(replace(TEXT, id="b", account=CUSTOMER))).refusal is None
        await life.settle()
        kept = [row["carrier_id"] for row in await ground.rows(messages) if row["customer_id"] == CUSTOMER]
        assert {carrier_id for carrier_id in kept if carrier_id} == {"b"}


async def test_the_number_of_a_suspended_account_is_not_reached(ground: Ground) -> None:
    async def account(found: Number) -> None:
        raise NumberSuspended(f"the account of {found.number} is suspended")

    async with living(ground) as life:
        verdict = await TextDesk(life.directory, life.inbox, account).receive(TEXT)
        assert (verdict.refusal, verdict.sip) == (NumberSuspended, 403)
        await life.settle()
        (row,) = await ground.rows(messages)
        assert (row["customer_id"], row["flow_state"]) == (CUSTOMER, "none")


async def test_a_text_that_cannot_be_looked_up_or_kept_is_refused_for_now(ground: Ground) -> None:
    def refused() -> float:
        labels = {"carrier": "post", "direction": "inbound", "outcome": "unavailable"}
        return REGISTRY.get_sample_value("edge_texts_total", labels) or 0.0

    before = refused()
    async with living(ground) as life:
        life.directory.away = True
        with pytest.raises(Unavailable):
            await life.desk.receive(TEXT)
        life.directory.away = False
        life.frail.away = True
        with pytest.raises(Unavailable):
            await life.desk.receive(TEXT)
        life.frail.away = False
        assert refused() == before + 2
        assert not (await life.desk.receive(TEXT)).repeated


async def test_a_flow_that_is_gone_ends_the_run(ground: Ground) -> None:
    library = Library(action("stop"))
    library.find = lambda flow_id, /: _nothing()  # type: ignore[method-assign]
    async with living(ground, library) as life:
        await life.desk.receive(TEXT)
        await life.settle()
        (row,) = await ground.rows(messages)
        assert (row["flow_state"], row["outcome"]) == ("done", "failed")
        assert row["error"] == f"there is no flow {FLOW} any more"


async def _nothing() -> Found[Flow]:
    return Found(None, "sql")


# A process that dies at any moment

STORY = Library(
    action("reply", text="one"),
    action("message_send", destinations=[{"type": "tel", "target": "+14155550333"}], text="two"),
    action("reply", text="three"),
)
EXPECTED = [("one", PEER), ("three", PEER), ("two", "+14155550333")]


async def tell(ground: Ground, post: Post, dies_at: tuple[int, bool] | None) -> tuple[bool, list[str]]:
    """One life: it gets the text, and perhaps dies at one of its writes. Whether the text was acknowledged."""
    frail = Frail(ground.writer)
    life = Life(ground, post, STORY, frail)
    await life.start()
    frail.puts.clear()
    frail.dies_at = dies_at
    receiving = asyncio.create_task(life.desk.receive(TEXT))
    dead = asyncio.create_task(frail.dead.wait())
    await asyncio.wait([receiving, dead], return_when=asyncio.FIRST_COMPLETED)
    acknowledged = receiving.done()
    if acknowledged:
        await life.settle()
    receiving.cancel()
    dead.cancel()
    await life.die()
    return acknowledged, frail.puts


async def test_the_story_without_a_crash(ground: Ground) -> None:
    post = Post()
    acknowledged, puts = await tell(ground, post, None)
    assert acknowledged
    assert sorted((text.body, text.destination) for text in post.took) == EXPECTED
    assert len(puts) == len(WRITES)


WRITES = range(8)  # the text, three texts and what became of each, the end of the run


@pytest.mark.parametrize("written", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("place", WRITES)
async def test_a_crash_at_any_write_loses_and_doubles_nothing(ground: Ground, place: int, written: bool) -> None:
    post = Post()
    acknowledged, puts = await tell(ground, post, (place, written))
    assert len(puts) > place
    async with living(ground, STORY, post) as life:
        if not acknowledged:  # its carrier heard nothing, and sends it again
            verdict = await life.desk.receive(TEXT)
            assert verdict.repeated is written
        await life.settle()
    assert len([row for row in await ground.rows(messages) if row["direction"] == "inbound"]) == 1
    assert {row["flow_state"] for row in await ground.rows(messages)} == {"none", "done"}
    assert [row["state"] for row in await ground.rows(outbox)] == ["sent"] * 3
    unique = {text.id: (text.body, text.destination) for text in post.took}
    assert sorted(unique.values()) == EXPECTED  # each to its receiver, whatever was repeated under the same id
    assert len(post.took) <= len(EXPECTED) + 3


FAIL = {"id": "fail", "type": "branch", "option": {"variable": "nothing", "target_ids": {}}}


async def test_the_fallback_answers_a_text_whose_flow_failed(ground: Ground) -> None:
    post = Post()
    library = Library(FAIL, other=action("reply", text="sorry: ${edge.flow.error}"))
    async with living(ground, library, post=post) as life:
        await life.desk.receive(replace(TEXT, destination=SAVED))
        await life.settle()
        why = "branch (id fail): no target for the value of nothing, and no default"
        assert [sent.body for sent in post.took] == [f"sorry: {why}"]
        (kept,) = [row for row in await ground.rows(messages) if row["direction"] == "inbound"]
        assert (kept["outcome"], kept["error"], kept["flow_version"]) == ("failed", why, 4)
        assert [step["type"] for step in kept["steps"]] == ["branch", "fallback", "reply"]


async def test_a_completion_sends_after_the_reply_and_neither_is_taken_for_the_other(ground: Ground) -> None:
    post = Post()
    same = {"id": "same", **action("message_send", destinations=[PEER], text="${voipbin.activeflow.complete_count}")}
    library = Library({"id": "same", **action("reply", text="0")}, other=same, after=OTHER)
    async with living(ground, library, post=post) as life:
        await life.desk.receive(TEXT)
        await life.settle()
        assert [sent.body for sent in post.took] == ["0", "1"]


async def test_the_desk_knows_when_each_carrier_last_brought_a_text(ground: Ground) -> None:
    async with living(ground) as life:
        assert life.desk.last == {}
        await life.desk.receive(TEXT)
        assert life.desk.last == {"post": NOW}
