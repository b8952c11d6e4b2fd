"""The wire table of docs/architecture.md, line for line, as SIPp sees it over UDP: what comes back, and what is in it.

SIPp keeps its own transactions, repeats what is not answered, and fails for anything that its scenario does not have.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.calls.daemon import Daemon, daemon
from tests.calls.exchange import ANSWER, STAY, Exchange, hangup, redirect, sleep
from tests.calls.scenario import SDP, VIDEO_ONLY, Scenario
from tests.sipp import Result, sipp

AT_ONCE = 6  # most of a scenario's time is spent waiting

RINGS, STAYS, AWAY, FAILS, BARE = "rings", "stays", "away", "fails", "bare"  # numbers, by what they do
NUMBERS = {
    RINGS: (sleep(30_000),),
    STAYS: (ANSWER, STAY),
    AWAY: (redirect("sip:desk@pbx.example"),),
    FAILS: ({"type": "message_send", "option": {"destinations": ["+14155550122"], "text": "${no.such.variable}"}},),
    "ends": (ANSWER, sleep(300), hangup()),
    BARE: (),
}
CAUSE = "Q.850;cause={}".format
TEXT = "hello"


def line(name: str) -> Scenario:
    return Scenario(name)


def lines() -> Iterator[tuple[str, str, Scenario]]:
    """Name, number and scenario of each."""
    yield "redirect", AWAY, line("302").call().refused(302, Contact="sip:desk@pbx.example")
    yield "unknown", "+14155559876", line("404").call().refused(404, Reason=CAUSE(1))
    yield "released", "released", line("410").call().refused(410, Reason=CAUSE(22))
    yield "incomplete", "+1415", line("484").call().refused(484, Reason=CAUSE(28))
    yield "scheme", STAYS, line("416").call(uri="mailto:desk@example.com").refused(416)
    yield "unbound", BARE, line("no flow").call().refused(404, Reason='cause=1;text="no flow bound"')
    yield "suspended", "suspended", line("403").call().refused(403, Reason=CAUSE(21))
    yield "flow fails", FAILS, line("500").call().refused(500)
    yield "flow ends", "ends", line("BYE").up().wants("BYE", Reason=CAUSE(16)).answer()
    yield "max-forwards", AWAY, line("483").call(fields={"Max-Forwards": "0"}).refused(483)
    yield (
        "no common codec",
        STAYS,
        line("488").send("INVITE", body=VIDEO_ONLY, to="").refused(488, Warning="30[45]"),
    )
    yield (
        "late offer",
        STAYS,
        line("our offer")
        .send("INVITE", to="")
        .trying()
        .wants(200, Content_Type="application/sdp")
        .send("ACK", body=SDP)
        .hang_up(),
    )
    yield (
        "strange body",
        STAYS,
        line("415")
        .send("INVITE", body="x", kind="application/x-strange", to="")
        .refused(415, Accept="application/sdp"),
    )
    yield "no SDP accepted", STAYS, line("406").call(fields={"Accept": "application/pidf+xml"}).refused(406)
    yield (
        "extension",
        STAYS,
        line("420").call(fields={"Require": "no-such-thing"}).refused(420, Unsupported="no-such-thing"),
    )
    yield "too big", STAYS, line("513").send("INVITE", body=SDP + "a=x:" + "y" * 40_000, to="").refused(513)
    yield "not served", STAYS, line("405").send("PUBLISH", to="").wants(405, Allow="INVITE")
    yield "method unknown", STAYS, line("501").send("JUGGLE", to="").wants(501, Allow="INVITE")
    yield "malformed", STAYS, line("400").call(fields={"Max-Forwards": "many"}).refused(400)
    yield "version", STAYS, line("505").send("INVITE", body=SDP, to="", version="SIP/7.0").wants(505)
    first, other = "z9hG4bK-one-way-[call_number]-[pid]", "z9hG4bK-another-way-[call_number]-[pid]"
    yield (
        "merged",
        RINGS,
        line("482")
        .send("INVITE", body=SDP, to="", branch=first)
        .wants(100)
        .send("INVITE", body=SDP, to="", branch=other)
        .wants(482)
        .send("ACK", branch=other)
        .send("CANCEL", to="", branch=first, fields={"Contact": None})
        .wants(200)
        .wants(487)
        .send("ACK", branch=first),
    )
    yield (
        "refused again",
        "+14155559876",
        line("the same")
        .call()
        .refused(404, Reason=CAUSE(1))
        .send("INVITE", body=SDP, to="")
        .refused(404, Reason=CAUSE(1)),
    )
    yield (
        "interval too small",
        STAYS,
        line("422").call(fields={"Supported": "timer", "Session-Expires": "30"}).refused(422, Min_SE="90"),
    )
    yield (
        "interval",
        STAYS,
        line("timer")
        .call(fields={"Supported": "timer", "Session-Expires": "1800;refresher=uac"})
        .trying()
        .wants(200, Session_Expires="1800;refresher=uac", Require="timer")
        .send("ACK")
        .hang_up(),
    )
    yield (
        "cancel",
        RINGS,
        line("487")
        .send("INVITE", body=SDP, to="", branch="z9hG4bK-cancelled-[call_number]-[pid]")
        .wants(100)
        .send("CANCEL", to="", branch="z9hG4bK-cancelled-[call_number]-[pid]", fields={"Contact": None})
        .wants(200)
        .wants(487)
        .send("ACK", branch="z9hG4bK-cancelled-[call_number]-[pid]"),
    )
    yield "cancel of nothing", STAYS, line("481").send("CANCEL", to="").wants(481)
    for method in ("BYE", "INFO", "UPDATE", "PRACK"):
        fields = {"RAck": "1 1 INVITE"} if method == "PRACK" else {}
        yield f"{method} of nothing", STAYS, line("481").send(method, to=";tag=nobody", fields=fields).wants(481)
    yield "re-INVITE of nothing", STAYS, line("481").send("INVITE", body=SDP, to=";tag=nobody").wants(481).send("ACK")
    yield (
        "ACK of nothing",
        STAYS,
        line("silence").send("ACK", to=";tag=nobody").send("OPTIONS", to="", cseq=2).wants(200),
    )
    yield (
        "hold",
        STAYS,
        line("hold")
        .up()
        .send("INVITE", cseq=2, body=SDP + "a=sendonly\r\n")
        .trying()
        .wants(200)
        .send("ACK", cseq=2)
        .hang_up(),
    )
    yield (
        "refused re-INVITE",
        STAYS,
        line("as it was")
        .up()
        .send("INVITE", cseq=2, body=VIDEO_ONLY)
        .trying()
        .wants(488)
        .send("ACK", cseq=2)
        .hang_up(),
    )
    yield (
        "lower CSeq",
        STAYS,
        line("500").up().send("INFO", cseq=5).wants(200).send("INFO", cseq=3).wants(500).hang_up(),
    )
    yield "options", STAYS, line("200").send("OPTIONS", to="").wants(200, Allow="INVITE", Accept="application/sdp")
    yield "options inside", STAYS, line("200").up().send("OPTIONS", cseq=2).wants(200).hang_up()
    yield "text", STAYS, line("202").send("MESSAGE", body=TEXT, kind="text/plain", to="").wants(202)
    yield "text to nobody", "+14155559876", line("404").send("MESSAGE", body=TEXT, kind="text/plain", to="").wants(404)
    yield "empty text", STAYS, line("200").send("MESSAGE", to="").wants(200)
    yield (
        "strange text",
        STAYS,
        line("415").send("MESSAGE", body="x", kind="image/png", to="").wants(415, Accept="text/plain"),
    )
    yield "huge text", STAYS, line("513").send("MESSAGE", body="x" * 20_000, kind="text/plain", to="").wants(513)


ALL = {name: (number, scenario) for name, number, scenario in lines()}


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Result]]:
    """All scenarios, several at a time."""
    folder = tmp_path_factory.mktemp("sipp")
    with daemon(tmp_path_factory.mktemp("edge")) as edge:
        exchange = Exchange(edge)
        numbers = {name: exchange.number(*actions) for name, actions in NUMBERS.items()}
        numbers |= {name: _changed(exchange, name) for name in ("released", "suspended")}

        def run(name: str) -> Result:
            number, scenario = ALL[name]
            place = folder / name.replace(" ", "-")
            place.mkdir()
            script = place / "scenario.xml"
            script.write_text(scenario.xml)
            return sipp(place, edge.sip, script, service=numbers.get(number, number))

        with ThreadPoolExecutor(AT_ONCE) as pool:
            yield dict(zip(ALL, pool.map(run, ALL), strict=True))
        assert edge.alive, edge.words()


def _changed(exchange: Exchange, state: str) -> str:
    number = exchange.provision(ANSWER)
    edge: Daemon = exchange.daemon
    if state == "released":
        edge.ask("DELETE", f"/v1.0/numbers/{number['id']}")
    else:
        edge.ask("PATCH", f"/v1.0/numbers/{number['id']}", {"status": state})
    return str(number["number"])


@pytest.mark.parametrize("name", ALL)
def test_line(results: dict[str, Result], name: str) -> None:
    assert results[name].ok, f"{results[name].story}\n{ALL[name][1].xml}"
