"""What flows may ask of the world (`flows.outside`), done with what the daemon shares among all sessions.

A host is the session that asks. It decides how to wait: a call gives up when it is over, a text tries again until what
was away is back.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from edge.errors import NotFound, Unavailable
from edge.flows.flow import Flow
from edge.http import Answer, Guard, Method
from edge.sessions.memory import Memory
from edge.store.tiers import Found

T = TypeVar("T")


class Flows(Protocol):
    """The flow library, as far as sessions need it."""

    async def find(self, flow_id: str, /) -> Found[Flow]: ...

    async def find_version(self, flow_id: str, version: int, /) -> Found[Flow]: ...


class Host(Protocol):
    """The session that asks."""

    @property
    def customer_id(self) -> str: ...

    @property
    def number_id(self) -> str:
        """Our number."""

    @property
    def peer(self) -> str:
        """Who is at the other end, in E.164 if he has a number; "" when he is not known."""

    def next_id(self) -> str:
        """An id for what the step at work makes. A run that is repeated gets the same ones again."""

    async def during(self, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """What the work returns, as long as the session lasts. It may be begun anew while something is Unavailable."""


@dataclass(frozen=True, slots=True)
class Reach:
    """What the daemon has, one for all sessions."""

    flows: Flows
    http: Guard
    memory: Memory


class Outside:
    """Implements `flows.outside.Outside` for one session."""

    __slots__ = ("_host", "_reach")

    def __init__(self, host: Host, reach: Reach) -> None:
        self._host = host
        self._reach = reach

    async def flow(self, flow_id: str) -> Flow:
        found = await self._host.during(lambda: self._reach.flows.find(flow_id))
        if found.value is None or found.value.customer_id != self._host.customer_id:
            raise NotFound(f"there is no flow {flow_id[:60]}", reason="FLOW_NOT_FOUND")
        return found.value

    async def recall(self) -> Mapping[str, str]:
        host, memory = self._host, self._reach.memory
        return await host.during(lambda: memory.recall(host.number_id, host.peer))

    async def remember(self, name: str, value: str) -> None:
        host, memory = self._host, self._reach.memory
        await host.during(lambda: memory.remember(host.number_id, host.peer, name, value))

    async def request(
        self, method: Method, url: str, *, headers: Mapping[str, str], body: bytes | None = None, max_bytes: int
    ) -> Answer:
        async def ask() -> Answer | Unavailable:
            try:
                return await self._reach.http.request(method, url, headers=headers, body=body, max_bytes=max_bytes)
            except Unavailable as error:  # it is that URL's fault: no reason for a text to try for ever
                return error

        answer = await self._host.during(ask)
        if isinstance(answer, Unavailable):
            raise answer
        return answer
