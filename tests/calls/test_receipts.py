"""Texts that are ordered over the API, what becomes of them, and dead letters: over HTTP, by the carrier of tests."""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from tests.calls.daemon import Daemon, daemon
from tests.calls.exchange import Exchange
from tests.web import Web, web_server

PEER = "+14155579999"
peers = itertools.count(1000)


@pytest.fixture(scope="module")
def web() -> Iterator[Web]:
    with web_server() as found:
        yield found


@pytest.fixture(scope="module")
def exchange(tmp_path_factory: pytest.TempPathFactory, web: Web) -> Iterator[Exchange]:
    extra = f"""
[http]
allow_private = ["127.0.0.1/32"]

[[carriers]]
kind = "loopback"

[[carriers]]
kind = "loopback"
name = "fickle"
callback = "{web.url}/texts"

[[text_routes]]
destination = "+1415556"
carriers = ["fickle"]
"""
    with daemon(tmp_path_factory.mktemp("receipts"), extra) as made:
        yield Exchange(made)
        assert made.alive, made.words()


@pytest.fixture(scope="module")
def number(exchange: Exchange) -> str:
    return str(exchange.number())


def send(exchange: Exchange, number: str, *peers: str, **more: Any) -> dict[str, Any]:
    body = {"customer_id": exchange.customer, "source": number, "destinations": list(peers), "text": "hello", **more}
    return exchange.daemon.ask("POST", "/v1.0/messages", body)


def status(made: Daemon, message_id: str) -> str:
    return str(made.ask("GET", f"/v1.0/messages/{message_id}")["targets"][0]["status"])


def report(exchange: Exchange, message_id: str, state: str, **more: str) -> None:
    exchange.daemon.ask("POST", "/v1.0/carriers/loopback/report", {"id": message_id, "status": state, **more})


def test_a_text_is_sent_and_delivered(exchange: Exchange, number: str) -> None:
    made = send(exchange, number, PEER)
    exchange.wait(lambda: status(exchange.daemon, made["id"]) == "sent", "the carrier's yes")
    report(exchange, made["id"], "sent")
    assert status(exchange.daemon, made["id"]) == "sent"
    report(exchange, made["id"].upper(), "delivered")
    assert status(exchange.daemon, made["id"]) == "delivered"
    report(exchange, made["id"], "failed", code="1")
    shown = exchange.daemon.ask("GET", f"/v1.0/messages/{made['id']}")
    assert shown["targets"][0]["status"] == "delivered"
    assert [(part["carrier_id"], part["status"]) for part in shown["edge"]["receipts"]] == [(made["id"], "delivered")]


def test_a_text_that_was_not_delivered_is_a_dead_letter_and_is_sent_again(exchange: Exchange, number: str) -> None:
    made = send(exchange, number, PEER)
    exchange.wait(lambda: status(exchange.daemon, made["id"]) == "sent", "the carrier's yes")
    report(exchange, made["id"], "failed", code="27", reason="absent subscriber")
    (dead,) = exchange.daemon.ask("GET", "/v1.0/messages/dead_letters?code=27")["result"]
    assert (dead["id"], dead["edge"]["reason"]) == (made["id"], "absent subscriber")
    again = exchange.daemon.ask("POST", f"/v1.0/messages/{made['id']}/resend", {})
    assert again["edge"]["history"][0]["code"] == "27"
    exchange.wait(lambda: status(exchange.daemon, made["id"]) == "sent", "the second sending")
    report(exchange, made["id"], "delivered")
    assert status(exchange.daemon, made["id"]) == "delivered"
    assert exchange.daemon.ask("GET", "/v1.0/messages/dead_letters?code=27")["result"] == []


def test_a_text_that_was_refused_is_sent_again_once_its_carrier_takes_it(
    exchange: Exchange, number: str, web: Web
) -> None:
    peer = f"+1415556{next(peers)}"
    web.says["/texts"] = [(403, "")]
    made = send(exchange, number, peer)
    assert made["edge"]["carrier"] == "fickle"
    exchange.wait(lambda: status(exchange.daemon, made["id"]) == "failed", "the carrier's no")
    done = exchange.daemon.ask("POST", "/v1.0/messages/dead_letters/resend", {"carrier": "fickle", "code": "403"})
    assert done == {"resent": 1, "refused": 0, "more": False}
    exchange.wait(lambda: status(exchange.daemon, made["id"]) == "sent", "the carrier's yes")
    assert [asked.json["id"] for asked in web.to("/texts")] == [made["id"]] * 2


def test_a_receipt_that_comes_before_the_answer_is_not_lost(exchange: Exchange, number: str, web: Web) -> None:
    """The carrier tells of a text while it has not answered yet that it took it."""
    peer = f"+1415556{next(peers)}"
    web.says["/texts"] = [(503, "")]  # it will be tried again in a second
    made = send(exchange, number, peer)
    body = {"id": made["id"], "status": "delivered"}
    exchange.daemon.ask("POST", "/v1.0/carriers/fickle/report", body)
    assert status(exchange.daemon, made["id"]) == "queued"
    exchange.wait(lambda: status(exchange.daemon, made["id"]) == "delivered", "the receipt")


def test_the_flow_of_a_text_that_failed_is_run_again(exchange: Exchange) -> None:
    gone = {"type": "fetch_flow", "option": {"flow_id": str(uuid.uuid4())}}
    number = exchange.number(texts=({"type": "reply", "option": {"text": "one moment"}}, gone))
    body = {"id": "dead", "from": PEER, "to": number, "text": "hi"}
    taken = exchange.daemon.ask("POST", "/v1.0/carriers/loopback/inbound", body)

    def shown() -> dict[str, Any]:
        return exchange.daemon.ask("GET", f"/v1.0/messages/{taken['id']}")

    exchange.wait(lambda: shown()["edge"]["outcome"] == "failed", "the failure")
    dead = exchange.daemon.ask("GET", "/v1.0/messages/dead_letters?direction=inbound")["result"]
    assert [message["id"] for message in dead] == [taken["id"]]
    assert "there is no flow" in dead[0]["edge"]["reason"]
    exchange.daemon.ask("POST", f"/v1.0/messages/{taken['id']}/resend", {})
    exchange.wait(lambda: shown()["edge"]["outcome"] == "failed", "the second failure")
    assert len(shown()["edge"]["history"]) == 1
    assert len(exchange.texts(number, "outbound")) == 1  # what it had said is not said again
