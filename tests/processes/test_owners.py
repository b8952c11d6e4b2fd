"""Two edges on one PostgreSQL and one SMSC: one of them has its connections, whatever befalls that one."""

from __future__ import annotations

import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from edge.sessions.queues.leases import RENEW_SECONDS, SECONDS
from tests.calls.daemon import Daemon, new
from tests.calls.test_smpp import said
from tests.servers import PostgresServer, RedisServer
from tests.smsc.process import Smsc
from tests.smsc.process import running as smsc_running

pytestmark = pytest.mark.server

TAKE_OVER_SECONDS = 10.0
OURS, THEIRS = "+14155550100", "+14155550111"
CARRIER = """
[[carriers]]
kind = "smpp"
name = "acme"
hosts = ["{host}"]
system_id = "edge"
password = "secret"
rate = 2

[redis]
url = "{redis}"
"""


class Pair:
    """Two edges that have the same carrier."""

    def __init__(self, edges: list[Daemon], smsc: Smsc) -> None:
        self.edges = edges
        self.smsc = smsc
        self.customer = edges[0].account()
        edges[0].own(self.customer, OURS)
        self.submitted: list[str] = []

    def holders(self) -> list[Daemon]:
        """Who has the carrier, of those that run."""
        return [edge for edge in self.edges if edge.alive and edge.metric("edge_carrier_served", carrier="acme")]

    def owner(self) -> Daemon:
        self.edges[0].wait_until(lambda: len(self.holders()) == 1, "an owner")
        return self.holders()[0]

    def other(self, edge: Daemon) -> Daemon:
        return self.edges[1 - self.edges.index(edge)]

    def send(self, edge: Daemon, *bodies: str) -> None:
        for body in bodies:
            order = {"customer_id": self.customer, "source": OURS, "destinations": [THEIRS], "text": body}
            edge.ask("POST", "/v1.0/messages", order)

    def sees(self) -> list[str]:
        """The texts that the SMSC was given so far."""
        self.submitted += [said(event) for event in self.smsc.seen("submit")]
        self.smsc._events = [event for event in self.smsc._events if event["event"] != "submit"]
        return self.submitted

    def sent(self, edge: Daemon) -> int:
        """How many texts are written down as sent."""
        return len(edge.all("/v1.0/messages?status=sent"))

    def until_seen(self, edge: Daemon, count: int) -> None:
        edge.wait_until(lambda: len(self.sees()) >= count and self.sent(edge) >= count, f"{count} texts", 30)


def after(what: Callable[[], object]) -> float:
    """How many seconds something took."""
    since = time.monotonic()
    what()
    return time.monotonic() - since


@pytest.fixture
def pair(tmp_path: Path, postgres: PostgresServer, shared_redis: RedisServer) -> Iterator[Pair]:
    shared_redis.say("FLUSHALL")
    database = postgres.create()
    with smsc_running("node") as smsc:
        extra = CARRIER.format(host=smsc.host, redis=shared_redis.url)
        edges = [new(tmp_path / name, extra, store=database, level="info") for name in made(tmp_path, "a", "b")]
        edges[0].run("migrate", "--config", str(edges[0].config))
        try:
            for edge in edges:
                edge.launch()
            edges[0].make_key()
            edges[1].token = edges[0].token
            for edge in edges:
                edge.await_ready()
            smsc.expect("bind")
            yield Pair(edges, smsc)
        finally:
            for edge in edges:
                if edge.alive:
                    edge.process.send_signal(signal.SIGCONT)
                    edge.stop()


def made(folder: Path, *names: str) -> tuple[str, ...]:
    for name in names:
        (folder / name).mkdir()
    return names


def test_when_the_owner_is_killed_the_other_binds_and_sends_what_waited(pair: Pair) -> None:
    owner = pair.owner()
    heir = pair.other(owner)
    bodies = [f"text {number}" for number in range(8)]
    pair.send(owner, *bodies[::2])
    pair.send(heir, *bodies[1::2])
    pair.until_seen(heir, 3)
    owner.kill()
    print(f"\nbound elsewhere after {after(lambda: pair.smsc.expect('bind', TAKE_OVER_SECONDS)):.1f} s")
    pair.until_seen(heir, len(bodies))
    assert Counter(pair.sees()) == Counter(bodies)
    assert not pair.smsc.seen("bind")


def test_an_owner_that_stops_hands_over_at_once(pair: Pair) -> None:
    owner = pair.owner()
    heir = pair.other(owner)
    bodies = [f"text {number}" for number in range(6)]
    pair.send(owner, *bodies)
    pair.until_seen(heir, 2)
    owner.process.send_signal(signal.SIGTERM)
    pair.smsc.expect("unbind")
    seconds = after(lambda: pair.smsc.expect("bind"))
    print(f"\nbound elsewhere after {seconds:.1f} s")
    assert seconds < SECONDS - RENEW_SECONDS  # it did not wait for the lease to run out
    assert owner.process.wait(20) == 0
    pair.until_seen(heir, len(bodies))
    assert Counter(pair.sees()) == Counter(bodies)


def test_an_owner_that_was_frozen_sends_nothing_twice_and_leaves(pair: Pair) -> None:
    owner = pair.owner()
    heir = pair.other(owner)
    bodies = [f"text {number}" for number in range(8)]
    pair.send(owner, *bodies)
    pair.until_seen(heir, 2)
    owner.process.send_signal(signal.SIGSTOP)
    print(f"\nbound elsewhere after {after(lambda: pair.smsc.expect('bind', TAKE_OVER_SECONDS)):.1f} s")
    pair.until_seen(heir, 6)
    owner.process.send_signal(signal.SIGCONT)
    pair.smsc.expect("unbind")
    assert pair.owner() is heir
    pair.send(owner, "one more")
    pair.until_seen(heir, len(bodies) + 1)
    assert Counter(pair.sees()) == Counter([*bodies, "one more"])
