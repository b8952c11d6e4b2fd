"""Who is measured: how each server is built, started on a free port, and which of its processes count."""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
import sys
import urllib.request
import venv
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from bench import ours, relay, texts
from bench.machine import HOST, Process, answers_options, free_port, is_listening, running

PEERS = Path(__file__).parent / "peers"
KANNEL_PORT = 16_100  # the first of four
VENV_PACKAGES = ("sippy==2.5.0", "aiosipua==0.7.1", "aiortp==0.8.0")


@dataclass(frozen=True)
class Server:
    """A server that is up: where it listens, and all processes whose CPU is its cost. A relay has a port for each
    telephone."""

    port: int
    processes: Sequence[Process]
    targets: Sequence[int] = ()
    form: Callable[[texts.Text], bytes] = texts.to_edge  # of a text by webhook
    commits: Callable[[], float] | None = None  # so far, of a server that says so

    def cpu_seconds(self) -> float:
        return sum(process.cpu_seconds() for process in self.processes)

    def memory_bytes(self) -> int:
        return self.processes[0].memory_bytes()


Start = Callable[[Path], AbstractContextManager[Server]]


@contextlib.contextmanager
def redis(folder: Path) -> Iterator[Process]:
    """A Redis of the run's own on `redis.sock` in the folder, without a port and without files."""
    sock = folder / "redis.sock"
    sock.unlink(missing_ok=True)
    command = ["redis-server", "--port", "0", "--unixsocket", str(sock), "--save", "", "--appendonly", "no"]
    with running(command, folder, sock.exists) as process:
        yield process


def kamailio(*defines: str) -> Start:
    """Kamailio with one worker; its numbers are read from Redis."""

    @contextlib.contextmanager
    def start(folder: Path) -> Iterator[Server]:
        port = free_port()
        words = [word for define in defines for word in ("-A", define)]
        config = folder / "kamailio.cfg"
        config.write_text((PEERS / "kamailio.cfg").read_text().replace("@FOLDER@", str(folder)))
        command = [
            *(_program("kamailio"), "-DD", "-f", str(config), "-l", f"udp:127.0.0.1:{port}"),
            *("-m", "256", "-M", "16", "-w", str(folder), "-Y", str(folder), *words),
        ]
        (folder / "address.list").write_text(f"1 {HOST} 32 0 bench\n")
        with redis(folder) as store:
            ours.fill_redis(folder / "redis.sock")
            with running(command, folder, lambda: answers_options(port)) as process:
                yield Server(port, [process, store])

    return start


@contextlib.contextmanager
def edge(folder: Path) -> Iterator[Server]:
    """Ours: one process, its numbers in SQLite and Redis; its memory is cold."""
    with _edge(folder) as (plan, processes):
        yield Server(plan.sip_port, processes)


@contextlib.contextmanager
def edge_guarded(folder: Path) -> Iterator[Server]:
    """The same with a trunk whose carrier is held to limits."""
    with _edge(folder, limits="max_cps = 100000\nmax_calls = 100000") as (plan, processes):
        yield Server(plan.sip_port, processes)


def edge_for_texts(way: texts.Way) -> Start:
    """The same with a carrier."""
    webhook = f"""
[[carriers]]
kind = "loopback"
callback = "http://{HOST}:{texts.REPLIES_PORT}/"

[http]
allow_private = ["{HOST}/32"]
"""
    smpp = f"""
[[carriers]]
kind = "smpp"
hosts = ["{HOST}:{texts.SMSC_PORT}"]
system_id = "bench"
receipts = false
reconnect_seconds = 0.5
"""

    @contextlib.contextmanager
    def start(folder: Path) -> Iterator[Server]:
        with _edge(folder, webhook if way == "webhook" else smpp) as (plan, processes):
            yield Server(plan.http_port, processes, commits=plan.commits)

    return start


@contextlib.contextmanager
def _edge(folder: Path, extra: str = "", limits: str = "") -> Iterator[tuple[ours.Plan, list[Process]]]:
    plan = ours.Plan(folder, free_port(), free_port(socket.SOCK_STREAM), 21000, extra, limits)
    plan.write()
    command = [str(Path(sys.executable).parent / "edge"), "serve", "--config", str(plan.config)]
    with redis(folder) as store:
        plan.fill()
        with running(command, folder, plan.ready) as process:
            yield plan, [process, store]


def kannel(way: texts.Way, *, synced: bool) -> Start:
    """Kannel's bearerbox and smsbox. What was acknowledged is in files that are not synced, or in a Redis that syncs
    its log before it answers, as our database does.
    """
    admin, smsbox, inbound, store_port = range(KANNEL_PORT, KANNEL_PORT + 8, 2)
    smsc = {
        "webhook": f"""smsc = http
system-type = kannel
port = {inbound}
connect-allow-ip = {HOST}
send-url = "http://{HOST}:{texts.REPLIES_PORT}/"
smsc-username = bench
smsc-password = bench""",
        "smpp": f"""smsc = smpp
host = {HOST}
port = {texts.SMSC_PORT}
transceiver-mode = true
smsc-username = bench
smsc-password = bench
system-type = bench
max-pending-submits = {texts.WINDOW}
reconnect-delay = 1""",
    }[way]
    store = f"""
group = redis-connection
id = store
host = {HOST}
port = {store_port}

group = store-db
id = store
table = bench
"""

    def connected() -> bool:
        try:
            with urllib.request.urlopen(f"http://{HOST}:{admin}/status.txt?password=bench", timeout=1) as response:
                return b"smsbox:" in response.read()
        except OSError:
            return False

    @contextlib.contextmanager
    def start(folder: Path) -> Iterator[Server]:
        (folder / "store").mkdir(exist_ok=True)
        text = (PEERS / "kannel.conf").read_text()
        values = {"ADMIN": admin, "SMSBOX": smsbox, "FOLDER": folder, "SMSC": smsc}
        for name, value in {**values, "STORE": "redis" if synced else "spool"}.items():
            text = "\n".join(
                line if line.startswith("#") else line.replace(f"@{name}@", str(value)) for line in text.split("\n")
            )
        config = folder / "kannel.conf"
        config.write_text(text + store if synced else text)
        with contextlib.ExitStack() as stack:
            processes = [stack.enter_context(_synced_redis(folder, store_port))] if synced else []
            bearerbox, box = ([_program(name), "-v", "4", str(config)] for name in ("bearerbox", "smsbox"))
            processes.append(stack.enter_context(running(bearerbox, folder, lambda: is_listening(admin))))
            processes.append(stack.enter_context(running(box, folder, connected)))
            yield Server(inbound, processes, form=texts.to_kannel)

    return start


