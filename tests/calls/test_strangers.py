"""Who is in no trunk hears nothing, who says nothing is not waited for, and nobody gets a port that is not there.

The daemon here knows 127.0.0.2 only, has media ports for two calls, and takes a caller for gone after two seconds.
"""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Iterator

import pytest

from tests.calls.caller import Caller
from tests.calls.daemon import free_port, new, running
from tests.calls.exchange import ANSWER, STAY, Exchange, hangup
from tests.calls.rtp import Described, Packet, check_unbroken, offer

KNOWN = "127.0.0.2"
STRANGER = "127.0.0.3"
SILENCE_SECONDS = 2


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exchange]:
    port = free_port(start=25_000)
    media = {"first_port": port, "last_port": port + 3, "port_rest_seconds": 0, "silence_seconds": SILENCE_SECONDS}
    environ = {f"EDGE_MEDIA__{name.upper()}": str(value) for name, value in media.items()}
    daemon = new(tmp_path_factory.mktemp("guarded"), environ={**environ, "EDGE_STORE__LAZY_MS": "20"})
    daemon.configure(networks=f"{KNOWN}/32")
    with running(daemon):
        yield Exchange(daemon)
        assert daemon.alive, daemon.words()


def discarded(guarded: Exchange) -> float:
    return guarded.counted("edge_sip_discarded_total", why="source")


@pytest.mark.parametrize("what", ["INVITE", "OPTIONS", "MESSAGE", "BYE", "garbage"])
def test_a_stranger_on_udp_hears_nothing_and_is_counted(guarded: Exchange, what: str) -> None:
    number = guarded.number(ANSWER, STAY)
    before, requests = discarded(guarded), guarded.counted("edge_sip_requests_total")
    with Caller(guarded.daemon.sip, host=STRANGER) as stranger:
        call = stranger.call(number, offer(stranger.media), send=False)
        match what:
            case "INVITE":
                stranger.send(call.invite)
            case "MESSAGE":
                stranger.text(number, "hello")
            case "garbage":
                stranger.send(b"\0\xff" * 300)
            case method:
                call.send(method)
        guarded.wait(lambda: discarded(guarded) == before + 1, "its count")
        stranger.listen(0.15)
        assert not stranger.inbox
    assert guarded.counted("edge_sip_requests_total") == requests, "it was not even read"
    assert not guarded.daemon.ask("GET", f"/v1.0/calls?call_id={call.id}")["result"]


def test_a_stranger_on_tcp_is_closed(guarded: Exchange) -> None:
    before = discarded(guarded)
    with socket.create_connection(guarded.daemon.sip, 5, (STRANGER, 0)) as connection:
        try:
            assert connection.recv(100) == b""
        except ConnectionResetError:
            pass
    guarded.wait(lambda: discarded(guarded) == before + 1, "its count")


def test_who_is_known_is_served(guarded: Exchange) -> None:
    for transport in ("udp", "tcp"):
        with Caller(guarded.daemon.sip, transport=transport, host=KNOWN) as caller:
            call = caller.call(guarded.number(hangup("busy")), offer(caller.media))
            assert call.refused().status == 486
            assert guarded.record(call.id)["remote"] == KNOWN


def test_a_stranger_cannot_end_a_call_or_be_heard_in_it(guarded: Exchange) -> None:
    with Caller(guarded.daemon.sip, host=KNOWN) as caller, Caller(guarded.daemon.sip, host=STRANGER) as stranger:
        call = caller.call(guarded.number(ANSWER, STAY), offer(caller.media))
        call.answered()
        there = caller.hear(3)[0].source
        stranger.send(call.compose("BYE", number=7))
        quiet = b"\xff" * 160
        caller.rtp.sendto(bytes(Packet(0, True, 1, 0, 9, quiet)), there)
        caller.hear(3)
        stranger.rtp.sendto(bytes(Packet(0, True, 1, 0, 10, quiet)), there)
        caller.hear(5)
        stranger.listen(0.05)
        assert not stranger.packets
        assert not stranger.inbox
        call.hang_up()
        assert guarded.record(call.id)["rtp_received"] == 1


def test_who_falls_silent_is_hung_up_on_but_not_who_only_listens(guarded: Exchange) -> None:
    timeouts = guarded.counted("edge_media_timeouts_total")
    number = guarded.number(ANSWER, STAY)
    with Caller(guarded.daemon.sip, host=KNOWN) as gone, Caller(guarded.daemon.sip, host=KNOWN) as listener:
        silent = gone.call(number, offer(gone.media))
        silent.answered()
        listening = listener.call(number, offer(listener.media, direction="recvonly"))
        assert Described.read(listening.answered().body).direction == "sendonly"
        began = time.monotonic()
        assert silent.ended().text("Reason") == "Q.850;cause=16"
        assert time.monotonic() - began > SILENCE_SECONDS / 2
        record = guarded.record(silent.id)
        assert (record["hangup_by"], record["hangup_reason"]) == ("local", "timeout")
        assert record["error"] == "no media from the caller"
        listener.listen(SILENCE_SECONDS / 2)
        assert not listener.left()
        check_unbroken(listener.packets, "PCMU", 20)
        listening.hang_up()
    assert guarded.counted("edge_media_timeouts_total") == timeouts + 1


def test_without_a_free_port_it_is_503_and_the_next_call_is_served(guarded: Exchange) -> None:
    number = guarded.number(ANSWER, STAY)
    exhausted = guarded.counted("edge_media_ports_exhausted_total")
    with contextlib.ExitStack() as stack:
        callers = [stack.enter_context(Caller(guarded.daemon.sip, host=KNOWN)) for _ in range(3)]
        calls = [caller.call(number, offer(caller.media)) for caller in callers[:2]]
        for call in calls:
            call.answered()
        third = callers[2].call(number, offer(callers[2].media))
        refused = third.refused()
        assert (refused.status, refused.texts("Reason")) == (503, ["Q.850;cause=42"])
        record = guarded.record(third.id)
        assert (record["outcome"], record["sip_code"]) == ("rejected", 503)
        assert record["error"].startswith("media: no pair of ports is free")
        assert guarded.counted("edge_media_ports_exhausted_total") == exhausted + 1
        callers[0].hear(3)
        calls[0].hang_up()
        again = callers[2].call(number, offer(callers[2].media))
        again.answered()
        callers[2].hear(3)
        again.hang_up()
        calls[1].hang_up()
