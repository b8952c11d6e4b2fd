"""What an account's server is told: everything that happens, signed, in order for each resource, and nothing twice."""

from __future__ import annotations

import itertools
import re
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from standardwebhooks import Webhook as Verifier

from tests.calls.caller import Caller
from tests.calls.daemon import daemon
from tests.calls.exchange import ANSWER, STAY, Exchange
from tests.calls.rtp import offer
from tests.servers import free_port
from tests.web import Asked, Web, web_server

DOCS = Path(__file__).parents[2] / "docs"

paths = itertools.count(1)


@pytest.fixture(scope="module")
def web() -> Iterator[Web]:
    with web_server() as found:
        yield found


@pytest.fixture(scope="module")
def exchange(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exchange]:
    extra = """
[http]
allow_private = ["127.0.0.1/32"]

[events]
first_wait_seconds = 0.1

[[carriers]]
kind = "loopback"
"""
    with daemon(tmp_path_factory.mktemp("events"), extra, environ={"EDGE_STORE__LAZY_MS": "20"}) as made:
        yield Exchange(made)
        assert made.alive, made.words()


@pytest.fixture
def caller(exchange: Exchange) -> Iterator[Caller]:
    with Caller(exchange.daemon.sip) as found:
        yield found


class Account:
    """An account of its own, whose server hears all that happens."""

    def __init__(self, exchange: Exchange, web: Web, **webhook: Any) -> None:
        self.exchange, self.daemon, self.web = exchange, exchange.daemon, web
        self.path = f"/events/{next(paths)}"
        self.id = self.daemon.account()
        self.set(webhook_uri=f"{web.url}{self.path}", **webhook)
        secret = self.daemon.ask("GET", f"/v1.0/customers/{self.id}/webhook_secret")["secret"]
        self._verifier = Verifier(secret)

    def set(self, **fields: Any) -> None:
        self.daemon.ask("PATCH", f"/v1.0/customers/{self.id}", fields)

    def said(self, status: int, times: int) -> None:
        """What its server answers, so often."""
        self.web.says[self.path] = [(status, "")] * times

    @property
    def asked(self) -> list[Asked]:
        return self.web.to(self.path)

    def hears(self, *types: str, of: str = "") -> list[dict[str, Any]]:
        """The events about a resource, or all, once so many were told; each was signed, and none told twice."""

        def told() -> list[dict[str, Any]]:
            return [asked.json for asked in self.asked if of in ("", asked.json["data"]["id"])]

        self.exchange.wait(lambda: len(told()) >= len(types), f"{types} of {of}, after {told()}")
        for asked in self.asked:
            self._verifier.verify(asked.body, asked.headers, json_parse=False)
            assert asked.headers["webhook-id"] == asked.json["id"]
        found = told()
        assert [event["type"] for event in found] == list(types)
        assert len({event["id"] for event in found}) == len(found)
        return found


# Calls


def test_of_each_call_its_beginning_its_answer_and_its_end(exchange: Exchange, web: Web, caller: Caller) -> None:
    account = Account(exchange, web, webhook_events=["call_created", "call_progressing", "call_hangup"])
    inner = exchange.number(ANSWER, STAY, customer=account.id)
    number = exchange.number({"type": "connect", "option": {"destinations": [inner]}}, customer=account.id)
    call = caller.call(number, offer(caller.media))
    call.answered()
    account.exchange.wait(lambda: len(account.asked) == 6, "the answers")
    call.hang_up()
    account.exchange.wait(lambda: len(account.asked) == 9, "the ends")
    calls = {one["id"]: one for one in exchange.daemon.all("/v1.0/calls") if one["customer_id"] == account.id}
    assert sorted(one["direction"] for one in calls.values()) == ["incoming", "incoming", "outgoing"]
    for call_id, record in calls.items():
        created, _, over = account.hears("call_created", "call_progressing", "call_hangup", of=call_id)
        assert created["data"]["tm_progressing"] is None
        assert over["data"] == record
        assert over["timestamp"] >= record["tm_hangup"]


