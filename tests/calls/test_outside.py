"""Flows that ask and tell the world: what a URL does costs its step only, and what is sent arrives, signed, once more
when it has to.
"""

from __future__ import annotations

import itertools
import urllib.parse
from collections.abc import Iterator
from typing import Any

import pytest
from standardwebhooks import Webhook as Verifier
from standardwebhooks import WebhookVerificationError

from tests.calls.caller import Caller
from tests.calls.daemon import Daemon, daemon
from tests.calls.exchange import ANSWER, Action, Exchange, hangup, sleep
from tests.calls.rtp import offer
from tests.servers import free_port
from tests.smtp import Post, mail_server
from tests.web import Asked, Web, web_server

DEADLINE = 0.5  # seconds that a URL has
FROM = "edge@voice.example.com"
BUSY, SORRY = hangup("busy"), {"id": "sorry", **hangup("noanswer")}
texts = itertools.count(1)


@pytest.fixture(scope="module")
def web() -> Iterator[Web]:
    with web_server() as found:
        yield found


@pytest.fixture(scope="module")
def private() -> Iterator[Web]:
    """A server where nobody may go: at an address that is not allowed."""
    with web_server("127.0.0.2") as found:
        yield found


@pytest.fixture(scope="module")
def post() -> Iterator[Post]:
    with mail_server() as found:
        yield found


@pytest.fixture(scope="module")
def outside(tmp_path_factory: pytest.TempPathFactory, web: Web, private: Web, post: Post) -> Iterator[Exchange]:
    web.elsewhere = f"{private.url}/steps"
    extra = f"""
[http]
allow_private = ["127.0.0.1/32"]
deadline_seconds = {DEADLINE}

[deliveries]
first_wait_seconds = 0.1

[smtp]
host = "127.0.0.1"
port = {post.port}
tls = "none"
sender = "{FROM}"

[[carriers]]
kind = "loopback"
"""
    with daemon(tmp_path_factory.mktemp("outside"), extra, environ={"EDGE_STORE__LAZY_MS": "20"}) as made:
        yield Exchange(made)
        assert made.alive, made.words()


@pytest.fixture
def caller(outside: Exchange) -> Iterator[Caller]:
    with Caller(outside.daemon.sip) as found:
        yield found


def fetch(url: str, failure_id: str = "", **option: Any) -> Action:
    return {"id": "ask", "type": "fetch", "option": {"event_url": url, **option}, "failure_id": failure_id}


def tell(url: str, **option: Any) -> Action:
    return {"id": "tell", "type": "webhook_send", "option": {"uri": url, **option}}


def text(edge: Daemon, number: str, body: str = "hello", sender: str = "+14155550111") -> str:
    """Have a text come in; the id of its message."""
    told = {"id": str(next(texts)), "from": sender, "to": number, "text": body}
    return str(edge.ask("POST", "/v1.0/carriers/loopback/inbound", told)["id"])


def done(outside: Exchange, message_id: str) -> dict[str, Any]:
    """The record of a text once its flow is over."""

    def look() -> dict[str, Any] | None:
        found = outside.daemon.ask("GET", f"/v1.0/messages/{message_id}")
        return found if found["edge"]["flow_state"] in ("done", "failed") else None

    found: dict[str, Any] = outside.wait(look, "the end of the flow")
    return found


def notes(record: dict[str, Any]) -> list[tuple[str, str, str]]:
    return [(step["step"], step["outcome"], step["note"]) for step in record["steps"]]


def arrives(outside: Exchange, web: Web, path: str, count: int = 1) -> list[Asked]:
    found: list[Asked] = outside.wait(
        lambda: web.to(path) if len(web.to(path)) >= count else None, f"a request to {path}"
    )
    return found


def delivery(outside: Exchange, reference_id: str, state: str) -> dict[str, Any]:
    """The delivery of one call or text, once it is in a state."""

    def look() -> dict[str, Any] | None:
        found = outside.daemon.all("/v1.0/deliveries")
        mine = [one for one in found if one["reference_id"] == reference_id and one["state"] == state]
        return mine[0] if mine else None

    found: dict[str, Any] = outside.wait(look, f"a delivery that is {state}")
    return found


def verify(outside: Exchange, asked: Asked) -> None:
    """As a receiver does it, with the library of those who wrote the specification."""
    secret = outside.daemon.ask("GET", f"/v1.0/customers/{outside.customer}/webhook_secret")["secret"]
    Verifier(secret).verify(asked.body, asked.headers, json_parse=False)
    with pytest.raises(WebhookVerificationError):
        Verifier(secret).verify(asked.body + b" ", asked.headers, json_parse=False)


