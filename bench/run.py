"""`make bench`: every job for every server, several times in turn, medians printed and written to bench/results.json.

    python -m bench.run [--rounds N] [--job NAME …] [--without NAME …]

Everything runs on loopback. A server's cost is the user and system time of all its processes, Redis included, divided
by the calls. Rounds go round the servers, so that what else the machine does hits all of them alike.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from bench import contender, job
from bench.contender import Server, Start
from bench.job import Round
from bench.texts import Way

ROOT = Path(__file__).parent.parent
BUILD = ROOT / "build" / "bench"
RESULTS = ROOT / "bench" / "results.json"
OURS = "edge"
SBIN = f"{os.environ.get('PATH', '')}:/usr/sbin"
WAYS: tuple[Way, ...] = ("webhook", "smpp")
FLOOR = "C floor"
ROUNDS = 3
GREETING_ROUNDS = 2


@dataclass
class Job:
    """One line of jobs: who does it, and what each of them measured, round by round."""

    name: str
    unit: str
    measure: Callable[[Server, Path], Round]
    servers: dict[str, Start]
    rounds: int = ROUNDS
    only_by_name: bool = False  # not done unless somebody asks for it
    found: dict[str, list[Round]] = field(default_factory=dict)

    def median(self, server: str) -> float | None:
        """The median over the rounds that count: those in which less than one call in a hundred failed."""
        values = [r.value for r in self.found.get(server, ()) if 100 * r.failed < r.calls]
        return statistics.median(values) if values else None


def jobs() -> list[Job]:
    kamailio = f"Kamailio {_kamailio_version()}, Redis"
    tables = {OURS: contender.edge, kamailio: contender.kamailio()}
    guarded = {OURS: contender.edge_guarded, f"{kamailio}, permissions, pipelimit": contender.kamailio("GUARD")}
    with_htable = {f"{kamailio}, htable": contender.kamailio("HT")}
    cc = {FLOOR: contender.floor} if shutil.which("cc") else {}
    python = {
        OURS: contender.edge,
        "Sippy 2.5.0": contender.python_peer("sippy"),
        "aiosipua 0.7.1, aiortp 0.8.0": contender.python_peer("aiosipua"),
    }
    b2buas = {f"Sippy 2.5.0 {name}": contender.sippy_b2bua(name) for name in ("b2bua", "b2bua_simple")}
    return [
        Job("redirect", "µs CPU/call", partial(job.redirect, known=True), {**tables, **with_htable, **cc}),
        Job("unknown", "µs CPU/call", partial(job.redirect, known=False), {**tables, **with_htable}),
        Job("guarded redirect", "µs CPU/call", partial(job.redirect, known=True), guarded),
        Job(f"trying {job.TRYING_RATE}/s", "ms p99", job.trying, {OURS: contender.edge}, 2),
        Job(
            f"flood {job.FLOOD_RATE}/s",
            "‰ 5 ms late",
            partial(job.flood, rate=job.FLOOD_RATE),
            {OURS: contender.edge},
            2,
        ),
        Job("soak", "kB/1000 calls", job.soak, {OURS: contender.edge}, 1, only_by_name=True),
        *(
            Job(f"greeting {rate}/s", "ms CPU/call", partial(job.greeting, rate=rate), python, GREETING_ROUNDS)
            for rate in job.GREETING_RATES
        ),
        Job("bridge", "ms CPU/call", job.bridge, {OURS: contender.edge, **b2buas}),
        Job("step", "µs CPU/step", job.step, {OURS: contender.nothing}),
        *(
            Job(f"greetings {n}", "‰ 5 ms late", partial(job.greetings, at_once=n), {OURS: contender.edge}, 1)
            for n in job.GREETINGS_AT_ONCE
        ),
        *(
            Job(
                f"texts {way}{', answered' if answered else ''}",
                "µs CPU/text",
                partial(job.take_texts, way=way, answered=answered),
                _for_texts(way),
            )
            for way in WAYS
            for answered in (False, True)
        ),
        *(
            Job(
                f"texts {way} {job.TEXTS_RATE}/s",
                "ms p99",
                partial(job.take_texts, way=way, answered=False, rate=job.TEXTS_RATE),
                _for_texts(way),
            )
            for way in WAYS
        ),
        *(Job(f"relay {calls} calls", "µs CPU/packet", job.relaying, _relays(calls)) for calls in job.RELAY_CALLS),
        Job("memory signalled", "kB/call", partial(job.memory, media=False), {OURS: python[OURS]}, 1),
        Job("memory media", "kB/call", partial(job.memory, media=True), python, 1),
    ]


def _relays(calls: int) -> dict[str, Start]:
    floor = {FLOOR: contender.relay_floor(calls)} if shutil.which("cc") else {}
    peer = {"rtpengine 10.5, userspace": contender.rtpengine(calls)} if shutil.which("rtpengine") else {}
    return {OURS: contender.relay_alone(calls), **peer, **floor}


def _for_texts(way: Way) -> dict[str, Start]:
    ours = {OURS: contender.edge_for_texts(way)}
    if not all(shutil.which(name, path=SBIN) for name in ("bearerbox", "smsbox")):
        return ours
    return {
        **ours,
        "Kannel 1.4.5, synced Redis": contender.kannel(way, synced=True),
        "Kannel 1.4.5, unsynced files": contender.kannel(way, synced=False),
    }


def rows(done: Sequence[Job]) -> Iterator[dict[str, object]]:
    """One row for each job and peer, as bench/results.json holds them; a job without a peer has one row of its own."""
    for each in done:
        ours, floor = each.median(OURS), each.median(FLOOR)
        peers = [name for name in each.servers if name not in (OURS, FLOOR)]
        for peer in (*peers,) or (None,):
            theirs = each.median(peer) if peer else None
            yield {
                "job": each.name,
                "unit": each.unit,
                "ours": _rounded(ours),
                "peer": peer,
                "peer_value": _rounded(theirs),
                "floor": _rounded(floor),
                "ratio": round(ours / theirs, 3) if ours is not None and theirs else None,
            }
        for unit, pick in ALSO.items():
            values = {name: [v for r in found if (v := pick(r)) is not None] for name, found in each.found.items()}
            known = {name: statistics.median(v) for name, v in values.items() if v}
            for peer in peers if known else ():
                ours, theirs = known.get(OURS), known.get(peer)
                yield {
                    "job": each.name,
                    "unit": unit,
                    "ours": _rounded(ours),
                    "peer": peer,
                    "peer_value": _rounded(theirs),
                    "floor": None,
                    "ratio": round(ours / theirs, 3) if ours is not None and theirs else None,
                }


def merged(before: Sequence[dict[str, object]], done: Sequence[Job]) -> list[dict[str, object]]:
    """The rows of this run, behind those of earlier ones for jobs that were not done in it."""
    names = {each.name for each in done}
    return [*(row for row in before if row["job"] not in names), *rows(done)]


ALSO: dict[str, Callable[[Round], float | None]] = {  # what some jobs have beside their value, by unit
    "ms pacing error p99": lambda r: r.pacing.error_p99_ms if r.pacing else None,
    "late packets per 1000": lambda r: 1000 * r.pacing.late / max(r.pacing.packets, 1) if r.pacing else None,
    "ms p50": lambda r: r.acknowledged.p50_ms if r.acknowledged else None,
    "ms at most": lambda r: r.acknowledged.most_ms if r.acknowledged else None,
    "commits/s": lambda r: r.acknowledged.commits if r.acknowledged else None,
}


def table(done: Sequence[Job]) -> Iterator[str]:
    """What a person reads: one line for each job and server."""
    yield f"{'job':<18} {'server':<30} {'median':>8} {'unit':<12} {'to ours':>8}  rounds"
    for each in done:
        ours = each.median(OURS)
        for name in each.servers:
            found = each.found.get(name, [])
            median = each.median(name)
            shown = "failed" if median is None else f"{median:.1f}"
            ratio = f"{ours / median:.2f} ×" if ours and median and name != OURS else ""
            yield f"{each.name:<18} {name:<30} {shown:>8} {each.unit:<12} {ratio:>8}  {_story(found)}"


def _story(found: Sequence[Round]) -> str:
    """All rounds in short: values, what failed, what was sent again, how the packets came."""
    words = [" ".join(f"{r.value:.1f}" for r in found)]
    if failed := sum(r.failed for r in found):
        words.append(f"{failed} calls failed")
    if again := sum(r.retransmissions for r in found):
        words.append(f"{again} retransmissions")
    heard = [r.pacing for r in found if r.pacing]
    if heard:
        p99 = statistics.median(p.error_p99_ms for p in heard)
        words.append(f"pacing p99 {p99:.1f} ms, {sum(p.late for p in heard)} late of {sum(p.packets for p in heard)}")
    if way := [r.heard for r in found if r.heard]:
        p50, p99 = (statistics.median(times) for times in zip(*((h.p50_ms, h.p99_ms) for h in way), strict=True))
        words.append(f"on the way p50 {p50:.1f} ms, p99 {p99:.1f} ms")
    if waits := [r.acknowledged for r in found if r.acknowledged]:
        p50, p99, most = (statistics.median(times) for times in zip(*(wait[:3] for wait in waits), strict=True))
        words.append(f"acknowledged after p50 {p50:.1f} ms, p99 {p99:.1f} ms, at most {most:.1f} ms")
        if commits := [wait.commits for wait in waits if wait.commits is not None]:
            words.append(f"{statistics.median(commits):.0f} commits/s")
    if cores := [r.cores for r in found if r.cores is not None]:
        words.append(f"{100 * statistics.median(cores):.0f} % of a core")
    words += [r.note for r in found if r.note]
    return "; ".join(words)


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 2)


def _kamailio_version() -> str:
    program = shutil.which("kamailio") or "/usr/sbin/kamailio"
    said = subprocess.run([program, "-v"], capture_output=True, text=True, check=False).stdout
    return said.split()[2] if said.startswith("version: kamailio") else "?"


def measure(each: Job, name: str, number: int) -> Round | None:
    """One round of one server. What does not start or breaks down is said, and the others go on."""
    folder = BUILD / name.replace(" ", "-").replace(",", "")
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with each.servers[name](folder) as server:
            found = each.measure(server, folder)
    except (RuntimeError, OSError, subprocess.SubprocessError) as error:
        print(f"{each.name}, {name}, round {number}: {error}", file=sys.stderr)
        return None
    print(f"{each.name}, {name}, round {number}: {_story([found])}", file=sys.stderr)
    return found


def main() -> None:
    options = argparse.ArgumentParser(prog="make bench", description=__doc__)
    options.add_argument("--rounds", type=int, help="rounds of every job, instead of its own number")
    options.add_argument("--job", action="append", help="only jobs whose name begins so; may be repeated")
    options.add_argument("--without", action="append", default=[], help="leave out servers whose name begins so")
    chosen = options.parse_args()
    started = time.monotonic()
    for old in BUILD.glob("*/edge.sqlite3*"):
        old.unlink()  # made anew in each run, once
    wanted = tuple(chosen.job or ())
    done = [each for each in jobs() if (each.name.startswith(wanted) if wanted else not each.only_by_name)]
    for each in done:
        each.servers = {n: s for n, s in each.servers.items() if not n.startswith(tuple(chosen.without) or ("\0",))}
        for number in range(1, (chosen.rounds or each.rounds) + 1):
            for name in each.servers:
                found = measure(each, name, number)
                if found is not None:
                    each.found.setdefault(name, []).append(found)
    RESULTS.write_text(json.dumps(merged(json.loads(RESULTS.read_text()), done), indent=2, ensure_ascii=False) + "\n")
    print("\n".join(table(done)))
    print(f"\n{time.monotonic() - started:.0f} s; written to {RESULTS.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
