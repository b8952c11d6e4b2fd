"""Calls that are decided by what an account keeps beside its flows, or by somebody outside while they wait."""

from __future__ import annotations

import socket
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.calls.caller import Caller
from tests.calls.exchange import Exchange, hangup, redirect
from tests.calls.rtp import offer
from tests.calls.test_texts import at_the_trunk

DESK = "sip:desk@pbx.example.com"
ALWAYS = [{"weekdays": [0, 1, 2, 3, 4, 5, 6], "from": "00:00", "to": "24:00"}]


def status(caller: Caller, number: str, user: str = "") -> int:
    return caller.call(number, offer(caller.media), user=user).refused().status


def test_a_holiday_that_is_entered_counts_for_the_next_call(exchange: Exchange, caller: Caller) -> None:
    ask = exchange.daemon.ask
    body: dict[str, Any] = {"customer_id": exchange.customer, "name": "office", "hours": ALWAYS}
    made = ask("POST", "/v1.0/calendars", body)
    look = {"type": "condition_datetime", "option": {"calendar": "office", "false_target_id": "closed"}}
    number = exchange.number(look, redirect(DESK), {**hangup("busy"), "id": "closed"})
    assert status(caller, number) == 302
    now = datetime.now(UTC)
    days = [f"{now + timedelta(days=day):%Y-%m-%d}" for day in (-1, 0, 1)]  # it may be about to be tomorrow
    ask("PUT", f"/v1.0/calendars/{made['id']}", {"holidays": [{"date": day, "name": "today"} for day in days]})
    call = caller.call(number, offer(caller.media))
    assert call.refused().status == 486
    assert exchange.record(call.id)["steps"][0]["note"].startswith("does not hold: office is closed")
    ask("DELETE", f"/v1.0/calendars/{made['id']}")
    assert status(caller, number) == 500


def test_a_caller_who_is_put_on_a_list_is_turned_away(exchange: Exchange, caller: Caller) -> None:
    ask = exchange.daemon.ask
    body: dict[str, Any] = {"customer_id": exchange.customer, "name": "blocked", "entries": []}
    made = ask("POST", "/v1.0/caller_lists", body)
    path = f"/v1.0/caller_lists/{made['id']}"
    who = {"type": "branch_caller", "option": {"caller_list": made["id"], "match_target_id": "away"}}
    number = exchange.number(who, redirect(DESK), {**hangup("busy"), "id": "away"})
    assert status(caller, number) == 302
    ask("PUT", path, {"entries": [{"match": "+1415*", "label": "spam"}]})
    assert status(caller, number) == 486
    ask("PUT", path, {"entries": [{"match": "anonymous"}, {"match": "attestation:A"}]})
    assert status(caller, number) == 302
    assert status(caller, number, "anonymous") == 486
    ask("PUT", path, {"entries": [{"match": "+14155550166"}]})
    assert status(caller, number, "4155550166") == 486  # as its carrier writes it, from the US


def test_a_call_waits_until_it_is_told_to_go_on(exchange: Exchange, caller: Caller, trunk: socket.socket) -> None:
    told = "+14155550188"
    own = {"type": "message_send", "option": {"destinations": [told], "text": "${voipbin.activeflow.id}"}}
    block = {"type": "block", "option": {"duration": 30_000}}
    made = exchange.provision(own, block, redirect("sip:${agent}@pbx.example.com"))
    call = caller.call(made["number"], offer(caller.media))
    (text,) = exchange.wait(lambda: exchange.texts(made["number"], "outbound"), "the text with the id of the run")
    assert at_the_trunk(trunk, exchange, made["number"]).body.decode() == text["text"]
    answer = exchange.daemon.ask("POST", f"/v1.0/activeflows/{text['text']}/continue", {"variables": {"agent": "bob"}})
    assert (answer["reference_type"], answer["customer_id"]) == ("call", exchange.customer)
    refusal = call.refused()
    assert (refusal.status, refusal.texts("Contact")) == (302, ["<sip:bob@pbx.example.com>"])
    record = exchange.record(call.id)
    assert (record["id"], record["steps"][1]["note"]) == (text["text"], "told to go on")
    code, _ = exchange.daemon.request("POST", f"/v1.0/activeflows/{text['text']}/continue", {})
    assert code == 404
