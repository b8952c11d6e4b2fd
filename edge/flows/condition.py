"""The operators of conditions."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any, Final, Literal

Condition = Literal["==", "!=", ">", ">=", "<", "<="]

COMPARE: Final[dict[Condition, Callable[[Any, Any], bool]]] = {
    "==": operator.eq,
    "!=": operator.ne,
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
}
