"""Webhooks: signed so that others can verify them, and what a server's answer means."""

from __future__ import annotations

import base64
import hashlib
import hmac
from datetime import UTC, datetime
from typing import Any, cast

import pytest

from edge.accounts.webhook_secret import WebhookSecret
from edge.errors import EdgeError, Forbidden, Invalid, TooLarge, Unavailable
from edge.flows.outside import Webhook
from edge.http import Answer, Guard
from edge.sessions.deliveries.webhook import Webhooks, delivery_of, sign
from edge.sms.carrier import NotNow, Refused, SendError

NOW = datetime(2026, 8, 1, 9, tzinfo=UTC)
CUSTOMER, CALL, EVENT = (f"{digit * 8}-1111-4111-8111-111111111111" for digit in "123")
NEW, OLD = "whsec_" + base64.b64encode(b"n" * 32).decode(), "whsec_" + base64.b64encode(b"o" * 32).decode()
URL = "https://ann:secret@example.com:8443/hooks/1?token=secret"
HOOK = Webhook("POST", URL, "application/json", '{"a": 1}')


class Vault:
    """The secrets of one account, which was asked for."""

    def __init__(self, previous: str = "") -> None:
        self.previous = previous
        self.away = False

    async def get(self, customer_id: str) -> WebhookSecret:
        assert customer_id == CUSTOMER
        if self.away:
            raise Unavailable("the database is away")
        return WebhookSecret(customer_id=customer_id, secret=NEW, previous=self.previous, tm_create=NOW)


class Server:
    """Answers one thing, and remembers what it was asked."""

    def __init__(self, answer: int | EdgeError = 200) -> None:
        self.answer = answer
        self.asked: list[dict[str, Any]] = []

    async def request(self, method: str, url: str, **more: Any) -> Answer:
        self.asked.append({"method": method, "url": url, **more})
        if isinstance(self.answer, EdgeError):
            raise self.answer
        return Answer(self.answer, b"yes", "text/plain")


def webhooks(server: Server, vault: Vault | None = None) -> Webhooks:
    return Webhooks(cast("Guard", server), vault or Vault(), lambda: NOW)


def test_the_signature_is_that_of_the_specifications_own_example() -> None:
    """The vector that the libraries of Standard Webhooks test themselves with."""
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    fields = sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}', [secret])
    assert fields["webhook-id"] == "msg_p5jXN8AQM9LWM0D4loKWxJek"
    assert fields["webhook-timestamp"] == "1614265330"
    assert fields["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


async def test_what_is_sent() -> None:
    server = Server()
    answer = await webhooks(server, Vault(OLD)).ask(EVENT, CUSTOMER, HOOK, max_bytes=7)
    assert answer.body == b"yes"
    (asked,) = server.asked
    headers = asked.pop("headers")
    assert asked == {"method": "POST", "url": URL, "body": b'{"a": 1}', "max_bytes": 7, "follow": False}
    assert headers["Content-Type"] == "application/json"
    stamp = str(int(NOW.timestamp()))
    assert (headers["webhook-id"], headers["webhook-timestamp"]) == (EVENT, stamp)
    content = f'{EVENT}.{stamp}.{{"a": 1}}'.encode()
    expected = [base64.b64encode(hmac.new(key * 32, content, hashlib.sha256).digest()) for key in (b"n", b"o")]
    assert headers["webhook-signature"] == " ".join(f"v1,{one.decode()}" for one in expected)
    platform = hmac.new(NEW.encode(), b'{"a": 1}', hashlib.sha256).hexdigest()
    assert headers["X-VoIPBIN-Signature"] == f"sha256={platform}"


@pytest.mark.parametrize(("method", "data"), [("GET", "left out"), ("DELETE", "")])
async def test_without_a_body_the_empty_one_is_signed(method: Any, data: str) -> None:
    server = Server()
    await webhooks(server).ask(EVENT, CUSTOMER, Webhook(method, URL, "text/plain", data), max_bytes=0)
    (asked,) = server.asked
    assert asked["body"] is None
    assert "Content-Type" not in asked["headers"]
    stamp = str(int(NOW.timestamp()))
    assert asked["headers"].items() >= sign(EVENT, int(stamp), b"", [NEW]).items()


@pytest.mark.parametrize(
    ("answer", "kind", "says", "code"),
    [
        (301, Refused, "the server answered 301", "301"),
        (400, Refused, "the server answered 400", "400"),
        (410, Refused, "the server answered 410", "410"),
        (408, NotNow, "the server answered 408", "408"),
        (425, NotNow, "the server answered 425", "425"),
        (429, NotNow, "the server answered 429", "429"),
        (500, NotNow, "the server answered 500", "500"),
        (503, NotNow, "the server answered 503", "503"),
        (Unavailable("it did not come within 10 seconds"), NotNow, "it did not come within 10 seconds", ""),
        (Forbidden("an address that is not allowed"), Refused, "an address that is not allowed", ""),
        (TooLarge("too large"), Refused, "too large", ""),
    ],
)
async def test_what_was_not_taken(answer: int | EdgeError, kind: type[SendError], says: str, code: str) -> None:
    delivery = delivery_of(EVENT, CUSTOMER, CALL, HOOK, NOW)
    with pytest.raises(kind) as raised:
        await webhooks(Server(answer)).send(delivery)
    assert type(raised.value) is kind
    assert (raised.value.sentence, raised.value.code) == (says, code)


@pytest.mark.parametrize("status", [200, 201, 204])
async def test_what_was_taken(status: int) -> None:
    server = Server(status)
    assert await webhooks(server).send(delivery_of(EVENT, CUSTOMER, CALL, HOOK, NOW)) == str(status)
    assert server.asked[0]["max_bytes"] == 0  # nobody looks at what it says


async def test_without_its_secret_it_waits() -> None:
    server, vault = Server(), Vault()
    vault.away = True
    with pytest.raises(NotNow):
        await webhooks(server, vault).send(delivery_of(EVENT, CUSTOMER, CALL, HOOK, NOW))
    assert server.asked == []


def test_the_row_says_who_is_to_get_it_without_telling_secrets() -> None:
    row = delivery_of(EVENT, CUSTOMER, CALL, HOOK, NOW)
    assert (row.id, row.kind, row.customer_id, row.reference_id, row.resource) == (
        EVENT,
        "webhook",
        CUSTOMER,
        CALL,
        CALL,
    )
    assert (row.host, row.target) == ("https://example.com:8443", "https://example.com:8443/hooks/1")
    assert row.payload == {"method": "POST", "uri": URL, "data_type": "application/json", "data": '{"a": 1}'}
    with pytest.raises(Invalid):
        delivery_of(EVENT, CUSTOMER, CALL, Webhook("GET", "mailto:x", "", ""), NOW)
