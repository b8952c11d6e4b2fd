"""`kill -9` between what happens and its telling: nothing is lost, nothing overtakes, and each event has one id.

Each place is reached by what can be seen from outside, as in `test_crash.py`.
"""

from __future__ import annotations

import itertools
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.calls.daemon import Daemon, daemon, new
from tests.servers import PostgresServer
from tests.web import Asked, Web, web_server

pytestmark = pytest.mark.server

RECOVER_SECONDS = 15.0
TAKE_OVER_SECONDS = 60.0  # until what a dead process had claimed is another's
CONFIG = """
[[carriers]]
kind = "loopback"

[http]
allow_private = ["127.0.0.0/8"]

[events]
first_wait_seconds = 0.2
"""
numbers = itertools.count(50100)


def until(edge: Daemon, condition: Callable[[], object], what: str, seconds: float = RECOVER_SECONDS) -> None:
    edge.wait_until(condition, what, seconds)


class Story:
    """A number that is changed again and again, and a server that is told of it at a path."""

    def __init__(self, edge: Daemon, web: Web, path: str) -> None:
        self.edge, self.web, self.path = edge, web, path
        self.customer = edge.account()
        self.number = edge.own(self.customer, f"+141555{next(numbers)}")
        self.names: list[str] = []
        wanted = {"webhook_uri": web.url + path, "webhook_events": ["number_updated"]}
        edge.ask("PATCH", f"/v1.0/customers/{self.customer}", wanted)

    def change(self, edge: Daemon | None = None) -> None:
        """Once this returns the change is acknowledged, so its event has to come."""
        name = f"name {len(self.names)}"
        (edge or self.edge).ask("PUT", f"/v1.0/numbers/{self.number}", {"name": name})
        self.names.append(name)

    @property
    def asked(self) -> list[Asked]:
        return [asked for asked in self.web.to(self.path) if asked.json["data"]["id"] == self.number]

    def told(self) -> list[str]:
        """What the server has heard, each once, in the order in which it came first."""
        return list(dict.fromkeys(asked.json["data"]["name"] for asked in self.asked))

    def states(self) -> set[str]:
        return {one["state"] for one in self.edge.all(f"/v1.0/events?resource_id={self.number}")}

    def check(self, *, times: int | None = None) -> None:
        """All came, in order; what came more than once bore one id, and one body."""
        assert self.told() == self.names
        if times is not None:
            assert len(self.asked) == times
        assert len({asked.headers["webhook-id"] for asked in self.asked}) == len(self.names)
        assert len({asked.body for asked in self.asked}) == len(self.names)
        assert self.states() == {"sent"}


@pytest.fixture(scope="module")
def web() -> Iterator[Web]:
    with web_server() as found:
        yield found


@pytest.fixture(scope="module")
def edge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    with daemon(tmp_path_factory.mktemp("events"), CONFIG) as made:
        yield made


def queued(edge: Daemon, where: str = "1") -> int:
    with sqlite3.connect(f"file:{edge.folder}/edge.sqlite3?mode=ro", uri=True, timeout=5) as connection:
        query = f"SELECT count(*) FROM events WHERE state = 'queued' AND {where}"
        return int(connection.execute(query).fetchone()[0])


@contextmanager
def locked(edge: Daemon) -> Iterator[None]:
    """Nobody else writes to the database meanwhile."""
    connection = sqlite3.connect(edge.folder / "edge.sqlite3", isolation_level=None, timeout=5)
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        connection.close()


# The places. Each ends with a daemon that is dead there.


def right_after_the_answer(story: Story) -> None:
    for _ in range(5):
        story.change()
    story.edge.kill()


def while_the_server_hangs(story: Story) -> None:
    story.change()
    story.change()
    until(story.edge, lambda: story.asked, "the event")
    story.edge.kill()
    assert queued(story.edge) == 2


def while_it_waits_for_its_next_try(story: Story) -> None:
    story.web.says[story.path] = [(503, "")] * 2
    story.change()
    story.change()
    until(story.edge, lambda: queued(story.edge, "attempts = 1"), "a try")
    story.edge.kill()


