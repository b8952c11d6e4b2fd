"""Where an account may call: against those who would call the world at its cost.

An account lists prefixes of E.164 numbers. Without a list it may call its home country, which is that of the number of
its own that is at work; of the countries that share a country code (all of North America has +1) only that one, as far
as the numbering plan tells them apart. Numbers that cost extra are never meant by that, nor by a prefix that is only a
country code: they need a longer one.

A number is judged as the network reads it: digits behind the end of a complete one are dropped, so they make a costly
number no cheaper. What no number of the home country can look like, by its length or by a zero in front, is not at
home: a switch would take some of these for an international call.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import phonenumbers
from phonenumbers import NumberParseException, PhoneNumber, PhoneNumberType

COSTLY = frozenset(
    {
        PhoneNumberType.PREMIUM_RATE,
        PhoneNumberType.SHARED_COST,
        PhoneNumberType.PERSONAL_NUMBER,  # 070 in Britain: looks like a mobile, and pays who has it
        PhoneNumberType.PAGER,  # 076 there
    }
)
REMEMBERED = 4096


def refusal(number: str, listed: Sequence[str], home: str) -> str | None:
    """Why an account with this list must not call an E.164 number; None: it may. `home` is its own number at work."""
    if listed:
        matching = [prefix for prefix in listed if number.startswith(prefix)]
        if not matching:
            return f"{number} is not among the destinations of this account"
        if _is_costly(number) and max(map(len, matching)) <= len(f"+{_country_code(number)}"):
            return f"{number} costs extra, and the destinations of this account do not name it"
        return None
    if _is_costly(number):
        return f"{number} costs extra, and this account has no destinations listed"
    if _is_near(number, home):
        return None
    return f"{number} is abroad or no number, and this account has no destinations listed"


def country_of(number: str) -> str | None:
    """The ISO code of the country of an E.164 number, the main one of those that share its country code where the
    numbering plan does not tell; None when there is none."""
    parsed = _parsed(number)
    if parsed is None:
        return None
    region = _region(number)
    if region is None and parsed.country_code:
        region = phonenumbers.region_code_for_country_code(parsed.country_code)
    return None if region in (None, phonenumbers.UNKNOWN_REGION, "001") else region


@lru_cache(maxsize=REMEMBERED)
def _parsed(number: str) -> PhoneNumber | None:
    """Without the digits behind the end of a complete number."""
    try:
        parsed = phonenumbers.parse(number)
    except NumberParseException:
        return None
    phonenumbers.truncate_too_long_number(parsed)
    return parsed


@lru_cache(maxsize=REMEMBERED)
def _region(number: str) -> str | None:
    """Of those that share its country code the one whose number it is. (Of +1 there are 25 to be tried: 0.3 ms.)"""
    parsed = _parsed(number)
    return None if parsed is None else phonenumbers.region_code_for_number(parsed)


def _country_code(number: str) -> int | None:
    parsed = _parsed(number)
    return parsed.country_code if parsed is not None else None


@lru_cache(maxsize=REMEMBERED)
def _is_costly(number: str) -> bool:
    parsed = _parsed(number)
    return parsed is not None and phonenumbers.number_type(parsed) in COSTLY


def _is_near(number: str, home: str) -> bool:
    one, other = _parsed(number), _parsed(home)
    if one is None or other is None or one.country_code != other.country_code:
        return False
    there, here = _region(number), _region(home)
    return _is_plausible(number) and (there is None or here is None or there == here)


@lru_cache(maxsize=REMEMBERED)
def _is_plausible(number: str) -> bool:
    """Whether the plan has it, or could have it next year."""
    parsed = _parsed(number)
    if parsed is None or phonenumbers.is_valid_number(parsed):
        return parsed is not None
    return phonenumbers.is_possible_number(parsed) and not parsed.italian_leading_zero
