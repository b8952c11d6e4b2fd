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
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import psutil

HOST = "127.0.0.1"
EDGE = Path(sys.executable).parent / "edge"
START_SECONDS = 20.0
STOP_SECONDS = 10.0
WAIT_SECONDS = 10.0  # for something that the daemon does by itself

_given: set[int] = set()  # ports of ours, those of daemons that are not started yet too


class Daemon:
    """A daemon that is ready: where it listens, and how to ask and to watch it."""

    def __init__(
        self,
        folder: Path,
        sip_port: int,
        http_port: int,
        media: tuple[int, int],
        extra: str = "",
        *,
        store: str = "",
        drain_seconds: float = 1.0,
        level: str = "warning",
        environ: Mapping[str, str] | None = None,
    ) -> None:
        self.folder = folder
        self.sip = (HOST, sip_port)
        self.url = f"http://{HOST}:{http_port}"
        self.log = folder / "edge.log"
        self.config = folder / "edge.toml"
        self.store = store or f"sqlite:///{folder}/edge.sqlite3"
        self.environ = dict(environ or {})
        self.token = ""
        self._media = media
        self._drain_seconds = drain_seconds
        self._process: subprocess.Popen[bytes] | None = None
        self.configure(extra, level=level)

    def configure(self, extra: str = "", *, level: str = "warning", networks: str = "127.0.0.0/8") -> None:
        """Write its configuration, which it reads when it starts, or at SIGHUP; `extra` is added at the end."""
        self.config.write_text(
            f"""
data = "{self.folder}/var"
drain_seconds = {self._drain_seconds}

[log]
level = "{level}"

[store]
url = "{self.store}"

[api]
host = "{HOST}"
port = {self.url.rpartition(":")[2]}

[sip]
listen = ["udp:{HOST}:{self.sip[1]}", "tcp:{HOST}:{self.sip[1]}"]

[media]
first_port = {self._media[0]}
last_port = {self._media[1]}

[[trunks]]
name = "loopback"
networks = ["{networks}"]
country = "US"
{extra}"""
        )

    # The process

    def start(self) -> None:
        """Start it and wait for /ready. Raises RuntimeError with its last words."""
        self.launch()
        if not self.token:
            try:
                self.make_key()
            except RuntimeError:
                self.stop()
                raise
        self.await_ready()

    def launch(self, *words: str, **environ: str) -> subprocess.Popen[bytes]:
        """Start the process, with further options and variables, and wait for nothing."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [str(EDGE), "serve", "--config", str(self.config), *words],
                cwd=self.folder,
                env={**environment(), **self.environ, **environ},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        return self._process

    def await_ready(self) -> None:
        """Wait for /ready. Raises RuntimeError with its last words."""
        deadline = time.monotonic() + START_SECONDS
        while not self.ready():
            if not self.alive or time.monotonic() > deadline:
                self.stop()
                raise RuntimeError(f"edge serve did not get ready:\n{self.words()}")
            time.sleep(0.02)  # asked again until the deadline: a process has no event for us

    def make_key(self) -> None:
        """An admin key for `ask`, made beside the daemon."""
        said = self.run("key", "create", "--admin", "--config", str(self.config))
        found = re.search(r"vb_\S+", said)
        if found is None:
            raise RuntimeError(f"no key was made: {said}")
        self.token = found.group()

    def run(self, *words: str) -> str:
        """Another `edge` command, to its end; what it printed. Raises RuntimeError when it failed."""
        result = self.command(*words)
        if result.returncode:
            raise RuntimeError(f"edge {' '.join(words)}: {result.stdout}{result.stderr}")
        return result.stdout

    def command(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Another `edge` command, to its end, however that is."""
        return subprocess.run(
            [str(EDGE), *words],
            cwd=self.folder,
            env={**environment(), **self.environ},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    def stop(self, by: int = signal.SIGTERM) -> int:
        """End it, and return its exit status."""
        if self.process.poll() is None:
            self.process.send_signal(by)
            try:
                self.process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self.process.kill()
        return self.process.wait()

    def kill(self) -> None:
        """End it the hard way."""
        self.process.kill()
        self.process.wait()

    @property
    def process(self) -> subprocess.Popen[bytes]:
        assert self._process is not None, "it was never started"
        return self._process

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def memory_bytes(self) -> int:
        return int(psutil.Process(self.process.pid).memory_info().rss)

    def words(self) -> str:
        """The end of its log."""
        return self.log.read_text(errors="replace")[-4000:] if self.log.exists() else ""

    def lines(self, containing: str) -> list[str]:
        """Its log lines with a text in them."""
        return [line for line in self.log.read_text(errors="replace").splitlines() if containing in line]

    def wait_until(self, condition: Callable[[], object], what: str, seconds: float = WAIT_SECONDS) -> None:
        """Wait for something that the daemon does. Raises AssertionError with its last words."""
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, f"{what} did not happen within {seconds:g} s\n{self.words()}"
            time.sleep(0.005)  # looked at again until the deadline

    # HTTP

    def ready(self) -> bool:
        return is_ready(self.url)

    def ask(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, *, token: str | None = None
    ) -> dict[str, Any]:
        """One request to the API as admin; the body of its answer. Raises RuntimeError with the error's body."""
        status, answer = self.request(method, path, body, token=token)
        if status >= 400:
            raise RuntimeError(f"{method} {path}: {status} {json.dumps(answer)}")
        return answer

    def request(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, *, token: str | None = None
    ) -> tuple[int, dict[str, Any]]:
        """The same, whatever is answered: its status and body."""
        data = None if body is None else json.dumps(body).encode()
        headers = {"Authorization": f"Bearer {self.token if token is None else token}"}
        request = urllib.request.Request(
            f"{self.url}{path}", data, {**headers, "Content-Type": "application/json"}, method=method
        )
        try:
            with urllib.request.urlopen(request, timeout=10) as response:
                return response.status, json.load(response)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)

    def all(self, path: str) -> list[dict[str, Any]]:
        """All entries of a list of the API, page after page; `path` may have a query."""
        token, found = "", list[dict[str, Any]]()
        while True:
            page = self.ask("GET", f"{path}{'&' if '?' in path else '?'}page_size=100{token}")
            found += page["result"]
            if not page["next_page_token"]:
                return found
            token = f"&page_token={urllib.parse.quote(page['next_page_token'])}"

    def metric(self, name: str, **labels: str) -> float:
        """The sum of a series over its labels, or over those samples that have the given ones."""
        with urllib.request.urlopen(f"{self.url}/metrics", timeout=5) as response:
            text = response.read().decode()
        samples = re.findall(rf"(?m)^{re.escape(name)}(?:{{([^}}]*)}})? (\S+)$", text)
        wanted = {f'{label}="{value}"' for label, value in labels.items()}
        return sum(float(value) for given, value in samples if wanted <= set(given.split(",")))

    # Provisioning

    def account(self) -> str:
        """A customer; its id."""
        return str(self.ask("POST", "/v1.0/customers", {"name": "tests"})["id"])

    def flow(self, customer: str, *actions: Mapping[str, Any]) -> str:
        """A flow of these actions; its id."""
        flow = {"customer_id": customer, "name": "test", "actions": list(actions)}
        return str(self.ask("POST", "/v1.0/flows", flow)["id"])

    def bind(self, customer: str, number: str, *actions: Mapping[str, Any]) -> None:
        """Give a number a call flow of these actions."""
        self.own(customer, number, call_flow_id=self.flow(customer, *actions))

    def own(self, customer: str, number: str, **flows: str) -> str:
        """A number with the flows that are there already; its id."""
        return str(self.ask("POST", "/v1.0/numbers", {"customer_id": customer, "number": number, **flows})["id"])

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


