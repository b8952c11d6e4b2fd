"""Who answers STOP, START and HELP: two answers to one word are one too many."""

from __future__ import annotations

import pytest

from edge.plugins import load
from edge.sms.carrier import CARRIERS
from tests.carriers.stage import cases

load("edge.carriers")


@pytest.mark.parametrize(
    ("kind", "who"),
    [
        ("loopback", "edge"),
        ("sip", "edge"),
        ("smpp", "edge"),
        ("telnyx", "carrier"),
        ("twilio", "carrier"),
        ("vonage", "edge"),
    ],
)
def test_carriers_that_answer_keywords_themselves_are_not_echoed(kind: str, who: str) -> None:
    carrier = CARRIERS.get(kind)
    assert carrier is not None
    section = carrier.section
    assert section.model_fields["opt_out"].default == who
    assert section.model_fields["name"].default == kind


@pytest.mark.parametrize(
    ("kind", "codes"),
    [
        ("loopback", set()),
        ("sip", set()),
        ("smpp", set()),
        ("telnyx", {"40300"}),
        ("twilio", {"21610"}),
        ("vonage", {"1240"}),
    ],
)
def test_the_codes_that_mean_that_a_receiver_has_opted_out(kind: str, codes: set[str]) -> None:
    carrier = CARRIERS.get(kind)
    assert carrier is not None
    assert carrier.opted_out == codes
    for code in codes:
        refused = [case for case in cases(kind, "send") if case["expect"].get("code") == code]
        assert [case["expect"]["outcome"] for case in refused] == ["refused"]  # neither again nor elsewhere