# fetch


def test_a_call_does_what_a_url_says_and_comes_back(outside: Exchange, caller: Caller, web: Web) -> None:
    web.says["/menu"] = [(200, [{"type": "beep"}, {"id": "back", "type": "sleep", "option": {"duration": 1}}])]
    number = outside.number(ANSWER, fetch(f"{web.url}/menu", event_method="POST"), BUSY)
    call = caller.call(number, offer(caller.media))
    call.answered()
    call.ended()
    record = outside.record(call.id)
    assert [step["type"] for step in record["steps"]] == ["answer", "fetch", "beep", "sleep", "hangup"]
    (asked,) = web.to("/menu")
    assert asked.headers["content-type"] == "application/json"
    assert asked.json == {
        "activeflow_id": record["id"],
        "flow_id": record["flow_id"],
        "reference_type": "call",
        "reference_id": record["id"],
        "source": caller.user,
        "destination": number,
        "digits": "",
        "variables": {},
    }


def test_a_text_is_answered_as_a_url_says(outside: Exchange, web: Web) -> None:
    reply = {"type": "reply", "option": {"text": "you said ${voipbin.conversation_message.text}"}}
    web.says["/reply"] = [(200, {"actions": [reply]})]
    number = outside.number(texts=(fetch(f"{web.url}/reply?a=1"),))
    assert done(outside, text(outside.daemon, number, "${x}"))["edge"]["outcome"] == "finished"
    assert outside.texts(number, "outbound")[0]["text"] == "you said ${x}"
    (asked,) = web.to("/reply")
    query = urllib.parse.parse_qs(asked.path.partition("?")[2])
    assert (asked.method, asked.body, query["a"], query["reference_type"]) == ("GET", b"", ["1"], ["conversation"])


WRONG = [
    ("/slow", (200, []), f"did not come within {DEADLINE} seconds"),
    ("/huge", (200, []), "is larger than 65536 bytes"),
    ("/html", (200, "<html>"), "the answer is not JSON"),
    ("/nonsense", (200, [{"type": "dance"}]), "there is no action 'dance'"),
    ("/down", (500, []), "the URL was answered 500"),
    ("/away", (200, []), "is at an address that is not allowed: 127.0.0.2"),
]


@pytest.mark.parametrize(("path", "answer", "says"), WRONG)
def test_a_url_that_does_wrong_costs_its_step_only(
    outside: Exchange, caller: Caller, web: Web, private: Web, path: str, answer: tuple[int, Any], says: str
) -> None:
    web.default[path] = answer
    goes_on = outside.number(fetch(web.url + path, failure_id="sorry"), BUSY, SORRY)
    call = caller.call(goes_on, offer(caller.media))
    assert call.refused().status == 480
    (ask, sorry) = outside.record(call.id)["steps"]
    assert ask["outcome"] == "failed"
    assert says in ask["note"]
    assert sorry["step"] == "sorry"
    ends = outside.number(fetch(web.url + path), BUSY)
    call = caller.call(ends, offer(caller.media))
    assert call.refused().status == 500
    record = outside.record(call.id)
    assert record["outcome"] == "failed"
    assert says in record["error"]
    assert private.asked == []


def test_a_private_address_is_not_asked(outside: Exchange, caller: Caller, private: Web) -> None:
    call = caller.call(outside.number(fetch(f"{private.url}/steps"), BUSY), offer(caller.media))
    assert call.refused().status == 500
    assert "an address that is not allowed" in outside.record(call.id)["error"]
    assert private.asked == []


def test_others_are_served_while_a_url_hangs(outside: Exchange, caller: Caller, web: Web) -> None:
    hangs = outside.number(fetch(f"{web.url}/slow", failure_id="sorry"), BUSY, SORRY)
    first = caller.call(hangs, offer(caller.media))
    first.provisional(100)
    with Caller(outside.daemon.sip) as other:
        assert other.call(outside.number(BUSY), offer(other.media)).refused().status == 486
    assert first.refused().status == 480


def test_a_caller_who_hangs_up_does_not_wait_for_a_url(outside: Exchange, caller: Caller, web: Web) -> None:
    call = caller.call(outside.number(ANSWER, fetch(f"{web.url}/slow"), BUSY), offer(caller.media))
    call.answered()
    call.hang_up()
    record = outside.record(call.id)
    assert record["hangup_by"] == "remote"
    assert [step["outcome"] for step in record["steps"]] == ["done", "ended"]


