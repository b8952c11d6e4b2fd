"""Texts by carriers' webhooks, signed as they sign: a real daemon, its flow, the reply by their APIs, the receipt."""

from __future__ import annotations

import itertools
import json
import urllib.error
import urllib.request
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.calls.daemon import new, running
from tests.calls.exchange import Exchange
from tests.calls.test_texts import ECHO, reply
from tests.carriers.signing import compact, telnyx, telnyx_key, twilio_call, vonage
from tests.web import Asked, Web, web_server

PUBLIC = "https://edge.example"
THEIRS = "+14155550111"
ACCOUNT = "AC00000000000000000000000000000000"
TOO_LONG = 262_145
ids = (f"id-{number}" for number in itertools.count(1))

CARRIERS = """
[[carriers]]
kind = "telnyx"
api_key = "KEY0123"
public_keys = ["{key}"]
base_url = "{url}/telnyx"

[[carriers]]
kind = "twilio"
account_sid = "{account}"
auth_tokens = ["12345"]
base_url = "{url}/twilio"

[[carriers]]
kind = "vonage"
api_key = "abcd1234"
api_secret = "t0ps3cr3t"
signature_secrets = ["{secret}"]
base_url = "{url}/vonage"
"""


class Call(NamedTuple):
    """A webhook as its carrier calls it."""

    path: str
    body: bytes
    headers: Mapping[str, str]


class Sent(NamedTuple):
    source: str
    destination: str
    text: str


class Party(ABC):
    """A carrier, as the story plays it."""

    kind: str
    api: str  # the path that texts are sent to
    taken = 200  # the status of its API when it takes a text
    missing: str  # what is told to be wrong of a text without its id
    has_time = True  # whether what it signs can be too old

    @abstractmethod
    def text(self, id: str, number: str, text: str, *media: str, at: datetime | None = None) -> Call:
        """A text from THEIRS."""

    @abstractmethod
    def receipt(self, asked: Asked, id: str, *, failed: bool) -> Call:
        """What became of a text that it was asked to send."""

    @abstractmethod
    def answer(self, id: str) -> dict[str, Any]:
        """What its API answers when it takes a text."""

    @abstractmethod
    def sent(self, asked: Asked) -> Sent:
        """What its API was asked to send."""

    def refusal(self) -> dict[str, Any]:
        return {}


class Telnyx(Party):
    kind, api, missing = "telnyx", "/telnyx/v2/messages", "data.payload.id"

    def text(self, id: str, number: str, text: str, *media: str, at: datetime | None = None) -> Call:
        payload = {"from": {"phone_number": THEIRS}, "to": [{"phone_number": number}], "text": text}
        more = {"media": [{"url": url} for url in media], **({"id": id} if id else {})}
        return self._event("message.received", {**payload, **more}, at)

    def receipt(self, asked: Asked, id: str, *, failed: bool) -> Call:
        status = "delivery_failed" if failed else "delivered"
        to = {"phone_number": self.sent(asked).destination, "status": status}
        errors = [{"code": "40008", "title": "Undeliverable", "detail": "did not accept it"}] if failed else []
        payload = {"id": id, "from": {"phone_number": self.sent(asked).source}, "to": [to], "errors": errors}
        return self._event("message.finalized", payload)

    def answer(self, id: str) -> dict[str, Any]:
        return {"data": {"id": id}}

    def sent(self, asked: Asked) -> Sent:
        return Sent(asked.json["from"], asked.json["to"], asked.json["text"])

    def _event(self, kind: str, payload: Any, at: datetime | None = None) -> Call:
        body = compact({"data": {"event_type": kind, "payload": payload}})
        return Call("/v1.0/carriers/telnyx/inbound", body, telnyx(body, at or datetime.now(UTC)))


class Twilio(Party):
    kind, api, taken = "twilio", f"/twilio/2010-04-01/Accounts/{ACCOUNT}/Messages.json", 201
    missing, has_time = "MessageSid", False

    def text(self, id: str, number: str, text: str, *media: str, at: datetime | None = None) -> Call:
        form = {"From": THEIRS, "To": number, "Body": text, "NumMedia": str(len(media))}
        form |= {f"MediaUrl{index}": url for index, url in enumerate(media)}
        return self._call(f"{PUBLIC}/v1.0/carriers/twilio/inbound", {**form, **({"MessageSid": id} if id else {})})

    def receipt(self, asked: Asked, id: str, *, failed: bool) -> Call:
        form = {"MessageSid": id, "MessageStatus": "undelivered" if failed else "delivered"}
        form |= {"ErrorCode": "40008", "ErrorMessage": "did not accept it"} if failed else {}
        return self._call(self._asked(asked)["StatusCallback"][0], form)

    def answer(self, id: str) -> dict[str, Any]:
        return {"sid": id, "status": "queued"}

    def sent(self, asked: Asked) -> Sent:
        form = self._asked(asked)
        return Sent(form["From"][0], form["To"][0], form["Body"][0])

    def _asked(self, asked: Asked) -> dict[str, list[str]]:
        return parse_qs(asked.body.decode())

    def _call(self, url: str, form: dict[str, str]) -> Call:
        return Call(url.removeprefix(PUBLIC), *twilio_call(url, form))


