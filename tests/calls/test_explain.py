"""Why was my call rejected, and what would become of another: one command, beside a daemon that takes calls."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest

from edge.sip.ladder import label_of
from tests.calls.caller import Caller
from tests.calls.daemon import new, running
from tests.calls.exchange import ANSWER, STAY, Exchange, hangup
from tests.calls.rtp import offer
from tests.sip.test_capture import packets

KNOWN, STRANGER = "127.0.0.2", "127.0.0.6"


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exchange]:
    daemon = new(tmp_path_factory.mktemp("guarded"), environ={"EDGE_STORE__LAZY_MS": "20"})
    daemon.configure(networks="127.0.0.0/30")
    with running(daemon):
        yield Exchange(daemon)
        assert daemon.alive, daemon.words()


@pytest.fixture
def caller(guarded: Exchange) -> Iterator[Caller]:
    with Caller(guarded.daemon.sip, host=KNOWN) as found:
        yield found


def explain(guarded: Exchange, *words: str) -> str:
    return guarded.daemon.run("explain", *words, "--config", str(guarded.daemon.config))


def said(told: str) -> dict[str, str]:
    """The last line of each kind."""
    lines = [(line[2:18].strip(), line[18:]) for line in told.splitlines() if line.startswith("  ")]
    return dict(lines)


def test_why_a_call_was_rejected(guarded: Exchange, caller: Caller) -> None:
    number = guarded.number(hangup("busy"))
    near = f"{number[:-1]}{(int(number[-1]) + 5) % 10}"
    call = caller.call(near, offer(caller.media))
    assert call.refused().status == 404
    guarded.record(call.id)
    told = explain(guarded, call.id)
    steps = said(told)
    assert f"incoming call {guarded.record(call.id)['id']}, Call-ID {call.id}" in told
    assert steps["source"].startswith(f"from {KNOWN} over udp to 127.0.0.1:")
    assert steps["source"].endswith(": trunk loopback")
    assert steps["dialed"] == f"{caller.uri(near)} was dialed, read from the Request-URI"
    assert steps["number"] == f"that is {near}"
    assert steps["look-up"].startswith(f"{near} is not one of our numbers (answered by ")
    assert steps["answer"].startswith("404 was sent: NumberUnknown, ")
    assert ", ended by us (rejected), Q.850 cause 1: rejected" in steps["end"]
    assert f"{number} is one slip away" in told


def test_the_ladder_of_a_call_that_is_up_and_of_one_that_was(guarded: Exchange, caller: Caller, tmp_path: Path) -> None:
    number = guarded.number(ANSWER, STAY)
    call = caller.call(number, offer(caller.media))
    call.answered()
    told = json.loads(explain(guarded, "--call-id", call.id, "--json"))
    assert [one["steps"][-1]["said"] for one in told["calls"]] == ["it is progressing"]
    ladder = explain(guarded, call.id, "--ladder")
    assert [word in ladder for word in (f"udp {KNOWN}:", "INVITE", "200 OK (sdp)", "ACK", "BYE")] == [True] * 4 + [
        False
    ]
    call.hang_up()
    guarded.record(call.id)
    picture, capture = tmp_path / "call.svg", tmp_path / "call.pcap"
    whole = explain(guarded, call.id, "--messages", "--svg", str(picture), "--pcap", str(capture))
    assert [word in whole for word in ("BYE", "m=audio", f"saved to {picture}", f"saved to {capture}")] == [True] * 4
    assert ElementTree.parse(picture).getroot().tag.endswith("svg")
    methods = [label_of(packet[28:]).split()[0] for _, packet in packets(capture.read_bytes())]
    assert (methods[0], methods[-2:]) == ("INVITE", ["BYE", "200"])


def test_who_a_stranger_is_not(guarded: Exchange) -> None:
    with Caller(guarded.daemon.sip, host=STRANGER) as stranger:
        for _ in range(3):
            stranger.call("+14155550100", offer(stranger.media))
        guarded.wait(lambda: guarded.counted("edge_sip_discarded_total", why="source") >= 3, "their count")
    steps = said(explain(guarded, "--source", STRANGER))
    assert steps["source"].endswith(": of no trunk")
    assert steps["knocked"].startswith("3 by udp, the last ")
    assert steps["nearest"] == f"{STRANGER} is outside trunk loopback's 127.0.0.0/30"
    assert said(explain(guarded, "--source", KNOWN))["source"].endswith(": trunk loopback")


def test_what_would_become_of_a_call(guarded: Exchange, caller: Caller) -> None:
    number = guarded.number(hangup("busy"))
    told = explain(guarded, number, "--source", KNOWN, "--at", "2026-12-25T09:00", "--words")
    steps = said(told)
    assert (steps["number"], steps["would run"]) == (f"that is {number}", "test, version 1: hangup")
    assert steps["step"].startswith("hangup (id ")
    told = explain(guarded, number, "--source", STRANGER, "--words")
    assert said(told)["answer"].startswith("nothing would be sent: Forbidden")


def test_calls_that_nobody_knows(guarded: Exchange) -> None:
    for words in (["nobody@nowhere"], ["--call-id", "4711"], ["nobody@nowhere", "--ladder"]):
        done = guarded.daemon.command("explain", *words, "--config", str(guarded.daemon.config))
        assert (done.returncode, done.stderr) == (1, "there is no such call\n")
