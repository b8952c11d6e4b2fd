"""Trunks made over the API, on real sockets: in force at once, by address and transport.

The daemon's file knows 127.0.0.2 only. Where several trunks share an address their transports tell them apart.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.calls.callee import Callee
from tests.calls.caller import Caller
from tests.calls.daemon import free_port, new, running
from tests.calls.exchange import ANSWER, STAY, Exchange, redirect
from tests.calls.message import Message
from tests.calls.rtp import offer

IN_FORCE_SECONDS = 1.0
NEWCOMER, SHARED, OUT = "127.0.0.21", "127.0.0.23", "127.0.0.24"
AWAY = redirect("sip:there@192.0.2.77")


@pytest.fixture(scope="module")
def exchange(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exchange]:
    daemon = new(tmp_path_factory.mktemp("trunks"), environ={"EDGE_STORE__LAZY_MS": "20"})
    daemon.configure(networks="127.0.0.2/32")
    with running(daemon):
        yield Exchange(daemon)
        assert daemon.alive, daemon.words()


def make(exchange: Exchange, name: str, *networks: str, **more: Any) -> dict[str, Any]:
    return exchange.daemon.ask("POST", "/v1.0/trunks", {"name": name, "networks": networks, "country": "US", **more})


@pytest.fixture(scope="module")
def shared(exchange: Exchange) -> dict[str, dict[str, Any]]:
    """One address, a trunk for each transport."""
    return {by: make(exchange, f"by-{by}", SHARED, transport=by) for by in ("udp", "tcp")}


def answered(caller: Caller, number: str, seconds: float) -> Message | None:
    """The answer to a call, if there is one in time."""
    call = caller.call(number, offer(caller.media))
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        caller.listen(0.02)
        found = [message for message in caller.inbox if message.final and message.text("Call-ID") == call.id]
        if found:
            call.acknowledge(found[0])
            return found[0]
    return None


def test_a_trunk_is_in_force_with_its_answer_and_gone_with_its_end(exchange: Exchange) -> None:
    number = exchange.number(AWAY)
    with Caller(exchange.daemon.sip, host=NEWCOMER) as caller:
        assert answered(caller, number, 0.1) is None, "a stranger hears nothing"
        made = make(exchange, "newcomer", f"{NEWCOMER}/32")
        found = answered(caller, number, IN_FORCE_SECONDS)
        assert found is not None
        assert found.status == 302
        exchange.daemon.ask("PUT", f"/v1.0/trunks/{made['id']}", {"transport": "tcp"})
        assert answered(caller, number, 0.1) is None, "by that transport it is a stranger"
        with Caller(exchange.daemon.sip, transport="tcp", host=NEWCOMER) as stream:
            found = answered(stream, number, IN_FORCE_SECONDS)
            assert found is not None
            assert found.status == 302
        exchange.daemon.ask("DELETE", f"/v1.0/trunks/{made['id']}")
        assert answered(caller, number, 0.1) is None


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_one_address_is_of_another_trunk_by_each_transport(
    exchange: Exchange, shared: dict[str, dict[str, Any]], transport: str
) -> None:
    number = exchange.number(AWAY)
    with Caller(exchange.daemon.sip, transport=transport, host=SHARED) as caller:
        call = caller.call(number, offer(caller.media))
        assert call.refused().status == 302
    record = exchange.record(call.id)
    assert (record["trunk"], record["trunk_id"]) == (f"by-{transport}", shared[transport]["id"])


def test_a_trunk_in_the_way_of_another_is_refused(exchange: Exchange, shared: dict[str, Any]) -> None:
    body = {"name": "third", "networks": [f"{SHARED}/32"], "transport": "any"}
    status, answer = exchange.daemon.request("POST", "/v1.0/trunks", body)
    assert (status, answer["error"]["reason"]) == (400, "NETWORK_TAKEN")
    assert f"{SHARED}/32 is that of trunk by-udp already" in str(answer)


def test_a_number_answers_on_its_trunks_only(exchange: Exchange, shared: dict[str, dict[str, Any]]) -> None:
    number = exchange.provision(AWAY)
    exchange.daemon.ask("PUT", f"/v1.0/numbers/{number['id']}", {"trunk_ids": [shared["tcp"]["id"]]})
    statuses = {}
    for transport in ("udp", "tcp"):
        with Caller(exchange.daemon.sip, transport=transport, host=SHARED) as caller:
            call = caller.call(number["number"], offer(caller.media))
            statuses[transport] = call.refused().status
            if transport == "udp":
                nearest = exchange.record(call.id)["nearest"]
    assert statuses == {"udp": 404, "tcp": 302}
    assert nearest == f"{number['number']} is bound on trunk by-tcp, not by-udp"


def test_texts_for_it_too(exchange: Exchange, shared: dict[str, dict[str, Any]]) -> None:
    number = exchange.provision(texts=({"type": "stop"},))
    exchange.daemon.ask("PUT", f"/v1.0/numbers/{number['id']}", {"trunk_ids": [shared["tcp"]["id"]]})
    statuses = {}
    for transport in ("udp", "tcp"):
        with Caller(exchange.daemon.sip, transport=transport, host=SHARED) as caller:
            statuses[transport] = caller.answer(caller.text(number["number"], "hello")).status
    assert statuses == {"udp": 404, "tcp": 202}


def test_a_trunk_s_rules_on_the_wire(exchange: Exchange, shared: dict[str, dict[str, Any]]) -> None:
    number = exchange.number(AWAY)
    path = f"/v1.0/trunks/{shared['udp']['id']}"
    rules = {"dialed_from": ["p-called-party-id"], "dialed_rules": [{"prefix": "99", "strip": 2, "add": "+"}]}
    exchange.daemon.ask("PUT", path, rules)
    with Caller(exchange.daemon.sip, host=SHARED, user="4155550199") as caller:
        field = f"P-Called-Party-ID: <sip:99{number[1:]}@pbx.example.com>"
        call = caller.call("pilot", offer(caller.media), field)
        assert call.refused().status == 302
    exchange.daemon.ask("PUT", path, {"dialed_from": ["request-uri"], "dialed_rules": []})
    record = exchange.record(call.id)
    assert (record["dialed_from"], record["dialed_rewritten"]) == ("p-called-party-id", number)
    assert (record["source"]["target"], record["source_raw"]) == ("+14155550199", "4155550199")


def test_a_target_that_is_not_there_is_followed_by_the_next(exchange: Exchange) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.bind((OUT, 0))
        nobody, port = free_port(socket.SOCK_STREAM, 25_900), one.getsockname()[1]
        targets = {"target": f"sip:{OUT}:{nobody};transport=tcp", "failover": [f"sip:{OUT}:{port}"]}
        made = make(exchange, "out", OUT, outbound=True, advertise="127.0.0.1", **targets)
        number = exchange.number({"type": "connect", "option": {"destinations": ["tel:+14155550177"]}})
        sip = exchange.daemon.sip
        with Caller(sip, transport="tcp", host=SHARED) as caller, Callee(sip, one) as callee:
            call = caller.call(number, offer(caller.media))
            rung = callee.rung()
            rung.answers(offer(callee.media))
            call.answered()
            call.hang_up()
            callee.reply(callee.request("BYE"), 200)
        exchange.daemon.ask("DELETE", f"/v1.0/trunks/{made['id']}")
    assert exchange.counted("edge_trunk_failovers_total", trunk="out") == 1


def test_calls_of_a_trunk_that_goes_go_on(exchange: Exchange) -> None:
    made = make(exchange, "short", "127.0.0.25/32", transport="tcp")
    number = exchange.number(ANSWER, STAY)
    with Caller(exchange.daemon.sip, transport="tcp", host="127.0.0.25") as caller:
        call = caller.call(number, offer(caller.media))
        call.answered()
        exchange.daemon.ask("DELETE", f"/v1.0/trunks/{made['id']}")
        call.hang_up()