class Vonage(Party):
    kind, api, taken, missing = "vonage", "/vonage/v1/messages", 202, "message_uuid"

    def text(self, id: str, number: str, text: str, *media: str, at: datetime | None = None) -> Call:
        body = {"channel": "sms", "from": THEIRS[1:], "to": number[1:], "text": text}
        body |= {"message_uuid": id} if id else {}
        pieces = [{"type": "image", "url": url} for url in media]
        return self._call("inbound", {**body, "content": pieces}, at)

    def receipt(self, asked: Asked, id: str, *, failed: bool) -> Call:
        body = {"message_uuid": id, "client_ref": asked.json["client_ref"], "status": "delivered"}
        if failed:
            error = {"type": "https://developer.vonage.com/api-errors/messages#40008", "detail": "did not accept it"}
            body |= {"status": "rejected", "error": error}
        return self._call("status", body)

    def answer(self, id: str) -> dict[str, Any]:
        return {"message_uuid": id}

    def sent(self, asked: Asked) -> Sent:
        said = asked.json
        return Sent(f"+{said['from']}", f"+{said['to']}", said["text"])

    def _call(self, suffix: str, value: Any, at: datetime | None = None) -> Call:
        body = compact(value)
        return Call(f"/v1.0/carriers/vonage/{suffix}", body, vonage(body, at or datetime.now(UTC)))


PARTIES: list[Party] = [Telnyx(), Twilio(), Vonage()]


@pytest.fixture(params=PARTIES, ids=lambda party: party.kind)
def party(request: pytest.FixtureRequest) -> Party:
    found: Party = request.param
    return found


@pytest.fixture(scope="module")
def web() -> Iterator[Web]:
    with web_server() as server:
        yield server


@pytest.fixture(scope="module")
def edge(tmp_path_factory: pytest.TempPathFactory, web: Web) -> Iterator[Exchange]:
    extra = CARRIERS.format(url=web.url, key=telnyx_key(), account=ACCOUNT, secret="s" * 32)
    environ = {"EDGE_API__PUBLIC_URL": PUBLIC, "EDGE_OUTBOX__FIRST_WAIT_SECONDS": "0.05"}
    with running(new(tmp_path_factory.mktemp("hooks"), extra, environ=environ)) as made:
        yield Exchange(made)
        assert made.alive, made.words()
        assert not made.lines("Traceback"), made.words()
        for secret in ("KEY0123", "12345", "t0ps3cr3t", "s" * 32):
            assert not made.lines(secret)


def ring(edge: Exchange, call: Call) -> tuple[int, dict[str, Any], dict[str, str]]:
    """Call a hook; status, error and header fields of the answer."""
    request = urllib.request.Request(edge.daemon.url + call.path, call.body, dict(call.headers), method="POST")
    try:
        with urllib.request.urlopen(request, timeout=10) as response:
            assert response.read() == b""
            return response.status, {}, dict(response.headers)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)["error"], dict(error.headers)


def taken(edge: Exchange, call: Call) -> bool:
    status, error, _ = ring(edge, call)
    assert 200 <= status < 300, error
    return True


def asked_for(edge: Exchange, web: Web, party: Party, number: str) -> list[Asked]:
    """What the API was asked to send from a number."""
    return [asked for asked in web.to(party.api) if party.sent(asked).source == number]


def told(edge: Exchange, number: str) -> tuple[str, str, str]:
    """How far the last text from a number got, with code and reason; nothing where there is none yet."""
    for found in edge.texts(number, "outbound"):
        return found["targets"][0]["status"], found["edge"]["code"], found["edge"]["reason"]
    return "", "", ""


@pytest.mark.parametrize("failed", [False, True], ids=["delivered", "failed"])
def test_a_text_runs_its_flow_and_the_reply_is_followed_to_its_end(
    edge: Exchange, web: Web, party: Party, failed: bool
) -> None:
    number, id = edge.number(texts=(ECHO,)), next(ids)
    web.default[party.api] = (party.taken, party.answer(id))
    taken(edge, party.text(f"in {id}", number, "Grüß Gott ☎"))
    (asked,) = edge.wait(lambda: asked_for(edge, web, party, number), "the reply")
    assert party.sent(asked) == (number, THEIRS, "You wrote: Grüß Gott ☎")
    edge.wait(lambda: told(edge, number)[0] == "sent", "that it is sent")
    (kept,) = edge.texts(number, "inbound")
    assert (kept["text"], kept["edge"]["carrier"], kept["edge"]["carrier_id"]) == (
        "Grüß Gott ☎",
        party.kind,
        f"in {id}",
    )

    receipt = party.receipt(asked, id, failed=failed)
    for _ in range(2):
        taken(edge, receipt)
    assert told(edge, number)[0] == ("failed" if failed else "delivered")
    if failed:
        assert told(edge, number)[1:] == ("40008", "did not accept it")


