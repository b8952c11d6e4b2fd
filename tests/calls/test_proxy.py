"""Kamailio before the edge, as a record-routing proxy that the edge trusts: who calls is found below its Via."""

from __future__ import annotations

import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.calls.caller import Call, Caller
from tests.calls.daemon import Daemon, free_port, new, running
from tests.calls.exchange import ANSWER, STAY, Exchange, hangup, redirect, sleep
from tests.calls.message import Message
from tests.calls.rtp import offer

CONFIG = Path(__file__).parent / "kamailio.cfg"
PROXY, KNOWN, STRANGER = "127.0.0.40", "127.0.0.41", "127.0.0.42"
START_SECONDS = 10.0

TRUNK = f"""
[[trunks]]
name = "behind"
networks = ["{KNOWN}/32"]
transport = "udp"
country = "US"
"""


def program() -> str:
    found = shutil.which("kamailio", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin")
    if found is None:
        pytest.skip("no Kamailio here: apt-get install kamailio")
    return found


@pytest.fixture(scope="module")
def exchange(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exchange]:
    environ = {"EDGE_STORE__LAZY_MS": "20", "EDGE_SIP__TRUSTED_PROXIES": f'["{PROXY}/32"]'}
    daemon = new(tmp_path_factory.mktemp("behind"), environ=environ)
    daemon.configure(TRUNK, networks="127.0.0.2/32")
    with running(daemon):
        yield Exchange(daemon)
        assert daemon.alive, daemon.words()


@pytest.fixture(scope="module")
def proxy(exchange: Exchange, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, int]]:
    """Where Kamailio listens."""
    folder, port = tmp_path_factory.mktemp("kamailio"), free_port(start=26_100)
    host, edge_port = exchange.daemon.sip
    config = folder / "kamailio.cfg"
    config.write_text(CONFIG.read_text().replace("@EDGE@", f"{host}:{edge_port}"))
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [
                *(program(), "-DD", "-E", "-m", "32", "-M", "8", "-f", str(config)),
                *("-Y", str(folder), "-P", str(folder / "pid"), "-l", f"udp:{PROXY}:{port}"),
            ],
            cwd=folder,
            stdout=log,
            stderr=log,
        )
    try:
        await_answer(exchange.daemon, process, (PROXY, port), folder / "log")
        yield PROXY, port
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(10)


def await_answer(daemon: Daemon, process: subprocess.Popen[bytes], there: tuple[str, int], log: Path) -> None:
    """Wait until an OPTIONS gets through to the edge and its answer back."""
    deadline = time.monotonic() + START_SECONDS
    with Caller(there, host=KNOWN) as caller:
        while not any(message.status == 200 for message in caller.inbox):
            running = process.poll() is None and time.monotonic() < deadline
            assert running, f"{log.read_text()[-3000:]}\n{daemon.words()}"
            caller.send(Call(caller, caller.uri("edge"), None, (), "probe").compose("OPTIONS"))
            caller.listen(0.1)


class Through:
    """A call through the proxy: its requests take the route that the answer recorded."""

    def __init__(self, call: Call) -> None:
        self.call = call
        self.routes: list[str] = []

    def answered(self) -> Message:
        answer = self.call.final()
        assert answer.status == 200, answer.data.decode()
        self.routes = [f"Route: {route}" for route in reversed(answer.texts("Record-Route"))]
        self.call.enter(answer)
        self.call.caller.send(self.call.compose("ACK", *self.routes, number=answer.number))
        return answer


def test_a_call_comes_through_and_the_caller_hangs_up(exchange: Exchange, proxy: tuple[str, int]) -> None:
    number = exchange.number(ANSWER, STAY)
    with Caller(proxy, host=KNOWN) as caller:
        call = caller.call(number, offer(caller.media))
        through = Through(call)
        answer = through.answered()
        assert answer.texts("Record-Route"), "the proxy is in the way"
        caller.hear(10)
        assert call.ask("BYE", *through.routes).status == 200
    record = exchange.record(call.id)
    assert (record["trunk"], record["remote"], record["proxy"]) == ("behind", KNOWN, PROXY)
    assert (record["hangup_by"], record["outcome"]) == ("remote", "answered")


def test_the_edge_hangs_up_by_way_of_the_proxy(exchange: Exchange, proxy: tuple[str, int]) -> None:
    number = exchange.number(ANSWER, sleep(300), hangup())
    with Caller(proxy, host=KNOWN) as caller:
        call = caller.call(number, offer(caller.media))
        through = Through(call)
        through.answered()
        bye = call.ended()
        assert len(bye.texts("Via")) == 2, "it came by the proxy"
    record = exchange.record(call.id)
    assert (record["hangup_by"], record["trunk"]) == ("local", "behind")


def test_a_call_that_is_refused_redirected_or_given_up(exchange: Exchange, proxy: tuple[str, int]) -> None:
    away, patient = exchange.number(redirect("sip:there@192.0.2.77")), exchange.number(sleep(60_000), ANSWER)
    with Caller(proxy, host=KNOWN) as caller:
        assert caller.call(away, offer(caller.media)).refused().status == 302
        assert caller.call("+14155559999", offer(caller.media)).refused().status == 404
        call = caller.call(patient, offer(caller.media))
        call.provisional(100)
        exchange.wait(lambda: exchange.counted("edge_calls_active") >= 1, "the call")
        call.cancel()
        assert call.refused().status == 487


def test_a_text_comes_through(exchange: Exchange, proxy: tuple[str, int]) -> None:
    number = exchange.number(texts=({"type": "stop"},))
    with Caller(proxy, host=KNOWN) as caller:
        assert caller.answer(caller.text(number, "hello")).status == 202


@pytest.mark.parametrize("via", ["", f";received={KNOWN}", f";received={KNOWN};rport=5060"])
def test_a_stranger_behind_the_proxy_is_one_whatever_he_writes(
    exchange: Exchange, proxy: tuple[str, int], via: str
) -> None:
    number = exchange.number(ANSWER, STAY)
    with Caller(proxy, host=STRANGER) as caller:
        call = caller.call(number, offer(caller.media), send=False)
        call.invite = call.invite.replace(b";rport\r\n", f"{via or ';rport'}\r\n".encode(), 1)
        caller.send(call.invite)
        assert call.refused().status == 403
    assert exchange.record(call.id)["trunk"] == ""


def test_a_host_that_writes_another_s_address_into_its_via(exchange: Exchange, proxy: tuple[str, int]) -> None:
    """The proxy says where it really came from."""
    number = exchange.number(ANSWER, STAY)
    with Caller(proxy, host=STRANGER) as caller:
        call = caller.call(number, offer(caller.media), send=False)
        here = caller.hostport.encode()
        call.invite = call.invite.replace(b"UDP " + here, b"UDP " + here.replace(STRANGER.encode(), KNOWN.encode()), 1)
        caller.send(call.invite)
        assert call.refused().status == 403
    assert exchange.record(call.id)["trunk"] == ""


def test_who_is_no_proxy_of_ours_says_nothing_of_others(exchange: Exchange) -> None:
    with Caller(exchange.daemon.sip, host=STRANGER) as caller:
        below = f"Via: SIP/2.0/UDP {KNOWN}:5060;branch=z9hG4bKbelow"
        call = caller.call(exchange.number(ANSWER), offer(caller.media), below)
        caller.listen(0.15)
        assert not caller.inbox
    assert not exchange.daemon.ask("GET", f"/v1.0/calls?call_id={call.id}")["result"]
