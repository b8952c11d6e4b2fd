"""What a flow can read of its call."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from edge.flows import variables
from edge.numbers.number import Number
from edge.sessions.calls.record import Attempt
from edge.sessions.calls.variables import CallVariables
from edge.store.metadata import NIL

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
        ("voipbin.activeflow.reference_activeflow_id", NIL),
        ("voipbin.activeflow.complete_count", "0"),
        ("voipbin.call.master_call_id", NIL),
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


OF_CALLS = (
    "voipbin.activeflow.",
    "voipbin.flow.",
    "voipbin.call.",
    "voipbin.recording.",
    "edge.call.",
    "edge.caller.",
    "edge.number.",
)


def test_what_is_known_of_calls_is_given() -> None:
    assert {name for name in variables.KNOWN if name.startswith(OF_CALLS)} == set(CallVariables(attempt(), NUMBER))


def test_the_call_as_a_whole_is_told_as_it_is_now() -> None:
    seen = attempt()
    seen.customer_id, seen.number_id = NUMBER.customer_id, NUMBER.id
    view = CallVariables(seen, NUMBER)
    data = json.loads(view["voipbin.flow.reference_data"])
    assert (data["id"], data["customer_id"], data["flow_id"]) == (seen.id, NUMBER.customer_id, seen.flow_id)
    assert (data["status"], data["direction"], data["tm_progressing"]) == ("ringing", "incoming", None)
    assert data["source"] == {
        "type": "tel",
        "target": "+14155550199",
        "target_name": "Ann ${voipbin.call.id}",
        "name": "",
        "detail": "",
    }
    assert data["destination"]["target"] == "+14155550100"
    assert (data["edge"]["trunk"], data["edge"]["number_id"]) == ("carrier", NUMBER.id)
    seen.tm_progressing = 1_000_000
    data = json.loads(view["voipbin.flow.reference_data"])
    assert (data["status"], data["tm_progressing"]) == ("progressing", "1970-01-01T00:00:01.000000Z")


def test_how_far_the_call_is() -> None:
    seen = attempt()
    view = CallVariables(seen, NUMBER)
    assert view["edge.call.status"] == "ringing"
    seen.tm_progressing = 2
    assert view["edge.call.status"] == "progressing"
    seen.hangup_by = "remote"
    assert view["edge.call.status"] == "hangup"


@pytest.mark.parametrize(
    ("source", "country", "caller"),
    [
        ("+14155550199", None, "+14155550199"),
        ("4155550199", "US", "+14155550199"),
        ("030123456", "DE", "+4930123456"),
        ("4155550199", None, "4155550199"),
        ("anonymous", "US", "anonymous"),
        ("", "US", ""),
    ],
)
def test_the_caller_is_a_number_where_he_can_be_one(source: str, country: str | None, caller: str) -> None:
    seen = attempt()
    seen.source, seen.country = source, country
    assert CallVariables(seen, NUMBER)["edge.call.caller"] == caller


def test_who_vouches_for_the_caller() -> None:
    seen = attempt()
    assert CallVariables(seen, NUMBER)["edge.call.attestation"] == ""
    seen.attestation = "B"
    assert CallVariables(seen, NUMBER)["edge.call.attestation"] == "B"


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
