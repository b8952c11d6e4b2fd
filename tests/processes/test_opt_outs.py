"""Opt-outs with several edges: who stops at one gets nothing from the other, and a kill forgets nobody."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.calls.daemon import Daemon, daemon, new
from tests.servers import PostgresServer

pytestmark = pytest.mark.server

IN_FORCE_SECONDS = 1.0
NUMBER = "+14155550100"
CARRIER = '[[carriers]]\nkind = "loopback"\n'


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory, postgres: PostgresServer) -> Iterator[tuple[Daemon, Daemon, str]]:
    """Two edges on one PostgreSQL, without a Redis that could tell them of anything; and a customer."""
    extra = f'[redis]\nurl = "redis://127.0.0.1:1"\n{CARRIER}'
    database = postgres.create()
    a, b = (new(tmp_path_factory.mktemp(name), extra, store=database) for name in "ab")
    a.run("migrate", "--config", str(a.config))
    try:
        a.start()
        b.token = a.token
        b.start()
        customer = a.account()
        a.own(customer, NUMBER, message_flow_id=a.flow(customer, {"type": "reply", "option": {"text": "hello"}}))
        yield a, b, customer
    finally:
        a.stop()
        b.stop()


def says(edge: Daemon, peer: str, text: str) -> None:
    body = {"id": f"{peer} {text}", "from": peer, "to": NUMBER, "text": text}
    assert edge.ask("POST", "/v1.0/carriers/loopback/inbound", body)["status"] == "received"


def sends(edge: Daemon, customer: str, peer: str) -> int:
    order = {"customer_id": customer, "source": NUMBER, "destinations": [peer], "text": "news"}
    return edge.request("POST", "/v1.0/messages", order)[0]


def heard(edge: Daemon, peer: str) -> list[str]:
    texts = edge.ask("GET", "/v1.0/carriers/loopback/outbound")["result"]
    return [text["text"] for text in texts if text["to"] == peer]


def test_who_stops_at_one_edge_gets_nothing_from_the_other(pair: tuple[Daemon, Daemon, str]) -> None:
    a, b, customer = pair
    peer = "+14155550111"
    assert sends(b, customer, peer) == 200
    says(a, peer, "stop")
    since = time.monotonic()
    while sends(b, customer, peer) != 403:
        assert time.monotonic() - since < IN_FORCE_SECONDS
    print(f"\na stop: in force elsewhere after {(time.monotonic() - since) * 1000:.0f} ms")
    assert sends(a, customer, peer) == 403
    says(b, peer, "start")
    assert sends(a, customer, peer) == 200


def test_a_kill_right_after_a_stop_forgets_nobody_and_answers_once(tmp_path: Path) -> None:
    peers = [f"+1415555{n}" for n in range(2000, 2020)]
    with daemon(tmp_path, CARRIER) as edge:
        customer = edge.account()
        edge.own(customer, NUMBER)
        for peer in peers:
            says(edge, peer, "stop")
        edge.kill()
        edge.launch()
        edge.await_ready()
        assert {sends(edge, customer, peer) for peer in peers} == {403}
        edge.wait_until(
            lambda: all(
                text["targets"][0]["status"] == "sent" for text in edge.all("/v1.0/messages?direction=outbound")
            ),
            "the answers",
        )
        told = [text["targets"][0]["destination"]["target"] for text in edge.all("/v1.0/messages?direction=outbound")]
        assert sorted(told) == peers
        assert len(edge.all("/v1.0/opt_outs")) == len(peers)
