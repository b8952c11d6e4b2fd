"""Vonage: webhooks with its JSON Web Tokens, and an API that a local server plays."""

from __future__ import annotations

import base64
import json
from datetime import timedelta
from typing import Any

import jwt
import pytest
from pydantic import ValidationError

from edge.carriers.vonage import Vonage, VonageSection
from tests.carriers.signing import compact, vonage
from tests.carriers.stage import NOW, TEXT, cases, hook, nobody, options, played, refused, rung, site, told, tried

BASE = "https://edge.example/v1.0/carriers/vonage"
URL = f"{BASE}/inbound"
BODY = compact({"message_uuid": "u", "to": "15005550001", "from": "15005550002", "text": "hello"})
SECRET = "s" * 32


def carrier(ask: Any = nobody, **more: Any) -> Vonage:
    return Vonage(VonageSection.model_validate({**options("vonage"), **more}), site(ask=ask))


@pytest.mark.parametrize("case", cases("vonage", "read"), ids=lambda case: case["name"])
def test_a_body_is_read(case: Any) -> None:
    called, body = hook(carrier(), case["hook"]), compact(case["body"])
    if "fault" in case:
        assert refused(called, URL, body, vonage(body, NOW)) == case["fault"]
        return
    found = rung(called, URL, body, vonage(body, NOW))
    assert told(found, case["expect"]) == case["expect"]
    assert {(one.carrier, one.received_at) for one in found} <= {("vonage", NOW)}


def token(header: dict[str, Any], claims: Any) -> dict[str, str]:
    parts = (base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in (header, claims))
    return {"Authorization": f"Bearer {'.'.join(parts)}."}


def test_the_token_is_looked_at_before_anything_else() -> None:
    inbound, right = hook(carrier(), "inbound"), vonage(BODY, NOW)
    claims = jwt.decode(right["Authorization"][7:], options={"verify_signature": False})
    for headers, reason in (
        ({}, "SIGNATURE_MISSING"),
        ({"Authorization": "Basic YTpi"}, "SIGNATURE_WRONG"),
        ({"Authorization": "Bearer"}, "SIGNATURE_WRONG"),
        ({"Authorization": "Bearer a.b.c"}, "SIGNATURE_WRONG"),
        ({"Authorization": right["Authorization"] + "x"}, "SIGNATURE_WRONG"),
        (token({"alg": "none", "typ": "JWT"}, claims), "SIGNATURE_WRONG"),
        ({"Authorization": "Bearer " + base64.urlsafe_b64encode(b"[" * 5000).decode() + ".e30.e30"}, "SIGNATURE_WRONG"),
        (vonage(BODY, NOW, "o" * 32), "SIGNATURE_WRONG"),
        (vonage(BODY, NOW, api_key="other"), "SIGNATURE_WRONG"),
        (vonage(BODY, NOW, payload_hash=None), "SIGNATURE_WRONG"),
        (vonage(BODY, NOW, payload_hash="é"), "SIGNATURE_WRONG"),
        (vonage(b"another", NOW), "SIGNATURE_WRONG"),
        (vonage(BODY, NOW, iat=None), "SIGNATURE_WRONG"),
        (vonage(BODY, NOW, iat=True), "SIGNATURE_WRONG"),
        (vonage(BODY, NOW, iat="now"), "SIGNATURE_WRONG"),
    ):
        assert refused(inbound, URL, BODY, headers) == reason, headers
    assert rung(inbound, URL, BODY, right)


@pytest.mark.parametrize(("seconds", "reason"), [(300, ""), (301, "STALE"), (-300, ""), (-301, "STALE")])
def test_it_is_believed_for_five_minutes(seconds: float, reason: str) -> None:
    headers = vonage(BODY, NOW - timedelta(seconds=seconds))
    assert refused(hook(carrier(), "inbound"), URL, BODY, headers) == reason


def test_while_the_secret_is_replaced_both_are_good() -> None:
    inbound = hook(carrier(signature_secrets=["n" * 32, "o" * 32]), "inbound")
    for secret in ("n" * 32, "o" * 32):
        assert rung(inbound, URL, BODY, vonage(BODY, NOW, secret))


async def test_a_text_is_sent_by_the_api() -> None:
    async with played() as (web, ask):
        web.default["/v1/messages"] = (202, {"message_uuid": "u"})
        await carrier(ask, base_url=web.url).send(TEXT)
    (asked,) = web.to("/v1/messages")
    assert asked.json == {
        "channel": "sms",
        "message_type": "text",
        "from": TEXT.source.removeprefix("+"),
        "to": TEXT.destination.removeprefix("+"),
        "text": TEXT.body,
        "client_ref": TEXT.id,
    }
    login = base64.b64decode(asked.headers["authorization"].removeprefix("Basic "))
    assert login == b"abcd1234:t0ps3cr3t"


@pytest.mark.parametrize("case", cases("vonage", "send"), ids=lambda case: case["name"])
async def test_an_answer_says_whether_to_try_again(case: Any) -> None:
    async with played() as (web, ask):
        web.headers = case.get("headers", {})
        web.default["/v1/messages"] = (case["status"], case["answer"])
        result = await tried(carrier(ask, base_url=web.url))
    assert {name: result[name] for name in case["expect"]} == case["expect"]


def test_nothing_secret_is_shown() -> None:
    section = VonageSection.model_validate(options("vonage"))
    shown = repr(section) + section.model_dump_json()
    assert "t0ps3cr3t" not in shown
    assert SECRET not in shown


@pytest.mark.parametrize("change", [{"signature_secrets": []}, {"api_key": ""}, {"base_url": "x"}])
def test_vonage_section_invalid(change: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        VonageSection.model_validate({**options("vonage"), **change})
