"""Where an account may call: at home, where its list says, and nowhere that costs extra unless it is meant."""

from __future__ import annotations

import pytest

from edge.accounts.allowance import country_of, refusal

HOME = "+14155550100"


@pytest.mark.parametrize("number", ["+14155550177", "+12125550177", "+18005550177"])
def test_without_a_list_the_home_country_may_be_called(number: str) -> None:
    assert refusal(number, (), HOME) is None


@pytest.mark.parametrize(
    "number",
    [
        "+442079460000",
        "+8816123456",  # a satellite
        "+18765550100",  # Jamaica shares +1
        "+14165550100",  # and so does Canada
        "+899123456789",
        "+187655501009",  # Jamaica, and a digit that its switch drops
        "+101144207946000",  # no number, but some switch might read 011 44 …
        "+1876555",
    ],
)
def test_nor_abroad_whatever_the_country_code(number: str) -> None:
    assert refusal(number, (), HOME) == f"{number} is abroad or no number, and this account has no destinations listed"


@pytest.mark.parametrize("number", ["+490001876555123", "+49001876555123"])
def test_nor_what_only_looks_like_home(number: str) -> None:
    assert refusal(number, (), "+4930123456") is not None


def test_a_number_at_home_that_the_plan_does_not_have_yet_may_be_called() -> None:
    assert refusal("+442199460000", (), "+442079460000") is None


@pytest.mark.parametrize(
    ("number", "home"),
    [
        ("+19005550177", HOME),
        ("+190055501779", HOME),  # digits behind its end
        ("+449098790000", "+442079460000"),
        ("+44909879000099", "+442079460000"),
        ("+448715550000", "+442079460000"),
        ("+447009876543", "+442079460000"),
        ("+447640123456", "+442079460000"),
    ],
)
def test_nor_what_costs_extra(number: str, home: str) -> None:
    assert refusal(number, (), home) == f"{number} costs extra, and this account has no destinations listed"


def test_who_has_no_number_has_no_home() -> None:
    assert refusal("+14155550177", (), "") is not None


@pytest.mark.parametrize(("number", "allowed"), [("+442079460000", True), ("+4930123456", False), (HOME, False)])
def test_with_a_list_what_it_names_may_be_called_and_nothing_else(number: str, allowed: bool) -> None:
    assert (refusal(number, ("+44",), HOME) is None) == allowed


@pytest.mark.parametrize(
    ("listed", "allowed"), [(("+1", "+44"), False), (("+4490",), True), (("+44", "+449098"), True), (("+",), False)]
)
def test_what_costs_extra_needs_more_than_its_country(listed: tuple[str, ...], allowed: bool) -> None:
    assert (refusal("+449098790000", listed, HOME) is None) == allowed
    assert (refusal("+44909879000099", listed, HOME) is None) == allowed


@pytest.mark.parametrize(
    ("number", "country"),
    [
        ("+14155550100", "US"),
        ("+18765550100", "JM"),
        ("+442079460000", "GB"),
        ("+899123456789", None),
        ("nobody", None),
    ],
)
def test_the_country_of_a_number(number: str, country: str | None) -> None:
    assert country_of(number) == country
