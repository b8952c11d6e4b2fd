from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, cast

import pytest

from edge.errors import Forbidden, Invalid, Unavailable
from edge.flows.flow import compile_flow
from edge.flows.run import Run
from edge.numbers.number import Number
from edge.plugins import load
from edge.sessions.conversation import conversation_id
from edge.sessions.texts.incoming import Incoming
from edge.sessions.texts.outbox import Outbox, Outgoing
from edge.sessions.texts.routes import TextRoute, TextRoutes
from edge.sessions.texts.session import MessageSession, TextSending, message_id
from edge.sms.text import BODY_LIMIT
from edge.store.metadata import NIL, is_id
from tests.sessions.ground import Clock, Pauses, reach

load("edge.actions")

CUSTOMER = "11111111-1111-4111-8111-111111111111"
OURS, OTHER, PEER = "+14155550100", "+14155550200", "+14155550111"
TEXT = Incoming(
    id="33333333-3333-4333-8333-333333333333",
    carrier="sip",
    carrier_id="c1",
    number=OURS,
    peer=PEER,
    text="hello ${voipbin.conversation.id}",
    route="back",
    tm_create=0,
    customer_id=CUSTOMER,
    number_id="44444444-4444-4444-8444-444444444444",
    conversation_id=conversation_id(CUSTOMER, OURS, PEER),
    flow_id="55555555-5555-4555-8555-555555555555",
)


def number(digits: str = OURS, **change: Any) -> Number:
    return Number(id=TEXT.number_id, customer_id=CUSTOMER, number=digits, tm_create=Clock().now, **change)


class Box:
    """An outbox that is away as often as it is told."""

    def __init__(self, away: int = 0) -> None:
        self.away = away
        self.texts: list[Outgoing] = []

    async def put(self, text: Outgoing) -> bool:
        if self.away:
            self.away -= 1
            raise Unavailable("the database is away")
        self.texts.append(text)
        return True


async def owns(digits: str, customer: str) -> Number | None:
    return number(digits) if digits in (OURS, OTHER) and customer == CUSTOMER else None


def session(
    box: Box, text: Incoming = TEXT, pauses: Pauses | None = None, routes: Sequence[TextRoute] = ()
) -> MessageSession:
    flow = compile_flow({"actions": [{"id": "first", "type": "reply", "option": {"text": "x"}}]})
    sending = TextSending(cast("Outbox", box), owns, lambda: 7, TextRoutes(routes, ["first"]))
    return MessageSession(
        text,
        Run(flow, id=NIL, medium="message", clock=Clock()),
        sending,
        reach(),
        pause=pauses or Pauses(short=True),
    )


async def test_a_reply_goes_back_the_way_the_text_came() -> None:
    box = Box()
    new_id = await session(box).reply("thanks")
    assert box.texts == [
        Outgoing(
            id=new_id,
            customer_id=CUSTOMER,
            carrier="sip",
            number=OURS,
            peer=PEER,
            text="thanks",
            tm_create=7,
            route="back",
            number_id=TEXT.number_id,
            conversation_id=TEXT.conversation_id,
            reference_id=TEXT.id,
        )
    ]
    assert is_id(new_id)


async def test_a_repeated_run_sends_under_the_same_ids() -> None:
    first, again, other = Box(), Box(), Box()
    for box, text in ((first, TEXT), (again, TEXT), (other, replace(TEXT, id=CUSTOMER))):
        run = session(box, text)
        await run.reply("one")
        await run.reply("two")
        await run.send_text(OURS, "+14155550333", "three")
    assert [text.id for text in first.texts] == [text.id for text in again.texts]
    assert len({text.id for box in (first, other) for text in box.texts}) == 6


def test_ids_tell_step_and_occurrence_apart() -> None:
    assert len({message_id(CUSTOMER, *which) for which in (("a", 1), ("a", 2), ("b", 1), ("1", 1), ("1 1", 1))}) == 5


