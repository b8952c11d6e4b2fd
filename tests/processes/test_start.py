"""How the process starts: the demo, a bad configuration, a taken port, systemd, and the Redis that it brings along."""

from __future__ import annotations

import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.calls.daemon import HOST, daemon, new
from tests.processes.newcomer import NUMBER, Newcomer

pytestmark = pytest.mark.server

READY_SECONDS = 3.0
TRIES = 3  # a start is measured so often before it counts as slow, for the machine may be busy with something else
SCREEN_LINES = 24
WATCHDOG_SECONDS = 0.4
GONE_SECONDS = 5.0


# The demo


@pytest.fixture(scope="module")
def newcomer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Newcomer]:
    """One whose daemon was ready in time, the first one to be so."""
    for attempt in range(1, TRIES + 1):
        one = Newcomer(tmp_path_factory.mktemp("newcomer"))
        one.serve("--demo")
        if one.seconds < READY_SECONDS or attempt == TRIES:
            break
        one.stop()
    yield one
    one.process.kill()


def test_in_an_empty_folder_it_is_ready_within_three_seconds(newcomer: Newcomer) -> None:
    print(f"\nready after {newcomer.seconds:.2f} s")
    assert newcomer.seconds < READY_SECONDS


def test_it_prints_one_screen_with_all_that_one_needs(newcomer: Newcomer) -> None:
    screen = newcomer.screen
    assert len(screen.splitlines()) <= SCREEN_LINES
    for shown in (f"udp:{newcomer.sip}", f"tcp:{newcomer.sip}", f"{newcomer.url}/v1.0", NUMBER):
        assert shown in screen
    assert f"edge call {NUMBER} --to {newcomer.sip}" in screen
    assert f'edge text {NUMBER} "hello" --to {newcomer.sip}' in screen
    assert newcomer.key is not None


def test_its_key_opens_the_api_where_the_number_is(newcomer: Newcomer) -> None:
    (number,) = newcomer.list("/v1.0/numbers")
    assert number["number"] == NUMBER
    assert number["call_flow_id"] != number["message_flow_id"]


def test_the_second_start_shows_the_same_key_and_makes_nothing_anew(newcomer: Newcomer) -> None:
    key, numbers, flows = newcomer.key, newcomer.list("/v1.0/numbers"), newcomer.list("/v1.0/flows")
    assert newcomer.stop(signal.SIGINT) == 0
    newcomer.serve("--demo")
    assert newcomer.key == key
    assert newcomer.list("/v1.0/numbers") == numbers
    assert newcomer.list("/v1.0/flows") == flows


def test_a_database_with_a_customer_gets_no_demo(tmp_path: Path) -> None:
    with daemon(tmp_path) as edge:
        edge.account()
        edge.stop()
        edge.launch("--demo")
        edge.await_ready()
        edge.wait_until(lambda: edge.lines("is up."), "the screen")
        assert edge.all("/v1.0/numbers") == []
        assert len(edge.all("/v1.0/customers")) == 1
        screen = edge.words()
    assert NUMBER not in screen
    assert "edge key create --admin" in screen


# What stops a start


@pytest.mark.parametrize(
    ("extra", "faults"),
    [
        (
            '[outbox]\nat_once = 0\nspeed = 1\n[[carriers]]\nkind = "pigeon"\n',
            [
                "carriers[0]: there is no kind of carrier 'pigeon', only loopback, sip, smpp, telnyx, twilio, vonage",
                "outbox.at_once: Input should be greater than 0",
                "outbox.speed: there is no such setting",
            ],
        ),
        ("[outbox\n", ["Expected ']' at the end of a table declaration (at line 26, column 8)"]),
    ],
    ids=["wrong keys", "no TOML"],
)
def test_a_bad_configuration_is_status_2_and_one_line_names_file_and_key_of_each_fault(
    tmp_path: Path, extra: str, faults: list[str]
) -> None:
    edge = new(tmp_path, extra)
    assert edge.launch().wait(20) == 2
    assert sorted(edge.words().splitlines()) == [f"{edge.config}: {fault}" for fault in faults]


def test_a_good_configuration_with_every_kind_of_carrier_passes_the_check(tmp_path: Path) -> None:
    edge = new(tmp_path, '[[carriers]]\nkind = "loopback"\n[[carriers]]\nkind = "sip"\n')
    assert edge.run("check", "--config", str(edge.config)) == "the configuration is good\n"


@pytest.mark.parametrize("kind", [socket.SOCK_DGRAM, socket.SOCK_STREAM], ids=["SIP", "HTTP"])
def test_a_taken_port_is_named_and_status_1(tmp_path: Path, kind: socket.SocketKind) -> None:
    edge = new(tmp_path)
    port = edge.sip[1] if kind == socket.SOCK_DGRAM else int(edge.url.rpartition(":")[2])
    with socket.socket(socket.AF_INET, kind) as taken:
        taken.bind((HOST, port))
        if kind == socket.SOCK_STREAM:
            taken.listen()
        assert edge.launch().wait(20) == 1
    (line,) = edge.words().splitlines()
    assert line.startswith("cannot serve: ")
    assert str(port) in line
    assert "in use" in line


# systemd


def test_systemd_hears_ready_alive_reloading_and_stopping(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as supervisor:
        supervisor.bind(str(tmp_path / "notify"))
        supervisor.settimeout(20)

        def hear(wanted: str) -> str:
            while True:
                said = supervisor.recv(4096).decode()
                if wanted in said.splitlines():
                    return said

        edge = new(tmp_path)
        edge.launch(NOTIFY_SOCKET=str(tmp_path / "notify"), WATCHDOG_USEC=str(int(WATCHDOG_SECONDS * 1e6)))
        try:
            assert f"STATUS=serving udp:{HOST}:{edge.sip[1]}" in hear("READY=1")
            assert edge.ready()
            hear("WATCHDOG=1")
            fed = []
            for _ in range(4):
                since = time.monotonic()
                hear("WATCHDOG=1")
                fed.append(time.monotonic() - since)
            assert max(fed) < WATCHDOG_SECONDS
            edge.process.send_signal(signal.SIGHUP)
            hear("RELOADING=1")
            hear("READY=1")
            edge.process.send_signal(signal.SIGTERM)
            hear("STOPPING=1")
            assert edge.process.wait(10) == 0
        finally:
            edge.stop()


# The Redis it brings along


@pytest.mark.parametrize("by", [signal.SIGTERM, signal.SIGKILL])
def test_the_embedded_redis_ends_with_the_daemon(tmp_path: Path, by: signal.Signals) -> None:
    with daemon(tmp_path) as edge:
        assert edge.metric("edge_redis_up") == 1
        children = psutil.Process(edge.process.pid).children(recursive=True)
        assert children
        assert any("unixsocket" in " ".join(child.cmdline()) or "valkey" in child.name() for child in children)
        edge.process.send_signal(by)
        edge.process.wait(10)
        _, left = psutil.wait_procs(children, GONE_SECONDS)
        assert left == []
