"""A PostgreSQL that is stopped, comes back, and freezes: what is known is served, nothing acknowledged is lost."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.calls.daemon import Daemon, new
from tests.processes.line import Line, Packet, line
from tests.servers import PostgresServer

pytestmark = pytest.mark.server

KNOWN = "+14155550130"
TEXTS = "+14155550131"
SLOW_TEXTS = "+14155550132"
STALE = 4  # answers from what is old that show that they go on
NEVER_ASKED = iter(range(14155559000, 14155559999))
BUSY = 486
THINKS_MS = 700
SQL_SECONDS = 0.2
LOOKUPS = 3  # of a call, one after another: number, account, flow
SLACK_SECONDS = 0.3  # for a busy machine
CALLER = "+14155550199"
REPLY = {"type": "reply", "option": {"text": "re: ${voipbin.conversation_message.text}"}}
EXTRA = f"""
[redis]
url = "unix:///nowhere/redis.sock"

[cache]
sql_seconds = {SQL_SECONDS}

[[carriers]]
kind = "sip"

[[carriers]]
kind = "loopback"
"""


class World(NamedTuple):
    edge: Daemon
    postgres: PostgresServer
    line: Line

    def answered(self) -> float:
        """Call the number that is known; the seconds until its answer."""
        since = time.monotonic()
        assert self.line.call(KNOWN).status == BUSY
        return time.monotonic() - since

    def stale(self) -> float:
        return self.edge.metric("edge_lookups_total", kind="number", source="stale")

    def served_stale(self) -> list[float]:
        """Call until what memory knows is served though it is old; the seconds that each answer took."""
        before, took = self.stale(), list[float]()

        def called() -> bool:
            took.append(self.answered())
            return self.stale() >= before + STALE

        self.edge.wait_until(called, "an answer from what is old")
        return took

    def strange(self) -> Packet:
        """Call a number that nobody has asked for before."""
        return self.line.call(f"+{next(NEVER_ASKED)}")

    def text(self, body: str) -> int:
        return self.line.ask("MESSAGE", TEXTS, body, "text/plain").status

    def webhook(self, body: str) -> int:
        text = {"id": body, "from": CALLER, "to": TEXTS, "text": body}
        return self.edge.request("POST", "/v1.0/carriers/loopback/inbound", text)[0]

    def reply(self, body: str) -> None:
        """Wait for the reply to a text."""
        self.line.take(self.line.hear(lambda packet: packet.request and packet.body == f"re: {body}", 10))

    def back(self) -> None:
        """Wait until SQL is asked again."""
        self.edge.wait_until(lambda: self.strange().status == 404, "an answer out of SQL")


@pytest.fixture(scope="module")
def world(short_directory: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    directory = short_directory / "postgres-of-processes"
    directory.mkdir()
    postgres = PostgresServer(directory)
    postgres.start()
    edge = new(tmp_path_factory.mktemp("sql"), EXTRA, store=postgres.create(), level="info")
    try:
        edge.run("migrate", "--config", str(edge.config))
        edge.start()
        customer = edge.account()
        think = {"type": "sleep", "option": {"duration": THINKS_MS}}
        edge.bind(customer, KNOWN, {"type": "hangup", "option": {"reason": "busy"}})
        edge.own(customer, TEXTS, message_flow_id=edge.flow(customer, REPLY))
        edge.own(customer, SLOW_TEXTS, message_flow_id=edge.flow(customer, think, REPLY))
        with line(edge) as peer:
            yield World(edge, postgres, peer)
        assert edge.alive, edge.words()
        assert not edge.lines("Traceback"), edge.words()
        assert edge.stop() == 0
    finally:
        edge.stop()
        postgres.stop()


@pytest.fixture
def stopped(world: World) -> Iterator[Callable[[], None]]:
    """PostgreSQL is away; call this to have it back."""
    assert world.text("before") == 202
    world.reply("before")
    world.answered()
    world.postgres.stop()
    running = False

    def start() -> None:
        nonlocal running
        if not running:
            world.postgres.start()
            running = True
            world.back()

    yield start
    start()


def test_without_sql_what_is_known_is_served_and_the_rest_refused_for_now(
    world: World, stopped: Callable[[], None]
) -> None:
    took = world.served_stale()
    print(f"\nPostgreSQL stopped: {len(took)} calls answered, after {max(took) * 1000:.0f} ms at worst")
    assert max(took) < SLACK_SECONDS
    assert world.edge.ready()
    answer = world.strange()
    assert answer.status == 503
    assert not answer.lines("Retry-After")
    assert world.edge.request("GET", "/v1.0/numbers")[0] == 503
    stopped()


def test_calls_served_without_sql_are_recorded_once_it_is_back(world: World, stopped: Callable[[], None]) -> None:
    made = len(world.served_stale())
    stopped()

    def recorded() -> list[str]:
        records = world.edge.all(f"/v1.0/calls?number=%2B{KNOWN[1:]}")
        return [record["edge"]["lookup_source"] for record in records[:made]]

    world.edge.wait_until(lambda: recorded().count("stale") >= STALE, "the records of the calls")


def test_a_text_is_refused_without_sql_and_taken_when_it_is_back(world: World, stopped: Callable[[], None]) -> None:
    world.answered()
    assert world.text("by sip") == 503
    assert world.webhook("by webhook") == 503
    stopped()
    assert world.text("again by sip") == 202  # the first one that comes
    world.reply("again by sip")
    assert world.webhook("again by webhook") == 200
    texts = {m["text"] for m in world.edge.all("/v1.0/messages?direction=inbound")}
    assert texts >= {"again by sip", "again by webhook"}
    assert not texts & {"by sip", "by webhook"}


def test_a_text_that_was_taken_is_answered_though_sql_went_away_in_between(
    world: World, stopped: Callable[[], None]
) -> None:
    stopped()
    assert world.line.ask("MESSAGE", SLOW_TEXTS, "patience", "text/plain").status == 202
    slept = world.edge.metric("edge_actions_total", type="sleep")
    world.postgres.stop()
    world.edge.wait_until(lambda: world.edge.metric("edge_actions_total", type="sleep") > slept, "the pause's end")
    world.postgres.start()
    assert world.edge.request("GET", "/v1.0/numbers")[0] == 200  # the first one that comes
    world.reply("patience")
    world.back()


def test_with_a_frozen_sql_calls_are_answered_within_the_deadlines(world: World) -> None:
    world.answered()
    world.postgres.freeze()
    try:
        took = world.served_stale()
        refused = world.strange().status
    finally:
        world.postgres.thaw()
    print(f"\nPostgreSQL frozen: calls answered after {max(took) * 1000:.0f} ms at worst")
    assert max(took) > SQL_SECONDS  # it was asked, and waited for
    assert max(took) < LOOKUPS * SQL_SECONDS + SLACK_SECONDS
    assert refused == 503
    world.back()