@pytest.mark.parametrize(
    ("source", "destination", "route"),
    [(OURS, "+14155550333", ""), (OTHER, PEER, ""), (OURS, PEER, "back")],
)
async def test_only_an_answer_goes_by_the_route_of_the_text(source: str, destination: str, route: str) -> None:
    box = Box()
    await session(box).send_text(source, destination, "hi")
    (text,) = box.texts
    assert (text.number, text.peer, text.route, text.carrier) == (source, destination, route, "sip")
    assert text.conversation_id == conversation_id(CUSTOMER, source, destination)
    assert text.reference_id == TEXT.id


@pytest.mark.parametrize(
    ("destination", "carrier"),
    [(PEER, "sip"), ("+14155550333", "bay"), ("+4930123456", "berlin"), ("+33123456789", "sip")],
)
async def test_what_answers_none_goes_as_the_routes_say(destination: str, carrier: str) -> None:
    routes = [TextRoute(destination="+1", carriers=("bay",)), TextRoute(destination="+49", carriers=("berlin", "bay"))]
    box = Box()
    await session(box, routes=routes).send_text(OURS, destination, "hi")
    assert [text.carrier for text in box.texts] == [carrier]


async def test_what_comes_from_no_text_goes_by_the_first_carrier_where_there_is_one() -> None:
    box = Box()
    about = {"id": NIL, "customer_id": CUSTOMER, "source": OURS, "destination": PEER, "text": "hi"}
    for carriers in (["first", "second"], []):
        sending = TextSending(cast("Outbox", box), owns, lambda: 7, TextRoutes([], carriers))
        if carriers:
            await sending.send(**about)
        else:
            with pytest.raises(Unavailable, match="no carrier for texts is configured"):
                await sending.send(**about)
    assert [text.carrier for text in box.texts] == ["first"]


@pytest.mark.parametrize(
    ("source", "destination", "body", "error", "fault"),
    [
        ("+14155550999", PEER, "hi", Forbidden, None),
        (OURS, "12345", "hi", Invalid, "destination: is no number in E.164"),
        (OURS, "sip:bob@h", "hi", Invalid, "destination: is no number in E.164"),
        (OURS, PEER, "", Invalid, "text: is empty"),
        (OURS, PEER, "a\0b", Invalid, "text: has a NUL character"),
        (OURS, PEER, "\ud83d", Invalid, "text: has half of a surrogate pair"),
        (OURS, PEER, "x" * (BODY_LIMIT + 1), Invalid, f"text: has {BODY_LIMIT + 1} characters, more than {BODY_LIMIT}"),
    ],
)
async def test_what_may_not_be_sent(
    source: str, destination: str, body: str, error: type[Exception], fault: str | None
) -> None:
    box = Box()
    with pytest.raises(error) as caught:
        await session(box).send_text(source, destination, body)
    if isinstance(caught.value, Invalid):
        assert list(map(str, caught.value.faults)) == [fault]
    assert box.texts == []


async def test_an_empty_reply_is_refused_and_a_short_code_can_be_answered() -> None:
    box = Box()
    with pytest.raises(Invalid):
        await session(box).reply("")
    await session(box, replace(TEXT, peer="12345")).reply("ok")
    assert box.texts[0].peer == "12345"


async def test_an_answer_waits_for_the_database() -> None:
    box, pauses = Box(away=6), Pauses(short=True)
    await session(box, pauses=pauses).reply("thanks")
    assert [text.text for text in box.texts] == ["thanks"]
    assert pauses.taken == [0.1, 0.3, 1.0, 3.0, 3.0, 3.0]


async def test_sleeping_takes_the_time_it_says() -> None:
    pauses = Pauses(short=True)
    await session(Box(), pauses=pauses).sleep(2.5)
    assert pauses.taken == [2.5]


def test_a_conversation_is_one_peer_one_number_one_customer() -> None:
    mine = (CUSTOMER, OURS, PEER)
    assert conversation_id(*mine) == conversation_id(*mine)
    others = [(TEXT.id, OURS, PEER), (CUSTOMER, OTHER, PEER), (CUSTOMER, OURS, OTHER)]
    assert len({conversation_id(*which) for which in (mine, *others)}) == 4
