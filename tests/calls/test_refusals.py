"""The wire table: what is answered to a call that nobody can take, what its record says, and what was counted."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from urllib.parse import quote

import pytest

from tests.calls.caller import Caller
from tests.calls.exchange import ANSWER, STAY, Exchange, hangup
from tests.calls.message import Message, fresh
from tests.calls.rtp import offer

UNKNOWN = "+14155559876"


@pytest.fixture(scope="module")
def number(exchange: Exchange) -> str:
    return exchange.number(ANSWER, STAY)


def released(exchange: Exchange) -> str:
    number = exchange.provision(ANSWER)
    exchange.daemon.ask("DELETE", f"/v1.0/numbers/{number['id']}")
    return str(number["number"])


def suspended(exchange: Exchange) -> str:
    number = exchange.provision(ANSWER)
    exchange.daemon.ask("PATCH", f"/v1.0/numbers/{number['id']}", {"status": "suspended"})
    return str(number["number"])


def of_a_suspended_account(exchange: Exchange) -> str:
    customer = exchange.daemon.account()
    number = exchange.number(ANSWER, customer=customer)
    exchange.daemon.ask("PUT", f"/v1.0/customers/{customer}", {"status": "suspended"})
    return number


def without_a_flow(exchange: Exchange) -> str:
    return exchange.number(texts=({"type": "reply", "option": {"text": "hello"}},))


REFUSALS: list[tuple[Callable[[Exchange], str], int, str, str]] = [
    (lambda _: UNKNOWN, 404, "Q.850;cause=1", "NumberUnknown"),
    (lambda _: "hello", 404, "Q.850;cause=1", "NumberUnknown"),
    (lambda _: "911", 404, "Q.850;cause=1", "NumberUnknown"),
    (released, 410, "Q.850;cause=22", "NumberReleased"),
    (suspended, 403, "Q.850;cause=21", "NumberSuspended"),
    (of_a_suspended_account, 403, "Q.850;cause=21", "NumberSuspended"),
    (without_a_flow, 404, 'Q.850;cause=1;text="no flow bound"', "FlowUnbound"),
    (lambda _: "+1415", 484, "Q.850;cause=28", "NumberIncomplete"),
    (lambda _: "141555", 484, "Q.850;cause=28", "NumberIncomplete"),
]
NAMES = ["unknown", "letters", "911", "released", "suspended", "account", "unbound", "short", "national-short"]


@pytest.mark.parametrize(("dialed", "status", "reason", "error"), REFUSALS, ids=NAMES)
def test_a_number_that_takes_no_calls(
    exchange: Exchange, caller: Caller, dialed: Callable[[Exchange], str], status: int, reason: str, error: str
) -> None:
    number = dialed(exchange)
    refused = exchange.counted("edge_calls_refused_total", reason=error)
    rejected = exchange.counted("edge_calls_total", outcome="rejected")
    responses = exchange.counted("edge_sip_responses_total", code=str(status))
    call = caller.call(number, offer(caller.media))
    answer = call.refused()
    assert (answer.status, answer.texts("Reason")) == (status, [reason])
    assert not answer.lines("Retry-After")
    assert ";tag=" in answer.text("To")

    record = exchange.record(call.id)
    assert (record["outcome"], record["sip_code"], record["hangup_by"]) == ("rejected", status, "local")
    assert record["error"]
    assert record["steps"] == []
    assert record["trunk"] == "loopback"
    assert record["dialed"] == caller.uri(number)
    assert record["source"]["target"] == "+14155550199"
    assert record["source"]["target_name"] == "A caller"
    assert record["remote"] == "127.0.0.1"
    assert exchange.counted("edge_calls_refused_total", reason=error) == refused + 1
    assert exchange.counted("edge_calls_total", outcome="rejected") == rejected + 1
    assert exchange.counted("edge_sip_responses_total", code=str(status)) == responses + 1


def test_explain_says_the_same(exchange: Exchange, caller: Caller) -> None:
    numbers = [UNKNOWN, released(exchange), suspended(exchange), of_a_suspended_account(exchange), "+1415"]
    for number in numbers:
        answer = caller.call(number, offer(caller.media)).refused()
        said = exchange.daemon.ask("GET", f"/v1.0/explain?number={quote(number)}")["refused"]
        assert (answer.status, answer.text("Reason")) == (said["sip"], f"Q.850;cause={said['cause']}")


def test_explain_says_the_same_beside_the_daemon(exchange: Exchange, caller: Caller) -> None:
    """The command, on the daemon's stores."""
    number = released(exchange)
    call = caller.call(number, offer(caller.media))
    assert call.refused().status == 410
    said = json.loads(exchange.daemon.run("explain", number, "--config", str(exchange.daemon.config)))
    assert (said["e164"], said["flow"]) == (number, None)
    assert said["refused"] == {
        "reason": "NumberReleased",
        "message": exchange.record(call.id)["error"],
        "sip": 410,
        "cause": 22,
    }


