"""Twilio: webhooks with its own published signatures, and an API that a local server plays."""

from __future__ import annotations

import base64
import hashlib
import hmac
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, urlencode

import pytest
from pydantic import ValidationError

from edge.carriers.twilio import Twilio, TwilioSection
from edge.sms.carrier import Hook
from tests.carriers.signing import twilio, twilio_call
from tests.carriers.stage import NOW, TEXT, cases, hook, nobody, options, played, refused, rung, site, told, tried

BASE = "https://edge.example/v1.0/carriers/twilio"
URL = f"{BASE}/inbound"
FORM = {"MessageSid": "SM1", "From": "+15005550002", "To": "+15005550001", "Body": "hello"}


def carrier(ask: Any = nobody, public_url: str | None = None, **more: Any) -> Twilio:
    return Twilio(TwilioSection.model_validate({**options("twilio"), **more}), site(ask=ask, public_url=public_url))


@pytest.mark.parametrize("case", cases("twilio", "read"), ids=lambda case: case["name"])
def test_a_form_is_read(case: Any) -> None:
    url = f"{BASE}/{case['hook']}{case.get('query', '')}"
    called, (body, headers) = hook(carrier(), case["hook"]), twilio_call(url, case["form"])
    if "fault" in case:
        assert refused(called, url, body, headers) == case["fault"]
        return
    found = rung(called, url, body, headers)
    assert told(found, case["expect"]) == case["expect"]
    assert {(one.carrier, one.received_at) for one in found} <= {("twilio", NOW)}


# The vectors of Twilio's own library, twilio-python, tests/unit/test_request_validator.py: what is wrong in them is
# only that they are no texts, so they are malformed, where a wrong signature would be that.

THEIRS = "https://mycompany.com/myapp.php?foo=1&bar=2"
PARAMS = {
    "CallSid": "CA1234567890ABCDE",
    "Digits": "1234",
    "From": "+14158675309",
    "To": "+18005551212",
    "Caller": "+14158675309",
}
TWICE = "Sid=CA123&SidAccount=AC123&Digits=5678&Digits=1234"
JSON = b'{"property": "value", "boolean": true}'
HASH = "0a1ff7634d9ab3b95db5c9a2dfe9416e41502b283a80c7cf19632632f96e6620"


@pytest.mark.parametrize(
    ("url", "body", "signature"),
    [
        (THEIRS, urlencode(PARAMS), "RSOYDt4T1cUTdK1PDd93/VVr8B8="),
        (THEIRS.replace(".com", ".com:1234"), urlencode(PARAMS), "RSOYDt4T1cUTdK1PDd93/VVr8B8="),
        (
            THEIRS.replace(".com", ".com:1234").replace("https", "http"),
            urlencode(PARAMS),
            "Zmvh+3yNM1Phv2jhDCwEM3q5ebU=",
        ),
        (THEIRS, urlencode(PARAMS), "kvajT1Ptam85bY51eRf/AJRuM3w="),
        (THEIRS.replace("https", "http"), urlencode(PARAMS), "0ZXoZLH/DfblKGATFgpif+LLRf4="),
        (THEIRS, TWICE, "IK+Dwps556ElfBT0I3Rgjkr1wJU="),
    ],
    ids=["plain", "port-off-https", "port-off-http", "port-on-https", "port-on-http", "twice"],
)
def test_signatures_that_twilio_published(url: str, body: str, signature: str) -> None:
    inbound = hook(carrier(), "inbound")
    headers = {"X-Twilio-Signature": signature, "Content-Type": "application/x-www-form-urlencoded"}
    assert refused(inbound, url, body.encode(), headers) == "MessageSid"
    assert refused(inbound, url + "0", body.encode(), headers) == "SIGNATURE_WRONG"
    assert refused(inbound, url, body.encode() + b"1", headers) == "SIGNATURE_WRONG"
    assert refused(hook(carrier(auth_tokens=["54321"]), "inbound"), url, body.encode(), headers) == "SIGNATURE_WRONG"


def test_what_is_no_form_is_signed_by_its_hash() -> None:
    inbound, url = hook(carrier(), "inbound"), f"{THEIRS}&bodySHA256={HASH}"
    headers = {"X-Twilio-Signature": "a9nBmqA0ju/hNViExpshrM61xv4=", "Content-Type": "application/json"}
    assert refused(inbound, url, JSON, headers) == "MessageSid"
    assert refused(inbound, url, JSON + b" ", headers) == "SIGNATURE_WRONG"
    assert refused(inbound, THEIRS, JSON, headers) == "SIGNATURE_WRONG"
    body = b'{"MessageSid": "SM1", "From": "+1", "To": "+2", "Body": "hi", "NumMedia": 0}'
    signed = f"{URL}?bodySHA256={hashlib.sha256(body).hexdigest()}"
    (text,) = rung(inbound, signed, body, {**twilio(signed, []), "Content-Type": "application/json"})
    assert (text.carrier, getattr(text, "body", "")) == ("twilio", "hi")
    for wrong in (b"[]", b"hello", b"[" * 9999):
        signed = f"{URL}?bodySHA256={hashlib.sha256(wrong).hexdigest()}"
        assert refused(inbound, signed, wrong, {**twilio(signed, []), "Content-Type": "application/json"}) == "body"