def is_ready(url: str) -> bool:
    """Whether the daemon behind this address says that it may take traffic."""
    try:
        with urllib.request.urlopen(f"{url}/ready", timeout=1) as response:
            return bool(response.status == 200)
    except OSError:
        return False


def environment() -> dict[str, str]:
    """Ours, without what configures an edge, and with compiled modules kept, as they are where it is installed."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("EDGE_") and name != "PYTHONDONTWRITEBYTECODE"
    }


def new(folder: Path, extra: str = "", **options: Any) -> Daemon:
    """A daemon on free ports that is not started yet; `options` are those of `Daemon`."""
    sip, http, media = free_port(socket.SOCK_DGRAM), free_port(socket.SOCK_STREAM, 17000), free_port(start=24000)
    return Daemon(folder, sip, http, (media, media + 998), extra, **options)


@contextlib.contextmanager
def daemon(folder: Path, extra: str = "", **options: Any) -> Iterator[Daemon]:
    """A daemon, running and ready, until the end of the block; `extra` is added to its configuration."""
    with running(new(folder, extra, **options)) as found:
        yield found


@contextlib.contextmanager
def running(daemon: Daemon) -> Iterator[Daemon]:
    """Have a daemon run until the end of the block."""
    try:
        daemon.start()
        yield daemon
    finally:
        daemon.stop()


def free_port(kind: int = socket.SOCK_DGRAM, start: int = 16200) -> int:
    """A port that is free now and not given to another, below the range the kernel hands out by itself.

    Tests that run beside these begin at other places: a port must be free still when its daemon is started again.
    """
    for turn in range(400):
        port = start + 2 * ((turn + 37 * os.getpid()) % 400)
        with contextlib.suppress(OSError), socket.socket(socket.AF_INET, kind) as sock:
            if port not in _given:
                sock.bind((HOST, port))
                _given.add(port)
                return port
    raise RuntimeError("no free port")