def test_a_number_is_served_the_moment_it_is_bound_again(exchange: Exchange, caller: Caller) -> None:
    number = exchange.provision()
    path = f"/v1.0/numbers/{number['id']}"
    assert caller.call(number["number"], offer(caller.media)).refused().status == 404
    exchange.daemon.ask("PUT", f"{path}/flow_ids", {"call_flow_id": exchange.flow(hangup("busy"))})
    assert caller.call(number["number"], offer(caller.media)).refused().status == 486
    exchange.daemon.ask("PATCH", path, {"status": "suspended"})
    assert caller.call(number["number"], offer(caller.media)).refused().status == 403
    exchange.daemon.ask("PATCH", path, {"status": "active"})
    assert caller.call(number["number"], offer(caller.media)).refused().status == 486
    exchange.daemon.ask("DELETE", path)
    assert caller.call(number["number"], offer(caller.media)).refused().status == 410
    again = {"customer_id": exchange.customer, "number": number["number"], "call_flow_id": exchange.flow(hangup())}
    exchange.daemon.ask("POST", "/v1.0/numbers", again)
    assert caller.call(number["number"], offer(caller.media)).refused().status == 603


@pytest.mark.parametrize(
    "form", ["{0}{1}{2}", "00{0}{1}{2}", "011{0}{1}{2}", "{1}{2}", "{0}-{1}.{2}", "tel:+{0}-{1}-{2}",
             "tel:{2};phone-context=+{0}{1}", "sips:+{0}{1}{2};npdi;rn=+14155550000@edge.example.com"]
)  # fmt: skip
def test_a_number_is_found_however_it_is_dialed(exchange: Exchange, caller: Caller, form: str) -> None:
    number = exchange.number(hangup("busy"))
    dialed = form.format(number[1], number[2:5], number[5:])
    uri = dialed if ":" in dialed else caller.uri(dialed)
    call = caller.call(number, offer(caller.media), uri=uri)
    assert call.refused().status == 486
    record = exchange.record(call.id)
    assert (record["destination"]["target"], record["dialed"]) == (number, uri)


@pytest.mark.parametrize(
    ("body", "warning"),
    [
        (lambda media: offer(media, "18"), "305"),
        (lambda media: offer(media, "9 18 101"), "305"),
        (lambda media: offer(media).replace(b"RTP/AVP", b"RTP/SAVP"), "304"),
        (lambda media: offer(media).replace(b"m=audio", b"m=video"), "304"),
        (lambda media: re.sub(rb"m=audio \d+", b"m=audio 0", offer(media)), "304"),
    ],
    ids=["g729", "g722", "srtp", "video", "refused"],
)
def test_no_common_codec_is_488_with_a_warning(
    exchange: Exchange, caller: Caller, number: str, body: Callable[[tuple[str, int]], bytes], warning: str
) -> None:
    call = caller.call(number, body(caller.media))
    answer = call.refused()
    assert answer.status == 488
    assert re.fullmatch(rf'{warning} 127\.0\.0\.1 "[^"]+"', answer.text("Warning"))
    record = exchange.record(call.id)
    assert (record["outcome"], record["sip_code"]) == ("rejected", 488)
    assert record["error"]
    assert record["steps"][0]["type"] == "answer"


@pytest.mark.parametrize(
    "body",
    [
        b"v=1\r\n",
        b"hello",
        b"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\nm=audio 99999 RTP/AVP 0\r\n",
        b"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 300.1.1.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n",
        b"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n",
    ],
    ids=["version", "text", "port", "address", "no-address"],
)
def test_a_session_description_that_cannot_be_read_is_400(
    exchange: Exchange, caller: Caller, number: str, body: bytes
) -> None:
    call = caller.call(number, body)
    assert call.refused().status == 400
    record = exchange.record(call.id)
    assert (record["outcome"], record["sip_code"]) == ("rejected", 400)
    assert record["error"].startswith("sdp line")


def test_a_description_nobody_needs_is_not_read(exchange: Exchange, caller: Caller) -> None:
    assert caller.call(exchange.number(hangup("busy")), b"hello").refused().status == 486


# What is refused before the number is looked at


