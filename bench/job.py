"""The jobs: what is offered to a server, and what is measured of it in one round."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from bench import ours, texts
from bench.contender import PEERS, Server
from bench.listener import Listener, Pacing
from bench.relay import Heard, build, talk
from bench.scanner import scanning
from bench.sipp import Load, callee, load

ROOT = Path(__file__).parent.parent
LOCAL_PORT = 16060
SETTLE_SECONDS = 0.5  # after the last call, for what is still being written

REDIRECT_RATE = 2000
REDIRECT_CALLS = 20_000
GREETING_RATES = (20, 50, 100)
GREETING_SECONDS = 10
BRIDGE_RATE = 50
BRIDGE_CALLS = 1000
BRIDGE_SECONDS = 1.0  # how long the two are connected
GREETINGS_AT_ONCE = (250, 500, 1000)
GREETINGS_SECONDS = 8.0
GREETINGS_LATE_MS = 5.0
TRYING_RATE = 1000
TRYING_SECONDS = 10
FLOOD_RATE = 20_000  # datagrams a second from nobody
FLOOD_GREETINGS = 20
FLOOD_SECONDS = 15
SOAK_RATE = 50
SOAK_WARM_SECONDS = 60
SOAK_SECONDS = 15 * 60
RELAY_CALLS = (100, 300, 600)
RELAY_WARM_SECONDS = 1.0  # every side is known after it
RELAY_SECONDS = 10.0
TEXTS = 10_000
TEXTS_RATE = 500  # a second, for the time until they are acknowledged
TEXTS_SECONDS = 10
HELD_CALLS = 500
HELD_RATE = {False: 100, True: 20}  # calls a second, without and with media


@dataclass(frozen=True)
class Round:
    """One server, one job, once. `value` is in the job's unit, or None when calls failed."""

    value: float
    calls: int
    failed: int
    retransmissions: int
    pacing: Pacing | None = None
    heard: Heard | None = None
    acknowledged: texts.Acknowledged | None = None
    cores: float | None = None  # how much of them was used while it was measured
    note: str = ""  # what else a person should know


def redirect(server: Server, folder: Path, *, known: bool, calls: int = REDIRECT_CALLS) -> Round:
    """INVITE → 302, or 404 for a number that nobody has. µs of CPU a call."""
    them = ours.numbers() if known else ours.strangers()
    numbers = ours.write_numbers(folder / "numbers.csv", them)
    before = server.cpu_seconds()
    result = load(
        "redirect",
        folder,
        port=server.port,
        local_port=LOCAL_PORT,
        calls=calls,
        rate=REDIRECT_RATE,
        arguments=["-inf", str(numbers)],
        replace={"@STATUS@": "302" if known else "404"},
    )
    time.sleep(SETTLE_SECONDS)  # what was begun comes to its end before it is measured
    cpu = server.cpu_seconds() - before
    return Round(cpu / calls * 1e6, result.calls, result.failed, result.retransmissions)


def greeting(server: Server, folder: Path, *, rate: int, seconds: int = GREETING_SECONDS) -> Round:
    """Answer, three seconds of audio, BYE. ms of CPU a call, and how evenly the packets came."""
    calls = rate * seconds
    with Listener() as listener:
        before = server.cpu_seconds()
        result = load(
            "greeting",
            folder,
            port=server.port,
            local_port=LOCAL_PORT,
            calls=calls,
            rate=rate,
            seconds=ours.SECONDS,
            arguments=["-s", ours.GREETED, "-key", "rtp_port", str(listener.port)],
        )
        time.sleep(SETTLE_SECONDS)  # what was begun comes to its end before it is measured
        cpu = server.cpu_seconds() - before
    return Round(cpu / calls * 1e3, result.calls, result.failed, result.retransmissions, listener.pacing())


def bridge(server: Server, folder: Path, *, rate: int = BRIDGE_RATE, calls: int = BRIDGE_CALLS) -> Round:
    """A call comes, another one goes out to where it is answered, the caller hangs up. ms of CPU a call; no RTP."""
    with Listener() as listener:  # nobody speaks, but what is sent all the same should not come back as ICMP
        key = ["-key", "rtp_port", str(listener.port)]
        with callee("bridged", folder, port=ours.CALLEE_PORT, arguments=key):
            before = server.cpu_seconds()
            result = load(
                "bridge",
                folder,
                port=server.port,
                local_port=LOCAL_PORT,
                calls=calls,
                rate=rate,
                seconds=BRIDGE_SECONDS,
                arguments=["-s", ours.BRIDGED, "-d", f"{1000 * BRIDGE_SECONDS:.0f}", *key],
            )
            time.sleep(SETTLE_SECONDS)  # what was begun comes to its end before it is measured
            cpu = server.cpu_seconds() - before
    return Round(cpu / calls * 1e3, result.calls, result.failed, result.retransmissions)