def test_a_text_that_comes_again_or_twice_at_once_is_one(edge: Exchange, web: Web, party: Party) -> None:
    number, id = edge.number(texts=(ECHO,)), next(ids)
    web.default[party.api] = (party.taken, party.answer(id))
    call = party.text(id, number, "once only")
    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(lambda _: taken(edge, call), range(16)))
    edge.wait(lambda: told(edge, number)[0] == "sent", "that it is sent")
    taken(edge, party.text(id, number, "once only"))
    assert len(edge.texts(number, "inbound")) == len(edge.texts(number, "outbound")) == 1
    assert len(asked_for(edge, web, party, number)) == 1


def test_pictures_are_told_to_the_flow(edge: Exchange, web: Web, party: Party) -> None:
    said = "${edge.message.media.count}: ${edge.message.media.0} ${edge.message.media.1}"
    number, id = edge.number(texts=(reply(said),)), next(ids)
    web.default[party.api] = (party.taken, party.answer(id))
    urls = ("https://media.example/1.jpg", "https://media.example/2.mp4")
    taken(edge, party.text(id, number, "", *urls))
    (asked,) = edge.wait(lambda: asked_for(edge, web, party, number), "the reply")
    assert party.sent(asked).text == f"2: {urls[0]} {urls[1]}"
    assert edge.texts(number, "inbound")[0]["edge"]["media"] == list(urls)


def test_a_text_to_nobody_is_kept_and_not_wanted_again(edge: Exchange, party: Party) -> None:
    number = f"+1415559{next(edge._numbers)}"
    taken(edge, party.text(next(ids), number, "anybody?"))
    (kept,) = edge.texts(number, "inbound")
    assert (kept["targets"][0]["status"], kept["edge"]["reason"]) == ("rejected", "NumberUnknown")


def test_what_is_not_proven_is_401_and_kept_nowhere(edge: Exchange, party: Party) -> None:
    number = edge.number(texts=(ECHO,))
    call = party.text(next(ids), number, "let me in")
    forged = call._replace(body=call.body.replace(b"let", b"LET"))
    bare = call._replace(headers={"Content-Type": "application/json"})
    for wrong, reason in ((forged, "signature_wrong"), (bare, "signature_missing")):
        before = edge.counted("edge_hooks_refused_total", carrier=party.kind, reason=reason)
        assert ring(edge, wrong)[:1] == (401,)
        assert edge.counted("edge_hooks_refused_total", carrier=party.kind, reason=reason) == before + 1
    assert edge.texts(number, "inbound") == []


def test_what_was_signed_long_ago_is_401_where_the_time_is_signed(edge: Exchange, party: Party) -> None:
    old = datetime.now(UTC) - timedelta(minutes=6)
    call = party.text(next(ids), edge.number(texts=(ECHO,)), "yesterday", at=old)
    if not party.has_time:
        assert taken(edge, call)
        return
    status, error, _ = ring(edge, call)
    assert (status, error["reason"]) == (401, "STALE")


def test_what_is_malformed_is_400_and_named(edge: Exchange, party: Party) -> None:
    status, error, _ = ring(edge, party.text("", edge.number(texts=(ECHO,)), "who am I?"))
    assert (status, [place["where"] for place in error["details"]]) == (400, [party.missing])


def test_what_is_over_long_is_413(edge: Exchange, party: Party) -> None:
    call = party.text(next(ids), edge.number(texts=(ECHO,)), "long")
    assert ring(edge, call._replace(body=b"x" * TOO_LONG))[0] == 413


def test_a_reply_that_is_not_taken_now_is_tried_again(edge: Exchange, web: Web, party: Party) -> None:
    number, id = edge.number(texts=(ECHO,)), next(ids)
    web.says[party.api] = [(503, "")]
    web.default[party.api] = (party.taken, party.answer(id))
    taken(edge, party.text(id, number, "busy?"))
    edge.wait(lambda: told(edge, number)[0] == "sent", "that it is sent")
    first, second = asked_for(edge, web, party, number)
    assert party.sent(first) == party.sent(second)
    assert first.headers.get("idempotency-key") == second.headers.get("idempotency-key")


def test_a_reply_that_is_refused_says_why(edge: Exchange, web: Web, party: Party) -> None:
    number = edge.number(texts=(ECHO,))
    web.default[party.api] = (422, {})
    taken(edge, party.text(next(ids), number, "go away"))
    edge.wait(lambda: told(edge, number)[0] == "failed", "the failure")
    assert told(edge, number) == ("failed", "422", f"{party.kind} answered 422: no reason")


def test_the_document_has_the_hooks(edge: Exchange, party: Party) -> None:
    paths = edge.daemon.ask("GET", "/openapi.json")["paths"]
    found = paths[urlsplit(party.text("1", "+14155550100", "x").path).path]["post"]
    assert {"200", "400", "401", "413", "503"} <= set(found["responses"])
    assert found["security"] == []
