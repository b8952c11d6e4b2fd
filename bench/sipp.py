"""The load: SIPp with a scenario of ours, and what it counted."""

from __future__ import annotations

import contextlib
import csv
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.machine import HOST, is_taken, running

SCENARIOS = Path(__file__).parent / "scenarios"
GRACE_SECONDS = 10


@dataclass(frozen=True)
class Load:
    """What became of the calls of one run."""

    calls: int
    failed: int
    retransmissions: int
    response_ms: Sequence[float] = ()  # of all calls, sorted; only when asked for


def load(
    scenario: str,
    folder: Path,
    *,
    port: int,
    local_port: int,
    calls: int,
    rate: int,
    seconds: float = 0,
    arguments: Sequence[str] = (),
    replace: Mapping[str, str] | None = None,
    timed: bool = False,
) -> Load:
    """Offer `calls` at `rate` a second to 127.0.0.1:`port`; `seconds` is what one call takes. `timed`: keep the
    response times that the scenario measures. Raises RuntimeError."""
    script = _write(scenario, folder, replace or {})
    counted = folder / f"{scenario}.csv"
    counted.unlink(missing_ok=True)
    for old in folder.glob(f"{scenario}_*_rtt.csv"):
        old.unlink()
    limit = calls / rate + seconds + GRACE_SECONDS
    command = [
        *("sipp", f"{HOST}:{port}", "-sf", str(script), "-i", HOST, "-p", str(local_port), "-nostdin"),
        *("-m", str(calls), "-r", str(rate), "-l", str(calls), "-timeout", f"{limit:.0f}s", "-buff_size", "4000000"),
        *("-trace_stat", "-stf", str(counted), "-fd", "1", *arguments),
        *(("-trace_rtt", "-rtt_freq", "10") if timed else ()),
    ]
    with (folder / "sipp.log").open("wb") as log:
        subprocess.run(
            command, cwd=folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log, check=False, timeout=limit + 10
        )
    if not counted.exists():
        raise RuntimeError(f"sipp did not run:\n{(folder / 'sipp.log').read_text(errors='replace')[-2000:]}")
    last = list(csv.DictReader(counted.open(), delimiter=";"))[-1]
    return Load(
        calls=int(last["SuccessfulCall(C)"]),
        failed=calls - int(last["SuccessfulCall(C)"]),
        retransmissions=int(last["Retransmissions(C)"]),
        response_ms=sorted(_times(folder, scenario)) if timed else (),
    )


def _times(folder: Path, scenario: str) -> Iterator[float]:
    for found in folder.glob(f"{scenario}_*_rtt.csv"):
        for row in csv.reader(found.read_text().splitlines()[1:], delimiter=";"):
            yield float(row[1])


@contextlib.contextmanager
def callee(scenario: str, folder: Path, *, port: int, arguments: Sequence[str] = ()) -> Iterator[None]:
    """Somebody who takes calls at 127.0.0.1:`port`. Raises RuntimeError."""
    script = _write(scenario, folder, {})
    command = [
        *("sipp", "-sf", str(script), "-i", HOST, "-p", str(port), "-nostdin", "-buff_size", "4000000"),
        *("-l", "10000", *arguments),
    ]
    with running(command, folder, lambda: is_taken(port)):
        yield


def _write(scenario: str, folder: Path, replace: Mapping[str, str]) -> Path:
    """The scenario with words of its own, where SIPp finds it."""
    text = (SCENARIOS / f"{scenario}.xml").read_text()
    for old, new in replace.items():
        text = text.replace(old, new)
    script = folder / f"{scenario}.xml"
    script.write_text(text)
    return script
