"""The session of flows that run when their call is over: nobody is on the line any more."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from edge.sessions.calls.call import Desk
from edge.sessions.origin import Origin
from edge.sessions.outside import Outside
from edge.store.metadata import NIL, new_id

T = TypeVar("T")


class AfterCall:
    """Implements `flows.session.Session`. It does not end."""

    def __init__(
        self,
        id: str,
        customer_id: str,
        desk: Desk,
        *,
        number_id: str = NIL,
        peer: str = "",
        origin: Origin | None = None,
    ) -> None:
        self.id = id
        self.customer_id = customer_id
        self.number_id = number_id
        self.peer = peer
        self.origin = origin or Origin(customer_id, "")
        self._desk = desk

    @property
    def outside(self) -> Outside:
        return Outside(self, self._desk.reach)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    def chain(self, call: object) -> None:
        """It does not end: nor do they with it."""

    async def send_text(self, source: str, destination: str, text: str) -> str:
        return await self._desk.send_text(self, source, destination, text)

    def next_id(self) -> str:
        return new_id()

    async def during(self, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        return await asyncio.get_running_loop().create_task(work())
