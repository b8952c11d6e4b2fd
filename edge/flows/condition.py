"""What conditions have in common: their operators, and what follows."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any, Final, Literal

from edge.errors import Invalid
from edge.flows.action import Jump, Next
from edge.flows.run import Run

Condition = Literal["==", "!=", ">", ">=", "<", "<="]

COMPARE: Final[dict[Condition, Callable[[Any, Any], bool]]] = {
    "==": operator.eq,
    "!=": operator.ne,
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
}


def decide(run: Run, holds: bool, false_target_id: str, seen: str = "") -> Next:
    """The following step when it holds, else the false target; the step log has which, and what was seen.

    Raises Invalid when it does not hold and there is no target.
    """
    if not holds and not false_target_id:
        raise Invalid("the condition does not hold, and there is no false target")
    run.note = ("holds" if holds else "does not hold") + (f": {seen}" if seen else "")
    return None if holds else Jump(false_target_id)
