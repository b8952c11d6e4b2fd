"""Running SIPp against a server under test: one scenario, one call unless told otherwise, and what it said."""

from __future__ import annotations

import itertools
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

HOST = "127.0.0.1"
FIRST, PLACES, STEP = 26_000, 600, 10  # ports below those that the kernel hands out, and beside the daemons'
TRIES = 5  # of a run whose ports somebody else took in the moment between
TAKEN = "address already in use"

_turns = itertools.count(37 * os.getpid())  # tests that run beside these begin at other places


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
    for _ in range(TRIES):
        result = _run(free_ports(), folder, target, scenario, service, seconds, arguments)
        if result.ok or TAKEN not in result.story.lower():
            break
    return result


def free_ports() -> int:
    """The first of ten ports for one run, of which those for SIP and for media are free now."""
    for _ in range(PLACES):
        port = FIRST + STEP * (next(_turns) % PLACES)
        if all(_is_free(*one) for one in _used(port)):
            return port
    raise RuntimeError("no free ports for SIPp")


def _used(port: int) -> Iterator[tuple[socket.SocketKind, int]]:
    yield socket.SOCK_STREAM, port
    yield from ((socket.SOCK_DGRAM, port + more) for more in (0, 2, 4))  # SIP, audio, video


def _is_free(kind: socket.SocketKind, port: int) -> bool:
    with socket.socket(socket.AF_INET, kind) as probe:
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
        return True


def _run(
    port: int,
    folder: Path,
    target: tuple[str, int],
    scenario: str | Path,
    service: str,
    seconds: int,
    arguments: Sequence[str],
) -> Result:
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
            stderr=subprocess.PIPE,
            check=False,
            timeout=seconds + 15,
        )
        status, said = done.returncode, done.stderr.decode(errors="replace")
    except subprocess.TimeoutExpired:
        status, said = -1, ""
    texts = [path.read_text(errors="replace") for path in (errors, messages) if path.exists()]
    return Result(ok=status == 0, story=f"sipp ended with {status}\n{said[-2000:]}\n" + "\n".join(texts)[-8000:])
