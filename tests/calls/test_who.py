"""Who is calling, on whole calls: a number that is withheld leaves by no door, and signed callers are verified with
certificates that are fetched."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pytest

from tests.calls.agent import Agent
from tests.calls.caller import Caller
from tests.calls.daemon import daemon
from tests.calls.exchange import ANSWER, STAY, Exchange, redirect
from tests.calls.rtp import offer
from tests.stir.authority import ORIGID, Holder, certificate, claims, identity, numbers, pem, spc
from tests.web import Web, web_server

ASSERTED: Final = "+14155550123"
HIDDEN: Final = (f'P-Asserted-Identity: "Ann" <tel:{ASSERTED}>', "Privacy: id")
NOW: Final = datetime.now(UTC)
VALID: Final[dict[str, Any]] = {"since": NOW - timedelta(days=1), "until": NOW + timedelta(days=1)}
ROOT: Final = certificate("root", ca=True, **VALID)
MIDDLE: Final = ROOT.issue("middle", ca=True, path=0, **VALID)
SIGNER: Final = MIDDLE.issue("SHAKEN 1234", listed=numbers(spc("1234")), **VALID)
SAYS: Final = redirect("sip:${edge.call.verstat}-${edge.call.attestation}-${edge.call.origination_id}@pbx.example")


@pytest.fixture(scope="module")
def web() -> Iterator[Web]:
    with web_server() as found:
        found.default["/signer.pem"] = (200, pem(SIGNER, MIDDLE).decode())
        yield found


@pytest.fixture(scope="module")
def exchange(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exchange]:
    folder = tmp_path_factory.mktemp("who")
    (folder / "anchors").mkdir()
    (folder / "anchors" / "root.pem").write_bytes(pem(ROOT))
    extra = f"""
trusted_headers = ["p-asserted-identity", "privacy"]

[http]
allow_private = ["127.0.0.1/32"]

[events]
first_wait_seconds = 0.1

[stir]
anchors = ["{folder}/anchors"]
allow_http = true
allow_private = ["127.0.0.1/32"]
"""
    with daemon(
        folder, extra, level="info", environ={"EDGE_STORE__LAZY_MS": "20", "EDGE_LOG__PRIVATE": "true"}
    ) as made:
        yield Exchange(made)
        assert made.alive, made.words()


@pytest.fixture
def caller(exchange: Exchange) -> Iterator[Caller]:
    with Caller(exchange.daemon.sip) as found:
        yield found


def test_a_number_that_is_withheld_leaves_by_no_door(exchange: Exchange, caller: Caller, web: Web) -> None:
    made = exchange.daemon
    made.ask("PATCH", f"/v1.0/customers/{exchange.customer}", {"webhook_uri": f"{web.url}/events"})
    told = {
        "uri": f"{web.url}/hook",
        "data": {"who": "${voipbin.call.source.target}", "all": "${voipbin.flow.reference_data}"},
    }
    fetch = {"type": "fetch", "option": {"event_url": f"{web.url}/steps", "event_method": "POST"}}
    web.default["/steps"] = (200, [])
    with Agent() as agent:
        media = {"type": "external_media_start", "option": {"external_host": agent.url, "encapsulation": "websocket"}}
        number = exchange.number(ANSWER, {"type": "webhook_send", "option": told}, fetch, media, STAY)
        call = caller.call(number, offer(caller.media), *HIDDEN)
        call.answered()
        assert agent.word("start")["source"] == "anonymous"
        live = made.ask("GET", f"/v1.0/calls?live=true&number=%2B{number[1:]}")["result"][0]
        assert live["source"]["target"] == ASSERTED  # the operator's key
        call.hang_up()
    record = exchange.record(call.id)
    assert (record["source"]["target"], record["edge"]["privacy"]) == (ASSERTED, "id")
    made.wait_until(lambda: web.to("/hook"), "the webhook")
    made.wait_until(lambda: any(b"call_hangup" in one.body for one in web.to("/events")), "call_hangup")
    for path in ("/hook", "/steps", "/events"):
        bodies = b"".join(one.body for one in web.to(path))
        assert b"anonymous" in bodies, path
        assert ASSERTED[1:].encode() not in bodies, path
    assert b"Ann" not in b"".join(one.body for one in web.asked)
    token = made.ask("POST", "/v1.0/accesskeys", {"customer_id": exchange.customer, "name": "own"})["token"]
    seen, refound = (
        made.ask("GET", f"/v1.0/calls?{narrow}", token=token)["result"]
        for narrow in (f"number=%2B{number[1:]}", f"source=%2B{ASSERTED[1:]}")
    )
    assert [one["source"]["target"] for one in seen] == ["anonymous"]
    assert refound == []
    ended = made.lines("call ended")[-1]
    assert "source=anonymous" in ended
    assert ASSERTED[1:] not in made.words()


def signed(number: str, web: Web, by: Holder = SIGNER, **said: Any) -> str:
    """An Identity field for a call to a number, now."""
    all_said = {"called": [number[1:]], "caller": "14155550199", "issued": int(time.time()), **said}
    return f"Identity: {identity(claims(**all_said), by, url=f'{web.url}/signer.pem')}"


def test_a_signed_caller_is_verified(exchange: Exchange, caller: Caller, web: Web) -> None:
    number = exchange.number(SAYS)
    call = caller.call(number, offer(caller.media), signed(number, web, attest="B"))
    assert f"TN-Validation-Passed-B-{ORIGID}@" in call.refused().text("contact")
    edge = exchange.record(call.id)["edge"]
    assert (edge["verstat"], edge["attestation"], edge["verstat_why"]) == ("TN-Validation-Passed", "B", "")
    assert len(web.to("/signer.pem")) == 1
    caller.call(number, offer(caller.media), signed(number, web)).refused()
    assert len(web.to("/signer.pem")) == 1  # it is remembered


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ({"by": certificate("mallory")}, "the signature is not that of its certificate"),
        ({"issued": 1_700_000_000}, "it was signed at another time"),
        ({"called": ["14155559999"]}, "dest is not the dialed number"),
        ({"caller": "14155550198"}, "orig is not who calls"),
    ],
)
def test_others_call_all_the_same_and_nobody_vouches_for_them(
    exchange: Exchange, caller: Caller, web: Web, said: dict[str, Any], why: str
) -> None:
    number = exchange.number(SAYS)
    call = caller.call(number, offer(caller.media), signed(number, web, **said))
    assert "TN-Validation-Failed--@" in call.refused().text("contact")
    edge = exchange.record(call.id)["edge"]
    assert (edge["attestation"], edge["verstat_why"].startswith(why)) == ("", True)
