"""systemd/edge.service: what systemd itself says of it, and the properties the daemon counts on."""

from __future__ import annotations

import configparser
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from edge.config import Config

UNIT = Path(__file__).parent.parent / "systemd" / "edge.service"
EXPOSURE = 20  # tenths: 2.0 of 10, what `systemd-analyze security` calls OK

needs_systemd = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="optional: systemd is not here")


def analyze(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = ["systemd-analyze", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def service() -> configparser.SectionProxy:
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read(UNIT)
    return unit["Service"]


@needs_systemd
def test_systemd_accepts_it(tmp_path: Path) -> None:
    copy = tmp_path / UNIT.name  # verify insists on a program that is there
    copy.write_text(UNIT.read_text().replace("/opt/edge/bin/edge", "/bin/true"))
    result = analyze("verify", "--man=no", "--recursive-errors=no", str(copy))
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


@needs_systemd
def test_the_sandbox_is_tight() -> None:
    result = analyze("security", "--offline=true", f"--threshold={EXPOSURE}", "--no-pager", str(UNIT))
    assert result.returncode == 0, result.stdout[-200:]


@needs_systemd
def test_a_loose_one_would_be_seen(tmp_path: Path) -> None:
    loose = tmp_path / UNIT.name
    loose.write_text("[Service]\nExecStart=/bin/true\n")
    assert analyze("security", "--offline=true", f"--threshold={EXPOSURE}", str(loose)).returncode != 0


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("Type", "notify"),
        ("Restart", "on-failure"),
        ("RestartPreventExitStatus", "2"),
        ("ExecReload", "/bin/kill -HUP $MAINPID"),
        ("KillMode", "mixed"),
        ("StateDirectory", "edge"),
    ],
)
def test_what_the_daemon_counts_on(key: str, value: str) -> None:
    assert service()[key] == value


def test_the_watchdog_is_on() -> None:
    assert 2 <= int(service()["WatchdogSec"]) <= 30


def test_a_drain_is_not_cut_short() -> None:
    assert int(service()["TimeoutStopSec"]) > 2 * float(Config.model_fields["drain_seconds"].default)


@pytest.mark.slow  # it imports all there is, in a process of its own
@pytest.mark.skipif(sys.platform != "linux", reason="optional: Linux only")
def test_our_libraries_bear_memory_that_is_never_written_and_executed() -> None:
    """MemoryDenyWriteExecute: the kernel's own switch (prctl(2), PR_SET_MDWE, Linux 6.3) before all imports."""
    program = """
import ctypes
if ctypes.CDLL(None).prctl(65, 1, 0, 0, 0) != 0:
    raise SystemExit(77)
import mmap
try:
    mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
except PermissionError:
    pass
else:
    raise SystemExit("the switch does nothing here")
import pkgutil, importlib, edge
for module in pkgutil.walk_packages(edge.__path__, "edge."):
    if not module.name.endswith(("__main__", ".env")):
        importlib.import_module(module.name)
import aiohttp, alembic.command, greenlet, hiredis, pydantic, redis.asyncio, sqlite3, sqlalchemy.ext.asyncio
sqlite3.connect(":memory:").execute("select 1")
"""
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-c", program]
    result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, env=environment)
    if result.returncode == 77:
        pytest.skip("optional: this kernel has no PR_SET_MDWE")
    assert result.returncode == 0, result.stderr