def test_who_wants_no_calls_is_told_of_none(exchange: Exchange, web: Web, caller: Caller) -> None:
    account = Account(exchange, web, webhook_events=["number_updated"])
    number = exchange.provision({"type": "hangup"}, customer=account.id)
    call = caller.call(number["number"], offer(caller.media))
    call.refused()
    exchange.record(call.id)
    exchange.daemon.ask("PUT", f"/v1.0/numbers/{number['id']}", {"name": "new"})
    account.hears("number_updated", "number_updated")


# Texts


def test_of_a_text_its_coming_its_reply_and_the_receipt(exchange: Exchange, web: Web) -> None:
    types = ["message_created", "message_updated", "message_deleted"]
    account = Account(exchange, web, webhook_events=types)
    edge = exchange.daemon
    number = exchange.number(texts=({"type": "reply", "option": {"text": "thanks"}},), customer=account.id)
    text = {"id": account.path, "from": "+14155550111", "to": number, "text": "hello"}
    came = edge.ask("POST", "/v1.0/carriers/loopback/inbound", text)["id"]
    exchange.wait(lambda: len(account.asked) == 3, "the text, its reply, and that it was sent")
    (created,) = account.hears("message_created", of=came)
    assert (created["data"]["text"], created["data"]["direction"]) == ("hello", "inbound")
    (reply,) = exchange.texts(number, "outbound")
    created, sent = account.hears("message_created", "message_updated", of=reply["id"])
    assert (created["data"]["text"], created["data"]["targets"][0]["status"]) == ("thanks", "queued")
    assert sent["data"] == reply
    edge.ask("POST", "/v1.0/carriers/loopback/report", {"id": reply["id"], "status": "delivered"})
    exchange.wait(lambda: len(account.asked) == 4, "the receipt")
    _, _, delivered = account.hears("message_created", "message_updated", "message_updated", of=reply["id"])
    assert delivered["data"] == edge.ask("GET", f"/v1.0/messages/{reply['id']}")
    assert delivered["data"]["targets"][0]["status"] == "delivered"
    edge.ask("DELETE", f"/v1.0/messages/{came}")
    *_, deleted = account.hears("message_created", "message_deleted", of=came)
    assert deleted["data"]["text"] == ""
    kept = edge.ask("GET", f"/v1.0/events?resource_id={came}")["result"]
    assert [one["type"] for one in kept] == ["message_deleted"]


def test_a_text_that_is_sent_again_is_told_of_all_it_goes_through(exchange: Exchange, web: Web) -> None:
    account = Account(exchange, web)
    edge, number = exchange.daemon, exchange.number(customer=account.id)
    order = {"source": number, "destinations": ["+14155550112"], "text": "hello", "customer_id": account.id}
    message_id = edge.ask("POST", "/v1.0/messages", order)["id"]
    exchange.wait(lambda: exchange.texts(number, "outbound")[0]["targets"][0]["status"] == "sent", "that it is sent")
    edge.ask("POST", "/v1.0/carriers/loopback/report", {"id": message_id, "status": "failed", "code": "7"})
    account.hears("message_created", "message_updated", "message_updated", of=message_id)
    edge.ask("POST", f"/v1.0/messages/{message_id}/resend", {})
    told = account.hears("message_created", *["message_updated"] * 4, of=message_id)
    assert [one["data"]["targets"][0]["status"] for one in told] == ["queued", "sent", "failed", "queued", "sent"]
    assert told[2]["data"]["edge"]["code"] == "7"


# Whatever befalls the server


def test_a_server_that_fails_is_told_in_order_when_it_is_back(exchange: Exchange, web: Web) -> None:
    account = Account(exchange, web)
    account.said(500, 3)
    number = exchange.provision(customer=account.id)
    path = f"/v1.0/numbers/{number['id']}"
    for n in range(3):
        exchange.daemon.ask("PUT", path, {"name": f"name {n}"})
    exchange.wait(lambda: len(account.asked) >= 8, "eight requests")
    tries = [asked.json for asked in account.asked]
    assert [one["id"] for one in tries[:4]] == [tries[0]["id"]] * 4
    assert len({asked.body for asked in account.asked[:4]}) == 1
    assert [one["data"]["name"] for one in tries[3:]] == ["", "", "name 0", "name 1", "name 2"]
    events = exchange.daemon.all(f"/v1.0/events?resource_id={number['id']}")
    assert [(one["state"], one["attempts"]) for one in events] == [("sent", 1)] * 4 + [("sent", 4)]


