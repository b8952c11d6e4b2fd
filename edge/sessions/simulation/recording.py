"""A simulated recording: nothing is heard, so it ends by all that is not silence."""

from __future__ import annotations

from edge.errors import Conflict, Invalid
from edge.recordings.table import Recording
from edge.recordings.take import Wish
from edge.sessions.simulation.stage import Stage


class SimulatedRecording:
    """What is recorded of one call."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._wish: Wish | None = None  # of the one under way
        self._ends = 0.0

    def require_room(self, *, answered: bool) -> None:
        """Raise Invalid before the answer, Conflict while one is under way."""
        if not answered:
            raise Invalid("only an answered call can be recorded")
        if self._under_way():
            raise Conflict("a recording is under way")

    def start(self, customer_id: str, call_id: str, wish: Wish, on_end_flow_id: str) -> Recording:
        stage = self._stage
        now, node = stage.clock(), "simulation"
        recording = Recording.begun(
            stage.id(), customer_id, call_id, wish.format, now, node=node, on_end_flow_id=on_end_flow_id
        )
        self._wish = wish
        self._ends = stage.now + wish.seconds if wish.seconds else float("inf")
        stage.note(f"records into {recording.filename}")
        if wish.silence_seconds:
            stage.note("nobody is silent for so long that the recording ends", "assumed")
        return recording

    def stop(self) -> None:
        """Raises Conflict when none is under way."""
        if not self._under_way():
            raise Conflict("no recording is under way")
        self._wish = None
        self._stage.note("ends the recording")

    def press(self, key: str) -> None:
        if self._wish is not None and self._under_way() and self._wish.key in ("any", key):
            self._wish = None
            self._stage.note(f"{key} ends the recording")

    def _under_way(self) -> bool:
        if self._wish is not None and self._stage.now >= self._ends:
            self._wish = None
        return self._wish is not None
