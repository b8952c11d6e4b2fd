"""Other people's SIPp scenarios against a running daemon: callers who stay, who are hung up on, or who only ask."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.calls.conftest import HANGS_UP, STAYS, VECTORS
from tests.calls.daemon import Daemon
from tests.sipp import Result, sipp

AT_ONCE = 8  # most of a scenario's time is spent waiting

# Callees written into a scenario instead of SIPp's [service]: the same caller, sent to a number of ours.
FOREIGN = re.compile(r"sip:[\w.]+@sip2sip\.info")

# What is not right for us, and why. Each is expected to fail, and noticed when it does not any more.
KNOWN = {
    "test-harness__sipp-scenarios__session_timer_echo.xml": "session timers (RFC 4028) are not served yet",
    "sipp_uac_reinvite_no_codecs.xml": "expects 415 to SDP without formats, which is about types of bodies (§21.4.13)",
    "sipp_uac_bad_message.xml": "expects 200 to a text; ours is 202, it is kept and its flow still to run",
    "tests__pjsua__scripts-sipp__uac-norefersub.xml": "norefersub (RFC 4488) is not served",
}

# A scenario that sends twice before it reads takes our 100 for unexpected when that is faster than its second INVITE.
RACES = {"sipp_uac_INVITE_resent.xml": ("-default_behaviors", "all,-abortunexp")}


def scenarios() -> list[tuple[str, Path]]:
    """Callee and file of each scenario of the index."""
    index = VECTORS / "sipp" / "INDEX.tsv"
    if not index.is_file():
        return []
    rows = csv.DictReader(index.open(), delimiter="\t")
    return [(row["callee"], VECTORS / "sipp" / row["file"]) for row in rows]


ALL = scenarios()


def params() -> Iterator[object]:
    if not ALL:
        yield pytest.param("", None, marks=pytest.mark.skip(reason="the vectors are not here"), id="absent")
    for callee, path in ALL:
        known = KNOWN.get(path.name)
        marks = [pytest.mark.xfail(reason=known, strict=True)] if known else []
        yield pytest.param(callee, path, marks=marks, id=f"{callee}-{path.stem}")


@pytest.fixture(scope="module")
def results(edge_daemon: Daemon, tmp_path_factory: pytest.TempPathFactory) -> dict[Path, Result]:
    """All scenarios, several at a time."""
    folder = tmp_path_factory.mktemp("sipp")

    def run(number: int, callee: str, path: Path) -> Result:
        place = folder / str(number)
        place.mkdir()
        script = place / "scenario.xml"
        text = path.read_bytes().decode("latin-1")
        script.write_bytes(FOREIGN.sub("sip:[service]@[remote_ip]:[remote_port]", text).encode("latin-1"))
        service = HANGS_UP if callee == "hangup" else STAYS
        return sipp(place, edge_daemon.sip, script, service=service, arguments=RACES.get(path.name, ()))

    with ThreadPoolExecutor(AT_ONCE) as pool:
        found = pool.map(run, range(len(ALL)), [callee for callee, _ in ALL], [path for _, path in ALL])
        return dict(zip([path for _, path in ALL], found, strict=True))


@pytest.mark.parametrize(("callee", "path"), list(params()))
def test_scenario(results: dict[Path, Result], callee: str, path: Path) -> None:
    assert results[path].ok, results[path].story


def test_known_failures_are_in_the_index() -> None:
    if ALL:
        assert set(KNOWN) <= {path.name for _, path in ALL}


def test_the_daemon_is_well_after_all_of_them(edge_daemon: Daemon, results: dict[Path, Result]) -> None:
    assert results or not ALL
    assert edge_daemon.answers()


@pytest.mark.parametrize("transport", ["u1", "t1"])
def test_the_caller_that_sipp_has_built_in(edge_daemon: Daemon, tmp_path: Path, transport: str) -> None:
    result = sipp(tmp_path, edge_daemon.sip, "uac", service=STAYS, arguments=["-t", transport, "-d", "500"])
    assert result.ok, result.story
