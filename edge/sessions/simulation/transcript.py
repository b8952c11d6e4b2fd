"""The transcript of a simulation: what happened, when, at which step, and why; for people as text, else as JSON.

    {time}  {step}    {action}        {what}
       0.0  greeting  play            plays demo-greeting.wav, 3.1 s
       1.2                            the caller types 1
       3.1  menu      branch          voipbin.call.digits is "1": to sales

Times are seconds since the beginning.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from edge.flows.run import Cut, Outcome
from edge.flows.session import Medium
from edge.flows.variables import quoted

EVENTS_MAX: Final = 5_000  # of one transcript; what comes later is counted
COLUMN: Final = 24  # characters of the id of a step, at most

Part = Literal["session", "timeout", "completion", "keyword"]
Asked = Literal["opted_out", "opted_in", "helped"]
Kind = Literal["flow", "outside", "assumed", "outcome"]


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Event(_Model):
    """One thing that happened."""

    at: float = Field(description="Seconds since the beginning.")
    turn: int = Field(description="Which step of the run it was, counted from 1; 0: none.")
    step: str = Field(description="The id of the step.")
    action: str = Field(description="Its action.")
    kind: Kind = Field(
        description="flow: the flow did it. outside: it came from there. assumed: nobody can know it here, so it was"
        " taken for true. outcome: how the step went, and why."
    )
    what: str = Field(description="What happened.")


class Outcomes(_Model):
    """How one run came out."""

    begins: float = Field(description="Seconds since the beginning.")
    kind: Part = Field(
        description="session: it served the call or text. timeout: no text came that it waited for. completion: it ran"
        " when all was over. keyword: the text was one such as STOP, and no flow ran."
    )
    text: str | None = Field(description="The text it ran for; null for a call.")
    outcome: Outcome | Asked | None = Field(
        description="finished, stopped, ended, failed, cut or parked; of a keyword opted_out, opted_in or helped."
    )
    why: str = Field(description="Who or what ended it.")
    error: str | None = Field(description="Why it failed.")
    cut_by: Cut | None = Field(description="The limit it met.")
    steps: int = Field(description="How many steps it took.")
    seconds: float = Field(description="How long it took.")
    events: tuple[Event, ...] = Field(description="What happened, in order.")


class Transcript(_Model):
    """All of a simulation."""

    flow_id: str = Field(description="The flow; the nil UUID for one that is not stored.")
    flow_version: int = Field(description="Its version, 0 for one that is not stored.")
    flow: str = Field(description="Its name.")
    medium: Medium = Field(description="What was simulated: a call or a message.")
    caller: str = Field(description="Who called or texted.")
    called: str = Field(description="The number that was called or texted.")
    at: datetime = Field(description="When it began.")
    assumed: tuple[str, ...] = Field(description="What was taken for true from the beginning.")
    runs: tuple[Outcomes, ...] = Field(description="One for a call or each text that began one; completions too.")
    dropped: int = Field(description="Events beyond the limit of a transcript, which are not in it.")
    variables: dict[str, str] = Field(description="What the flow had set at the end.")
    reached: tuple[str, ...] = Field(description="The ids of the steps of this flow that were reached, in its order.")
    never_reached: tuple[str, ...] = Field(description="The others.")

    def lines(self) -> Iterator[str]:
        """For people. What a terminal would obey is shown as `\\x1b`."""
        return map(_shown, self._lines())

    def _lines(self) -> Iterator[str]:
        who = self.caller or "a caller without a number"
        noun = "a call" if self.medium == "call" else "texts"
        version = f", version {self.flow_version}" if self.flow_version else ""
        when = self.at.astimezone(UTC)
        yield f"{self.flow or 'a flow without a name'}{version}: {noun} from {who} to {self.called}"
        yield f"{_day(when)} {when:%Y-%m-%d %H:%M:%S} UTC" + (f" ({self.at.isoformat()})" if self.at != when else "")
        yield from (f"assumed: {what}" for what in self.assumed)
        for run in self.runs:
            yield ""
            if run.kind == "completion":
                yield f"{run.begins:8.1f}  what runs on completion"
            elif run.kind == "timeout":
                yield f"{run.begins:8.1f}  no text came in time"
            elif run.text is not None:
                yield f"{run.begins:8.1f}  the text: {quoted(run.text)}"
            yield from table(run.events)
            yield f"{run.begins + run.seconds:8.1f}  {_end(run)}"
        yield ""
        if self.dropped:
            yield f"left out: {self.dropped} lines more"
        for name, value in self.variables.items():
            yield f"set: {name} = {quoted(value)}"
        steps = len(self.reached) + len(self.never_reached)
        never = f"; never: {', '.join(self.never_reached)}" if self.never_reached else ""
        yield f"reached {len(self.reached)} of {steps} steps{never}"


def table(events: Sequence[Event]) -> Iterator[str]:
    """The events of a run; a step and its action stand in its first line only."""
    steps = min(max((len(event.step) for event in events), default=0), COLUMN)
    actions = max((len(event.action) for event in events), default=0)
    turn = 0
    for event in events:
        first = event.turn != turn and event.kind != "outside"
        turn = event.turn if first else turn
        step, action = (_cut(event.step), event.action) if first else ("", "")
        before = "assumed: " if event.kind == "assumed" else ""
        yield f"{event.at:8.1f}  {step:<{steps}}  {action:<{actions}}  {before}{event.what}"


def _shown(line: str) -> str:
    return line if line.isprintable() else "".join(c if c.isprintable() else repr(c)[1:-1] for c in line)


def _cut(step: str) -> str:
    return step if len(step) <= COLUMN else f"{step[: COLUMN - 1]}…"


def _end(run: Outcomes) -> str:
    match run.outcome:
        case "finished":
            how = "the last step is done"
        case "stopped":
            how = "stopped by the flow"
        case "parked":
            how = "waits for the next text"
        case "ended":
            how = run.why
        case "opted_out" | "opted_in" | "helped":
            return f"end: {run.why}; no flow runs"
        case "cut":
            how = run.error or "cut"
        case _:
            how = f"failed: {run.error}"
    return f"end: {how}; {run.steps} step{'s' if run.steps != 1 else ''}"


def _day(when: datetime) -> str:
    return ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")[when.weekday()]
