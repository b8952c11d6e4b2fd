"""Go where a variable says."""

from __future__ import annotations

from collections.abc import Iterable

from pydantic import Field

from edge.errors import Invalid
from edge.flows.action import Action, Jump, Next, StepId, StepIds, VariableName
from edge.flows.run import Run
from edge.flows.session import Session
from edge.flows.variables import DIGITS, Variables, is_reserved, quoted


class Branch(Action):
    """Look a variable up among the targets and go on there, or with the default target when it is none of them.

    `variable` is a name, without `${}`. It is emptied, so that a menu that comes again starts afresh; names of the
    system other than the digits are only read. Digits are compared as gathered, the end key included.

    On failure (no target fits and there is no default) the run fails.

        {"id": "menu", "type": "branch", "option": {"target_ids": {"1": "sales", "2": "support"},
         "default_target_id": "again"}}
    """

    type = "branch"
    fatal = True
    goes_on = False
    instant = True

    variable: VariableName = Field(default=DIGITS, min_length=1, description="The name of the variable.")
    target_ids: StepIds = Field(default_factory=dict, description="The step to go to, by the value of the variable.")
    default_target_id: StepId = Field(default="", description="The step to go to for any other value.")

    def doubts(self) -> Iterable[tuple[str, str]]:
        if not self.default_target_id:
            yield "default_target_id", "not given: the run fails for any other value"

    def facts(self, variables: Variables) -> str:
        return f"{self.variable} is {quoted(variables.get(self.variable))}"

    async def run(self, session: Session, run: Run) -> Next:
        value = run.variables.get(self.variable)
        if self.variable == DIGITS:
            run.variables.set_system(DIGITS, "")
        elif value and not is_reserved(self.variable):
            run.variables.set(self.variable, "")
        target = self.target_ids.get(value) or self.default_target_id
        if not target:
            raise Invalid(f"no target for the value of {self.variable}, and no default")
        return Jump(target)
