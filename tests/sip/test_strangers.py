"""Strangers are counted, named at a bounded rate, and banned for connections, never for datagrams."""

from __future__ import annotations

from typing import Any

import pytest

from edge.sip.counts import DISCARDED
from edge.sip.strangers import BURST, NAMED_AGAIN, REMEMBERED, WINDOW, Strangers
from tests.logged import Lines, logged

HIM, HER = "198.51.100.7", "203.0.113.8"


def knocks(strangers: Strangers, count: int, transport: str = "tcp", at: float = 100.0) -> None:
    for _ in range(count):
        strangers.seen(HIM, transport, at)


def told(lines: Lines, event: str) -> list[dict[str, Any]]:
    return [line for line in lines() if line["event"] == event]


def test_what_is_known_of_one() -> None:
    strangers = Strangers()
    strangers.seen(HIM, "udp", 1.0)
    strangers.seen(HIM, "udp", 5.0)
    strangers.seen(HER, "tcp", 7.0)
    known = strangers.find(HIM)
    assert known is not None
    assert (known.seen, known.first, known.last) == ({"udp": 2}, 1.0, 5.0)
    assert [one.address for one in strangers.latest(5)] == [HER, HIM]
    assert strangers.find("192.0.2.1") is None


def test_connections_ban_for_a_while() -> None:
    strangers = Strangers(ban_after=3, ban_seconds=60.0)
    with logged() as lines:
        knocks(strangers, 3)
    (line,) = told(lines, "stranger banned")
    assert (line["remote"], line["seconds"]) == (HIM, 60.0)
    known = strangers.find(HIM)
    assert known is not None
    knocks(strangers, 5, at=130.0)
    assert known.seen == {"tcp": 3}
    knocks(strangers, 1, at=161.0)
    assert known.seen == {"tcp": 4}


def test_they_count_within_a_window() -> None:
    strangers = Strangers(ban_after=3, ban_seconds=60.0)
    with logged() as lines:
        for turn in range(6):
            knocks(strangers, 1, at=turn * WINDOW)
    assert told(lines, "stranger banned") == []


def test_datagrams_ban_nobody() -> None:
    strangers = Strangers(ban_after=3, ban_seconds=60.0)
    knocks(strangers, 100, "udp")
    known = strangers.find(HIM)
    assert known is not None
    assert (known.seen["udp"], known.banned_until) == (100, 0.0)


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_each_is_named_once_a_while(transport: str) -> None:
    strangers = Strangers()
    with logged() as lines:
        for second in range(int(NAMED_AGAIN)):
            strangers.seen(HIM, transport, float(second))
    assert len(told(lines, "stranger not answered")) == 1
    with logged() as lines:
        strangers.seen(HIM, transport, NAMED_AGAIN + 1)
    (line,) = told(lines, "stranger not answered")
    assert line["seen"] == int(NAMED_AGAIN) + 1


def test_a_flood_from_made_up_addresses_fills_neither_log_nor_memory() -> None:
    strangers = Strangers()
    with logged() as lines:
        for number in range(REMEMBERED + 500):
            strangers.seen(f"10.0.{number // 256}.{number % 256}", "udp", 1.0)
        strangers.seen(HIM, "udp", 60.0)
    assert len(strangers) == REMEMBERED
    named = told(lines, "stranger not answered")
    assert len(named) == BURST + 1
    assert named[-1]["unnamed"] == REMEMBERED + 500 - BURST


def test_each_is_counted() -> None:
    strangers = Strangers(ban_after=2, ban_seconds=60.0)
    counts = [DISCARDED._series.labels(why) for why in ("source", "banned")]
    before = [count.value for count in counts]
    knocks(strangers, 5)
    assert [count.value - was for count, was in zip(counts, before, strict=True)] == [2, 3]
