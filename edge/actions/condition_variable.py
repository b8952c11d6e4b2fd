"""Go on only when a value is as it should be."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final, Literal

from pydantic import Field

from edge.flows.action import Action, Next, StepId
from edge.flows.condition import COMPARE, Condition, decide
from edge.flows.run import Run
from edge.flows.session import Session
from edge.flows.variables import Variables, quoted

NUMBER: Final = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?")


class ConditionVariable(Action):
    """Compare two values: `variable condition value`. When it holds the next step follows, else the false target.

    `variable` is the value itself, so it is written `${voipbin.call.source.target}`; a bare name is compared as it
    stands. Texts are compared character by character (`"10" < "9"`). A number that cannot be read makes the condition
    false, whatever the operator. `length` compares the number of characters.

    On failure (it does not hold and there is no false target) the run fails.

        {"id": "known", "type": "condition_variable", "option": {"variable": "${voipbin.call.source.target}",
         "condition": "==", "value_type": "string", "value_string": "+14155550199", "false_target_id": "stranger"}}
    """

    type = "condition_variable"
    fatal = True
    instant = True
    varies = False

    condition: Condition = Field(default="==", description="How to compare.")
    variable: str = Field(default="", description="The value on the left, usually a variable: ${name}.")
    value_type: Literal["string", "number", "length"] = Field(
        default="string", description="What to compare: texts, numbers, or the length of the text with a number."
    )
    value_string: str = Field(default="", description="The value on the right for string.")
    value_number: float = Field(default=0, description="The value on the right for number.")
    value_length: int = Field(default=0, description="The value on the right for length.")
    false_target_id: StepId = Field(default="", description="The step to go to when it does not hold.")

    def doubts(self) -> Iterable[tuple[str, str]]:
        if not self.false_target_id:
            yield "false_target_id", "not given: the run fails when the condition does not hold"
        if self.variable and "${" not in self.variable:
            yield "variable", "compared as it stands; a variable is written ${name}"

    def facts(self, variables: Variables) -> str:
        match self.value_type:
            case "string":
                return f"{quoted(self.variable)} {self.condition} {quoted(self.value_string)}"
            case "length":
                return f"{quoted(self.variable)}, {len(self.variable)} characters {self.condition} {self.value_length}"
        return f"{quoted(self.variable)} {self.condition} {self.value_number:g}"

    async def run(self, session: Session, run: Run) -> Next:
        return decide(run, self._holds(), self.false_target_id)

    def _holds(self) -> bool:
        compare = COMPARE[self.condition]
        match self.value_type:
            case "string":
                return compare(self.variable, self.value_string)
            case "length":
                return compare(len(self.variable), self.value_length)
        number = NUMBER.fullmatch(self.variable.strip())
        return number is not None and compare(float(number[0]), self.value_number)
