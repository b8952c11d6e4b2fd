"""Go on only when enough digits were typed, or a certain one."""

from __future__ import annotations

from collections.abc import Iterable

from pydantic import Field

from edge.flows.action import Action, Next, StepId
from edge.flows.condition import decide
from edge.flows.run import Run
from edge.flows.session import CallSession
from edge.flows.variables import DIGITS, Variables, quoted


class ConditionCallDigits(Action):
    """Look at the digits that the last `digits_receive` got. When they are `length` or more, or hold `key`, the next
    step follows, else the false target.

    The end key counts as one of them. The digits stay: unlike `branch` it does not empty them. What neither option asks
    for never holds.

    On failure (it does not hold and there is no false target) the run fails.

        {"id": "complete", "type": "condition_call_digits", "option": {"length": 4, "key": "#",
         "false_target_id": "again"}}
    """

    type = "condition_call_digits"
    fatal = True
    instant = True
    varies = False

    length: int = Field(default=0, ge=0, le=1000, description="So many digits are enough; 0: not looked at.")
    key: str = Field(
        default="",
        pattern=r"^[0-9A-Da-d*#]*$",
        max_length=16,
        description="Keys in a row that are enough; empty: none.",
    )
    false_target_id: StepId = Field(default="", description="The step to go to when it does not hold.")

    def doubts(self) -> Iterable[tuple[str, str]]:
        if not self.false_target_id:
            yield "false_target_id", "not given: the run fails when the condition does not hold"
        if not (self.length or self.key):
            yield "length", "neither a length nor a key: it never holds"

    def facts(self, variables: Variables) -> str:
        wanted = [f"{self.length} or more"] if self.length else []
        wanted += [f"with {self.key}"] if self.key else []
        return f"{DIGITS} is {quoted(variables.get(DIGITS))}, wanted {' or '.join(wanted)}"

    async def run(self, session: CallSession, run: Run) -> Next:
        digits = run.variables.get(DIGITS)
        enough = bool(self.length) and len(digits) >= self.length
        ended = bool(self.key) and self.key.upper() in digits
        return decide(run, enough or ended, self.false_target_id)
