"""Which text a report is of, and what it changes of that."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from edge.sessions.texts.matching import Known, Part, Step, choose, move, same_number
from edge.sms.text import Report
from edge.store.metadata import NIL, micros
from tests.sessions.texts.test_outbox import CUSTOMER
from tests.sessions.texts.test_reports import NOW, says


def known(*states: str, state: str = "sent", **more: Any) -> Known:
    parts = tuple(Part(n, "pigeon", f"p{n}", s, micros(NOW)) for n, s in enumerate(states))
    return replace(Known("m", state, 0, "pigeon", CUSTOMER, "+14155550100", "+14155550111", NIL, parts), **more)


@pytest.mark.parametrize(
    ("states", "state", "report", "expected"),
    [
        (["sent"], "sent", says("delivered", "p0"), ([0], "delivered")),
        (["sent"], "sent", says("sent", "p0"), None),
        (["sent", "sent"], "sent", says("delivered", "p1"), ([1], "sent")),
        (["sent", "delivered"], "sent", says("delivered", "p0"), ([0], "delivered")),
        (["delivered", "sent"], "sent", says("failed", "p1"), ([1], "failed")),
        (["failed", "sent"], "failed", says("delivered", "p1"), ([1], "failed")),
        (["failed"], "failed", says("delivered", "p0"), None),
        (["delivered"], "delivered", says("failed", "p0"), None),
        ([], "sent", says("delivered", message_id="m"), ([], "delivered")),
        ([], "sent", says("sent", message_id="m"), None),
        ([], "failed", says("delivered", message_id="m"), ([], "delivered")),
        ([], "failed", says("failed", message_id="m"), None),
        ([], "delivered", says("failed", message_id="m"), None),
        (["sent", "sent"], "sent", says("delivered", "", message_id="m"), ([0, 1], "delivered")),
        (["sent"], "sent", says("failed", "of a try before", message_id="m"), None),
        (["sent"], "sent", says("sent", "of a try before", message_id="m"), None),
        (["sent"], "sent", says("delivered", "of a try before", message_id="m"), ([0], "delivered")),
    ],
)
def test_what_a_report_changes(states: list[str], state: str, report: Report, expected: Any) -> None:
    step = move(known(*states, state=state), report)
    assert (None if step is None else ([part.place for part in step.parts], step.state)) == expected
    assert step is None or isinstance(step, Step)


def test_of_two_that_are_the_same_number_in_another_spelling_none_is_meant() -> None:
    one, two = (
        known(state="sent", id=name, parts=(Part(0, "pigeon", kept, "sent", micros(NOW)),))
        for name, kept in (("m1", "ff"), ("m2", "0FF"))
    )
    named = says(carrier_id="255", destination="14155550111")
    assert choose([one, two], named, 0) == "ambiguous"
    assert choose([one], named, 0) == (2, one)
    assert choose([one, replace(two, state="delivered")], named, 0) == "ambiguous"  # it may be told twice
    assert choose([one, two], says(carrier_id="FF"), 0) == "ambiguous"
    assert choose([one, two], says(carrier_id="ff"), 0) == (0, one)
    assert choose([one, two], says(carrier_id="0FF"), 0) == (0, two)


def test_of_two_texts_under_one_id_the_one_is_meant_that_is_not_over() -> None:
    one, two = (known(id=name, parts=(Part(0, "pigeon", "ff", "sent", micros(NOW)),)) for name in ("m1", "m2"))
    named = says(carrier_id="255", destination="14155550111")
    assert choose([replace(one, state="delivered"), two], named, 0) == (2, two)


def test_of_the_parts_of_a_text_the_one_is_meant_that_is_called_most_alike() -> None:
    mine = known(parts=tuple(Part(n, "pigeon", i, "sent", micros(NOW)) for n, i in enumerate(("255", "ff"))))
    step = move(mine, says(carrier_id="FF"))
    assert step is not None
    assert [part.place for part in step.parts] == [1]
    other = replace(mine, parts=tuple(Part(n, "pigeon", i, "sent", micros(NOW)) for n, i in enumerate(("10", "22"))))
    assert choose([other], says(carrier_id="16", destination="14155550111"), 0) == "ambiguous"


def test_a_long_number_in_another_spelling_needs_no_receiver() -> None:
    one = known(parts=(Part(0, "pigeon", "bc614e", "sent", micros(NOW)),))
    assert choose([one], says(carrier_id="12345678"), 0) == (2, one)
    short = known(parts=(Part(0, "pigeon", "10", "sent", micros(NOW)),))
    assert choose([short], says(carrier_id="16"), 0) is None


@pytest.mark.parametrize(
    ("source", "destination", "fits"),
    [
        ("14155550100", "14155550111", True),
        ("14155550111", "14155550100", True),  # as they stood in the text that came
        ("", "14155550100", False),
        ("14155550112", "14155550100", False),
        ("14155550111", "14155550101", False),
    ],
)
@pytest.mark.parametrize("carrier_id", ["ff", "255"])
def test_the_numbers_of_a_receipt_may_stand_the_other_way_round(
    carrier_id: str, source: str, destination: str, fits: bool
) -> None:
    one = known(parts=(Part(0, "pigeon", "ff", "sent", micros(NOW)),))
    found = choose([one], says(carrier_id=carrier_id, source=source, destination=destination), 0)
    assert found == ((2 if carrier_id == "255" else 0, one) if fits else None)


@pytest.mark.parametrize(
    ("said", "ours", "same"),
    [
        ("", "+14155550111", True),
        ("14155550111", "+14155550111", True),
        ("0014155550111", "+14155550111", True),
        ("4155550111", "+14155550111", True),
        ("07700900123", "+447700900123", True),
        ("+14155550112", "+14155550111", False),
        ("50111", "+14155550111", False),
        ("12345", "12345", True),
        ("acme", "ACME", True),
        ("acme", "+14155550111", False),
    ],
)
def test_a_number_in_another_spelling_is_the_same(said: str, ours: str, same: bool) -> None:
    assert same_number(said, ours) is same