def trying(server: Server, folder: Path) -> Round:
    """INVITE → 100, then CANCEL. ms until the 100 is there, at p99."""
    result = load(
        "trying",
        folder,
        port=server.port,
        local_port=LOCAL_PORT,
        calls=TRYING_RATE * TRYING_SECONDS,
        rate=TRYING_RATE,
        arguments=["-s", ours.HELD],
        timed=True,
    )
    p50, p99, most = (_quantile(result.response_ms, share) for share in (0.5, 0.99, 1.0))
    note = f"p50 {p50:.1f} ms, most {most:.1f} ms"
    return Round(p99, result.calls, result.failed, result.retransmissions, note=note)


def flood(server: Server, folder: Path, *, rate: int) -> Round:
    """Greetings, and somebody scans meanwhile. Packets in a thousand that come too late then, and before it."""
    calls = FLOOD_GREETINGS * FLOOD_SECONDS
    seen: list[tuple[Pacing, float, float]] = []
    result = None
    for scans in (0, rate):
        with contextlib.ExitStack() as stack:
            listener = stack.enter_context(Listener())
            if scans:
                stack.enter_context(scanning(server.port, scans, FLOOD_SECONDS + ours.SECONDS))
            before = server.cpu_seconds()
            result = load(
                "greeting",
                folder,
                port=server.port,
                local_port=LOCAL_PORT,
                calls=calls,
                rate=FLOOD_GREETINGS,
                seconds=ours.SECONDS,
                arguments=["-s", ours.GREETED, "-key", "rtp_port", str(listener.port)],
                timed=True,
            )
            cpu = server.cpu_seconds() - before
        seen.append((listener.pacing(GREETINGS_LATE_MS), _quantile(result.response_ms, 0.99), cpu))
    (quiet, quiet_p99, quiet_cpu), (loud, loud_p99, loud_cpu) = seen
    late, error = f"{_late(quiet):.2f} → {_late(loud):.2f} ‰", f"{quiet.error_p99_ms:.1f} → {loud.error_p99_ms:.1f} ms"
    answered, cost = f"{quiet_p99:.1f} → {loud_p99:.1f} ms", (loud_cpu - quiet_cpu) / FLOOD_SECONDS / rate * 1e6
    note = f"late {late}, pacing p99 {error}, answer p99 {answered}, {cost:.1f} µs CPU a datagram"
    assert result is not None
    return Round(_late(loud), result.calls, result.failed, result.retransmissions, note=note)


def soak(server: Server, folder: Path) -> Round:
    """A quarter of an hour of greetings. kB that a thousand calls leave behind, after a warm first minute."""

    def offer(seconds: int) -> Load:
        with Listener(keeps=False) as listener:
            return load(
                "greeting",
                folder,
                port=server.port,
                local_port=LOCAL_PORT,
                calls=SOAK_RATE * seconds,
                rate=SOAK_RATE,
                seconds=ours.SECONDS,
                arguments=["-s", ours.GREETED, "-key", "rtp_port", str(listener.port)],
            )

    offer(SOAK_WARM_SECONDS)
    time.sleep(SETTLE_SECONDS)  # what was begun comes to its end before it is measured
    first = server.memory_bytes()
    result = offer(SOAK_SECONDS)
    time.sleep(SETTLE_SECONDS)  # the same
    last = server.memory_bytes()
    note = f"{first / 1e6:.1f} MB at the start, {last / 1e6:.1f} MB at the end"
    grown = (last - first) / 1000 / (SOAK_RATE * SOAK_SECONDS / 1000)
    return Round(grown, result.calls, result.failed, result.retransmissions, note=note)


def _late(pacing: Pacing) -> float:
    return 1000 * pacing.late / max(pacing.packets, 1)


def _quantile(values: Sequence[float], share: float) -> float:
    """Of sorted values; 0 of none."""
    return values[min(len(values) - 1, int(len(values) * share))] if values else 0.0


def greetings(server: Server, folder: Path, *, at_once: int) -> Round:
    """So many hear a long greeting at the same time. Packets in a thousand that come too late, once all are there."""
    rate = round(at_once / ours.LONG_SECONDS)
    with Listener(keeps=False) as listener, _Window(server, listener, ours.LONG_SECONDS + 1, GREETINGS_SECONDS) as seen:
        result = load(
            "greeting",
            folder,
            port=server.port,
            local_port=LOCAL_PORT,
            calls=round(rate * (ours.LONG_SECONDS + GREETINGS_SECONDS + 2)),
            rate=rate,
            seconds=ours.LONG_SECONDS,
            arguments=["-s", ours.GREETED_LONG, "-key", "rtp_port", str(listener.port)],
            replace={'timeout="8000"': 'timeout="40000"'},
        )
    pacing = listener.pacing(GREETINGS_LATE_MS)
    late = 1000 * pacing.late / max(pacing.packets, 1)
    return Round(late, result.calls, result.failed, result.retransmissions, pacing, cores=seen.cores)


