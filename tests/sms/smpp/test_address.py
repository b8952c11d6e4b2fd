from __future__ import annotations

import pytest

from edge.sms.smpp import address
from edge.sms.smpp.pdu import Address


@pytest.mark.parametrize(
    ("found", "number"),
    [
        (Address("14155550100", 1, 1), "+14155550100"),
        (Address("+14155550100", 1, 1), "+14155550100"),
        (Address("0014155550100", 1, 1), "+14155550100"),
        (Address(" 14155550100 ", 1, 0), "+14155550100"),
        (Address("02079460000", 1, 1), "02079460000"),
        (Address("4155550100", 2, 1), "4155550100"),
        (Address("14155550100", 0, 0), "14155550100"),
        (Address("+14155550100", 0, 1), "+14155550100"),
        (Address("12345", 3), "12345"),
        (Address("Bank", 5), "Bank"),
        (Address("Bank", 1, 1), "Bank"),
        (Address("1²", 1, 1), "1²"),
        (Address("", 1, 1), ""),
    ],
)
def test_what_came_is_read(found: Address, number: str) -> None:
    assert address.read(found) == number


@pytest.mark.parametrize(
    ("number", "written"),
    [
        ("+14155550100", Address("14155550100", 1, 1)),
        ("4155550100", Address("4155550100", 2, 1)),
        ("12345", Address("12345", 3, 0)),
        ("Bank", Address("Bank", 5, 0)),
        ("+1x", Address("+1x", 5, 0)),
    ],
)
def test_what_goes_out_has_the_type_that_fits(number: str, written: Address) -> None:
    assert address.write(number) == written


def test_a_carrier_may_want_it_otherwise() -> None:
    assert address.write("+14155550100", ton=0, npi=0, plus=True) == Address("+14155550100", 0, 0)
    assert address.write("12345", ton=6) == Address("12345", 6, 0)