@pytest.mark.parametrize(
    ("fields", "status", "header"),
    [
        (("Require: 100rel, foo",), 420, "Unsupported: foo"),
        (("Accept: text/plain",), 406, ""),
        (("Content-Type: application/xml",), 415, "Accept: application/sdp"),
        (("Content-Type: application/sdp", "Content-Encoding: gzip"), 415, "Accept-Encoding: identity"),
        (("Content-Type: application/sdp", "X-Long: y"), 200, ""),
        (("Content-Type: application/sdp", "Supported: 100rel, timer"), 200, ""),
        (("Content-Type: application/sdp", "Accept: application/*;q=0.3"), 200, ""),
    ],
)
def test_what_an_invite_may_ask_for(
    caller: Caller, number: str, fields: tuple[str, ...], status: int, header: str
) -> None:
    call = caller.call(number, None, *fields, send=False)
    call.invite = call.invite.replace(b"Content-Length: 0\r\n\r\n", b"")
    body = offer(caller.media)
    call.invite += b"Content-Length: %d\r\n\r\n" % len(body) + body
    caller.send(call.invite)
    answer = call.final()
    assert answer.status == status, answer.data.decode()
    call.acknowledge(answer)
    if header:
        name, _, value = header.partition(": ")
        assert answer.text(name) == value
    if status == 200:
        call.hang_up()


def test_another_scheme_is_416(caller: Caller, number: str) -> None:
    call = caller.call(number, offer(caller.media), uri=f"im:{number}@127.0.0.1")
    assert call.refused().status == 416


def test_an_invite_that_is_too_large_is_513(exchange: Exchange, number: str) -> None:
    with Caller(exchange.daemon.sip, transport="tcp") as caller:
        body = offer(caller.media) + b"a=x\r\n" * 14_000
        assert caller.call(number, body).refused().status == 513
        call = caller.call(number, offer(caller.media))
        call.answered()
        call.hang_up()


@pytest.mark.parametrize(
    ("method", "status"),
    [("PUBLISH", 405), ("SUBSCRIBE", 405), ("REGISTER", 405), ("REFER", 405), ("FLY", 501)],
)
def test_a_method_that_is_not_served_says_which_are(caller: Caller, number: str, method: str, status: int) -> None:
    call = caller.call(number, None, send=False)
    answer = call.ask(method)
    assert answer.status == status
    assert set(answer.text("Allow").split(", ")) == {
        *("INVITE", "ACK", "CANCEL", "BYE", "OPTIONS", "INFO", "NOTIFY", "MESSAGE", "UPDATE", "PRACK")
    }


@pytest.mark.parametrize("user", ["", "+14155550100", "anybody"])
def test_options_says_what_is_served(caller: Caller, user: str) -> None:
    uri = f"sip:{user}@127.0.0.1" if user else "sip:127.0.0.1"
    answer = caller.call("", None, uri=uri, send=False).ask("OPTIONS")
    assert answer.status == 200
    assert "INVITE" in answer.text("Allow")
    assert "application/sdp" in answer.text("Accept")
    assert answer.lines("Supported")


@pytest.mark.parametrize("missing", ["From", "To", "Call-ID", "CSeq"])
def test_an_invite_without_a_header_it_must_have_is_400(caller: Caller, number: str, missing: str) -> None:
    call = caller.call(number, offer(caller.media), send=False)
    caller.send(re.sub(rb"(?m)^%s: .*\r\n" % missing.encode(), b"", call.invite))
    answer = caller.next(lambda message: message.final, "an answer")
    assert answer.status == 400
    assert answer.branch == Message(call.invite).branch


def test_another_version_of_sip_is_505(caller: Caller, number: str) -> None:
    call = caller.call(number, offer(caller.media), send=False)
    caller.send(call.invite.replace(b" SIP/2.0\r\n", b" SIP/7.0\r\n", 1))
    assert call.refused().status == 505


def test_compact_forms_and_folded_lines_are_an_invite_like_any(exchange: Exchange, caller: Caller, number: str) -> None:
    call = caller.call(number, offer(caller.media), send=False)
    data = call.invite
    for long, short in {
        "Via": "v",
        "From": "f",
        "To": "t",
        "Call-ID": "i",
        "Contact": "m",
        "Content-Type": "c",
    }.items():
        data = data.replace(f"\r\n{long}: ".encode(), f"\r\n{short}  :\r\n\t ".encode(), 1)
    caller.send(data.replace(b"Content-Length", b"L"))
    answer = call.answered()
    assert answer.text("Call-ID") == call.id
    call.hang_up()


def test_responses_to_nothing_are_dropped(exchange: Exchange, caller: Caller) -> None:
    stray = exchange.counted("edge_sip_discarded_total", why="stray")
    caller.send(
        f"SIP/2.0 200 OK\r\n{caller.via('z9hG4bK' + fresh())}\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:c@d>;tag=2\r\n"
        f"Call-ID: {fresh()}\r\nCSeq: 1 BYE\r\nContent-Length: 0\r\n\r\n".encode()
    )
    exchange.wait(lambda: exchange.counted("edge_sip_discarded_total", why="stray") == stray + 1, "its count")
    assert not caller.left()
