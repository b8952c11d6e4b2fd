"""Notices and the breaker."""

from __future__ import annotations

from edge.store.breaker import Breaker
from edge.store.notice import Notices, cache_key


def test_a_notice_goes_to_the_listeners_of_its_kind() -> None:
    heard: list[tuple[str, str | None]] = []
    notices = Notices()
    notices.listen("number", lambda key: heard.append(("number", key)))
    notices.listen("flow", lambda key: heard.append(("flow", key)))
    notices.tell(cache_key("number", "+14155550100"))
    notices.tell(cache_key("flow", "a:b"))
    notices.tell(cache_key("other", "x"))
    notices.tell("foreign")
    assert heard == [("number", "+14155550100"), ("flow", "a:b")]
    notices.tell(None)
    assert heard[2:] == [("number", None), ("flow", None)]


def test_the_breaker_opens_after_failures_in_a_row_and_lets_one_probe_through() -> None:
    breaker = Breaker(failures=2, seconds=1.0)
    assert breaker.allows(0.0)
    assert not breaker.failed(0.0)
    assert not breaker.worked()
    assert not breaker.failed(0.0)
    assert breaker.failed(0.0)
    assert breaker.open
    assert [breaker.allows(now) for now in (0.5, 1.0, 1.1, 1.9, 2.0)] == [False, True, False, False, True]
    assert not breaker.failed(2.0)
    assert breaker.worked()
    assert not breaker.open
    assert breaker.allows(2.0)
