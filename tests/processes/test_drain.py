"""SIGTERM while a call is up: nothing new is taken, the call goes on, and the end comes when it has to."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.calls.daemon import Daemon, daemon
from tests.processes.line import Line, Packet, line

pytestmark = pytest.mark.server

NUMBER = "+14155550140"
DRAIN_SECONDS = 1.5
AT_ONCE_SECONDS = 0.9  # for a process to end that waits for nothing any more; it would wait 1 s for a BYE's answer
LONG_SECONDS = 60.0
LOOPBACK = '[[carriers]]\nkind = "sip"\n[[carriers]]\nkind = "loopback"\n'


@contextmanager
def with_a_call(folder: Path, drain_seconds: float) -> Iterator[tuple[Daemon, Line, Packet]]:
    """A daemon with a call that is up, and the answer that it got."""
    with daemon(folder, LOOPBACK, drain_seconds=drain_seconds) as edge, line(edge) as caller:
        edge.bind(edge.account(), NUMBER, {"type": "answer"}, {"type": "sleep", "option": {"duration": 50_000}})
        answer = caller.call(NUMBER)
        assert answer.status == 200
        yield edge, caller, answer


def begin_to_drain(edge: Daemon) -> float:
    """SIGTERM; when that was."""
    since = time.monotonic()
    edge.process.send_signal(signal.SIGTERM)
    edge.wait_until(lambda: edge.request("GET", "/ready")[0] == 503, "the drain")
    return since


def is_bye(packet: Packet) -> bool:
    return packet.request and packet.method == "BYE"


def ends_at_once(edge: Daemon) -> None:
    since = time.monotonic()
    assert edge.process.wait(AT_ONCE_SECONDS) == 0
    print(f"\nended after {time.monotonic() - since:.2f} s")


def test_a_drain_refuses_what_is_new_and_hangs_up_at_its_deadline(tmp_path: Path) -> None:
    with with_a_call(tmp_path, DRAIN_SECONDS) as (edge, caller, answer):
        since = begin_to_drain(edge)
        details = edge.request("GET", "/ready")[1]["error"]["details"]
        assert "draining" in str(details)
        assert edge.request("GET", "/health")[0] == 200

        refused = [
            caller.call(NUMBER),
            caller.ask("OPTIONS", NUMBER),
            caller.ask("MESSAGE", NUMBER, "hello", "text/plain"),
        ]
        assert [packet.status for packet in refused] == [503, 503, 503]
        assert all(2 <= int(packet.value("Retry-After")) <= 10 for packet in refused)
        text = {"id": "1", "from": "+14155550199", "to": NUMBER, "text": "hello"}
        assert edge.request("POST", "/v1.0/carriers/loopback/inbound", text)[0] == 503

        assert edge.metric("edge_calls_active") == 1
        assert edge.metric("edge_draining") == 1
        assert not [packet for packet in caller.heard if is_bye(packet)]
        bye = caller.hear(is_bye)
        took = time.monotonic() - since
        caller.take(bye)
        assert bye.call_id == answer.call_id
        assert DRAIN_SECONDS <= took < DRAIN_SECONDS + 1
        ends_at_once(edge)


def test_a_drain_ends_with_its_last_call(tmp_path: Path) -> None:
    with with_a_call(tmp_path, LONG_SECONDS) as (edge, caller, answer):
        begin_to_drain(edge)
        caller.hang_up(answer)
        ends_at_once(edge)


def test_a_second_sigterm_does_not_wait(tmp_path: Path) -> None:
    with with_a_call(tmp_path, LONG_SECONDS) as (edge, caller, answer):
        begin_to_drain(edge)
        edge.process.send_signal(signal.SIGTERM)
        bye = caller.hear(is_bye)
        caller.take(bye)
        assert bye.call_id == answer.call_id
        ends_at_once(edge)
