"""A Redis that is absent at the start, comes, is killed, comes back, and freezes: calls go on through all of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.calls.daemon import Daemon, daemon
from tests.processes.line import Line, line
from tests.servers import RedisServer

pytestmark = pytest.mark.server

NUMBER = "+14155550120"
BUSY = 486
MEMORY_SECONDS = 0.1  # so that calls come down to Redis
DEADLINE_SECONDS = 0.05  # [redis] deadline_ms
LOOKUPS = 3  # of a call, one after another: number, account, flow
SLACK_SECONDS = 0.25  # for a busy machine
ASKED = 3  # look-ups that show which tier is asked
DOWN, BACK = "redis is down", "redis is back"


class World(NamedTuple):
    edge: Daemon
    redis: RedisServer
    line: Line

    def answered(self) -> float:
        """Call the number, which has to be answered; the seconds that took."""
        since = time.monotonic()
        assert self.line.call(NUMBER).status == BUSY
        return time.monotonic() - since

    def answered_until(self, condition: Callable[[], object], what: str) -> list[float]:
        """Call until something is so; the seconds that each answer took."""
        took: list[float] = []

        def called() -> object:
            took.append(self.answered())
            return condition()

        self.edge.wait_until(called, what)
        return took

    def lookups(self, source: str) -> float:
        return self.edge.metric("edge_lookups_total", kind="number", source=source)

    def asked(self, source: str) -> list[float]:
        """Call until that tier has answered some look-ups more; the seconds that each answer took."""
        before = self.lookups(source)
        return self.answered_until(lambda: self.lookups(source) >= before + ASKED, f"look-ups in {source}")

    def said(self, what: str) -> int:
        return len(self.edge.lines(what))


@pytest.fixture(scope="module")
def absent(short_directory: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A daemon that was started without the Redis that it is told to use."""
    directory = short_directory / "redis-of-processes"
    directory.mkdir()
    redis = RedisServer(directory)
    extra = f"""
[redis]
url = "{redis.url}"

[cache]
memory_seconds = {MEMORY_SECONDS}
untracked_seconds = {MEMORY_SECONDS}
"""
    with daemon(tmp_path_factory.mktemp("redis"), extra, level="info") as edge, line(edge) as caller:
        edge.bind(edge.account(), NUMBER, {"type": "hangup", "option": {"reason": "busy"}})
        yield World(edge, redis, caller)
        assert edge.alive, edge.words()
    redis.stop()


@pytest.fixture
def world(absent: World) -> World:
    """The same, with Redis there and used."""
    if not absent.redis.say("PING"):
        absent.redis.start()
    absent.asked("redis")
    return absent


def test_without_redis_at_the_start_it_is_up_and_finds_redis_when_it_comes(absent: World) -> None:
    assert absent.edge.ready()
    assert absent.edge.metric("edge_redis_up") == 0
    absent.asked("sql")
    assert absent.lookups("redis") == 0
    assert (absent.said(DOWN), absent.said(BACK)) == (1, 0)
    absent.redis.start()
    absent.asked("redis")
    assert (absent.said(DOWN), absent.said(BACK)) == (1, 1)


def test_a_redis_that_dies_is_said_once_and_used_again_when_it_is_back(world: World) -> None:
    down, back = world.said(DOWN), world.said(BACK)
    world.redis.stop()
    took = world.asked("sql")
    print(f"\nRedis dead: {len(took)} calls answered, after {max(took) * 1000:.0f} ms at worst")
    assert max(took) < LOOKUPS * DEADLINE_SECONDS + SLACK_SECONDS
    assert world.edge.metric("edge_redis_up") == 0
    assert world.edge.ready()
    assert (world.said(DOWN), world.said(BACK)) == (down + 1, back)
    world.redis.start()
    world.asked("redis")
    assert (world.said(DOWN), world.said(BACK)) == (down + 1, back + 1)


def test_with_a_frozen_redis_calls_are_answered_within_the_deadlines(world: World) -> None:
    down, back, late = world.said(DOWN), world.said(BACK), world.edge.metric("edge_redis_late_total")
    world.redis.freeze()
    try:
        missing = world.answered_until(lambda: world.said(DOWN) > down, "the line that says so")
        afterwards = world.asked("sql")
        assert (world.said(DOWN), world.said(BACK)) == (down + 1, back)
    finally:
        world.redis.thaw()
    print(
        f"\nRedis frozen: calls answered after {max(missing) * 1000:.0f} ms at worst,"
        f" and after {max(afterwards) * 1000:.0f} ms once it is not asked any more"
    )
    assert max(missing) > DEADLINE_SECONDS  # it was asked, and waited for
    assert max(missing) < LOOKUPS * DEADLINE_SECONDS + SLACK_SECONDS
    assert max(afterwards) < SLACK_SECONDS
    assert world.edge.metric("edge_redis_late_total") >= late + 3
    world.asked("redis")
    assert (world.said(DOWN), world.said(BACK)) == (down + 1, back + 1)
