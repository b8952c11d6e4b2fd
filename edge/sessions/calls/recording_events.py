"""The event of a recording: it is where it stays, or will not get there."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from edge.recordings.table import Recording, public
from edge.sessions.events.event import KEEP, Event
from edge.sessions.events.journal import Journal
from edge.store.writer import Then


class RecordingEvents:
    """What the table of recordings tells. `form` makes of one in its public form what the API shows."""

    def __init__(
        self, journal: Journal, form: Callable[[Mapping[str, Any]], Mapping[str, Any]], clock: Callable[[], datetime]
    ) -> None:
        self._journal = journal
        self._form = form
        self._clock = clock

    async def finished(self, recording: Recording) -> Sequence[Then]:
        """What is written with its end. Raises Unavailable."""
        r = recording
        if not await self._journal.hears(r.customer_id, "recording_finished"):
            return ()
        event = Event(r.customer_id, "recording_finished", r.id, "", self._form(public(r)), self._clock())
        return [(KEEP, event.row())]

    def written(self, recording: Recording) -> None:
        """That is written."""
        self._journal.written(recording.customer_id)
