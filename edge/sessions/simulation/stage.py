"""The stage of a simulation: a clock that moves only when somebody waits, and the notes of what happens."""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta
from typing import Final

from edge.flows.step import Step
from edge.sessions.simulation.transcript import EVENTS_MAX, Event, Kind

_NAMESPACE: Final = uuid.UUID("0f3c1f66-7c39-5d3b-9f0e-3a4a5f1f9c55")


class Stage:
    """One simulation. `now` is in seconds since its beginning."""

    def __init__(self, begins: datetime) -> None:
        self.begins = begins
        self.now = 0.0
        self.dropped = 0
        self.told = 0  # what did not come from outside, dropped or not
        self.events: list[Event] = []  # of the run at work
        self._count = 0
        self._ids = 0
        self._turn = 0
        self._step: Step | None = None

    def clock(self) -> datetime:
        return self.begins + timedelta(seconds=self.now)

    def id(self) -> str:
        """The next id of something that is made: the same in each simulation."""
        self._ids += 1
        return str(uuid.uuid5(_NAMESPACE, str(self._ids)))

    def turn(self, step: Step | None, turn: int) -> None:
        """What is noted from now on belongs to that step."""
        self._step, self._turn = step, turn

    def note(self, what: str, kind: Kind = "flow") -> None:
        self.told += kind != "outside"
        if self._count >= EVENTS_MAX:
            self.dropped += 1
            return
        self._count += 1
        step, action = (self._step.id, self._step.type) if self._step is not None else ("", "")
        at = round(self.now, 3)
        self.events.append(Event(at=at, turn=self._turn, step=step, action=action, kind=kind, what=what))

    def take_events(self) -> tuple[Event, ...]:
        """Those of a run that is over."""
        taken, self.events = tuple(self.events), []
        return taken
