"""SIPp gets ports that nobody else has, however many tests run side by side."""

from __future__ import annotations

import contextlib
import socket
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests import sipp
from tests.sipp import FIRST, HOST, PLACES, STEP


@pytest.mark.parametrize("offset", [0, 2, 4])
def test_a_place_where_somebody_listens_is_passed_over(offset: int) -> None:
    before = sipp.free_ports()
    following = FIRST + ((before - FIRST) // STEP + 1) % PLACES * STEP
    with contextlib.ExitStack() as stack:
        held = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        with contextlib.suppress(OSError):  # else somebody has it already
            held.bind((HOST, following + offset))
        assert sipp.free_ports() not in (before, following)


@pytest.mark.parametrize(("said", "runs"), [(b"Unable to bind: Address already in use", 3), (b"timeout", 1), (b"", 1)])
def test_ports_that_were_taken_in_between_are_given_up_for_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: bytes, runs: int
) -> None:
    ports: list[str] = []

    def run(command: list[str], **_: Any) -> subprocess.CompletedProcess[bytes]:
        ports.append(command[command.index("-p") + 1])
        failed = said and len(ports) < 3
        return subprocess.CompletedProcess(command, 1 if failed else 0, b"", said if failed else b"")

    monkeypatch.setattr("tests.sipp.shutil.which", lambda name: name)
    monkeypatch.setattr("tests.sipp.subprocess.run", run)
    result = sipp.sipp(tmp_path, (HOST, 5060), "uac", service="1")
    assert len(set(ports)) == len(ports) == runs
    assert result.ok is (said != b"timeout")
