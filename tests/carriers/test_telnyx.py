"""Telnyx: webhooks signed as its documents say, and an API that a local server plays."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pydantic import ValidationError

from edge.carriers.telnyx import Telnyx, TelnyxSection
from tests.carriers.signing import compact, telnyx, telnyx_key
from tests.carriers.stage import NOW, TEXT, cases, hook, nobody, options, played, refused, rung, site, told, tried

URL = "https://edge.example/v1.0/carriers/telnyx/inbound"


def carrier(ask: Any = nobody, **more: Any) -> Telnyx:
    return Telnyx(TelnyxSection.model_validate({**options("telnyx"), **more}), site(ask=ask))


def event(kind: str, payload: Any) -> bytes:
    data = {"event_type": kind, "id": "e1", "occurred_at": "2026-08-01T09:00:00Z", "payload": payload}
    return compact({"data": {**data, "record_type": "event"}, "meta": {"attempt": 1, "delivered_to": URL}})


TEXT_IN = event("message.received", {"id": "m1", "from": {"phone_number": "+1"}, "to": [{"phone_number": "+2"}]})


@pytest.mark.parametrize("case", cases("telnyx", "read"), ids=lambda case: case["name"])
def test_an_event_is_read(case: Any) -> None:
    inbound, body = hook(carrier(), "inbound"), event(case["type"], case["payload"])
    if "fault" in case:
        assert refused(inbound, URL, body, telnyx(body, NOW)) == case["fault"]
        return
    found = rung(inbound, URL, body, telnyx(body, NOW))
    assert told(found, case["expect"]) == case["expect"]
    assert {(one.carrier, one.received_at) for one in found} <= {("telnyx", NOW)}


@pytest.mark.parametrize(
    "body", [b"", b"hello", b"[]", b'{"data": {}}', b'{"data": {"event_type": "\\ud83d"}}', b"\xff"]
)
def test_what_is_no_event_is_malformed(body: bytes) -> None:
    assert refused(hook(carrier(), "inbound"), URL, body, telnyx(body, NOW)) not in ("", "SIGNATURE_WRONG")


def test_the_signature_is_looked_at_before_anything_else() -> None:
    inbound, right = hook(carrier(), "inbound"), telnyx(TEXT_IN, NOW)
    other = telnyx(TEXT_IN, NOW, Ed25519PrivateKey.from_private_bytes(bytes(32)))
    for headers, reason in (
        ({}, "SIGNATURE_MISSING"),
        ({**right, "telnyx-timestamp": ""}, "SIGNATURE_MISSING"),
        ({"telnyx-timestamp": right["telnyx-timestamp"]}, "SIGNATURE_MISSING"),
        (other, "SIGNATURE_WRONG"),
        ({**right, "telnyx-signature-ed25519": "…"}, "SIGNATURE_WRONG"),
        ({**right, "telnyx-signature-ed25519": "aGVsbG8="}, "SIGNATURE_WRONG"),
        ({**right, "telnyx-timestamp": str(int(NOW.timestamp()) + 1)}, "SIGNATURE_WRONG"),
        ({**right, "telnyx-timestamp": "yesterday"}, "SIGNATURE_WRONG"),
        ({**right, "telnyx-timestamp": "9" * 400}, "SIGNATURE_WRONG"),
        ({**right, "telnyx-timestamp": "٣"}, "SIGNATURE_WRONG"),
    ):
        assert refused(inbound, URL, TEXT_IN, headers) == reason, headers
    assert refused(inbound, URL, TEXT_IN + b" ", right) == "SIGNATURE_WRONG"
    assert refused(inbound, URL, b"no JSON", right) == "SIGNATURE_WRONG"
    assert rung(inbound, URL, TEXT_IN, {name.upper(): value for name, value in right.items()})


@pytest.mark.parametrize(
    ("seconds", "reason"), [(300, ""), (301, "STALE"), (-300, ""), (-301, "STALE"), (1e6, "STALE")]
)
def test_it_is_believed_for_five_minutes(seconds: float, reason: str) -> None:
    headers = telnyx(TEXT_IN, NOW - timedelta(seconds=seconds))
    assert refused(hook(carrier(), "inbound"), URL, TEXT_IN, headers) == reason


def test_while_the_key_is_replaced_both_are_good() -> None:
    new, old = (Ed25519PrivateKey.from_private_bytes(bytes([n]) * 32) for n in (1, 2))
    inbound = hook(carrier(public_keys=[telnyx_key(new), telnyx_key(old)]), "inbound")
    for key in (new, old):
        assert rung(inbound, URL, TEXT_IN, telnyx(TEXT_IN, NOW, key))
    assert refused(inbound, URL, TEXT_IN, telnyx(TEXT_IN, NOW)) == "SIGNATURE_WRONG"


async def test_a_text_is_sent_by_the_api() -> None:
    async with played() as (web, ask):
        web.default["/v2/messages"] = (200, {"data": {"id": "403188fd"}})
        more = {"messaging_profile_id": "p1", "webhook_url": "https://edge.example/hook", "name": "other"}
        await carrier(ask, base_url=f"{web.url}/", **more).send(TEXT)
        await carrier(ask, base_url=web.url).send(TEXT)
    full, plain = web.to("/v2/messages")
    assert plain.json == {"from": TEXT.source, "to": TEXT.destination, "text": TEXT.body}
    assert full.json == {**plain.json, "messaging_profile_id": "p1", "webhook_url": "https://edge.example/hook"}
    assert (plain.method, plain.headers["authorization"]) == ("POST", "Bearer KEY0123")
    assert (plain.headers["content-type"], plain.headers["idempotency-key"]) == ("application/json", TEXT.id)


@pytest.mark.parametrize("case", cases("telnyx", "send"), ids=lambda case: case["name"])
async def test_an_answer_says_whether_to_try_again(case: Any) -> None:
    async with played() as (web, ask):
        web.headers = case.get("headers", {})
        web.default["/v2/messages"] = (case["status"], case["answer"])
        result = await tried(carrier(ask, base_url=web.url))
    assert {name: result[name] for name in case["expect"]} == case["expect"]


async def test_an_api_that_is_away_or_slow_means_that_all_of_it_waits() -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    async with server, played() as (_, ask):
        closed = await tried(carrier(ask, base_url="http://127.0.0.1:1"))
        slow = await tried(carrier(ask, base_url=f"http://{host}:{port}", deadline_seconds=0.1))
    assert (closed["outcome"], closed["code"], slow["outcome"]) == ("busy", "", "busy")
    assert closed["says"].startswith("telnyx cannot be reached: cannot connect to http://127.0.0.1:1/v2/messages")
    assert slow["says"].endswith("/v2/messages did not come within 0.1 seconds")


def test_nothing_secret_is_shown() -> None:
    section = TelnyxSection.model_validate(options("telnyx"))
    assert "KEY0123" not in repr(section) + section.model_dump_json()


@pytest.mark.parametrize(
    "change",
    [
        {"public_keys": []},
        {"public_keys": ["aGVsbG8="]},
        {"public_keys": ["no base64!"]},
        {"base_url": "ftp://h"},
        {"base_url": "https://h/?a=b"},
        {"deadline_seconds": 0},
        {"api_key": None},
    ],
)
def test_telnyx_section_invalid(change: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        TelnyxSection.model_validate({**options("telnyx"), **change})
