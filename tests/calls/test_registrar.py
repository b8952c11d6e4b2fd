"""We register at Kamailio, by UDP and TCP, with either algorithm: its calls reach us, and it knows when we leave."""

from __future__ import annotations

import contextlib
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.calls.conftest import STAYS, wait
from tests.calls.daemon import Daemon, free_port, new, running
from tests.servers import die_with_parent, wait_until
from tests.sipp import sipp

pytestmark = pytest.mark.server

SCENARIOS = Path(__file__).parent / "scenarios"
CONFIG = SCENARIOS / "kamailio.cfg"
HOST = "127.0.0.9"
USER, PASSWORD = "edge-1", "sesame"
TRUNK = """
[[trunks]]
name = "kamailio"
networks = ["{host}/32"]
country = "US"
target = "sip:{host}:{port};transport={transport}"
dialed_from = ["to"]
probe_seconds = 1
credentials = {{ username = "{user}", password = "{password}" }}
registration = {{ domain = "carrier.example", expires = 60 }}
"""


class Kamailio:
    """One that may be stopped and started."""

    def __init__(self, folder: Path, algorithm: str) -> None:
        self.port = free_port(start=17_800)
        self._folder = folder
        self._config = folder / "kamailio.cfg"
        self._process: subprocess.Popen[bytes] | None = None
        text = CONFIG.read_text().replace("@ALGORITHM@", algorithm)
        self._config.write_text(text.replace("@USER@", USER).replace("@PASSWORD@", PASSWORD))

    def start(self) -> None:
        where = [word for transport in ("udp", "tcp") for word in ("-l", f"{transport}:{HOST}:{self.port}")]
        place = str(self._folder)
        with (self._folder / "kamailio.log").open("ab") as log:
            self._process = subprocess.Popen(
                ["kamailio", "-DD", "-f", str(self._config), *where, "-m", "64", "-M", "8", "-w", place, "-Y", place],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                preexec_fn=die_with_parent(signal.SIGTERM),
            )
        wait_until(lambda: self.options("ping") == 200, "Kamailio", self._process)

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(10)
            self._process = None

    def options(self, user: str) -> int:
        """What it answers to OPTIONS for a user; 0: nothing."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.settimeout(5)  # where nobody listens it is told at once
            sock.connect((HOST, self.port))
            here, token = f"127.0.0.1:{sock.getsockname()[1]}", time.monotonic_ns()
            sock.send(
                (
                    f"OPTIONS sip:{user}@{HOST}:{self.port} SIP/2.0\r\n"
                    f"Via: SIP/2.0/UDP {here};branch=z9hG4bK{token};rport\r\nMax-Forwards: 70\r\n"
                    f"From: <sip:test@{here}>;tag={token}\r\nTo: <sip:{user}@{HOST}>\r\nCall-ID: {token}\r\n"
                    "CSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
                ).encode()
            )
            with contextlib.suppress(OSError):
                return int(sock.recv(65535).split(b" ", 2)[1])
        return 0


@contextlib.contextmanager
def registrar(folder: Path, algorithm: str) -> Iterator[Kamailio]:
    if shutil.which("kamailio") is None:
        pytest.skip("Kamailio is not here: apt-get install kamailio")
    folder.mkdir()
    made = Kamailio(folder, algorithm)
    try:
        made.start()
        yield made
    finally:
        made.stop()


def status(edge: Daemon) -> tuple[str, str]:
    """Of the registration, and of the target."""
    (trunk,) = edge.all("/v1.0/trunks?name=kamailio")
    found = edge.ask("GET", f"/v1.0/trunks/{trunk['id']}/status")
    return found["registration"]["state"], found["targets"][0]["state"]


@pytest.mark.parametrize(("transport", "algorithm"), [("udp", "SHA-256"), ("tcp", "MD5")])
def test_calls_come_to_where_we_registered(tmp_path: Path, transport: str, algorithm: str) -> None:
    with registrar(tmp_path / "kamailio", algorithm) as carrier:
        assert carrier.options(USER) == 480
        port = carrier.port
        trunk = TRUNK.format(host=HOST, port=port, transport=transport, user=USER, password=PASSWORD)
        edge = new(tmp_path, trunk, environ={"EDGE_STORE__LAZY_MS": "20"})
        with running(edge):
            edge.wait_until(lambda: edge.metric("edge_trunk_registered", trunk="kamailio") == 1, "the registration")
            edge.wait_until(lambda: status(edge) == ("registered", "up"), "the probe")
            assert carrier.options(USER) == 200
            edge.bind(edge.account(), STAYS, {"type": "answer"}, wait(60_000))
            result = sipp(tmp_path, (HOST, port), SCENARIOS / "routed.xml", service=STAYS)
            assert result.ok, result.story
            edge.wait_until(lambda: edge.all("/v1.0/calls"), "the record")
            (record,) = edge.all("/v1.0/calls")
            assert (record["edge"]["trunk"], record["edge"]["outcome"]) == ("kamailio", "answered")
            assert (record["edge"]["dialed_from"], record["destination"]["target"]) == ("to", STAYS)
            carrier.stop()
            edge.wait_until(lambda: status(edge)[1] == "down", "the probe that fails")
            assert edge.metric("edge_trunk_target_up", trunk="kamailio") == 0
            carrier.start()
            edge.wait_until(lambda: status(edge)[1] == "up", "the probe again")
            assert status(edge)[0] == "registered"  # what was granted is not over


def test_it_is_taken_back_when_the_edge_goes(tmp_path: Path) -> None:
    with registrar(tmp_path / "kamailio", "SHA-256") as carrier:
        trunk = TRUNK.format(host=HOST, port=carrier.port, transport="udp", user=USER, password=PASSWORD)
        edge = new(tmp_path, trunk)
        with running(edge):
            edge.wait_until(lambda: carrier.options(USER) == 200, "the registration")
        assert carrier.options(USER) == 480


def test_a_wrong_password_is_told(tmp_path: Path) -> None:
    with registrar(tmp_path / "kamailio", "SHA-256") as carrier:
        trunk = TRUNK.format(host=HOST, port=carrier.port, transport="udp", user=USER, password="another")
        edge = new(tmp_path, trunk)
        with running(edge):
            edge.wait_until(lambda: status(edge)[0] == "failed", "the refusal")
            assert edge.lines("not registered")
            assert not edge.lines("another")
            assert carrier.options(USER) == 480
