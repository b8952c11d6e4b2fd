"""Who answers STOP, START and HELP: two answers to one word are one too many."""

from __future__ import annotations

import pytest

from edge.plugins import load
from edge.sms.carrier import CARRIERS

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
