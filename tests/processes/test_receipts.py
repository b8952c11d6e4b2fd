"""Receipts and dead letters between two edges on one PostgreSQL, and over kills."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest

from tests.calls.daemon import Daemon, new
from tests.servers import PostgresServer, RedisServer
from tests.web import Web, web_server

pytestmark = pytest.mark.server

OURS, PEER = "+14155550100", "+14155570111"


class Pair(NamedTuple):
    """Edges whose carrier answers a text when `web` hurries, and tells of it whenever it wants, to either."""

    a: Daemon
    b: Daemon
    web: Web
    customer: str

    def order(self, edge: Daemon) -> str:
        """A text that an edge is asked to send; its id."""
        body = {"customer_id": self.customer, "source": OURS, "destinations": [PEER], "text": "hello"}
        return str(edge.ask("POST", "/v1.0/messages", body)["id"])

    def report(self, edge: Daemon, message_id: str, status: str) -> None:
        edge.ask("POST", "/v1.0/carriers/slow/report", {"id": message_id, "status": status})

    def shown(self, message_id: str) -> dict[str, Any]:
        return self.b.ask("GET", f"/v1.0/messages/{message_id}")

    def becomes(self, message_id: str, status: str) -> None:
        self.b.wait_until(
            lambda: self.shown(message_id)["targets"][0]["status"] == status, f"the text is {status}", seconds=20
        )

    def tries(self, message_id: str) -> int:
        return sum(asked.json["id"] == message_id for asked in self.web.to("/slow"))

    def asked(self, message_id: str, times: int = 1) -> None:
        self.b.wait_until(lambda: self.tries(message_id) >= times, f"the carrier was asked {times} times")


@pytest.fixture(scope="module")
def pair(
    tmp_path_factory: pytest.TempPathFactory, postgres: PostgresServer, shared_redis: RedisServer
) -> Iterator[Pair]:
    shared_redis.say("FLUSHALL")
    database = postgres.create()
    with web_server() as web:
        extra = f"""
[redis]
url = "{shared_redis.url}"

[http]
allow_private = ["127.0.0.1/32"]

[[carriers]]
kind = "loopback"
name = "slow"
callback = "{web.url}/slow"
"""
        a = new(tmp_path_factory.mktemp("a"), extra, store=database)
        b = new(tmp_path_factory.mktemp("b"), extra, store=database)
        a.run("migrate", "--config", str(a.config))
        try:
            a.start()
            b.token = a.token
            b.start()
            customer = a.account()
            a.own(customer, OURS)
            yield Pair(a, b, web, customer)
        finally:
            web.hurry.set()
            a.stop()
            b.stop()


@pytest.fixture
def waiting(pair: Pair) -> Pair:
    """The pair while its carrier does not answer."""
    pair.web.hurry.clear()
    return pair


def test_a_receipt_at_one_edge_finds_the_text_whose_answer_the_other_waits_for(waiting: Pair) -> None:
    text = waiting.order(waiting.a)
    waiting.asked(text)
    waiting.report(waiting.b, text, "delivered")
    assert waiting.shown(text)["targets"][0]["status"] == "queued"
    waiting.web.hurry.set()
    waiting.becomes(text, "delivered")
    assert waiting.tries(text) == 1


def test_a_receipt_outlives_the_edge_that_never_heard_the_answer(waiting: Pair) -> None:
    text = waiting.order(waiting.a)
    waiting.asked(text)
    waiting.report(waiting.b, text, "delivered")
    waiting.a.kill()
    waiting.web.hurry.set()
    assert waiting.shown(text)["targets"][0]["status"] == "queued"
    waiting.a.start()
    waiting.becomes(text, "delivered")  # it was sent again, under the same id, for nobody had heard the answer
    assert waiting.tries(text) == 2


def test_a_receipt_finds_the_text_of_an_edge_that_is_dead(pair: Pair) -> None:
    pair.web.hurry.set()
    text = pair.order(pair.a)
    pair.becomes(text, "sent")
    pair.a.kill()
    try:
        pair.report(pair.b, text, "failed")
        assert pair.shown(text)["targets"][0]["status"] == "failed"
        pair.b.ask("POST", f"/v1.0/messages/{text}/resend", {})
        pair.becomes(text, "sent")
        pair.report(pair.b, text, "delivered")
        assert pair.shown(text)["targets"][0]["status"] == "delivered"
        assert pair.tries(text) == 2
    finally:
        pair.a.start()
