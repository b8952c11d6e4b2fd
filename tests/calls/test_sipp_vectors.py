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

# Where another answer is right: what the scenario expects, ours, and why. The rest of it is played as it is.
OTHERWISE = {
    "sipp_uac_reinvite_no_codecs.xml": (
        "415",
        "400",
        "415 is about the type of a body (§21.4.13), and this one has ours: but a media line without a format is no"
        " SDP (RFC 8866 §9)",
    ),
    "sipp_uac_bad_message.xml": ("200", "202", "a text is kept, and its flow still to run (RFC 3428 §7)"),
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
        yield pytest.param(callee, path, id=f"{callee}-{path.stem}")


@pytest.fixture(scope="module")
def results(edge_daemon: Daemon, tmp_path_factory: pytest.TempPathFactory) -> dict[Path, Result]:
    """All scenarios, several at a time."""
    folder = tmp_path_factory.mktemp("sipp")

    def run(number: int, callee: str, path: Path) -> Result:
        place = folder / str(number)
        place.mkdir()
        script = place / "scenario.xml"
        text = path.read_bytes().decode("latin-1")
        if path.name in OTHERWISE:
            theirs, ours, _why = OTHERWISE[path.name]
            text = text.replace(f'<recv response="{theirs}" rtd="true">', f'<recv response="{ours}" rtd="true">', 1)
        script.write_bytes(FOREIGN.sub("sip:[service]@[remote_ip]:[remote_port]", text).encode("latin-1"))
        service = HANGS_UP if callee == "hangup" else STAYS
        return sipp(place, edge_daemon.sip, script, service=service, arguments=RACES.get(path.name, ()))

    with ThreadPoolExecutor(AT_ONCE) as pool:
        found = pool.map(run, range(len(ALL)), [callee for callee, _ in ALL], [path for _, path in ALL])
        return dict(zip([path for _, path in ALL], found, strict=True))


@pytest.mark.parametrize(("callee", "path"), list(params()))
def test_scenario(results: dict[Path, Result], callee: str, path: Path) -> None:
    assert results[path].ok, results[path].story


def test_what_is_expected_otherwise_is_in_the_index() -> None:
    files = {path.name: path for _, path in ALL}
    for name, (theirs, _ours, why) in OTHERWISE.items() if ALL else ():
        assert f'response="{theirs}"' in files[name].read_text("latin-1"), why


def test_the_daemon_is_well_after_all_of_them(edge_daemon: Daemon, results: dict[Path, Result]) -> None:
    assert results or not ALL
    assert edge_daemon.answers()


@pytest.mark.parametrize("transport", ["u1", "t1"])
def test_the_caller_that_sipp_has_built_in(edge_daemon: Daemon, tmp_path: Path, transport: str) -> None:
    result = sipp(tmp_path, edge_daemon.sip, "uac", service=STAYS, arguments=["-t", transport, "-d", "500"])
    assert result.ok, result.story