# webhook_send


def test_a_webhook_arrives_signed_though_its_call_is_over(outside: Exchange, caller: Caller, web: Web) -> None:
    data = {"who": "${voipbin.call.source.target}", "of": ["${edge.number.name}", 1]}
    number = outside.number(tell(f"{web.url}/told?token=secret", data=data), BUSY)
    call = caller.call(number, offer(caller.media))
    assert call.refused().status == 486
    (asked,) = arrives(outside, web, "/told")
    verify(outside, asked)
    assert (asked.method, asked.headers["content-type"]) == ("POST", "application/json")
    assert asked.json == {"who": caller.user, "of": ["", 1]}
    record = outside.record(call.id)
    row = delivery(outside, record["id"], "sent")
    assert (row["id"], row["kind"], row["attempts"], row["receipt"]) == (
        asked.headers["webhook-id"],
        "webhook",
        1,
        "200",
    )
    assert row["target"] == f"{web.url}/told"
    assert notes(record)[0] == ("tell", "done", row["id"])


def test_a_receiver_that_was_down_gets_it_later_under_the_same_id(outside: Exchange, caller: Caller) -> None:
    port = free_port()
    call = caller.call(outside.number(tell(f"http://127.0.0.1:{port}/up", data="hello"), BUSY), offer(caller.media))
    call.refused()
    record = outside.record(call.id)
    waits = outside.wait(
        lambda: (row := delivery(outside, record["id"], "queued"))["attempts"] >= 2 and row, "the second try"
    )
    assert "cannot connect" in waits["error"]
    with web_server(port=port) as web:
        web.says["/up"] = [(503, "still starting")]
        first, second = arrives(outside, web, "/up", 2)
        row = delivery(outside, record["id"], "sent")
    for asked in (first, second):
        verify(outside, asked)
    assert first.headers["webhook-id"] == second.headers["webhook-id"] == waits["id"]
    assert row["attempts"] >= 4


@pytest.mark.parametrize(
    ("path", "answer", "error"),
    [
        ("/gone", (410, ""), "the server answered 410"),
        ("/away", (200, ""), "the server answered 302"),
        ("", (200, ""), "is at an address that is not allowed"),
    ],
)
def test_what_will_never_be_taken_is_given_up_and_says_why(
    outside: Exchange, caller: Caller, web: Web, private: Web, path: str, answer: tuple[int, Any], error: str
) -> None:
    web.default[path] = answer
    url = web.url + path if path else f"{private.url}/hook"
    call = caller.call(outside.number(tell(url), BUSY), offer(caller.media))
    assert call.refused().status == 486
    row = delivery(outside, outside.record(call.id)["id"], "failed")
    assert (row["attempts"], row["tm_due"]) == (1, None)
    assert error in row["error"]
    assert private.asked == []


def test_a_flow_waits_for_an_answer_and_goes_by_it(outside: Exchange, caller: Caller, web: Web) -> None:
    web.says["/ask"] = [(200, {"go": "sorry", "evil": "${voipbin.call.id}"})]
    go = {"type": "goto", "option": {"target_id": "${edge.webhook.json.go}", "loop_count": 1}}
    call = caller.call(outside.number(tell(f"{web.url}/ask", sync=True), go, BUSY, SORRY), offer(caller.media))
    assert call.refused().status == 480
    (asked,) = web.to("/ask")
    verify(outside, asked)
    assert notes(outside.record(call.id))[0] == ("tell", "done", "the server answered 200")


@pytest.mark.parametrize(("path", "answer", "says"), [*WRONG[:2], WRONG[4]])
def test_an_answer_that_does_not_come_is_no_end(
    outside: Exchange, caller: Caller, web: Web, path: str, answer: tuple[int, Any], says: str
) -> None:
    web.default[path] = answer
    call = caller.call(outside.number(tell(web.url + path, sync=True), BUSY), offer(caller.media))
    assert call.refused().status == 486
    (step, outcome, note) = notes(outside.record(call.id))[0]
    assert (step, outcome) == ("tell", "failed")
    assert says.replace("65536", "32768").replace("the URL was", "the server") in note


