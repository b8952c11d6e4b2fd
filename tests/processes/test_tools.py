"""The tools of the trade against a running daemon. (SIPp's own caller is in `tests/calls/test_sipp_vectors.py`.)"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator

import pytest

from tests.calls.daemon import HOST, Daemon, daemon

pytestmark = pytest.mark.server


@pytest.fixture(scope="module")
def edge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    if shutil.which("sipsak") is None:
        pytest.skip("sipsak is not here: apt-get install sipsak")
    with daemon(tmp_path_factory.mktemp("tools")) as running:
        yield running


def sipsak(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["sipsak", *words], capture_output=True, text=True, check=False, timeout=20)


@pytest.mark.parametrize("user", ["", "ping@", "+14155550100@"], ids=["no user", "a name", "a number"])
@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_sipsak_pings_with_options(edge: Daemon, user: str, transport: str) -> None:
    said = sipsak("-vv", "-E", transport, "-s", f"sip:{user}{HOST}:{edge.sip[1]}")
    assert said.returncode == 0, said.stdout + said.stderr
    assert "SIP/2.0 200 OK" in said.stdout


def test_sipsak_notices_who_does_not_answer(edge: Daemon) -> None:
    """That the ping can fail."""
    edge.stop()
    assert sipsak("-E", "tcp", "-s", f"sip:{HOST}:{edge.sip[1]}").returncode != 0
