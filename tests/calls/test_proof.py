"""Digest with others, over real sockets: SIPp proves itself to us and has us prove it, on UDP and TCP."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.calls.conftest import STAYS, wait
from tests.calls.daemon import Daemon, daemon
from tests.sipp import Result, free_ports, sipp

SCENARIOS = Path(__file__).parent / "scenarios"
PROVING, WRONG, ASKING = (SCENARIOS / f"{name}.xml" for name in ("proving", "wrong", "asking"))
CARRIER = "127.0.0.3"  # proves who it is
DESK = "+14155550188"
EXTRA = """
[[trunks]]
name = "proving"
networks = ["127.0.0.3/32"]
country = "US"
auth = {{ username = "carrier", password = "sesame" }}
auth_algorithms = ["MD5"]  # Debian's SIPp looks at the first challenge only, and knows no other

[[trunks]]
name = "asking-udp"
networks = ["127.0.0.7/32"]
country = "US"
target = "sip:127.0.0.1:{udp}"
outbound = true
credentials = {{ username = "edge", password = "sesame" }}

[[trunks]]
name = "asking-tcp"
networks = ["127.0.0.8/32"]
country = "US"
target = "sip:127.0.0.1:{tcp};transport=tcp"
outbound = true
credentials = {{ username = "edge", password = "sesame" }}
"""
PORTS = {"udp": free_ports(), "tcp": free_ports()}


@pytest.fixture(scope="module")
def proving(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    extra = EXTRA.format(**PORTS)
    with daemon(tmp_path_factory.mktemp("edge"), extra, environ={"EDGE_STORE__LAZY_MS": "20"}) as made:
        customer = made.account()
        made.bind(customer, STAYS, {"type": "answer"}, wait(60_000))
        yield made
        assert made.alive, made.words()


def calls(edge: Daemon, folder: Path, scenario: Path, transport: str, password: str = "sesame") -> Result:
    """The carrier calls."""
    folder.mkdir(exist_ok=True)
    from_there = ["-i", CARRIER, "-mi", CARRIER, "-t", f"{transport[0]}1", "-au", "carrier", "-ap", password]
    return sipp(folder, edge.sip, scenario, service=STAYS, arguments=from_there)


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_sipp_proves_who_it_is(proving: Daemon, tmp_path: Path, transport: str) -> None:
    before, known = proving.metric("edge_sip_digest_total", result="right"), recorded(proving)
    result = calls(proving, tmp_path, PROVING, transport)
    assert result.ok, result.story
    assert proving.metric("edge_sip_digest_total", result="right") == before + 1
    record = newest(proving, known)
    assert (record["edge"]["auth"], record["edge"]["transport"]) == ("digest:carrier", transport)
    assert record["edge"]["outcome"] == "answered"


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_sipp_with_another_word_is_refused(proving: Daemon, tmp_path: Path, transport: str) -> None:
    known = recorded(proving)
    result = calls(proving, tmp_path, WRONG, transport, "another")
    assert result.ok, result.story
    record = newest(proving, known)
    assert (record["edge"]["sip_code"], record["edge"]["reason"]) == (403, "AuthenticationFailed")
    assert proving.lines("digest not right")
    assert not proving.lines("another")


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_we_prove_it_to_sipp(proving: Daemon, tmp_path: Path, transport: str) -> None:
    number = f"+1415555016{'0' if transport == 'udp' else '1'}"
    option = {"destinations": [{"type": "tel", "target": DESK}], "trunk": f"asking-{transport}"}
    proving.bind(proving.account(), number, {"type": "connect", "option": option})
    with ThreadPoolExecutor(1) as pool:
        here = ["-p", str(PORTS[transport]), "-t", f"{transport[0]}1"]
        carrier = pool.submit(sipp, tmp_path, proving.sip, ASKING, service="carrier", arguments=here)
        caller = sipp(tmp_path, proving.sip, "uac", service=number, arguments=["-d", "300"])
        asked = carrier.result()
    assert asked.ok, asked.story
    assert caller.ok, caller.story
    proving.wait_until(lambda: made(proving, f"asking-{transport}"), "the record")
    (record,) = made(proving, f"asking-{transport}")
    assert (record["edge"]["outcome"], record["direction"]) == ("answered", "outgoing")


def made(edge: Daemon, trunk: str) -> list[dict[str, Any]]:
    """The records of calls that went out by a trunk."""
    return [one for one in edge.all("/v1.0/calls") if one["edge"]["trunk"] == trunk]


def recorded(edge: Daemon) -> list[dict[str, Any]]:
    """The records of the trunk that has to prove itself, newest first."""
    return made(edge, "proving")


def newest(edge: Daemon, known: list[dict[str, Any]]) -> dict[str, Any]:
    """The one that was not known."""
    edge.wait_until(lambda: len(recorded(edge)) > len(known), "the record")
    return recorded(edge)[0]