def test_a_replaced_secret_signs_beside_the_one_before(outside: Exchange, caller: Caller, web: Web) -> None:
    path = f"/v1.0/customers/{outside.customer}/webhook_secret"
    old = outside.daemon.ask("GET", path)["secret"]
    new = outside.daemon.ask("POST", path)["secret"]
    caller.call(outside.number(tell(f"{web.url}/both"), BUSY), offer(caller.media)).refused()
    (asked,) = arrives(outside, web, "/both")
    for secret in (old, new):
        Verifier(secret).verify(asked.body, asked.headers, json_parse=False)


# email_send


def email(**option: Any) -> Action:
    return {"id": "mail", "type": "email_send", "option": {"destinations": ["ann@example.com"], **option}}


def test_an_email_arrives_with_what_the_caller_texted(outside: Exchange, post: Post) -> None:
    number = outside.number(
        texts=(email(subject="Text: ${voipbin.conversation_message.text}", content="See subject."),)
    )
    message = text(outside.daemon, number, "hi\r\nBcc: eve@example.com")
    row = delivery(outside, message, "sent")
    (got,) = [one for one in post.took if row["id"] in one["Message-ID"]]
    assert (got["Subject"], got["Bcc"], got["From"]) == ("Text: hi Bcc: eve@example.com", None, FROM)
    assert got.get_content().strip() == "See subject."
    assert (row["kind"], row["target"]) == ("email", "ann@example.com")


def test_an_email_is_tried_again_until_the_server_takes_it(outside: Exchange, caller: Caller, post: Post) -> None:
    post.says = {"RCPT": ["450 busy"], "DATA": ["451 busy"]}
    call = caller.call(outside.number(email(content="hello"), BUSY), offer(caller.media))
    assert call.refused().status == 486
    row = delivery(outside, outside.record(call.id)["id"], "sent")
    assert row["attempts"] == 3
    assert len([one for one in post.took if row["id"] in one["Message-ID"]]) == 1


def test_what_was_recorded_is_emailed(outside: Exchange, caller: Caller, post: Post) -> None:
    recording = {"reference_type": "recording", "reference_id": "${voipbin.recording.id}"}
    start, stop = {"type": "recording_start"}, {"type": "recording_stop"}
    send = email(content="Somebody spoke.", attachments=[recording])
    call = caller.call(outside.number(ANSWER, start, sleep(200), stop, send), offer(caller.media))
    call.answered()
    call.ended()
    record = outside.record(call.id)
    row = delivery(outside, record["id"], "sent")
    (got,) = [one for one in post.took if row["id"] in one["Message-ID"]]
    (file,) = got.iter_attachments()
    (kept,) = outside.daemon.all(f"/v1.0/recordings?reference_id={record['id']}")
    assert (file.get_content_type(), file.get_filename()) == ("audio/wav", kept["filenames"][0])
    assert len(file.get_content()) == kept["edge"]["bytes"] > 1_000


# conversation_send


def go_on(conversation: str) -> Action:
    return {"id": "on", "type": "conversation_send", "option": {"conversation_id": conversation, "text": "called!"}}


def test_a_call_goes_on_with_a_conversation(outside: Exchange, caller: Caller) -> None:
    texted = outside.number(texts=({"type": "stop"},))
    there = done(outside, text(outside.daemon, texted, sender="+14155550177"))["edge"]["conversation_id"]
    call = caller.call(outside.number(go_on(there), BUSY), offer(caller.media))
    assert call.refused().status == 486
    record = outside.record(call.id)
    (sent,) = outside.texts(texted, "outbound")
    assert (sent["text"], sent["source"]["target"]) == ("called!", texted)
    assert sent["targets"][0]["destination"]["target"] == "+14155550177"
    assert (sent["edge"]["conversation_id"], sent["edge"]["reference_id"]) == (there, record["id"])
    assert notes(record)[0] == ("on", "done", sent["id"])


def test_a_conversation_of_others_is_none(outside: Exchange, caller: Caller) -> None:
    texted = outside.number(texts=({"type": "stop"},))
    there = done(outside, text(outside.daemon, texted))["edge"]["conversation_id"]
    stranger = outside.daemon.account()
    for conversation, customer in ((there, stranger), (there[:-1] + "x", outside.customer)):
        call = caller.call(outside.number(go_on(conversation), BUSY, customer=customer), offer(caller.media))
        assert call.refused().status == 486
        step, outcome, note = notes(outside.record(call.id))[0]
        assert (step, outcome, note) == ("on", "failed", f"there is no conversation {conversation}")
    assert outside.texts(texted, "outbound") == []
