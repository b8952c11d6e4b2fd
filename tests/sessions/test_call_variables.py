"""What a flow can read of its call."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from edge.flows import variables
from edge.numbers.number import Number
from edge.sessions.call_variables import CallVariables
from edge.sessions.record import Attempt

NUMBER = Number(
    id="44444444-4444-4444-8444-444444444444",
    customer_id="11111111-1111-4111-8111-111111111111",
    number="+14155550100",
    name="Main",
    detail="${voipbin.call.source.target}",
    tm_create=datetime(2026, 8, 1, tzinfo=UTC),
)


def attempt() -> Attempt:
    made = Attempt(
        id="01910000-0000-7000-8000-000000000001",
        call_id="a84b4c76e66710@pc33",
        remote="192.0.2.9",
        dialed="sip:4155550100@edge",
        source="+14155550199",
        source_name="Ann ${voipbin.call.id}",
        tm_create=1,
    )
    made.trunk, made.destination, made.flow_id = "carrier", NUMBER.number, "55555555-5555-4555-8555-555555555555"
    return made


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("voipbin.activeflow.id", "01910000-0000-7000-8000-000000000001"),
        ("voipbin.activeflow.flow_id", "55555555-5555-4555-8555-555555555555"),
        ("voipbin.activeflow.reference_type", "call"),
        ("voipbin.activeflow.reference_id", "01910000-0000-7000-8000-000000000001"),
        ("voipbin.call.id", "01910000-0000-7000-8000-000000000001"),
        ("voipbin.call.direction", "incoming"),
        ("voipbin.call.digits", ""),
        ("voipbin.call.source.type", "tel"),
        ("voipbin.call.source.target", "+14155550199"),
        ("voipbin.call.source.target_name", "Ann ${voipbin.call.id}"),
        ("voipbin.call.destination.target", "+14155550100"),
        ("voipbin.call.destination.name", "Main"),
        ("edge.call.sip_call_id", "a84b4c76e66710@pc33"),
        ("edge.call.trunk", "carrier"),
        ("edge.number.id", NUMBER.id),
        ("edge.number.detail", "${voipbin.call.source.target}"),
    ],
)
def test_a_name_and_its_value(name: str, value: str) -> None:
    assert CallVariables(attempt(), NUMBER)[name] == value


def test_what_it_gives_is_known_and_what_is_known_of_calls_is_given() -> None:
    known = {name for name in variables.KNOWN if not name.startswith("voipbin.conversation") and name[-1] != "*"}
    assert known == set(CallVariables(attempt(), NUMBER))


def test_all_names_have_a_text_and_are_the_system_s() -> None:
    view = CallVariables(attempt(), NUMBER)
    assert len(view) == len(list(view)) == len(set(view))
    assert all(isinstance(value, str) for value in view.values())
    assert all(variables.is_reserved(name) for name in view)


@pytest.mark.parametrize("name", ["voipbin.call.nothing", "voipbin.conversation.id", "", "id"])
def test_an_unknown_name_is_not_there(name: str) -> None:
    view = CallVariables(attempt(), NUMBER)
    assert name not in view
    with pytest.raises(KeyError):
        view[name]


def test_it_is_a_view_of_the_attempt_as_it_is_now() -> None:
    seen = attempt()
    view = CallVariables(seen, NUMBER)
    seen.flow_id = "66666666-6666-4666-8666-666666666666"
    assert view["voipbin.activeflow.flow_id"] == seen.flow_id


def test_what_a_caller_says_is_not_looked_through_again() -> None:
    option = {"text": "${voipbin.call.source.target_name}!"}
    filled = variables.Template(option).fill(variables.Variables(CallVariables(attempt(), NUMBER)))
    assert filled == {"text": "Ann ${voipbin.call.id}!"}
