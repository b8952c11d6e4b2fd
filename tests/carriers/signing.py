"""How carriers sign their webhooks, written from their documents and not with our code."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

TELNYX = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))  # whose public key tests/carriers/data/telnyx.json has
FORM = "application/x-www-form-urlencoded"


def telnyx(body: bytes, at: datetime, key: Ed25519PrivateKey = TELNYX) -> dict[str, str]:
    sent_at = str(int(at.timestamp()))
    signature = key.sign(f"{sent_at}|".encode() + body)
    return {"telnyx-timestamp": sent_at, "telnyx-signature-ed25519": base64.b64encode(signature).decode()}


def telnyx_key(key: Ed25519PrivateKey = TELNYX) -> str:
    return base64.b64encode(key.public_key().public_bytes_raw()).decode()


def twilio(url: str, form: Iterable[tuple[str, str]], token: str = "12345") -> dict[str, str]:
    message = url + "".join(f"{name}{value}" for name, value in sorted(form))
    digest = hmac.new(token.encode(), message.encode(), hashlib.sha1).digest()
    return {"X-Twilio-Signature": base64.b64encode(digest).decode(), "Content-Type": f"{FORM}; charset=UTF-8"}


def twilio_call(url: str, form: Mapping[str, str], token: str = "12345") -> tuple[bytes, dict[str, str]]:
    """A body and its header fields."""
    return urlencode(form).encode(), twilio(url, form.items(), token)


def vonage(body: bytes, at: datetime, secret: str = "s" * 32, **claims: Any) -> dict[str, str]:
    said = {
        "iat": int(at.timestamp()),
        "jti": "0c0e1c4a-4b9a-4f0e-8a2f-6f1a5f7b9a1d",
        "iss": "Vonage",
        "payload_hash": hashlib.sha256(body).hexdigest(),
        "api_key": "abcd1234",
        "application_id": "00000000-0000-4000-8000-000000000000",
        **claims,
    }
    said = {name: value for name, value in said.items() if value is not None}
    return {"Authorization": f"Bearer {jwt.encode(said, secret, algorithm='HS256')}"}


def compact(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()
