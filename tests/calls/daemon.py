"""A real daemon for tests: `edge serve --config` in a folder of its own, on free ports, provisioned over its API."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import psutil

HOST = "127.0.0.1"
EDGE = Path(sys.executable).parent / "edge"
START_SECONDS = 20.0
STOP_SECONDS = 10.0


class Daemon:
    """A daemon that is ready: where it listens, and how to ask and to watch it."""

    def __init__(self, folder: Path, sip_port: int, http_port: int, media: tuple[int, int], extra: str = "") -> None:
        self.folder = folder
        self.sip = (HOST, sip_port)
        self.url = f"http://{HOST}:{http_port}"
        self.log = folder / "edge.log"
        self.config = folder / "edge.toml"
        self.config.write_text(
            f"""
data = "{folder}/var"
drain_seconds = 1.0

[log]
level = "warning"

[store]
url = "sqlite:///{folder}/edge.sqlite3"

[api]
host = "{HOST}"
port = {http_port}

[sip]
listen = ["udp:{HOST}:{sip_port}", "tcp:{HOST}:{sip_port}"]

[media]
first_port = {media[0]}
last_port = {media[1]}

[[trunks]]
name = "loopback"
networks = ["127.0.0.0/8"]
country = "US"
{extra}"""
        )
        self.token = ""
        self._process: subprocess.Popen[bytes] | None = None

    # The process

    def start(self) -> None:
        """Start it and wait for /ready. Raises RuntimeError with its last words."""
        if not self.token:
            said = self.run("key", "create", "--admin", "--config", str(self.config))
            found = re.search(r"vb_\S+", said)
            if found is None:
                raise RuntimeError(f"no key was made: {said}")
            self.token = found.group()
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [str(EDGE), "serve", "--config", str(self.config)],
                cwd=self.folder,
                env=environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        deadline = time.monotonic() + START_SECONDS
        while not self.ready():
            if not self.alive or time.monotonic() > deadline:
                self.stop()
                raise RuntimeError(f"edge serve did not get ready:\n{self.words()}")
            time.sleep(0.05)

    def run(self, *words: str) -> str:
        """Another `edge` command, to its end; what it printed. Raises RuntimeError when it failed."""
        result = subprocess.run(
            [str(EDGE), *words],
            cwd=self.folder,
            env=environment(),
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        if result.returncode:
            raise RuntimeError(f"edge {' '.join(words)}: {result.stdout}{result.stderr}")
        return result.stdout

    def stop(self, by: int = signal.SIGTERM) -> int:
        """End it, and return its exit status."""
        process = self._process
        assert process is not None
        if process.poll() is None:
            process.send_signal(by)
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
        return process.wait()

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def memory_bytes(self) -> int:
        assert self._process is not None
        return int(psutil.Process(self._process.pid).memory_info().rss)

    def words(self) -> str:
        """The end of its log."""
        return self.log.read_text(errors="replace")[-4000:] if self.log.exists() else ""

    # HTTP

    def ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/ready", timeout=1) as response:
                return bool(response.status == 200)
        except OSError:
            return False

    def ask(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """One request to the API as admin; the body of its answer. Raises RuntimeError with the error's body."""
        data = None if body is None else json.dumps(body).encode()
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        request = urllib.request.Request(f"{self.url}{path}", data, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=10) as response:
                answer: dict[str, Any] = json.load(response)
        except urllib.error.HTTPError as error:
            raise RuntimeError(f"{method} {path}: {error.code} {error.read().decode()}") from None
        return answer

    def metric(self, name: str) -> float:
        """The sum of a series over its labels."""
        with urllib.request.urlopen(f"{self.url}/metrics", timeout=5) as response:
            text = response.read().decode()
        values = re.findall(rf"(?m)^{re.escape(name)}(?:{{[^}}]*}})? (\S+)$", text)
        return sum(map(float, values))

    # Provisioning

    def account(self) -> str:
        """A customer; its id."""
        return str(self.ask("POST", "/v1.0/customers", {"name": "tests"})["id"])

    def bind(self, customer: str, number: str, *actions: Mapping[str, Any]) -> None:
        """Give a number a call flow of these actions."""
        flow = {"customer_id": customer, "name": number, "actions": list(actions)}
        flow_id = self.ask("POST", "/v1.0/flows", flow)["id"]
        self.ask("POST", "/v1.0/numbers", {"customer_id": customer, "number": number, "call_flow_id": flow_id})

    # SIP

    def answers(self, seconds: float = 1.0) -> bool:
        """Whether it answers OPTIONS on UDP in time."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.settimeout(seconds)
            sock.connect(self.sip)
            here = f"{HOST}:{sock.getsockname()[1]}"
            token = time.monotonic_ns()
            sock.send(
                (
                    f"OPTIONS sip:{HOST}:{self.sip[1]} SIP/2.0\r\nVia: SIP/2.0/UDP {here};branch=z9hG4bK{token}\r\n"
                    f"Max-Forwards: 70\r\nFrom: <sip:test@{here}>;tag={token}\r\nTo: <sip:{HOST}>\r\n"
                    f"Call-ID: {token}\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
                ).encode()
            )
            with contextlib.suppress(OSError):
                return sock.recv(65535).startswith(b"SIP/2.0 200")
        return False


def environment() -> dict[str, str]:
    """Ours, without what configures an edge."""
    return {name: value for name, value in os.environ.items() if not name.startswith("EDGE_")}


@contextlib.contextmanager
def daemon(folder: Path, extra: str = "") -> Iterator[Daemon]:
    """A daemon, running and ready, until the end of the block; `extra` is added to its configuration."""
    sip, http, media = free_port(socket.SOCK_DGRAM), free_port(socket.SOCK_STREAM, 17000), free_port(start=24000)
    running = Daemon(folder, sip, http, (media, media + 998), extra)
    running.start()
    try:
        yield running
    finally:
        running.stop()


def free_port(kind: int = socket.SOCK_DGRAM, start: int = 16200) -> int:
    """A port that is free now, below the range the kernel hands out by itself."""
    for port in range(start, start + 800, 2):
        with contextlib.suppress(OSError), socket.socket(socket.AF_INET, kind) as sock:
            sock.bind((HOST, port))
            return port
    raise RuntimeError("no free port")
