"""What flows ask of the world, on behalf of a session that is none of it."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from types import SimpleNamespace
from typing import Any, TypeVar, cast

import pytest

from edge.errors import EdgeError, Exhausted, Forbidden, Invalid, NotFound, Unavailable
from edge.flows.dial import CallOrder
from edge.flows.flow import compile_flow
from edge.flows.outside import Email, Webhook
from edge.flows.session import SessionEnded
from edge.http import Answer
from edge.plugins import load
from edge.sessions.conversation import Conversation
from edge.sessions.deliveries.attachment import Attachments
from edge.sessions.deliveries.delivery import Delivery
from edge.sessions.deliveries.letter import SmtpSection
from edge.sessions.deliveries.mail import Mail
from edge.sessions.origin import Origin
from edge.sessions.outside import Made, Master, Outside
from edge.store.metadata import new_id
from tests.sessions.ground import Clock, reach

load("edge.actions")

T = TypeVar("T")


class Patient:
    """A session that tries again while something is Unavailable, as that of a text does; `ended`, it asks nothing."""

    customer_id = "11111111-1111-4111-8111-111111111111"

    def __init__(self) -> None:
        self.id = new_id()
        self.begun = 0
        self.ended: SessionEnded | None = None

    number_id = "01910000-0000-7000-8000-000000000003"
    peer = "+14155550199"
    origin = Origin(customer_id, "+14155550100")

    def chain(self, call: Made) -> None:
        raise AssertionError("nothing is chained here")

    def next_id(self) -> str:
        return f"{self.id}/{self.begun}"

    async def during(self, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        while self.ended is None:
            self.begun += 1
            try:
                return await work()
            except Unavailable:
                assert self.begun < 5
        raise self.ended


class Web:
    """URLs that give these answers."""

    def __init__(self, *answers: Answer | EdgeError) -> None:
        self.answers = list(answers)
        self.asked: list[Any] = []

    async def request(self, method: str, url: str, **more: Any) -> Answer:
        self.asked.append((method, url, more))
        answer = self.answers.pop(0)
        if isinstance(answer, EdgeError):
            raise answer
        return answer


async def test_a_url_is_asked_as_the_flow_said() -> None:
    web = Web(Answer(500, b"?", "text/plain"))
    outside = Outside(Patient(), reach(http=web))
    answer = await outside.request("PUT", "https://example.com/", headers={"A": "b"}, body=b"x", max_bytes=7)
    assert answer == Answer(500, b"?", "text/plain")
    assert web.asked == [("PUT", "https://example.com/", {"headers": {"A": "b"}, "body": b"x", "max_bytes": 7})]


@pytest.mark.parametrize("error", [Unavailable("it did not come"), Forbidden("not allowed")])
async def test_a_url_that_is_away_is_not_asked_again(error: EdgeError) -> None:
    web, host = Web(error), Patient()
    with pytest.raises(type(error)):
        await Outside(host, reach(http=web)).request("GET", "https://example.com/", headers={}, max_bytes=7)
    assert len(web.asked) == host.begun == 1


async def test_a_session_that_is_over_asks_nothing() -> None:
    web, host = Web(), Patient()
    host.ended = SessionEnded("remote")
    with pytest.raises(SessionEnded):
        await Outside(host, reach(http=web)).request("GET", "https://example.com/", headers={}, max_bytes=7)
    assert web.asked == []


# Calls of their own


class Switch:
    """Makes calls, or does not."""

    def __init__(self, error: EdgeError | None = None) -> None:
        self.error = error
        self.orders: list[Any] = []

    async def call(self, origin: Origin, order: CallOrder, master: Master | None = None) -> list[Any]:
        self.orders.append((origin, order, master))
        if self.error is not None:
            raise self.error
        return [SimpleNamespace(id="one"), SimpleNamespace(id="two")]


@pytest.mark.parametrize("chained", [True, False])
async def test_calls_are_made_for_the_session_and_chained_to_it_if_it_wants(chained: bool) -> None:
    switch, host = Switch(), Patient()
    order = CallOrder(("tel:+14155550177",), compile_flow({"actions": [{"type": "beep"}]}), chained=chained)
    assert await Outside(host, reach(calls=switch)).call(order) == ["one", "two"]
    assert switch.orders == [(host.origin, order, host if chained else None)]


async def test_a_call_that_cannot_be_made_now_is_not_tried_again() -> None:
    switch, host = Switch(Unavailable("no trunk takes calls")), Patient()
    order = CallOrder(("tel:+14155550177",), compile_flow({"actions": [{"type": "beep"}]}))
    with pytest.raises(Unavailable, match="no trunk"):
        await Outside(host, reach(calls=switch)).call(order)
    assert len(switch.orders) == host.begun == 1


# What is kept and sent later


HOOK = Webhook("POST", "https://example.com/x?token=secret", "text/plain", "hi")
LETTER = Email("ann@example.com", "Ann", "hi", "hello")


class Book:
    """Keeps deliveries, texts and conversations; is away as often as it is told, or full."""

    def __init__(self, *failures: EdgeError) -> None:
        self.failures = list(failures)
        self.kept: list[Any] = []

    async def put(self, delivery: Delivery) -> bool:
        self._fail()
        self.kept.append(delivery)
        return True

    async def find(self, conversation_id: str, customer_id: str) -> Conversation | None:
        self._fail()
        known = (conversation_id, customer_id) == ("c1", Patient.customer_id)
        return Conversation("c1", "+14155550100", "+14155550111", "sip", "back") if known else None

    async def go_on(self, conversation: Conversation, id: str, customer_id: str, text: str, **more: str) -> str:
        self._fail()
        self.kept.append((conversation, id, customer_id, text, more))
        return id

    def _fail(self) -> None:
        if self.failures:
            raise self.failures.pop(0)


def beside(asking: Patient, book: Book, **smtp: Any) -> Outside:
    mail = Mail(SmtpSection(**smtp), cast("Attachments", None))
    return Outside(asking, reach(deliveries=book, conversations=book, texts=book, mail=mail, clock=Clock()))


async def test_what_cannot_be_kept_now_is_kept_later_under_the_same_id() -> None:
    away = Unavailable("the database is away")
    for send in ("send_webhook", "send_email", "send_to_conversation"):
        host, book = Patient(), Book(away, away)
        outside = beside(host, book, host="mail", sender="edge@example.com")
        expected = host.next_id()
        match send:
            case "send_webhook":
                found = await outside.send_webhook(HOOK)
            case "send_email":
                found = await outside.send_email(LETTER)
            case _:
                expected = f"{host.id}/3"  # it looked the conversation up before
                found = await outside.send_to_conversation("c1", "hello")
        assert found == expected
        (kept,) = book.kept
        if isinstance(kept, Delivery):
            assert (kept.id, kept.customer_id, kept.reference_id) == (expected, host.customer_id, host.id)
        else:
            assert kept[1:] == (expected, host.customer_id, "hello", {"reference_id": host.id})


async def test_what_is_not_taken_is_said_at_once() -> None:
    with pytest.raises(Exhausted):
        await beside(Patient(), Book(Exhausted("full"))).send_webhook(HOOK)
    with pytest.raises(Invalid, match="no mail server"):
        await beside(Patient(), Book()).send_email(LETTER)
    for conversation in ("c2", ""):
        with pytest.raises(NotFound, match="there is no conversation"):
            await beside(Patient(), Book()).send_to_conversation(conversation, "hello")


class Hooks:
    """Webhooks whose server gives these answers."""

    def __init__(self, *answers: Answer | EdgeError) -> None:
        self.answers = list(answers)
        self.asked: list[Any] = []

    async def ask(self, event_id: str, customer_id: str, webhook: Webhook, *, max_bytes: int) -> Answer:
        self.asked.append((event_id, customer_id, webhook, max_bytes))
        answer = self.answers.pop(0)
        if isinstance(answer, EdgeError):
            raise answer
        return answer


async def test_a_webhook_that_is_waited_for_is_sent_once() -> None:
    host, hooks = Patient(), Hooks(Answer(503, b"later", "text/plain"), Unavailable("nobody there"))
    outside = Outside(host, reach(webhooks=hooks))
    assert (await outside.call_webhook(HOOK, max_bytes=7)).status == 503
    assert hooks.asked == [(f"{host.id}/0", host.customer_id, HOOK, 7)]
    with pytest.raises(Unavailable, match="nobody there"):
        await outside.call_webhook(HOOK, max_bytes=7)
    assert len(hooks.asked) == 2
