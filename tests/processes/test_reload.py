"""SIGHUP: what can change in flight changes at once, what cannot is named, and a file with a fault changes nothing."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

from tests.calls.daemon import Daemon, daemon

pytestmark = pytest.mark.server

OURS, OTHERS = "127.0.0.0/8", "192.0.2.0/24"  # the tests call from the first
READ, REFUSED = "configuration read again", "configuration not taken over"
SILENCE_SECONDS = 0.3


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    with daemon(tmp_path_factory.mktemp("reload"), level="info") as edge:
        yield edge
        assert edge.alive, edge.words()


@pytest.fixture
def edge(running: Daemon) -> Daemon:
    """The daemon, with the configuration that it began with."""
    running.configure(level="info")
    reload(running)
    return running


def reload(edge: Daemon, said: str = READ) -> str:
    """SIGHUP; the line that tells what came of it."""
    before = len(edge.lines(said))
    edge.process.send_signal(signal.SIGHUP)
    edge.wait_until(lambda: len(edge.lines(said)) > before, f"the line {said!r}")
    return edge.lines(said)[-1]


def test_a_network_of_a_trunk_is_admitted_and_shut_out_at_once(edge: Daemon) -> None:
    edge.configure(level="info", networks=OTHERS)
    assert "changed=trunks" in reload(edge)
    assert not edge.answers(SILENCE_SECONDS)
    edge.configure(level="info", networks=OURS)
    assert "changed=trunks" in reload(edge)
    assert edge.answers()


def test_the_level_of_the_log_takes_effect_at_once(edge: Daemon) -> None:
    def is_told() -> bool:
        """Whether a request has its line, which is written before its answer."""
        before = len(edge.lines("event=request"))
        edge.ask("GET", "/v1.0/numbers")
        return len(edge.lines("event=request")) > before

    assert is_told()
    edge.configure(level="warning")
    edge.process.send_signal(signal.SIGHUP)  # what it says of that is below the new level already
    edge.wait_until(lambda: not is_told(), "silence")
    edge.configure(level="info")
    assert "changed=log" in reload(edge)
    assert is_told()


def test_what_needs_a_restart_is_named(edge: Daemon) -> None:
    edge.configure("[outbox]\nat_once = 1\n[inbox]\nruns = 1\n", level="info")
    for _ in range(2):  # as long as it is due
        assert "changed=nothing" in reload(edge)
        assert any('changed="inbox, outbox"' in line for line in edge.lines("needs a restart"))


@pytest.mark.parametrize(
    ("extra", "where", "what"),
    [
        ("[outbox]\nat_once = 0\n", "outbox.at_once", "greater than 0"),
        ("[outbox]\nspeed = 1\n", "outbox.speed", "there is no such setting"),
        ("[outbox\n", "edge.toml", "at line 2"),
    ],
    ids=["a wrong value", "an unknown key", "no TOML"],
)
def test_a_file_with_a_fault_changes_nothing_and_says_what_and_where(
    edge: Daemon, extra: str, where: str, what: str
) -> None:
    edge.configure(extra, level="info", networks=OTHERS)
    line = reload(edge, REFUSED)
    assert "level=error" in line
    assert str(edge.config) in line
    assert where in line
    assert what in line
    assert edge.answers()  # the trunk's networks are the old ones
