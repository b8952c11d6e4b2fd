"""Two edges on one PostgreSQL and one Redis: what is changed at one is in force at the other in under a second."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from edge.accounts.key import BELIEVED_SECONDS
from tests.calls.daemon import EDGE, Daemon, environment, new
from tests.processes.line import Line, line
from tests.servers import PostgresServer, RedisServer

pytestmark = pytest.mark.server

IN_FORCE_SECONDS = 1.0
BUSY, NO_ANSWER, NORMAL = 486, 480, 603


class Pair(NamedTuple):
    """A, where things are changed, and B, which is called by a line. `migrated`: what two migrations at once said."""

    a: Daemon
    b: Daemon
    line: Line
    customer: str
    migrated: list[str]

    def rejecting(self, reason: str) -> str:
        """A flow that rejects a call so; its id."""
        return self.a.flow(self.customer, {"type": "hangup", "option": {"reason": reason}})

    def in_force(self, number: str, status: int, what: str) -> None:
        """Call B until it answers with a status; it has to do so soon."""
        since = time.monotonic()
        while (answered := self.line.call(number).status) != status:
            assert time.monotonic() - since < IN_FORCE_SECONDS, f"{what}: still {answered}, not {status}"
        print(f"\n{what}: in force elsewhere after {(time.monotonic() - since) * 1000:.0f} ms")


@pytest.fixture(scope="module")
def pair(
    tmp_path_factory: pytest.TempPathFactory, postgres: PostgresServer, shared_redis: RedisServer
) -> Iterator[Pair]:
    shared_redis.say("FLUSHALL")
    database, extra = postgres.create(), f'[redis]\nurl = "{shared_redis.url}"'
    a = new(tmp_path_factory.mktemp("a"), extra, store=database)
    b = new(tmp_path_factory.mktemp("b"), extra, store=database)
    migrations = [
        subprocess.Popen(
            [str(EDGE), "migrate", "--config", str(edge.config)],
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for edge in (a, b)
    ]
    said = [migration.communicate(timeout=60)[0] for migration in migrations]
    assert [migration.returncode for migration in migrations] == [0, 0], said
    try:
        a.launch()
        b.launch()
        a.make_key()
        b.token = a.token
        a.await_ready()
        b.await_ready()
        with line(b) as peer:
            yield Pair(a, b, peer, a.account(), said)
    finally:
        assert [a.stop(), b.stop()] == [0, 0], f"{a.words()}\n{b.words()}"


def test_of_two_migrations_at_once_one_does_it_and_both_are_right(pair: Pair) -> None:
    first, second = sorted(pair.migrated)
    assert first.startswith("applied ")
    assert second == "the database is up to date\n"


def test_an_edge_on_a_database_that_was_not_migrated_says_what_to_do(tmp_path: Path, postgres: PostgresServer) -> None:
    edge = new(tmp_path, store=postgres.create())
    assert edge.launch().wait(20) == 1
    assert edge.words() == "the database is not up to date: edge migrate\n"


def test_a_number_that_is_created_bound_suspended_and_released(pair: Pair) -> None:
    number = "+14155550110"
    assert pair.line.call(number).status == 404  # from now on remembered as a miss
    number_id = pair.a.own(pair.customer, number, call_flow_id=pair.rejecting("busy"))
    pair.in_force(number, BUSY, "a number that is created")
    pair.a.ask("PUT", f"/v1.0/numbers/{number_id}/flow_ids", {"call_flow_id": pair.rejecting("noanswer")})
    pair.in_force(number, NO_ANSWER, "a number that is bound to another flow")
    pair.a.ask("PUT", f"/v1.0/numbers/{number_id}", {"status": "suspended"})
    pair.in_force(number, 403, "a number that is suspended")
    pair.a.ask("PUT", f"/v1.0/numbers/{number_id}", {"status": "active"})
    pair.in_force(number, NO_ANSWER, "a number that is active again")
    pair.a.ask("DELETE", f"/v1.0/numbers/{number_id}")
    pair.in_force(number, 410, "a number that is released")


def test_a_flow_that_is_changed(pair: Pair) -> None:
    number, flow_id = "+14155550111", pair.rejecting("busy")
    pair.a.own(pair.customer, number, call_flow_id=flow_id)
    pair.in_force(number, BUSY, "a number that is created")
    pair.a.ask("PUT", f"/v1.0/flows/{flow_id}", {"actions": [{"type": "hangup"}]})
    pair.in_force(number, NORMAL, "a flow that is changed")


def test_an_account_that_is_suspended(pair: Pair) -> None:
    number, customer = "+14155550112", pair.a.account()
    pair.a.own(customer, number, call_flow_id=pair.a.flow(customer, {"type": "hangup", "option": {"reason": "busy"}}))
    pair.in_force(number, BUSY, "a number that is created")
    pair.a.ask("PUT", f"/v1.0/customers/{customer}", {"status": "suspended"})
    pair.in_force(number, 403, "an account that is suspended")


def test_a_trunk_that_is_made_changed_and_deleted(pair: Pair) -> None:
    """The caller's address is the file's by all transports; the API's trunk has it by a longer prefix, over UDP."""
    made = pair.a.ask("POST", "/v1.0/trunks", {"name": "newcomer", "networks": ["127.0.0.1"], "country": "US"})
    number, other = "+14155550115", "00000000-0000-4000-8000-000000000000"
    number_id = pair.a.own(pair.customer, number, call_flow_id=pair.rejecting("busy"))
    (file,) = pair.a.ask("GET", "/v1.0/trunks?name=loopback")["result"]
    pair.in_force(number, BUSY, "a number that is created")
    pair.a.ask("PUT", f"/v1.0/numbers/{number_id}", {"trunk_ids": [file["id"]]})
    pair.in_force(number, 404, "a number that answers on another trunk")
    pair.a.ask("PUT", f"/v1.0/trunks/{made['id']}", {"networks": ["127.0.0.99"]})
    pair.in_force(number, BUSY, "a trunk that has another network")
    pair.a.ask("PUT", f"/v1.0/trunks/{made['id']}", {"networks": ["127.0.0.1"]})
    pair.in_force(number, 404, "a trunk that has its network again")
    assert pair.b.request("PUT", f"/v1.0/numbers/{number_id}", {"trunk_ids": [other]})[0] == 400
    pair.b.ask("DELETE", f"/v1.0/trunks/{made['id']}")
    pair.in_force(number, BUSY, "a trunk that is deleted")
    assert pair.b.metric("edge_trunks", source="api") == 0


