"""What actions tell a simulation of the values they decide on."""

from __future__ import annotations

from typing import Any

import pytest

from edge.flows.action import ACTIONS
from edge.flows.variables import DIGITS, Variables
from edge.plugins import load

load("edge.actions")


@pytest.mark.parametrize(
    ("type_", "option", "expected"),
    [
        ("branch", {"target_ids": {"1": "a"}}, 'voipbin.call.digits is "12#"'),
        ("branch", {"variable": "who", "target_ids": {"1": "a"}}, 'who is ""'),
        ("condition_variable", {"variable": "bob", "value_string": 'a "b"'}, '"bob" == "a \\"b\\""'),
        (
            "condition_variable",
            {"variable": "bob", "condition": ">", "value_type": "length", "value_length": 2},
            '"bob", 3 characters > 2',
        ),
        ("condition_variable", {"variable": "1.50", "value_type": "number", "value_number": 2}, '"1.50" == 2'),
        ("variable_set", {"key": "a", "value": "x\ny"}, 'a is "x\\ny" from now on'),
        ("variable_set", {"key": "a", "value": "x" * 300}, f'a is "{"x" * 200}…" from now on'),
        ("condition_datetime", {"weekdays": [5, 0, 1]}, "Sun/Mon/Fri"),
        ("condition_datetime", {"from": "09:00"}, "from 09:00 to 24:00"),
        ("condition_datetime", {"to": "9:30", "hour": 9, "minute": 5, "condition": "<="},
         "from 00:00 to 9:30, hour 9 minute 5 <= now"),
        ("condition_datetime", {"month": 12, "hour": 9}, "month 12 hour 9 == now"),
        ("play", {"stream_urls": ["a.wav"]}, ""),
    ],
)  # fmt: skip
def test_facts(type_: str, option: dict[str, Any], expected: str) -> None:
    variables = Variables()
    variables.set_system(DIGITS, "12#")
    action = ACTIONS.get(type_)
    assert action is not None
    assert action.model_validate(option).facts(variables) == expected