def test_a_server_that_is_gone_is_told_nothing_until_it_is_set_anew(exchange: Exchange, web: Web) -> None:
    account = Account(exchange, web, webhook_events=["number_updated"])
    number = exchange.provision(customer=account.id)
    path = f"/v1.0/numbers/{number['id']}"
    account.hears("number_updated")
    account.said(410, 1)
    exchange.daemon.ask("PUT", path, {"name": "gone"})
    customer = f"/v1.0/customers/{account.id}"
    exchange.wait(lambda: exchange.daemon.ask("GET", customer)["tm_webhook_gone"], "that the server is gone")
    exchange.daemon.ask("PUT", path, {"name": "unheard"})
    account.set(webhook_uri=f"{web.url}{account.path}")
    failed = exchange.daemon.ask("GET", f"/v1.0/events?resource_id={number['id']}&state=failed")["result"]
    assert [(one["code"], one["error"]) for one in failed] == [("410", "the server answered 410")]
    exchange.daemon.ask("POST", f"/v1.0/events/{failed[0]['id']}/replay", {})
    exchange.wait(lambda: len(account.asked) == 3, "the replay")
    assert account.asked[1].body == account.asked[2].body
    exchange.daemon.ask("PUT", path, {"name": "heard"})
    exchange.wait(lambda: len(account.asked) == 4, "the next change")
    assert [asked.json["data"]["name"] for asked in account.asked] == ["", "gone", "gone", "heard"]


def test_all_of_a_day_is_told_again(exchange: Exchange, web: Web) -> None:
    account = Account(exchange, web)
    number = exchange.provision(customer=account.id)
    first = account.hears("number_created", "number_updated", of=number["id"])
    replay = {"customer_id": account.id, "since": first[0]["timestamp"], "states": ["sent"]}
    assert exchange.daemon.ask("POST", "/v1.0/events/replay", replay) == {"count": 2, "more": False}
    exchange.wait(lambda: len(account.asked) == 4, "the replay")
    assert [asked.json for asked in account.asked[2:]] == first


# The receiver in the documents


def test_the_receiver_of_the_documents_takes_what_is_ours_and_nothing_else(exchange: Exchange, tmp_path: Path) -> None:
    """docs/events.md has a receiver to begin with: run as it stands there, but for its secret and its port."""
    (source,) = re.findall(r"(?ms)^```python\n(.*?)^```$", (DOCS / "events.md").read_text())
    daemon, port = exchange.daemon, free_port()
    customer = daemon.account()
    secret = daemon.ask("GET", f"/v1.0/customers/{customer}/webhook_secret")["secret"]
    written = source.replace('"whsec_…", 8000', f'"{secret}", {port}')
    assert written != source
    program = tmp_path / "receiver.py"
    program.write_text(written)
    url = f"http://127.0.0.1:{port}/events"
    said = tmp_path / "said"
    with said.open("w") as out, subprocess.Popen([sys.executable, str(program)], stdout=out, stderr=out) as receiver:
        try:
            daemon.ask("PATCH", f"/v1.0/customers/{customer}", {"webhook_uri": url})
            test = f"/v1.0/customers/{customer}/webhook_test"
            exchange.wait(lambda: daemon.ask("POST", test, {})["delivered"], "the receiver")
            number = exchange.provision(customer=customer)["id"]
            exchange.wait(lambda: f"number_updated {number}" in said.read_text(), "the events")
            since = daemon.ask("GET", f"/v1.0/events?resource_id={number}")["result"][-1]["tm_create"]
            replay = {"customer_id": customer, "since": since, "states": ["sent"]}
            assert daemon.ask("POST", "/v1.0/events/replay", replay)["count"] == 2
            exchange.wait(lambda: said.read_text().count('" 204 ') >= 5, "the replay")
            assert said.read_text().count(f"number_updated {number}") == 1
            forged = urllib.request.Request(url, b"{}", {"webhook-id": "1", "webhook-timestamp": "1"}, method="POST")
            with pytest.raises(urllib.error.HTTPError, match="401"):
                urllib.request.urlopen(forged, timeout=5)
        finally:
            receiver.terminate()
