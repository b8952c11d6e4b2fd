"""Running SIPp against a server under test: one scenario, one call unless told otherwise, and what it said."""

from __future__ import annotations

import itertools
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

HOST = "127.0.0.1"
_ports = itertools.count(18000, 10)  # each run listens for SIP and for media where no other does


@dataclass(frozen=True)
class Result:
    """`ok` when every call went as its scenario says; `story` has SIPp's own account of what did not."""

    ok: bool
    story: str


def sipp(
    folder: Path,
    target: tuple[str, int],
    scenario: str | Path,
    *,
    service: str,
    seconds: int = 30,
    arguments: Sequence[str] = (),
) -> Result:
    """Run a scenario: the path of a file, or the name of a built-in one. `service` is the number that is called."""
    if shutil.which("sipp") is None:
        pytest.skip("SIPp is not here: apt-get install sip-tester")
    port = next(_ports)
    chosen = ["-sf", str(scenario)] if isinstance(scenario, Path) else ["-sn", scenario]
    errors = folder / f"errors-{port}.log"
    messages = folder / f"messages-{port}.log"
    command = [
        *("sipp", f"{target[0]}:{target[1]}", *chosen, "-s", service, "-i", HOST, "-p", str(port)),
        *("-mp", str(port + 2), "-m", "1", "-nostdin", "-timeout", f"{seconds}s", "-timeout_error"),
        *("-trace_err", "-error_file", str(errors), "-trace_msg", "-message_file", str(messages), *arguments),
    ]
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            check=False,
            timeout=seconds + 15,
        )
        status = done.returncode
    except subprocess.TimeoutExpired:
        status = -1
    texts = [path.read_text(errors="replace") for path in (errors, messages) if path.exists()]
    return Result(ok=status == 0, story=f"sipp ended with {status}\n" + "\n".join(texts)[-8000:])
