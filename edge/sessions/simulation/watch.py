"""A run that tells the stage of each step, as it begins and as it ends.

The executor that takes the steps is the one of real sessions and knows nothing of this: it says which step is at work
by setting `step`, and how it went by adding to `entries`.
"""

from __future__ import annotations

from collections.abc import Mapping

from edge.errors import Invalid
from edge.flows.flow import Flow
from edge.flows.run import Run
from edge.flows.session import Medium
from edge.flows.step import Step
from edge.sessions.simulation.stage import Stage

_Entry = tuple[str, str, str, str]


class _Entries(list[_Entry]):
    """The log of a run; what is added is told at once."""

    def __init__(self, run: WatchedRun) -> None:
        super().__init__()
        self._run = run

    def append(self, entry: _Entry) -> None:
        super().append(entry)
        self._run.ends(entry)


class WatchedRun(Run):
    """One run of a simulation; no metric counts it."""

    __slots__ = ("_facts", "_stage", "_step", "_told", "reached")

    def __init__(self, flow: Flow, stage: Stage, *, id: str, medium: Medium, variables: Mapping[str, str]) -> None:
        self._stage: Stage | None = None  # the base sets `step` once before anything begins
        super().__init__(flow, id=id, medium=medium, clock=stage.clock, variables=variables, counted=False)
        self._stage = stage
        self.entries = _Entries(self)
        self.reached: set[Step] = set()
        self._facts = ""
        self._told = 0

    @property
    def step(self) -> Step:
        return self._step

    @step.setter
    def step(self, step: Step) -> None:
        self._step = step
        if self._stage is None:
            return
        self.reached.add(step)
        self._stage.turn(step, self.steps)
        self._told = self._stage.told
        self._facts = self._facts_of(step)

    def _begin(self, step: Step) -> None:
        stage, self._stage = self._stage, None  # the base sets `step`, and no step begins
        super()._begin(step)
        self._stage = stage

    def ends(self, entry: _Entry) -> None:
        """A step is over: what it decided on, how it went, and why."""
        assert self._stage is not None
        id, kind, outcome, note = entry
        if not id:
            self._stage.note(f"{kind}: {note}", "outcome")  # another flow takes over (`sessions.following`)
            return
        silent = self._stage.told == self._told
        match outcome:
            case "failed":
                where = " at its failure_id" if self._step.failure is not None else ""
                told = f"fails: {note}; the flow goes on{where}"
            case "fatal":
                told = f"fails: {note}; the run fails"
            case "ended":
                told = ""  # the end of the run says it
            case _:  # what was noted while it was at work says more than its log may
                jumps = note.startswith("to ") or "; to " in note
                told = note if silent or self._facts or jumps else ""
        what = " → ".join(part for part in (self._facts, told) if part)
        if what or (silent and outcome != "ended"):
            self._stage.note(what or "done", "outcome")
        self._stage.turn(None, 0)

    def _facts_of(self, step: Step) -> str:
        try:
            action = step.action or step.fill(self.variables)
        except Invalid:
            return ""  # the step will fail and say why
        return action.facts(self.variables)
