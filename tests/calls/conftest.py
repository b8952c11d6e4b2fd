"""Daemons for tests of whole calls.

`edge_daemon` is one for a module, with two numbers: one stays on the line, one hangs up. `exchange` is one for all
stories of calls, each of which gets numbers of its own; `caller` is who calls there.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.calls.caller import Caller
from tests.calls.daemon import Daemon, new, running
from tests.calls.exchange import Exchange
from tests.calls.secured import Secured

STAYS = "+14155550100"  # answers and stays until the caller hangs up
HANGS_UP = "+14155550101"  # thinks a moment, answers, and hangs up after three seconds

VECTORS = Path(os.environ.get("EDGE_VECTORS") or Path(__file__).parents[3] / "shared" / "vectors")


def vectors(*parts: str) -> Path:
    """A folder of other people's vectors; the test is skipped without it."""
    path = VECTORS.joinpath(*parts)
    if not path.is_dir():
        pytest.skip(f"the vectors are not here: {path} (EDGE_VECTORS names another folder)")
    return path


def wait(milliseconds: int) -> dict[str, Any]:
    return {"type": "sleep", "option": {"duration": milliseconds}}


@pytest.fixture(scope="module")
def edge_secured(tmp_path_factory: pytest.TempPathFactory) -> Secured:
    """`edge_daemon`, and how to reach it over TLS."""
    return Secured(tmp_path_factory.mktemp("edge"))


@pytest.fixture(scope="module")
def edge_daemon(edge_secured: Secured) -> Iterator[Daemon]:
    with running(edge_secured.daemon) as made:
        customer = made.account()
        answer = {"type": "answer"}
        made.bind(customer, STAYS, answer, wait(60_000))
        made.bind(customer, HANGS_UP, wait(200), answer, wait(3_000), {"type": "hangup"})
        yield made
        assert made.alive, made.words()


TRUNKS = """
[[carriers]]
kind = "sip"

[[trunks]]
name = "target"
networks = ["127.0.0.9/32"]
country = "US"
target = "sip:127.0.0.9:{port}"

[[trunks]]
name = "six"
networks = ["{six}/128"]
country = "US"
"""
LOOPBACK = "::1"


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sock:
            sock.bind((LOOPBACK, 0))
    except OSError:
        return False
    return True


@pytest.fixture(scope="session")
def trunk() -> Iterator[socket.socket]:
    """Where the trunk listens that texts leave by."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.9", 0))
        sock.settimeout(5)
        yield sock


@pytest.fixture(scope="session")
def exchange(tmp_path_factory: pytest.TempPathFactory, trunk: socket.socket) -> Iterator[Exchange]:
    extra = TRUNKS.format(port=trunk.getsockname()[1], six=LOOPBACK)
    made = new(tmp_path_factory.mktemp("exchange"), extra, environ={"EDGE_STORE__LAZY_MS": "20"})
    hosts = ("127.0.0.1", f"[{LOOPBACK}]") if has_ipv6() else ("127.0.0.1",)
    listen = [f"{transport}:{host}:{made.sip[1]}" for transport in ("udp", "tcp") for host in hosts]
    made.environ["EDGE_SIP__LISTEN"] = json.dumps(listen)
    with running(made):
        yield Exchange(made)
        assert made.alive, made.words()


@pytest.fixture
def caller(exchange: Exchange) -> Iterator[Caller]:
    """A caller on UDP."""
    with Caller(exchange.daemon.sip) as found:
        yield found