@contextlib.contextmanager
def _synced_redis(folder: Path, port: int) -> Iterator[Process]:
    """A Redis whose log is on the disk before it answers."""
    shutil.rmtree(folder / "appendonlydir", ignore_errors=True)
    command = ["redis-server", "--port", str(port), "--save", "", "--appendonly", "yes", "--appendfsync", "always"]
    with running([*command, "--dir", str(folder)], folder, lambda: is_listening(port)) as process:
        yield process


@contextlib.contextmanager
def floor(folder: Path) -> Iterator[Server]:
    """The C program below which nothing can go."""
    binary = relay.build(PEERS / "floor.c", folder)
    port = free_port()
    with running([str(binary), str(port)], folder, lambda: True) as process:
        yield Server(port, [process])


@contextlib.contextmanager
def nothing(folder: Path) -> Iterator[Server]:
    """For what needs no server: the job starts what it measures."""
    yield Server(0, [])


def relay_alone(calls: int) -> Start:
    """Our media engine without SIP."""
    return _printing(calls, lambda folder: [sys.executable, "-m", "bench.relay"])


def relay_floor(calls: int) -> Start:
    """The C program below which no relay can go."""
    return _printing(calls, lambda folder: [str(relay.build(PEERS / "relay_floor.c", folder))])


def _printing(calls: int, program: Callable[[Path], Sequence[str]]) -> Start:
    @contextlib.contextmanager
    def start(folder: Path) -> Iterator[Server]:
        command = [*program(folder), str(calls), str(relay.PHONES), str(relay.FIRST_PORT)]
        log = folder / f"{Path(command[0]).name}.log"
        log.unlink(missing_ok=True)
        root = {"PYTHONPATH": str(PEERS.parent.parent)}
        with running(command, folder, lambda: bool(relay.printed(log)), root) as process:
            yield Server(relay.FIRST_PORT, [process], relay.printed(log))

    return start


def rtpengine(calls: int) -> Start:
    """rtpengine in userspace, with one thread as we have one."""

    @contextlib.contextmanager
    def start(folder: Path) -> Iterator[Server]:
        port = free_port()
        command = [
            *("rtpengine", "--config-file=none", "--foreground", "--log-stderr", "--log-level=4", "--num-threads=1"),
            *("--table=-1", f"--interface={HOST}", f"--listen-ng={HOST}:{port}"),
            *(f"--port-min={relay.FIRST_PORT}", f"--port-max={relay.LAST_PORT}"),
        ]
        with relay.ng(port) as ng, running(command, folder, ng.ping) as process:
            targets = [target for number in range(calls) for target in ng.call(number)]
            yield Server(port, [process], targets)

    return start


def python_peer(name: str) -> Start:
    """A peer from PyPI, in a venv of its own."""

    @contextlib.contextmanager
    def start(folder: Path) -> Iterator[Server]:
        port = free_port()
        command = [str(_peer_python(folder.parent)), str(PEERS / f"{name}_greeting.py"), str(port)]
        with running(command, folder, lambda: answers_options(port)) as process:
            yield Server(port, [process])

    return start


def sippy_b2bua(name: str) -> Start:
    """Sippy's own B2BUAs, as they are installed; they log nothing and ask nobody. Each call goes to one place."""

    @contextlib.contextmanager
    def start(folder: Path) -> Iterator[Server]:
        port = free_port()
        there = f"{HOST}:{ours.CALLEE_PORT}"
        to = {
            "b2bua": ["-u", "-A", "0", "-c", str(folder / "b2bua.sock"), "-s", there],
            "b2bua_simple": ["-n", there],
        }
        command = [str(_peer_python(folder.parent)), "-m", f"sippy.{name}", "-f", "-l", HOST, "-p", str(port)]
        with running([*command, *to[name]], folder, lambda: answers_options(port), {"SIPLOG_BEND": "none"}) as process:
            yield Server(port, [process])

    return start


def _peer_python(build: Path) -> Path:
    place = build / "bench-venv"
    python = place / "bin" / "python"
    marker = place / ".installed"
    if not marker.exists():
        venv.create(place, with_pip=True, clear=True)
        subprocess.run([str(python), "-m", "pip", "install", "--quiet", *VENV_PACKAGES], check=True)
        marker.touch()
    return python


def _program(name: str) -> str:
    return shutil.which(name) or f"/usr/sbin/{name}"
