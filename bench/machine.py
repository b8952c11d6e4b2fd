"""Processes under measurement: started, watched through /proc, stopped. Only what was started here is ever stopped."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import psutil

HOST = "127.0.0.1"
START_SECONDS = 20.0
STOP_SECONDS = 8.0
TICKS = os.sysconf("SC_CLK_TCK")


class Process:
    """A server with all processes it starts."""

    def __init__(self, command: Sequence[str], folder: Path, environment: Mapping[str, str] | None = None) -> None:
        self.log = folder / f"{Path(command[0]).name}.log"
        with self.log.open("ab") as log:
            self._popen = subprocess.Popen(
                command,
                cwd=folder,
                env={**os.environ, **(environment or {})},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    @property
    def alive(self) -> bool:
        return self._popen.poll() is None

    def _tree(self) -> list[psutil.Process]:
        with contextlib.suppress(psutil.NoSuchProcess):
            root = psutil.Process(self._popen.pid)
            return [root, *root.children(recursive=True)]
        return []

    def cpu_seconds(self) -> float:
        """User and system time of all its processes so far, in steps of 10 ms."""
        total = 0.0
        for process in self._tree():
            with contextlib.suppress(psutil.NoSuchProcess):
                times = process.cpu_times()
                total += times.user + times.system
        return total

    def memory_bytes(self) -> int:
        """Memory of all its processes, pages that are shared counted once (PSS)."""
        total = 0
        for process in self._tree():
            with contextlib.suppress(psutil.NoSuchProcess, FileNotFoundError):
                rollup = Path(f"/proc/{process.pid}/smaps_rollup").read_text()
                total += next(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:")) * 1024
        return total

    def stop(self) -> None:
        """SIGTERM, and SIGKILL for what is left of its process group after some seconds."""
        tree = self._tree()
        self._popen.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._popen.wait(STOP_SECONDS)
        _, left = psutil.wait_procs(tree[1:], timeout=1)
        if left or self.alive:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._popen.pid, signal.SIGKILL)
        self._popen.wait()


@contextlib.contextmanager
def running(
    command: Sequence[str],
    folder: Path,
    ready: Callable[[], bool],
    environment: Mapping[str, str] | None = None,
) -> Iterator[Process]:
    """Start a server, wait until `ready()`, and stop it at the end. Raises RuntimeError with its last words."""
    process = Process(command, folder, environment)
    try:
        deadline = time.monotonic() + START_SECONDS
        while not ready():
            if not process.alive or time.monotonic() > deadline:
                words = process.log.read_text(errors="replace")[-2000:]
                raise RuntimeError(f"{command[0]} did not start:\n{words}")
            time.sleep(0.05)
        yield process
    finally:
        process.stop()


def free_port(kind: int = socket.SOCK_DGRAM) -> int:
    """A port of 127.0.0.1 that is free now, below the range the kernel hands out."""
    for port in range(15060, 16060, 2):
        with socket.socket(socket.AF_INET, kind) as sock, contextlib.suppress(OSError):
            sock.bind((HOST, port))
            return port
    raise RuntimeError("no free port")


def is_taken(port: int) -> bool:
    """Whether somebody listens at a UDP port."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        try:
            sock.bind((HOST, port))
        except OSError:
            return True
        return False


def is_listening(port: int) -> bool:
    """Whether somebody takes TCP connections on a port."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as sock:
        return sock.connect_ex((HOST, port)) == 0


def answers_options(port: int) -> bool:
    """Whether a SIP server answers OPTIONS, or anything at all, on a port."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(0.2)
        sock.connect((HOST, port))
        here = sock.getsockname()[1]
        text = (
            f"OPTIONS sip:{HOST}:{port} SIP/2.0\r\n"
            f"Via: SIP/2.0/UDP {HOST}:{here};branch=z9hG4bK{time.monotonic_ns()}\r\n"
            f"Max-Forwards: 70\r\nFrom: <sip:bench@{HOST}>;tag=1\r\nTo: <sip:{HOST}:{port}>\r\n"
            f"Call-ID: {time.monotonic_ns()}\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
        )
        try:
            sock.send(text.encode())
            return bool(sock.recv(65535))
        except OSError:
            return False
