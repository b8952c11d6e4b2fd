"""Remember something."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from edge.flows import limits
from edge.flows.action import Action, Next
from edge.flows.run import Run
from edge.flows.session import Session
from edge.flows.variables import MEMORY, Variables, is_name, is_reserved, quoted


def _free(name: str) -> str:
    if is_reserved(name):
        raise ValueError(f"{name[:60]} can only be read; names of your own do not begin with voipbin. or edge.")
    if not is_name(name):
        raise ValueError("a name holds no }, no :- and no line break")
    return name


class VariableSet(Action):
    """Set a variable for the rest of the run. Later steps read it as `${key}`.

    Variables in `value` are replaced when the step runs, and what they hold is kept as it is: it is not looked through
    again. Names that begin with `voipbin.` or `edge.` can only be read. A name that begins with `memory.` is kept
    beyond the run: a later call or text of the same person to the same number reads it too; an empty value is
    forgotten.

    On failure (a name that can only be read, too many or too large variables, a caller without a number for one of
    `memory.`) the reason goes into the step log and the next step follows.

        {"id": "remember", "type": "variable_set", "option": {"key": "caller",
         "value": "${voipbin.call.source.target}"}}
    """

    type = "variable_set"
    instant = True

    key: Annotated[str, AfterValidator(_free)] = Field(
        min_length=1, max_length=limits.VARIABLE_NAME_CHARACTERS, description="The name, without ${}."
    )
    value: str = Field(default="", max_length=limits.VARIABLE_CHARACTERS, description="The value.")

    def facts(self, variables: Variables) -> str:
        return f"{self.key} is {quoted(self.value)} from now on"

    async def run(self, session: Session, run: Run) -> Next:
        run.variables.set(self.key, self.value)
        if self.key.startswith(MEMORY):
            await session.outside.remember(self.key, self.value)
        return None
