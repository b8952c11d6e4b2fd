"""The record of a call outlives a kill, however far it had come on its way into SQL; and it is there once."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from tests.calls.daemon import Daemon, new
from tests.processes.line import Line, line

pytestmark = pytest.mark.server

NUMBER = "+14155550140"


@pytest.fixture
def edge(tmp_path: Path) -> Iterator[Daemon]:
    made = new(tmp_path, environ={"EDGE_RECORDS__LINES": str(tmp_path / "lines")})
    try:
        made.start()
        made.bind(made.account(), NUMBER, {"type": "hangup", "option": {"reason": "busy"}})
        yield made
    finally:
        made.stop()


@contextmanager
def locked(edge: Daemon) -> Iterator[None]:
    """SQL takes nothing from anybody."""
    with closing(sqlite3.connect(edge.folder / "edge.sqlite3", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield


def spooled(edge: Daemon) -> str:
    return "".join(path.read_text() for path in (edge.folder / "var" / "records").glob("*.rows"))


def calls(edge: Daemon, peer: Line, count: int) -> list[str]:
    return [peer.call(NUMBER).call_id for _ in range(count)]


def test_a_record_survives_the_kill_of_its_process(edge: Daemon) -> None:
    with line(edge) as peer:
        peer.call(NUMBER)  # what it needs is in memory from here on
        edge.wait_until(lambda: kept(edge), "the first record")
        with locked(edge):
            ids = calls(edge, peer, 20)
            edge.wait_until(lambda: ids[-1] in spooled(edge), "the last record in the spool")
            edge.kill()
        edge.start()
        edge.wait_until(lambda: len(kept(edge)) == 1 + len(ids), "the records")
        assert sorted(kept(edge)[:-1]) == sorted(ids)
        edge.wait_until(lambda: not spooled(edge), "the end of the spool")
        said = [text for path in (edge.folder / "lines").iterdir() for text in path.read_text().splitlines()]
        assert len(said) == 1 + len(ids)
        assert edge.stop() == 0
        assert not list((edge.folder / "var" / "records").iterdir())


def kept(edge: Daemon) -> list[str]:
    return [call["edge"]["call_id"] for call in edge.all("/v1.0/calls")]