def test_what_b_changes_is_in_force_at_a(pair: Pair) -> None:
    number = "+14155550113"
    with line(pair.a) as caller:
        other_way = pair._replace(a=pair.b, b=pair.a, line=caller)
        assert caller.call(number).status == 404
        pair.b.own(pair.customer, number, call_flow_id=pair.rejecting("busy"))
        other_way.in_force(number, BUSY, "a number that is created at the other")


def test_a_key_that_is_revoked_ends_here_at_once_and_there_within_seconds(pair: Pair) -> None:
    key = pair.a.ask("POST", "/v1.0/accesskeys", {"name": "short-lived", "customer_id": pair.customer})
    token = key["token"]

    def status(edge: Daemon) -> int:
        return edge.request("GET", "/v1.0/numbers", token=token)[0]

    assert (status(pair.a), status(pair.b)) == (200, 200)
    pair.a.ask("DELETE", f"/v1.0/accesskeys/{key['id']}")
    assert status(pair.a) == 401
    since = time.monotonic()
    pair.b.wait_until(lambda: status(pair.b) == 401, "401 to a revoked key", BELIEVED_SECONDS + 1)
    print(f"\na key that is revoked: refused elsewhere after {time.monotonic() - since:.1f} s")


def test_the_change_went_through_redis(pair: Pair) -> None:
    assert pair.b.metric("edge_redis_tracking") == 1
    assert pair.b.metric("edge_redis_notices_total") > 0
    assert pair.b.metric("edge_lookups_total", kind="number", source="redis") > 0
