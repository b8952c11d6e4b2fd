"""Events of opt-outs: somebody opted out, or that was taken back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from edge.accounts.event import EventType
from edge.sessions.events.event import KEEP, Event
from edge.sessions.events.journal import Journal
from edge.store.writer import Then

if TYPE_CHECKING:
    from edge.sessions.texts.opt_outs import OptOut


class OptOutEvents:
    """One for the process. `form` is an opt-out as the API shows it."""

    def __init__(
        self, journal: Journal, form: Callable[[OptOut], Mapping[str, Any]], clock: Callable[[], datetime]
    ) -> None:
        self._journal = journal
        self._form = form
        self._clock = clock

    async def of(self, found: OptOut, what: object) -> tuple[Then, ...]:
        """The event that tells of an opt-out as it is now, if its account's server wants to know. Raises Unavailable.

        `what` tells this change from others to it.
        """
        type: EventType = "opt_out_created" if found.tm_end is None else "opt_out_deleted"
        if not await self._journal.hears(found.customer_id, type):
            return ()
        return ((KEEP, Event(found.customer_id, type, found.id, what, self._form(found), self._clock()).row()),)

    def written(self, customer_id: str) -> None:
        self._journal.written(customer_id)
