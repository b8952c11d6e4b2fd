"""What a flow may ask of the world beside its session, whatever its medium. `edge/sessions/outside.py` implements it.

As with a session, what waits raises `SessionEnded` when the session is over meanwhile.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol

from edge.http import Answer, Method

if TYPE_CHECKING:
    from edge.flows.flow import Flow


class Outside(Protocol):
    """The world, asked on behalf of one session."""

    async def flow(self, flow_id: str) -> Flow:
        """The newest version of another flow of the same account. Raises NotFound; Unavailable when nobody knows now.

        The session of a text asks again until somebody does.
        """

    async def recall(self) -> Mapping[str, str]:
        """What is remembered of this person at this number, by the names of its variables. Raises Unavailable."""

    async def remember(self, name: str, value: str) -> None:
        """Keep a value for later calls and texts of this person to this number; an empty one is forgotten.

        Raises Invalid for one that cannot be kept, Unavailable.
        """

    async def request(
        self, method: Method, url: str, *, headers: Mapping[str, str], body: bytes | None = None, max_bytes: int
    ) -> Answer:
        """What a URL answers, whatever the status; asked once, redirects of GET followed. Raises EdgeError when it
        gives no answer in time, too large a one, or is not to be asked."""