def test_without_a_signature_nothing_is_looked_at() -> None:
    inbound, (body, headers) = hook(carrier(), "inbound"), twilio_call(URL, FORM)
    assert refused(inbound, URL, body, {"Content-Type": headers["Content-Type"]}) == "SIGNATURE_MISSING"
    assert refused(inbound, URL, b"%%%", {**headers, "X-Twilio-Signature": "é"}) == "SIGNATURE_WRONG"
    assert refused(inbound, "http://[nowhere/", body, headers) == "SIGNATURE_WRONG"
    assert refused(inbound, URL, b"a=b&" * 300, headers) == "body"


def test_bytes_that_are_no_utf8_are_signed_as_they_are() -> None:
    body = b"MessageSid=SM1&From=%2B1&To=%2B2&Body=caf%E9"
    raw = URL.encode() + b"Bodycaf\xe9From+1MessageSidSM1To+2"
    signature = base64.b64encode(hmac.digest(b"12345", raw, "sha1")).decode()
    headers = {"X-Twilio-Signature": signature, "Content-Type": "application/x-www-form-urlencoded"}
    (text,) = rung(hook(carrier(), "inbound"), URL, body, headers)
    assert getattr(text, "body", "") == "caf?"


def test_by_get_the_fields_are_in_the_url() -> None:
    url = f"{URL}?{urlencode(FORM, quote_via=quote)}"
    inbound: Hook = hook(carrier(), "inbound", "GET")
    (text,) = rung(inbound, url, b"", twilio(url, []))
    assert getattr(text, "body", "") == "hello"
    assert refused(inbound, url + "x", b"", twilio(url, [])) == "SIGNATURE_WRONG"


def test_while_the_token_is_replaced_both_are_good() -> None:
    inbound = hook(carrier(auth_tokens=["new", "old"]), "inbound")
    for token in ("new", "old"):
        assert rung(inbound, URL, *twilio_call(URL, FORM, token))


def test_the_answer_is_empty() -> None:
    for route in carrier().routes():
        said = route.answer([])
        assert (said.body, said.status) == (b"", 204)


async def test_a_text_is_sent_by_the_api() -> None:
    path = "/2010-04-01/Accounts/AC00000000000000000000000000000000/Messages.json"
    async with played() as (web, ask):
        web.default[path] = (201, {"sid": "SM1"})
        await carrier(ask, base_url=web.url).send(TEXT)
        key = {"key_sid": "SK1", "key_secret": "s3", "messaging_service_sid": "MG1"}
        await carrier(ask, "https://edge.example", base_url=web.url, **key).send(TEXT)
        await carrier(ask, "https://a", base_url=web.url, status_callback="https://other.example/told").send(TEXT)
    plain, full, elsewhere = web.to(path)
    form = {"From": [TEXT.source], "To": [TEXT.destination], "Body": [TEXT.body]}
    assert parse_qs(plain.body.decode()) == form
    assert parse_qs(full.body.decode()) == {
        **form,
        "MessagingServiceSid": ["MG1"],
        "StatusCallback": [f"{BASE}/status?message={TEXT.id}"],
    }
    assert parse_qs(elsewhere.body.decode())["StatusCallback"] == [f"https://other.example/told?message={TEXT.id}"]
    logins = [base64.b64decode(asked.headers["authorization"].removeprefix("Basic ")) for asked in (plain, full)]
    assert logins == [b"AC00000000000000000000000000000000:12345", b"SK1:s3"]
    assert plain.headers["content-type"] == "application/x-www-form-urlencoded"


@pytest.mark.parametrize("case", cases("twilio", "send"), ids=lambda case: case["name"])
async def test_an_answer_says_whether_to_try_again(case: Any) -> None:
    path = "/2010-04-01/Accounts/AC00000000000000000000000000000000/Messages.json"
    async with played() as (web, ask):
        web.headers = case.get("headers", {})
        web.default[path] = (case["status"], case["answer"])
        result = await tried(carrier(ask, base_url=web.url))
    assert {name: result[name] for name in case["expect"]} == case["expect"]


def test_nothing_secret_is_shown() -> None:
    section = TwilioSection.model_validate({**options("twilio"), "auth_tokens": ["T0K3N"]})
    assert "T0K3N" not in repr(section) + section.model_dump_json()


def test_a_secret_may_stand_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("12345\n")
    inbound = hook(carrier(auth_tokens=[f"file:{tmp_path}/token"]), "inbound")
    assert rung(inbound, URL, *twilio_call(URL, FORM))
    with pytest.raises(ValidationError, match="the file cannot be read: No such file or directory"):
        carrier(auth_tokens=[f"file:{tmp_path}/nowhere"])


def test_an_empty_token_is_none_for_anybody_could_sign_with_it(tmp_path: Path) -> None:
    (tmp_path / "empty").write_text("\n")
    for nothing in ("", " ", f"file:{tmp_path}/empty"):
        with pytest.raises(ValidationError, match="is empty"):
            carrier(auth_tokens=["token", nothing])


@pytest.mark.parametrize(
    "change",
    [{"account_sid": "../.."}, {"auth_tokens": []}, {"key_sid": "SK1"}, {"key_secret": "x"}, {"status_callback": "x"}],
)
def test_twilio_section_invalid(change: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        TwilioSection.model_validate({**options("twilio"), **change})