def relaying(server: Server, folder: Path) -> Round:
    """All calls talk. µs of CPU a packet; what is counted as calls here are packets."""
    program = build(PEERS / "rtp_load.c", folder)
    talk(program, list(server.targets), RELAY_WARM_SECONDS)
    before = server.cpu_seconds()
    heard = talk(program, list(server.targets), RELAY_SECONDS)
    cpu = server.cpu_seconds() - before
    lost = heard.sent - heard.received + heard.wrong
    cores = cpu / RELAY_SECONDS
    return Round(cpu / max(heard.received, 1) * 1e6, heard.sent, lost, 0, heard=heard, cores=cores)


def memory(server: Server, folder: Path, *, media: bool) -> Round:
    """kB a call that is up: the most the server took over the run, less what it took before it, after a warm one.

    Without media all calls ring at the same time; with it there are as many as begin within a greeting.
    """
    rate = HELD_RATE[media]
    held = round(rate * ours.SECONDS) if media else HELD_CALLS
    with Listener() as listener:
        offer = partial(
            load,
            "greeting" if media else "hold",
            folder,
            port=server.port,
            local_port=LOCAL_PORT,
            rate=rate,
            seconds=8,
        )
        arguments = ["-s", ours.GREETED if media else ours.HELD, "-key", "rtp_port", str(listener.port)]
        offer(calls=50, arguments=[*arguments, "-d", "500"])
        time.sleep(SETTLE_SECONDS)  # what was begun comes to its end before it is measured
        before = server.memory_bytes()
        with _Watch(server) as watch:
            result = offer(calls=HELD_CALLS if not media else 10 * rate, arguments=[*arguments, "-d", "6000"])
    return Round((watch.most - before) / held / 1000, result.calls, result.failed, result.retransmissions)


def take_texts(server: Server, folder: Path, *, way: texts.Way, answered: bool, rate: float = 0) -> Round:
    """Texts come as fast as they are acknowledged: µs of CPU a text. Or at a rate: ms until one is, at p99."""
    count = round(rate * TEXTS_SECONDS) if rate else TEXTS
    replies = count if answered else 0
    them = [*texts.texts(count, answered=answered)]
    with contextlib.ExitStack() as stack:
        smsc = stack.enter_context(texts.smsc(folder, rate=rate, replies=replies)) if way == "smpp" else None
        commits = server.commits() if server.commits else 0.0
        before = server.cpu_seconds()
        if smsc is not None:
            taken = smsc.deliver([texts.to_esme(text) for text in them])
        else:
            taken = texts.post(folder, server.port, [*map(server.form, them)], rate=rate, replies=replies)
        time.sleep(SETTLE_SECONDS)  # what was begun comes to its end before it is measured
        cpu = server.cpu_seconds() - before
    failed = count - taken.accepted + max(0, replies - taken.replies)
    seconds = max(taken.ms, 1) / 1000
    if not rate:
        return Round(cpu / count * 1e6, count, failed, 0, cores=cpu / seconds)
    a_second = (server.commits() - commits) / seconds if server.commits else None
    acknowledged = texts.Acknowledged(taken.p50_ms, taken.p99_ms, taken.most_ms, a_second)
    return Round(taken.p99_ms, count, failed, 0, acknowledged=acknowledged, cores=cpu / seconds)


def step(server: Server, folder: Path) -> Round:
    """A step of a flow that waits for nothing. µs of CPU, without any server."""
    command = [sys.executable, "-m", "bench.step"]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    value, steps = json.loads(found.stdout)
    return Round(value, steps, 0, 0)


class _Window:
    """Has the listener keep what it hears from so many seconds after the beginning on, for so long, in a thread."""

    def __init__(self, server: Server, listener: Listener, after: float, seconds: float) -> None:
        self.cores: float | None = None
        self._server = server
        self._listener = listener
        self._after = after
        self._seconds = seconds
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> _Window:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        if self._over.wait(self._after):
            return
        self._listener.keeps = True
        before = self._server.cpu_seconds()
        if not self._over.wait(self._seconds):
            self.cores = (self._server.cpu_seconds() - before) / self._seconds
        self._listener.keeps = False


class _Watch:
    """Looks at the memory of a server several times a second, in a thread."""

    def __init__(self, server: Server) -> None:
        self.most = 0
        self._server = server
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> _Watch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._over.wait(0.25):
            self.most = max(self.most, self._server.memory_bytes())
