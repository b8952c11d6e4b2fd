"""One run: a flow at work for one session.

The host makes it, hands it to `executor.execute` and reads from it afterwards what became of it. While it lasts the
actions find here what they share: the variables, the clock, and what one step has to remember between its turns.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, Literal, NamedTuple, get_args

from edge.errors import Internal, Invalid
from edge.flows import limits
from edge.flows.action import NEXT, Enter, Park
from edge.flows.flow import MEDIA, Flow, require_medium
from edge.flows.session import Medium, SessionEnded
from edge.flows.step import Step
from edge.flows.variables import Variables

Outcome = Literal["finished", "stopped", "ended", "failed", "cut", "parked"]
Cut = Literal["steps", "seconds"]

OUTCOMES: tuple[Outcome, ...] = get_args(Outcome)

LONGEST = timedelta(seconds=limits.RUN_SECONDS)

_NO_VARIABLES: Mapping[str, str] = {}


class Entry(NamedTuple):
    """One step in the log of a run."""

    step: str  # its id
    type: str
    outcome: str  # done failed fatal ended
    note: str  # a reason, or where it went; "" when there is nothing to tell


class Run:
    """One run of one flow.

    outcome     finished  the last step was done
                stopped   a step said so
                ended     the session was over: hung up, by whoever (`ended` says more), or redirected
                failed    a step failed for good; `error` is the reason, `exception` what was raised
                cut       a limit was reached; `cut_by` says which
                parked    it waits for news, see `parked.py`; `resume` and `execute` it then
                None      still running, or shut down with the daemon

    medium      what the session is; every flow that is entered must be able to run for it
    over        the session is over: what is entered must be able to run for any
    at          the flow and step where it begins when it is executed
    waiting     the flows that entered another one, outermost first, each with the index of its next step
    variables   what the session provides; the mapping is read and never copied (`variables.py` has the names)
    clock       gives the time as an aware datetime, for conditions on it and for the limit on the run's length
    deadline    when it is cut; what waits asks `seconds_left` and waits no longer
    steps       how many were taken; `log` tells of the last of them
    counted     whether the metrics hear of it; they do not of a simulation
    """

    __slots__ = (
        "at",
        "clock",
        "counted",
        "counters",
        "cut_by",
        "deadline",
        "ended",
        "entries",
        "error",
        "exception",
        "flow",
        "id",
        "medium",
        "note",
        "outcome",
        "over",
        "parked",
        "started",
        "step",
        "steps",
        "variables",
        "waiting",
    )

    def __init__(
        self,
        flow: Flow,
        *,
        id: str,
        medium: Medium,
        clock: Callable[[], datetime],
        variables: Mapping[str, str] = _NO_VARIABLES,
        counted: bool = True,
    ) -> None:
        self.id = id
        self.medium = medium
        self.over = False
        self.counted = counted
        self.flow = flow
        self.clock = clock
        self.started = clock()
        self.deadline = self.started + LONGEST
        self.variables = Variables(variables)
        self.entries: list[tuple[str, str, str, str]] = []  # what `log` is made from; the executor keeps it short
        self.step: Step = flow.steps[0]  # the one at work
        self.at = (flow, 0)
        self.waiting: list[tuple[Flow, int]] = []
        self.parked: Park | None = None
        self.steps = 0
        self.note = ""  # what the step at work wants in its log entry
        self.outcome: Outcome | None = None
        self.error: str | None = None
        self.exception: Exception | None = None
        self.cut_by: Cut | None = None
        self.ended: SessionEnded | None = None
        self.counters: dict[Step, int] = {}  # see `count_down`

    def seconds_left(self) -> float:
        """How long this run may go on, at least 0."""
        return max((self.deadline - self.clock()).total_seconds(), 0.0)

    @property
    def log(self) -> list[Entry]:
        """The last steps, oldest first."""
        return [Entry(*entry) for entry in self.entries[-limits.LOG_ENTRIES :]]

    def count_down(self, start: int) -> bool:
        """Take one from the counter of the step at work, which begins at `start`; false when nothing was left.

        There is one counter per step and run, and nothing sets it back.
        """
        left = self.counters.get(self.step, start)
        self.counters[self.step] = left - 1 if left > 0 else 0
        return left > 0

    def begin_again(self, flow: Flow, *, id: str = "") -> None:
        """Another flow takes over: `execute` it. What was set stays, and the log goes on."""
        self.id = id or self.id
        self.flow = flow
        self.at = (flow, 0)
        self.waiting.clear()
        self.counters.clear()
        self._begin(flow.steps[0])

    def resume(self, *, timed_out: bool) -> None:
        """The parked run goes on: `execute` it. Raises Invalid when the step for a timeout is not there."""
        if self.parked is None:
            raise Internal("the run is not parked")
        otherwise, self.parked = self.parked.otherwise, None
        flow, index = self.waiting.pop()
        if timed_out and otherwise and otherwise != NEXT:
            if otherwise not in flow.places:
                raise Invalid(f"there is no step {otherwise[:60]!r} to go to")
            index = flow.places[otherwise]
        self.at = (flow, index)
        self._begin(flow.steps[min(index, len(flow.steps) - 1)])

    def _begin(self, step: Step) -> None:
        self.started = self.clock()
        self.deadline = self.started + LONGEST
        self.step, self.steps = step, 0
        self.outcome = self.error = self.exception = self.cut_by = self.ended = None

    def enter(self, flow: Flow) -> Enter:
        """The result of a step that runs another flow. Raises Invalid when that flow cannot run here."""
        if len(self.waiting) >= limits.FLOWS_DEEP:
            raise Invalid(f"more than {limits.FLOWS_DEEP} flows would wait for each other")
        for medium in MEDIA if self.over else (self.medium,):
            require_medium(flow, medium)
        return Enter(flow)

    def record(self) -> dict[str, Any]:
        """What the record of a session keeps of its run, as JSON."""
        return {
            "id": self.id,
            "flow_id": self.flow.id,
            "flow_version": self.flow.version,
            "outcome": self.outcome,
            "error": self.error,
            "cut_by": self.cut_by,
            "steps": self.steps,
            "log": [entry._asdict() for entry in self.log],
        }
