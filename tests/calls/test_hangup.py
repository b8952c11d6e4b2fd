"""The flow hangs up: with the status that its reason means, or with a BYE that tells the cause."""

from __future__ import annotations

import pytest

from tests.calls.caller import Caller
from tests.calls.exchange import ANSWER, STAY, Exchange, hangup, sleep
from tests.calls.rtp import offer

REASONS = [
    ("normal", 603, 16),
    ("cancel", 603, 16),
    ("timeout", 603, 16),
    ("amd", 603, 16),
    ("failed", 408, 18),
    ("busy", 486, 17),
    ("noanswer", 480, 19),
    ("dialout", 480, 19),
]


@pytest.mark.parametrize(("reason", "status", "cause"), REASONS)
def test_before_the_answer_a_reason_is_a_status(
    exchange: Exchange, caller: Caller, reason: str, status: int, cause: int
) -> None:
    rejected = exchange.counted("edge_calls_total", outcome="rejected")
    call = caller.call(exchange.number(hangup(reason)), offer(caller.media))
    refusal = call.refused()
    assert (refusal.status, refusal.texts("Reason")) == (status, [f"Q.850;cause={cause}"])
    assert not refusal.body
    record = exchange.record(call.id)
    assert (record["outcome"], record["sip_code"], record["hangup_by"]) == ("rejected", status, "local")
    assert record["hangup_reason"] == reason
    assert record["tm_progressing"] is None
    assert exchange.counted("edge_calls_total", outcome="rejected") == rejected + 1


@pytest.mark.parametrize(("reason", "cause"), [(reason, cause) for reason, _, cause in REASONS])
def test_after_the_answer_the_bye_tells_the_cause(exchange: Exchange, caller: Caller, reason: str, cause: int) -> None:
    answered = exchange.counted("edge_calls_total", outcome="answered")
    call = caller.call(exchange.number(ANSWER, hangup(reason)), offer(caller.media))
    call.answered()
    bye = call.ended()
    assert bye.texts("Reason") == [f"Q.850;cause={cause}"]
    assert bye.uri == f"sip:+14155550199@{caller.hostport};transport=udp"
    assert bye.text("From") == call.remote
    record = exchange.record(call.id)
    assert (record["outcome"], record["sip_code"], record["hangup_by"]) == ("answered", 200, "local")
    assert record["hangup_reason"] == reason
    assert [step["type"] for step in record["steps"]] == ["answer", "hangup"]
    assert exchange.counted("edge_calls_total", outcome="answered") == answered + 1


def test_a_flow_that_ends_hangs_up(exchange: Exchange, caller: Caller) -> None:
    call = caller.call(exchange.number(ANSWER), offer(caller.media))
    call.answered()
    assert call.ended().texts("Reason") == ["Q.850;cause=16"]
    assert exchange.record(call.id)["hangup_reason"] == "normal"


def test_a_flow_that_stops_hangs_up(exchange: Exchange, caller: Caller) -> None:
    call = caller.call(exchange.number(ANSWER, {"type": "stop"}, STAY), offer(caller.media))
    call.answered()
    call.ended()
    assert [step["type"] for step in exchange.record(call.id)["steps"]] == ["answer", "stop"]


def test_a_flow_that_ends_before_the_answer_declines(exchange: Exchange, caller: Caller) -> None:
    call = caller.call(exchange.number(sleep(50)), offer(caller.media))
    assert call.provisional(100)
    refusal = call.refused()
    assert (refusal.status, refusal.texts("Reason")) == (603, ["Q.850;cause=16"])


def test_a_flow_that_fails_before_the_answer_is_500(exchange: Exchange, caller: Caller) -> None:
    failing = {"type": "branch", "option": {"variable": "mood", "target_ids": {"good": "a"}}}
    failed = exchange.counted("edge_calls_total", outcome="failed")
    call = caller.call(exchange.number(failing, {**hangup(), "id": "a"}), offer(caller.media))
    refusal = call.refused()
    assert (refusal.status, refusal.texts("Reason")) == (500, ["Q.850;cause=18"])
    record = exchange.record(call.id)
    assert (record["outcome"], record["sip_code"], record["hangup_reason"]) == ("failed", 500, "failed")
    assert record["error"].endswith("no target for the value of mood, and no default")
    assert exchange.counted("edge_calls_total", outcome="failed") == failed + 1


def test_a_flow_that_fails_after_the_answer_is_a_bye(exchange: Exchange, caller: Caller) -> None:
    failing = {"type": "branch", "option": {"variable": "mood", "target_ids": {"good": "a"}}}
    call = caller.call(exchange.number(ANSWER, failing, {**hangup(), "id": "a"}), offer(caller.media))
    call.answered()
    assert call.ended().texts("Reason") == ["Q.850;cause=18"]
    record = exchange.record(call.id)
    assert (record["outcome"], record["sip_code"], record["hangup_by"]) == ("answered", 200, "local")
    assert record["steps"][-1]["outcome"] == "fatal"
    assert record["error"]


def test_a_flow_without_an_end_is_cut(exchange: Exchange, caller: Caller) -> None:
    again = {"id": "b", "type": "goto", "option": {"target_id": "a", "loop_count": 1_000_000}}
    step = {"id": "a", "type": "variable_set", "option": {"key": "x", "value": "y"}}
    call = caller.call(exchange.number(ANSWER, step, again), offer(caller.media))
    call.answered()
    call.ended()
    record = exchange.record(call.id)
    assert record["cut_by"] == "steps"
    assert record["error"].startswith("cut after")


def test_the_caller_hangs_up(exchange: Exchange, caller: Caller) -> None:
    call = caller.call(exchange.number(ANSWER, STAY), offer(caller.media))
    call.answered()
    exchange.wait(lambda: exchange.counted("edge_calls_active") == 1, "one call")
    assert call.ask("BYE", 'Reason: Q.850;cause=16;text="had enough"').status == 200
    record = exchange.record(call.id)
    assert (record["outcome"], record["sip_code"], record["hangup_by"]) == ("answered", 200, "remote")
    assert record["hangup_reason"] == "normal"
    assert record["steps"][-1] == {
        "step": record["steps"][-1]["step"],
        "type": "sleep",
        "outcome": "ended",
        "note": "ended by remote: normal",
    }
    assert call.ask("BYE").status == 481, "the dialog is gone"
    assert exchange.counted("edge_calls_active") == 0
