"""The story of a call: each step in words, out of what its record says."""

from __future__ import annotations

from typing import Any

import pytest

from edge.sessions.calls.story import Step, story, would_answer
from edge.store.metadata import NIL, micros
from tests.sessions.calls.test_record import OURS, OWNER, START, attempt

FLOW = "44444444-4444-4444-8444-444444444444"
NUMBER = "55555555-5555-4555-8555-555555555555"


def told(**fields: Any) -> dict[str, str]:
    """The last step of each kind."""
    return {step.step: step.said for step in story(attempt(**fields).recorded())}


def later(seconds: float) -> int:
    return micros(START) + round(seconds * 1e6)


ANSWERED: dict[str, Any] = {
    "trunk": "a",
    "transport": "tls",
    "local": "192.0.2.1:5061",
    "proxy": "192.0.2.3",
    "auth": "digest:ann",
    "dialed_from": "diversion",
    "dialed_rewritten": "4155550100",
    "source_from": "p-asserted-identity",
    "source_raw": "4155550199",
    "diversion": "+14155550111",
    "privacy": "id",
    "verstat": "TN-Validation-Passed",
    "attestation": "A",
    "number": OURS,
    "destination": OURS,
    "number_id": NUMBER,
    "customer_id": OWNER,
    "lookup_source": "redis",
    "flow_id": FLOW,
    "flow_version": 3,
    "steps": '[{"step":"m","type":"play","outcome":"done","note":"hello"}]',
    "cut_by": "steps",
    "sip_code": 200,
    "outcome": "answered",
    "codec": "PCMA",
    "security": "AES_CM_128_HMAC_SHA1_80",
    "rtp_sent": 150,
    "rtp_received": 149,
    "rtp_lost": 1,
    "jitter_ms": 0.25,
    "tm_ringing": later(0.25),
    "tm_progressing": later(1),
    "tm_hangup": later(4.5),
    "hangup_by": "remote",
    "hangup_reason": "normal",
    "hangup_cause": 16,
}


def test_the_whole_way_of_a_call() -> None:
    steps = story(attempt(**ANSWERED).recorded())
    assert [(step.step, step.said) for step in steps] == [
        ("source", "from 192.0.2.9 over tls to 192.0.2.1:5061, behind our proxy 192.0.2.3: trunk a"),
        ("authentication", "proved by digest to be ann"),
        (
            "caller",
            "+14155550199 (Ann) calls, read from P-Asserted-Identity, where 4155550199 stands, diverted from"
            " +14155550111, who wants to stay private (id), signature: TN-Validation-Passed, attestation A",
        ),
        ("dialed", "sip:4155550100@edge was dialed, read from Diversion"),
        ("rewriting", "a rule of the trunk makes 4155550100 of it"),
        ("number", f"that is {OURS}"),
        ("number found", f"{OURS} is a number of account {OWNER} (answered by redis)"),
        ("flow", f"its flow is {FLOW}, version 3"),
        ("step", "play (id m) done: hello"),
        ("limit", "the flow met the limit of steps"),
        ("ringing", "ringing after 0.250 s"),
        ("answered", "answered after 1.000 s"),
        ("media", "PCMA with AES_CM_128_HMAC_SHA1_80: 150 packets sent, 149 received, 1 lost, jitter 0.25 ms"),
        ("answer", "200 was sent"),
        ("end", "over after 4.500 s, ended by the other side (normal), Q.850 cause 16: answered"),
    ]
    assert steps[0].facts["proxy"] == "192.0.2.3"
    assert steps[7].facts == {"flow_id": FLOW, "flow_version": 3}


@pytest.mark.parametrize(
    ("fields", "step", "said"),
    [
        ({"transport": "loop"}, "source", "from within the edge: a flow of ours calls a number of ours"),
        ({}, "source", "from 192.0.2.9: of no trunk"),
        ({"trunk": "a"}, "authentication", "known by its address; nothing else is asked"),
        ({"trunk": "a", "auth": "tls:sip.example"}, "authentication", "proved by its certificate to be sip.example"),
        ({"reason": "NumberIncomplete", "error": "too short"}, "number", "that is no number: too short"),
        (
            {
                "number": OURS,
                "destination": OURS,
                "lookup_source": "sql",
                "reason": "NumberUnknown",
                "error": "not ours",
            },
            "look-up",
            "not ours (answered by sql)",
        ),
        (
            {"destination": OURS, "lookup_source": "stale", "number_id": NUMBER},
            "number found",
            f"{OURS} is a number of account {NIL} (answered by out of an old copy, for the stores are away)",
        ),
        (
            {"sip_code": 404, "outcome": "rejected", "reason": "NumberUnknown", "error": "not ours"},
            "answer",
            "404 was sent: NumberUnknown, not ours",
        ),
        (
            {"sip_code": 487, "outcome": "cancelled", "reason": "Cancelled"},
            "answer",
            "487 was sent, for the caller gave up",
        ),
        ({"direction": "outgoing", "sip_code": 486, "reason": "Refused"}, "answer", "486 came: Refused"),
        ({"direction": "outgoing", "master_call_id": FLOW}, "origin", f"made for call {FLOW}, of account {NIL}"),
        (
            {"direction": "outgoing", "trunk": "b", "destination": OURS, "transport": "udp"},
            "way",
            f"to {OURS} as sip:4155550100@edge by trunk b at 192.0.2.9 over udp",
        ),
        ({"tm_hangup": later(1), "hangup_by": "local"}, "end", "over after 1.000 s, ended by us (no reason): failed"),
    ],
)
def test_a_step_in_words(fields: dict[str, Any], step: str, said: str) -> None:
    assert told(**fields)[step] == said


def test_what_did_not_happen_is_not_told() -> None:
    assert set(told()) == {"source", "caller", "dialed"}
    assert [step.step for step in story(attempt(**ANSWERED).recorded(), over=False)][-1] == "limit"


def test_how_one_would_be_answered() -> None:
    refused = attempt(sip_code=410, reason="NumberReleased", error="it was released").recorded()
    assert would_answer(refused) == Step(
        "answer",
        "410 would be sent: NumberReleased, it was released",
        {"sip_code": 410, "reason": "NumberReleased", "error": "it was released"},
    )
