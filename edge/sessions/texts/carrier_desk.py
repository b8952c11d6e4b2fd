"""Where carriers that hold connections of their own bring what came: texts, parts of texts, and what became of others.

The same functions serve the carriers that are called over HTTP. Whatever comes is in SQL when they return.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime

from edge.errors import Unavailable
from edge.sms.part import Part
from edge.sms.text import Report, Text, Verdict


class CarrierDesk:
    """Implements `Desk`. `draining` says that nothing new is taken: it goes to another edge, or comes again."""

    def __init__(
        self,
        receive: Callable[[Text], Awaitable[Verdict]],
        join: Callable[[Part], Awaitable[Verdict]],
        report: Callable[[Report], Awaitable[None]],
        recent: Callable[[str, datetime, int], Awaitable[Sequence[str]]],
        draining: Callable[[], bool],
    ) -> None:
        self._receive = receive
        self._join = join
        self._report = report
        self._recent = recent
        self._draining = draining

    async def keep(self, text: Text | Part, /) -> Verdict:
        if self._draining():
            raise Unavailable("the edge is about to stop")
        return await (self._join(text) if isinstance(text, Part) else self._receive(text))

    async def report(self, report: Report, /) -> None:
        await self._report(report)

    async def recent(self, carrier: str, since: datetime, limit: int, /) -> Sequence[str]:
        return await self._recent(carrier, since, limit)
