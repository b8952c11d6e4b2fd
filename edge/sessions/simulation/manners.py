"""The manners of a simulation: whom the edge would not text, after the settings (`texts/manners.py`)."""

from __future__ import annotations

from edge.errors import Exhausted, Forbidden
from edge.sessions.simulation.script import Script
from edge.sessions.simulation.stage import Stage
from edge.sessions.texts.manners import LoopGuard, MannersSection, mute_kind, not_answered, opted_out, too_often


class SimulatedManners:
    """One for a simulation. `stopped`: the caller has opted out."""

    def __init__(self, section: MannersSection, stage: Stage, script: Script) -> None:
        self.stopped = False
        self._script = script
        self._answer = section.answer
        self._guard = LoopGuard(section.a_minute, lambda: stage.now)

    def permit(self, source: str, destination: str, reference_id: str, *, confirms: bool = False) -> None:
        """Raises Forbidden or Exhausted for a text that the edge would not send."""
        mute = mute_kind(source, destination)
        if mute is not None and mute not in self._answer:
            raise Forbidden(not_answered(destination, mute))
        if self.stopped and not confirms and (source, destination) == (self._script.called, self._script.source):
            raise Forbidden(opted_out(source, destination))
        if not self._guard.admits((source, destination), reference_id):
            raise Exhausted(too_often(source, destination))
