import os
import socket
import time
from pathlib import Path

import pytest

from edge import systemd


@pytest.fixture
def supervisor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> socket.socket:
    path = tmp_path / "notify"
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    sock.bind(str(path))
    sock.settimeout(1)
    monkeypatch.setenv("NOTIFY_SOCKET", str(path))
    return sock


def test_each_word_reaches_the_supervisor(supervisor: socket.socket) -> None:
    systemd.ready("serving")
    systemd.reloading()
    systemd.alive()
    systemd.stopping("draining")
    said = [supervisor.recv(1024).decode().split("\n") for _ in range(4)]
    assert said[0] == ["READY=1", "STATUS=serving"]
    assert said[1][0] == "RELOADING=1"
    assert int(said[1][1].removeprefix("MONOTONIC_USEC=")) > 0
    assert said[2] == ["WATCHDOG=1"]
    assert said[3] == ["STOPPING=1", "STATUS=draining"]


def test_the_abstract_namespace_is_understood(monkeypatch: pytest.MonkeyPatch) -> None:
    name = f"edge-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind("\0" + name)
        sock.settimeout(1)
        monkeypatch.setenv("NOTIFY_SOCKET", "@" + name)
        systemd.alive()
        assert sock.recv(100) == b"WATCHDOG=1"


def test_nobody_listening_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    systemd.alive()
    monkeypatch.setenv("NOTIFY_SOCKET", "/nowhere/at/all")
    systemd.alive()


def test_calls_do_not_wait_for_a_supervisor_that_reads_nothing(supervisor: socket.socket) -> None:
    before = time.monotonic()
    for _ in range(2000):  # more than its queue takes
        systemd.alive()
    assert time.monotonic() - before < 5
    assert supervisor.recv(100) == b"WATCHDOG=1"


@pytest.mark.parametrize(
    ("usec", "pid", "seconds"),
    [("30000000", None, 15.0), ("30000000", "1", None), ("x", None, None), (None, None, None)],
)
def test_the_watchdog_is_fed_at_half_its_time(
    usec: str | None, pid: str | None, seconds: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", usec) if usec else monkeypatch.delenv("WATCHDOG_USEC", raising=False)
    monkeypatch.setenv("WATCHDOG_PID", pid) if pid else monkeypatch.delenv("WATCHDOG_PID", raising=False)
    assert systemd.watchdog_seconds() == seconds
