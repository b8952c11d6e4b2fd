"""What befalls an edge that is bound by SMPP: stopped, killed, started again, an SMSC that goes and comes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from edge.sms.smpp import status
from tests.calls.daemon import Daemon, new, running
from tests.calls.exchange import Exchange
from tests.calls.test_smpp import CARRIER, bound, deliver, said
from tests.calls.test_texts import ECHO
from tests.servers import PostgresServer, migrated
from tests.smsc.process import Smsc
from tests.smsc.process import running as smsc_running

pytestmark = pytest.mark.server

TAKE_OVER_SECONDS = 10.0


@pytest.fixture
def smsc() -> Iterator[Smsc]:
    with smsc_running("node") as found:
        yield found


@pytest.fixture
def line(tmp_path: Path, smsc: Smsc) -> Iterator[Exchange]:
    made = new(tmp_path, CARRIER.format(host=smsc.host))
    with running(made):
        bound(made, smsc)
        yield Exchange(made)


def test_a_text_that_comes_again_after_a_kill_is_the_same_text(line: Exchange, smsc: Smsc) -> None:
    number = line.number(texts=(ECHO,))
    assert deliver(smsc, number, "once") == status.ROK
    assert said(smsc.expect("submit")) == "You wrote: once"
    line.wait(lambda: line.texts(number, "outbound")[0]["targets"][0]["status"] == "sent", "its answer")
    line.daemon.kill()
    line.daemon.start()
    bound(line.daemon, smsc)
    assert deliver(smsc, number, "once") == status.ROK
    assert deliver(smsc, number, "twice") == status.ROK
    assert said(smsc.expect("submit")) == "You wrote: twice"
    assert sorted(text["text"] for text in line.texts(number, "inbound")) == ["once", "twice"]


def test_it_takes_leave_when_it_is_stopped(line: Exchange, smsc: Smsc) -> None:
    assert line.daemon.stop() == 0
    for _ in range(2):
        smsc.expect("unbind")


def test_a_reply_waits_for_an_smsc_that_is_away(line: Exchange, smsc: Smsc) -> None:
    number = line.number(texts=(ECHO,))
    smsc.do("answer", how=[{"silent": True}])
    assert deliver(smsc, number, "hold on") == status.ROK
    smsc.expect("submit")
    smsc.kill()
    with smsc_running("node", smsc.port) as again:
        bound(line.daemon, again)
        assert said(again.expect("submit")) == "You wrote: hold on"
        line.wait(lambda: line.texts(number, "outbound")[0]["targets"][0]["status"] == "sent", "the answer")


# Two edges on one database


class Pair(NamedTuple):
    """Two edges that would both be bound, and the PostgreSQL that they share."""

    edges: tuple[Daemon, Daemon]
    customer: str
    postgres: PostgresServer

    @property
    def owner(self) -> Daemon:
        """The one that is bound."""
        return next(edge for edge in self.edges if _bound(edge))


def _bound(edge: Daemon) -> float:
    return edge.metric("edge_smpp_bound", carrier="acme")


@pytest.fixture
def pair(tmp_path: Path, smsc: Smsc, short_directory: Path) -> Iterator[Pair]:
    folder = short_directory / tmp_path.name
    folder.mkdir()
    postgres = PostgresServer(folder)
    postgres.start()
    database = migrated(postgres.create())
    edges = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        edges.append(new(tmp_path / name, CARRIER.format(host=smsc.host), store=database))
    try:
        edges[0].start()
        edges[1].token = edges[0].token
        edges[1].start()
        for _ in range(2):
            smsc.expect("bind")
        edges[0].wait_until(lambda: sum(_bound(edge) for edge in edges) == 2, "both binds")
        yield Pair((edges[0], edges[1]), edges[0].account(), postgres)
    finally:
        for edge in edges:
            edge.kill()
        postgres.stop()


def test_another_edge_takes_over_and_knows_what_was_kept(pair: Pair, smsc: Smsc) -> None:
    first = pair.owner
    exchange = Exchange(first)
    number = exchange.number(texts=(ECHO,))
    assert deliver(smsc, number, "once") == status.ROK
    assert said(smsc.expect("submit")) == "You wrote: once"
    exchange.wait(lambda: exchange.texts(number, "outbound")[0]["targets"][0]["status"] == "sent", "its answer")
    assert not smsc.seen("bind"), "one edge at a time"
    first.kill()
    since = time.monotonic()
    for _ in range(2):
        smsc.expect("bind", TAKE_OVER_SECONDS)
    print(f"\nbound again after {time.monotonic() - since:.1f} s")
    second = next(edge for edge in pair.edges if edge is not first)
    second.wait_until(lambda: _bound(second) == 2, "both binds")
    assert deliver(smsc, number, "once") == status.ROK
    assert deliver(smsc, number, "twice") == status.ROK
    assert said(smsc.expect("submit")) == "You wrote: twice"
    kept = second.ask("GET", f"/v1.0/messages?number=%2B{number[1:]}&direction=inbound")["result"]
    assert sorted(text["text"] for text in kept) == ["once", "twice"]


def test_while_sql_is_away_texts_are_told_to_come_again(pair: Pair, smsc: Smsc) -> None:
    exchange = Exchange(pair.owner)
    number = exchange.number(texts=(ECHO,))
    assert deliver(smsc, number, "before") == status.ROK
    smsc.expect("submit")
    pair.postgres.stop()
    assert deliver(smsc, number, "meanwhile") == status.RX_T_APPN
    pair.postgres.start()
    while not came_again(pair, smsc, number, "meanwhile"):
        time.sleep(0.1)  # without SQL nobody stays bound for long
    assert said(smsc.expect("submit")) == "You wrote: meanwhile"
    kept = pair.owner.ask("GET", f"/v1.0/messages?number=%2B{number[1:]}&direction=inbound")["result"]
    assert len([text for text in kept if text["text"] == "meanwhile"]) == 1


def came_again(pair: Pair, smsc: Smsc, number: str, text: str) -> bool:
    """Whether a text that the SMSC sends again is received, if anybody is bound."""
    if sum(_bound(edge) for edge in pair.edges) < 2:
        return False
    smsc.deliver(text, destination_addr=number[1:])
    try:
        return int(smsc.expect("answered", 10.0)["status"]) == status.ROK
    except AssertionError:
        return False
