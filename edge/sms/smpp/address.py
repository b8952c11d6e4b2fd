"""Numbers as they stand in a PDU, with their type (§5.2.5) and plan (§5.2.6), and as everybody else writes them.

    international    +14155550100 ⇄ 14155550100, ton 1, npi 1
    national         4155550100, ton 2, npi 1
    short code       12345, ton 3, npi 0
    name             Bank, ton 5, npi 0

Of what comes in only international numbers are made E.164 here; the others are read by the country of the carrier.
"""

from __future__ import annotations

import re
from typing import Final

from edge.sms.smpp.pdu import Address

UNKNOWN, INTERNATIONAL, NATIONAL, NETWORK, SUBSCRIBER, ALPHANUMERIC, ABBREVIATED = range(7)
E164_PLAN: Final = 1
SHORT: Final = 8  # digits of the longest short code

_DIGITS = re.compile(r"[0-9]+")


def read(address: Address) -> str:
    """The number, or whatever else it is."""
    text = address.digits.strip()
    if address.ton != INTERNATIONAL:
        return text
    digits = text.removeprefix("+").removeprefix("00")
    if not digits.isdecimal() or digits.startswith("0"):
        return text  # no country's code begins with 0: it says more than it is
    return f"+{digits}"


def write(number: str, *, ton: int | None = None, npi: int | None = None, plus: bool = False) -> Address:
    """The address of a number. `ton` and `npi` are what the carrier wants instead of what fits best."""
    digits = number.removeprefix("+")
    if not _DIGITS.fullmatch(digits):
        kind, plan, digits = ALPHANUMERIC, 0, number
    elif digits != number:
        kind, plan = INTERNATIONAL, E164_PLAN
    elif len(digits) <= SHORT:
        kind, plan = NETWORK, 0
    else:
        kind, plan = NATIONAL, E164_PLAN
    return Address(number if plus else digits, kind if ton is None else ton, plan if npi is None else npi)
