"""What flows ask of the world, on behalf of a session that is none of it."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import pytest

from edge.errors import EdgeError, Forbidden, Unavailable
from edge.flows.session import SessionEnded
from edge.http import Answer
from edge.sessions.outside import Outside
from edge.store.metadata import new_id
from tests.sessions.ground import reach

T = TypeVar("T")


class Patient:
    """A session that tries again while something is Unavailable, as that of a text does; `ended`, it asks nothing."""

    customer_id = "11111111-1111-4111-8111-111111111111"

    def __init__(self) -> None:
        self.id = new_id()
        self.begun = 0
        self.ended: SessionEnded | None = None

    number_id = "01910000-0000-7000-8000-000000000003"
    peer = "+14155550199"

    def next_id(self) -> str:
        return f"{self.id}/{self.begun}"

    async def during(self, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        while self.ended is None:
            self.begun += 1
            try:
                return await work()
            except Unavailable:
                assert self.begun < 5
        raise self.ended


class Web:
    """URLs that give these answers."""

    def __init__(self, *answers: Answer | EdgeError) -> None:
        self.answers = list(answers)
        self.asked: list[Any] = []

    async def request(self, method: str, url: str, **more: Any) -> Answer:
        self.asked.append((method, url, more))
        answer = self.answers.pop(0)
        if isinstance(answer, EdgeError):
            raise answer
        return answer


async def test_a_url_is_asked_as_the_flow_said() -> None:
    web = Web(Answer(500, b"?", "text/plain"))
    outside = Outside(Patient(), reach(http=web))
    answer = await outside.request("PUT", "https://example.com/", headers={"A": "b"}, body=b"x", max_bytes=7)
    assert answer == Answer(500, b"?", "text/plain")
    assert web.asked == [("PUT", "https://example.com/", {"headers": {"A": "b"}, "body": b"x", "max_bytes": 7})]


@pytest.mark.parametrize("error", [Unavailable("it did not come"), Forbidden("not allowed")])
async def test_a_url_that_is_away_is_not_asked_again(error: EdgeError) -> None:
    web, host = Web(error), Patient()
    with pytest.raises(type(error)):
        await Outside(host, reach(http=web)).request("GET", "https://example.com/", headers={}, max_bytes=7)
    assert len(web.asked) == host.begun == 1


async def test_a_session_that_is_over_asks_nothing() -> None:
    web, host = Web(), Patient()
    host.ended = SessionEnded("remote")
    with pytest.raises(SessionEnded):
        await Outside(host, reach(http=web)).request("GET", "https://example.com/", headers={}, max_bytes=7)
    assert web.asked == []