def between_the_200_and_its_record(story: Story) -> None:
    story.change()
    until(story.edge, lambda: story.asked, "the event")
    with locked(story.edge):
        fetched = story.edge.metric("edge_http_fetches_total", outcome="fetched")
        story.web.hurry.set()
        until(
            story.edge,
            lambda: story.edge.metric("edge_http_fetches_total", outcome="fetched") > fetched,
            "the answer",
        )
        story.edge.kill()
    assert queued(story.edge) == 1


@pytest.mark.parametrize(
    ("place", "path"),
    [
        (right_after_the_answer, "/told"),
        (while_the_server_hangs, "/slow"),
        (while_it_waits_for_its_next_try, "/again"),
        (between_the_200_and_its_record, "/slow"),
    ],
)
def test_no_event_is_lost_by_a_kill(edge: Daemon, web: Web, place: Callable[[Story], None], path: str) -> None:
    web.hurry.clear()
    story = Story(edge, web, path)
    place(story)
    assert not edge.alive
    web.hurry.set()
    edge.start()
    story.change()
    until(edge, lambda: story.states() == {"sent"}, "the end of the events")
    story.check()


def test_no_text_is_kept_without_its_event(edge: Daemon, web: Web) -> None:
    customer, number = edge.account(), f"+141555{next(numbers)}"
    edge.own(customer, number)
    edge.ask("PATCH", f"/v1.0/customers/{customer}", {"webhook_uri": f"{web.url}/texts"})
    kept: list[str] = []
    for turn in range(3):
        for n in range(20):
            text = {"id": f"{turn} {n}", "from": "+14155550111", "to": number, "text": f"text {turn} {n}"}
            kept.append(edge.ask("POST", "/v1.0/carriers/loopback/inbound", text)["id"])
        edge.kill()
        edge.start()
    until(edge, lambda: not queued(edge), "the end of the events")
    told = [asked.json for asked in web.to("/texts") if asked.json["type"] == "message_created"]
    assert {event["data"]["id"] for event in told} == set(kept)
    assert len({event["id"] for event in told}) == len(kept)


def test_two_edges_on_one_database_keep_the_order_and_one_inherits(
    tmp_path: Path, postgres: PostgresServer, web: Web
) -> None:
    database = postgres.create()
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    one, two = (new(tmp_path / name, CONFIG, store=database) for name in ("one", "two"))
    one.run("migrate", "--config", str(one.config))
    try:
        one.start()
        two.launch()
        two.token = one.token
        two.await_ready()
        stories = [Story(one, web, f"/pair/{n}") for n in range(3)]
        web.says["/pair/1"] = [(500, "")] * 3
        for turn in range(10):
            for n, story in enumerate(stories):
                story.change((one, two)[(turn + n) % 2])
        until(one, lambda: all(story.told() == story.names for story in stories), "all events")
        for story in stories:
            until(one, lambda story=story: story.states() == {"sent"}, "the end of the events")  # type: ignore[misc]
            story.check()
        web.default["/pair/2"] = (503, "")
        heir = stories[2]
        for turn in range(4):
            heir.change((one, two)[turn % 2])
        heir.edge = two
        one.kill()
        heir.change()
        del web.default["/pair/2"]
        until(two, lambda: heir.states() == {"sent"}, "that the other takes over", TAKE_OVER_SECONDS)
        heir.check()
    finally:
        one.kill()
        assert two.stop() == 0, two.words()


def test_a_day_of_a_server_that_is_away(edge: Daemon, web: Web) -> None:
    """Not a day; but so much happens meanwhile that memory would notice if it were held there."""
    story, others = Story(edge, web, "/away-for-long"), Story(edge, web, "/there")
    web.default["/away-for-long"] = (503, "")
    for _ in range(200):
        story.change()
    others.change()
    until(edge, lambda: others.told() == others.names, "the others' event")
    until(edge, lambda: len(story.asked) >= 3, "some tries")
    assert len(story.asked) < 20, "the pauses between two tries grow"
    assert {asked.json["data"]["name"] for asked in story.asked} == {"name 0"}
    del web.default["/away-for-long"]
    events: list[dict[str, Any]] = edge.all(f"/v1.0/events?resource_id={story.number}&state=queued")
    edge.ask("POST", f"/v1.0/events/{events[-1]['id']}/replay", {})
    until(edge, lambda: story.states() == {"sent"}, "the end of the events")
    story.check()
