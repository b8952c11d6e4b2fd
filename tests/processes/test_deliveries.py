"""`kill -9` between a step that sends a webhook and its arrival: none is lost, and each has one id in all its tries.

Each place is reached by what can be seen from outside, as in `test_crash.py`.
"""

from __future__ import annotations

import itertools
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import pytest
from standardwebhooks import Webhook as Verifier

from tests.calls.daemon import Daemon, daemon
from tests.web import Asked, Web, web_server

pytestmark = pytest.mark.server

RECOVER_SECONDS = 15.0
THINKS_MS = 700
THINK = {"type": "sleep", "option": {"duration": THINKS_MS}}


class World:
    """A daemon, a server that is told, and the books of which texts were acknowledged."""

    def __init__(self, edge: Daemon, web: Web) -> None:
        self.edge = edge
        self.web = web
        self.customer = edge.account()
        self._count = itertools.count(1)

    def tell(self, path: str) -> dict[str, Any]:
        """A step that sends what was texted to a path."""
        option = {"uri": self.web.url + path, "data": "${voipbin.conversation_message.text}", "data_type": "text/plain"}
        return {"type": "webhook_send", "option": option}

    def text(self, *steps: dict[str, Any]) -> str:
        """Have a text come in that runs these steps; its body, once it is acknowledged."""
        count = next(self._count)
        number, body = f"+141555{50100 + count}", f"text {count}"
        self.edge.own(self.customer, number, message_flow_id=self.edge.flow(self.customer, *steps))
        told = {"id": body, "from": "+14155550111", "to": number, "text": body}
        assert self.edge.ask("POST", "/v1.0/carriers/loopback/inbound", told)["status"] == "received"
        return body

    def got(self, body: str, path: str) -> list[Asked]:
        """The webhooks about a text that came to a path, as often as they came."""
        return [asked for asked in self.web.to(path) if asked.body.decode() == body]

    def until(self, condition: Callable[[], object], what: str) -> None:
        deadline = time.monotonic() + RECOVER_SECONDS
        while not condition():
            assert time.monotonic() < deadline, f"{what} did not happen\n{self.edge.words()}"
            time.sleep(0.005)  # looked at again until the deadline

    def count(self, table: str, where: str) -> int:
        with sqlite3.connect(f"file:{self.edge.folder}/edge.sqlite3?mode=ro", uri=True, timeout=5) as connection:
            return int(connection.execute(f"SELECT count(*) FROM {table} WHERE {where}").fetchone()[0])

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Nobody else writes to the database meanwhile."""
        connection = sqlite3.connect(self.edge.folder / "edge.sqlite3", isolation_level=None, timeout=5)
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        finally:
            connection.close()

    def recover(self) -> None:
        """Start again, and go on until everything has come to its end."""
        self.web.hurry.set()
        self.edge.start()
        self.until(
            lambda: (
                not self.count("messages", "flow_state = 'pending'")
                and not self.count("deliveries", "state = 'queued'")
            ),
            "the end of the books",
        )


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    extra = """
[[carriers]]
kind = "loopback"

[http]
allow_private = ["127.0.0.0/8"]

[deliveries]
first_wait_seconds = 0.2
"""
    with web_server() as web, daemon(tmp_path_factory.mktemp("deliveries"), extra) as edge:
        yield World(edge, web)


# The places. Each sends a text and returns its body when the daemon is dead there.


def before_the_step(world: World) -> str:
    body = world.text(THINK, world.tell("/told"))
    world.edge.kill()
    assert world.got(body, "/told") == []
    return body


def while_it_is_not_written(world: World) -> str:
    slept = world.edge.metric("edge_actions_total", type="sleep")
    body = world.text(THINK, world.tell("/told"))
    with world.locked():
        world.until(lambda: world.edge.metric("edge_actions_total", type="sleep") == slept + 1, "the end of the pause")
        world.edge.kill()
    assert not world.count("deliveries", "state = 'queued'")
    return body


def while_the_server_hangs(world: World) -> str:
    world.web.hurry.clear()
    body = world.text(world.tell("/slow"))
    world.until(lambda: world.got(body, "/slow"), "the webhook")
    world.edge.kill()
    assert world.count("deliveries", "state = 'queued'") == 1
    return body


def while_it_waits_for_its_next_try(world: World) -> str:
    world.web.says["/told"] = [(503, "")] * 2
    body = world.text(world.tell("/told"))
    world.until(lambda: world.count("deliveries", "attempts = 1 AND state = 'queued'"), "a try")
    world.edge.kill()
    return body


def between_the_200_and_its_record(world: World) -> str:
    world.web.hurry.clear()
    body = world.text(world.tell("/slow"))
    world.until(
        lambda: world.got(body, "/slow") and not world.count("messages", "flow_state = 'pending'"), "the webhook"
    )
    with world.locked():
        fetched = world.edge.metric("edge_http_fetches_total", outcome="fetched")
        world.web.hurry.set()
        world.until(lambda: world.edge.metric("edge_http_fetches_total", outcome="fetched") > fetched, "its answer")
        world.edge.kill()
    assert world.count("deliveries", "state = 'queued'") == 1
    return body


def while_the_flow_goes_on(world: World) -> str:
    body = world.text(world.tell("/told"), THINK, world.tell("/slow"))
    world.until(lambda: world.got(body, "/told"), "the first webhook")
    world.edge.kill()
    assert world.got(body, "/slow") == []
    return body


class Place(NamedTuple):
    reach: Callable[[World], str]
    times: dict[str, range]  # how often it may have come in the end, by path


ONCE, ONCE_OR_AGAIN, AGAIN = range(1, 2), range(1, 3), range(2, 4)
PLACES = [
    Place(before_the_step, {"/told": ONCE}),
    Place(while_it_is_not_written, {"/told": ONCE}),
    Place(while_the_server_hangs, {"/slow": AGAIN}),
    Place(while_it_waits_for_its_next_try, {"/told": AGAIN}),
    Place(between_the_200_and_its_record, {"/slow": AGAIN}),
    Place(while_the_flow_goes_on, {"/told": ONCE_OR_AGAIN, "/slow": ONCE}),
]


@pytest.mark.parametrize("place", PLACES, ids=lambda place: place.reach.__name__)
def test_no_webhook_is_lost_by_a_kill(world: World, place: Place) -> None:
    body = place.reach(world)
    assert not world.edge.alive
    world.recover()
    secret = world.edge.ask("GET", f"/v1.0/customers/{world.customer}/webhook_secret")["secret"]
    events = set()
    for path, times in place.times.items():
        came = world.got(body, path)
        assert len(came) in times
        for asked in came:
            Verifier(secret).verify(asked.body, asked.headers, json_parse=False)
        assert len({asked.headers["webhook-id"] for asked in came}) == 1
        events.add(came[0].headers["webhook-id"])
    assert len(events) == len(place.times)  # two steps are two events
    rows = {row["id"]: row["state"] for row in world.edge.all("/v1.0/deliveries")}
    assert {rows[event] for event in events} == {"sent"}
