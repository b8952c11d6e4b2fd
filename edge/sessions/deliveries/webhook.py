"""Webhooks: a request with what a flow says, signed so that its receiver can tell who sent it, and when.

The signature is that of Standard Webhooks 1.0, which receivers verify with a library of theirs:

    webhook-id          the event's id, the same in every try; who has seen it need not look again
    webhook-timestamp   when this try was made, in seconds; who is told of an old one is told by somebody else
    webhook-signature   `v1,` and the HMAC-SHA256 of `id.timestamp.body` in base64; several while a secret is replaced

The platform's header stays for receivers that look at it, though it guards against no repetition:

    X-VoIPBIN-Signature sha256= and the HMAC-SHA256 of the body in hex, by the text of the secret

A server that answers 2xx has taken it. 408, 425, 429 and 5xx mean later, as does no answer; anything else is for good,
a redirect too: what is signed for one address is not for the next.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Final, Protocol

from edge.accounts.webhook_secret import WebhookSecret, key_of
from edge.errors import EdgeError, Unavailable
from edge.flows.outside import Webhook
from edge.http import Answer, Guard, read_url, shown
from edge.sessions.deliveries.delivery import Delivery
from edge.sms.carrier import NotNow, Refused
from edge.store.metadata import micros

NOT_NOW: Final = frozenset({408, 425, 429})  # and all 5xx


class Secrets(Protocol):
    """Where the secrets are."""

    async def get(self, customer_id: str, /) -> WebhookSecret: ...


class Webhooks:
    """Signs webhooks and sends them, once each."""

    def __init__(self, http: Guard, secrets: Secrets, clock: Callable[[], datetime]) -> None:
        self._http = http
        self._secrets = secrets
        self._clock = clock

    async def ask(self, event_id: str, customer_id: str, webhook: Webhook, *, max_bytes: int) -> Answer:
        """What the server answers, whatever the status. Raises EdgeError when it gives no answer."""
        now = self._clock()
        secrets = (await self._secrets.get(customer_id)).in_force(now)
        body = None if webhook.method == "GET" or not webhook.data else webhook.data.encode()
        headers = sign(event_id, int(now.timestamp()), body or b"", secrets)
        if body is not None:
            headers["Content-Type"] = webhook.data_type
        return await self._http.request(
            webhook.method, webhook.uri, headers=headers, body=body, max_bytes=max_bytes, follow=False
        )

    async def send(self, delivery: Delivery) -> str:
        """Deliver one; returns the status. Raises SendError."""
        try:
            answer = await self.ask(delivery.id, delivery.customer_id, Webhook(**delivery.payload), max_bytes=0)
        except Unavailable as error:
            raise NotNow(error.message) from None
        except EdgeError as error:
            raise Refused(error.message) from None
        status = answer.status
        if 200 <= status < 300:
            return str(status)
        if status in NOT_NOW or status >= 500:
            raise NotNow(f"the server answered {status}", code=str(status))
        raise Refused(f"the server answered {status}", code=str(status))


def sign(event_id: str, timestamp: int, body: bytes, secrets: Sequence[str]) -> dict[str, str]:
    """The header fields that say who sent a body; the newest secret comes first."""
    content = f"{event_id}.{timestamp}.".encode() + body
    signatures = (hmac.digest(key_of(secret), content, hashlib.sha256) for secret in secrets)
    return {
        "webhook-id": event_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(f"v1,{base64.b64encode(signature).decode()}" for signature in signatures),
        "X-VoIPBIN-Signature": f"sha256={hmac.digest(secrets[0].encode(), body, hashlib.sha256).hex()}",
    }


def delivery_of(event_id: str, customer_id: str, reference_id: str, webhook: Webhook, now: datetime) -> Delivery:
    """The row of a webhook. Raises Invalid for a URL that is none."""
    url = read_url(webhook.uri)
    return Delivery(
        id=event_id,
        kind="webhook",
        customer_id=customer_id,
        reference_id=reference_id,
        resource=reference_id,
        host=str(url.origin()),
        target=shown(url),
        payload=asdict(webhook),
        tm_create=micros(now),
    )
