"""Dialed forms."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.errors import NumberIncomplete, NumberUnknown, SchemeUnsupported
from edge.numbers.e164 import read_dialed
from edge.numbers.number import E164

DEMO = "+14155550100"
LONDON = "+442079460000"

FORMS: list[tuple[str, str | None, str]] = [
    # with the plus
    ("+14155550100", None, DEMO),
    ("+14155550100", "GB", DEMO),
    ("  +14155550100 ", "US", DEMO),
    ("+1 (415) 555-0100", "US", DEMO),
    ("+1.415.555.0100", "US", DEMO),
    ("+44 (0)20 7946 0000", "US", LONDON),
    ("+899123456789", "US", "+899123456789"),
    ("+999999999999", None, "+999999999999"),  # whether a number exists is not asked
    # SIP URIs
    ("sip:+14155550100@127.0.0.1:5060", "US", DEMO),
    ("SIP:+14155550100@EDGE.EXAMPLE", "US", DEMO),
    ("sips:+14155550100@[::1]:5061;transport=tcp", "US", DEMO),
    ("sip:+14155550100@h;user=phone", "US", DEMO),
    ("sip:+14155550100@h?subject=1%402", "US", DEMO),
    ("sip:+14155550100:secret@h", "US", DEMO),
    ("sip:%2B14155550100@h", "US", DEMO),
    ("sip:%2b1%34155550100@h", "US", DEMO),
    ("sip:14155550100@h;user=phone", "US", DEMO),
    ("sip:4155550100@h", "US", DEMO),
    ("sip:4155550100@h", "us", DEMO),
    ("sip:+1-415-555-0100@h", "US", DEMO),
    ("sip:+14155550100", "US", DEMO),
    ("sip:14155550100", "US", DEMO),
    ("+14155550100@h", "US", DEMO),
    # number portability and other parameters are read off
    ("sip:+14155550100;npdi@h", "US", DEMO),
    ("sip:+14155550100;npdi;rn=+14155559999@h;user=phone", "US", DEMO),
    ("sip:4155550100;npdi;rn=4155559999;cic=+1-0288@h", "US", DEMO),
    ("tel:+1-415-555-0100;npdi;rn=+1-415-555-9999;cic=+1-0288", "US", DEMO),
    ("tel:+14155550100;ext=1234;isub=5", "US", DEMO),
    ("14155550100;npdi", "US", DEMO),
    # tel URIs
    ("tel:+14155550100", None, DEMO),
    ("tel:+1(415)555.0100", "US", DEMO),
    ("TEL:+1%20415%20555%200100", "US", DEMO),
    ("tel:4155550100;phone-context=+1", "GB", DEMO),
    ("tel:5550100;phone-context=+1415", "GB", DEMO),
    ("tel:555-0100;phone-context=+1-415", None, DEMO),
    ("tel:2079460000;phone-context=+44", "US", LONDON),
    ("tel:02079460000;phone-context=%2B44", "US", LONDON),
    ("tel:4155550100;phone-context=edge.example", "US", DEMO),
    ("sip:2079460000;phone-context=+44@h;user=phone", "US", LONDON),
    ("sip:2079460000;Phone-Context=+44;npdi@h", "US", LONDON),
    ("tel:+14155550100;phone-context=+44", "US", DEMO),
    # the plus left out
    ("14155550100", "US", DEMO),
    ("14155550100", None, DEMO),
    ("14155550100", "GB", DEMO),
    ("14155550100", "DE", DEMO),
    ("442079460000", "US", LONDON),
    ("442079460000", None, LONDON),
    ("899123456789", "US", "+899123456789"),
    # international prefixes
    ("0014155550100", None, DEMO),
    ("0014155550100", "GB", DEMO),
    ("0014155550100", "US", DEMO),
    ("00442079460000", "DE", LONDON),
    ("01114155550100", "US", DEMO),
    ("011442079460000", "US", LONDON),
    ("011442079460000", None, LONDON),
    ("001114155550100", "AU", DEMO),
    ("0011 1 415 555 0100", "AU", DEMO),
    ("01014155550100", "JP", DEMO),
    # as dialed at home
    ("4155550100", "US", DEMO),
    ("(415) 555-0100", "US", DEMO),
    ("02079460000", "GB", LONDON),
    ("020 7946 0000", "GB", LONDON),
    ("0113 496 0000", "GB", "+441134960000"),  # not 011 and an international number
    ("0612345678", "FR", "+33612345678"),
    ("030 12345678", "DE", "+493012345678"),
    ("0266981234", "IT", "+390266981234"),  # Italy keeps its zero
    ("4155550100", "CA", DEMO),
]

REFUSED: list[tuple[str, str | None, type[Exception]]] = [
    # nothing there
    ("", "US", NumberIncomplete),
    ("sip:", "US", NumberIncomplete),
    ("sip:127.0.0.1:5060", "US", NumberIncomplete),
    ("sip:edge.example", "US", NumberIncomplete),
    ("sip:@edge.example", "US", NumberIncomplete),
    ("tel:", "US", NumberIncomplete),
    ("tel:;phone-context=+1", "US", NumberIncomplete),
    ("+", "US", NumberIncomplete),
    # too few digits
    ("+1415", "US", NumberIncomplete),
    ("sip:+1415@h", "US", NumberIncomplete),
    ("415", "US", NumberIncomplete),
    ("5550100", "US", NumberIncomplete),
    ("00", "US", NumberIncomplete),
    ("011", "US", NumberIncomplete),
    # complete, but not served
    ("911", "US", NumberUnknown),
    ("112", None, NumberUnknown),
    ("999", "GB", NumberUnknown),
    ("sip:411@h", "US", NumberUnknown),
    ("988", "US", NumberUnknown),
    # no number
    ("sip:alice@edge.example", "US", NumberUnknown),
    ("tel:1-800-FLOWERS", "US", NumberUnknown),
    ("+1415555O100", "US", NumberUnknown),
    ("*67", "US", NumberUnknown),
    ("sip:%2367@h", "US", NumberUnknown),
    ("+0123456789", "US", NumberUnknown),
    ("+1415555010012345", "US", NumberUnknown),
    ("1234567890123456789", "US", NumberUnknown),
    ("02079460000", None, NumberUnknown),  # whose trunk prefix?
    ("٠٤١٥٥٥٥٠١٠٠", "US", NumberUnknown),
    ("tel:555;phone-context=+abc", "US", NumberUnknown),
    ("9" * 300, "US", NumberUnknown),
    # other schemes
    ("mailto:a@b", "US", SchemeUnsupported),
    ("http://edge.example/", "US", SchemeUnsupported),
    ("urn:service:sos", "US", SchemeUnsupported),
    ("nobodyKnowsThisScheme:x", "US", SchemeUnsupported),
]


@pytest.mark.parametrize(("dialed", "country", "number"), FORMS)
def test_forms(dialed: str, country: str | None, number: str) -> None:
    assert read_dialed(dialed, country) == number


@pytest.mark.parametrize(("dialed", "country", "error"), REFUSED)
def test_refusals(dialed: str, country: str | None, error: type[Exception]) -> None:
    with pytest.raises(error) as caught:
        read_dialed(dialed, country)
    assert type(caught.value) is error


COUNTRIES = st.sampled_from([None, "US", "GB", "DE", "IT", "AU", "XX", "", "\0"])
DIALED = st.one_of(
    st.text(max_size=80),
    st.text("0123456789+-.()* #;=@:%sipteln ", max_size=60),
    st.builds("{}{}{}".format, st.sampled_from(["sip:", "tel:", "sip:+", ""]), st.text("0123456789", max_size=20),
              st.sampled_from(["", "@h", ";phone-context=+1", ";phone-context=+0", ";npdi@h"])),
)  # fmt: skip


@settings(deadline=None)
@given(DIALED, COUNTRIES)
def test_it_answers_a_number_or_one_of_three_errors(dialed: str, country: str | None) -> None:
    try:
        number = read_dialed(dialed, country)
    except (NumberIncomplete, NumberUnknown, SchemeUnsupported):
        return
    assert E164.fullmatch(number)
    assert read_dialed(number, country) == number
