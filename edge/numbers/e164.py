"""From what was dialed to an E.164 number.

Carriers write the called number in many ways: with and without the plus, with `00` or `011` before it, as one dials
at home, as `tel:` or `sip:` URI, with separators for the eye and with parameters. What is looked up is always the
number itself; the parameters of number portability and routing (`npdi`, `rn`, `cic`, RFC 4694), `ext` and `isub` (RFC
3966 §5.3) are read off and left aside.

Digits that could be more than one thing are tried in this order; the first that exists in some numbering plan wins, and
if none does, the first that has a possible length:

1. as dialed in the default country (or the one `phone-context` names), its own international and trunk prefixes
included; 2. after `00`, or `011` where the country is in North America or unknown: an international number; 3. an
international number whose plus was left out.

What is refused, and how it is told to the caller:

- nothing there, or too few digits to be a number: `NumberIncomplete` (484), so that who dials digit by digit goes on;
- an emergency or other short code of the country: `NumberUnknown` (404): it is complete, and we do not serve it;
- letters, `*`, `#`, too many digits: `NumberUnknown` (404);
- a URI of another scheme: `SchemeUnsupported` (416).

Whether a number exists is not asked: test numbers and virtual (+899) numbers do not, for the tables of `phonenumbers`.
"""

from __future__ import annotations

import re
from functools import lru_cache
from urllib.parse import unquote

import phonenumbers
from phonenumbers import CountryCodeSource, NumberParseException, PhoneNumber, PhoneNumberFormat, ValidationResult

from edge.errors import NumberIncomplete, NumberUnknown, SchemeUnsupported
from edge.numbers.number import E164

REMEMBERED = 16_384  # dialed forms; more than the numbers in use, and bounded against whoever dials at random
LENGTH_MAX = 256  # of what was dialed; nothing longer is a number
DIGITS_MIN, DIGITS_MAX = 7, 15

_PLAIN = re.compile(r"(?:(?i:sips?|tel):)?(\+[1-9][0-9]{6,14})(?:[@;]|\Z)")  # nearly all that carriers send
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):")
_BARE_HOST_NUMBER = re.compile(r"\+?[0-9]{3,}")  # "sip:14155550100": no host looks like this
_VIRTUAL_DIGITS = re.compile(r"899[0-9]{9}")
_SEPARATORS = str.maketrans("", "", " -.()/\t\u00a0")  # RFC 3966 §5.1.1, and what people type besides


@lru_cache(maxsize=REMEMBERED)
def read_dialed(dialed: str, default_country: str | None) -> str:
    """The E.164 number, with its plus, in a number or a `tel:`, `sip:` or `sips:` URI.

    `default_country` is the ISO code that forms without a country are read by. Raises NumberIncomplete, NumberUnknown,
    SchemeUnsupported; nothing else.
    """
    plain = _PLAIN.match(dialed)
    if plain is not None:
        return plain[1]
    if len(dialed) > LENGTH_MAX:
        raise NumberUnknown("what was dialed is too long to be a number")
    user, context = _user_of(dialed.strip())
    if user.startswith("+"):
        return _global(user)
    digits = user.translate(_SEPARATORS)
    if not digits:
        raise NumberIncomplete("nothing was dialed")
    if not (digits.isascii() and digits.isdigit()):
        raise NumberUnknown("what was dialed is not a number")
    if context.startswith("+"):
        return _in_context(digits, context)
    return _local(digits, default_country.upper() if default_country else None)


def user_of(dialed: str) -> str:
    """The digits as they were dialed, in a number or a URI, without separators; empty for what is too long. Raises
    NumberIncomplete, SchemeUnsupported."""
    return _user_of(dialed.strip())[0].translate(_SEPARATORS) if len(dialed) <= LENGTH_MAX else ""


def _user_of(dialed: str) -> tuple[str, str]:
    """What was dialed without scheme, host, password and parameters, and its `phone-context` (RFC 3966 §5.1.5)."""
    scheme = _SCHEME.match(dialed)
    text = dialed
    if scheme is not None:
        name = scheme[1].lower()
        if name not in ("sip", "sips", "tel"):
            raise SchemeUnsupported(f"{name[:16]}: URIs are not served")
        text = dialed[scheme.end() :]
        if name != "tel" and "@" not in text and not _BARE_HOST_NUMBER.fullmatch(text.partition(";")[0]):
            raise NumberIncomplete("the URI has no user part")
    user, *parameters = text.partition("@")[0].split(";")  # RFC 3261 §19.1.6: tel's parameters are in the user part
    context = ""
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if unquote(name).strip().lower() == "phone-context":
            context = unquote(value).translate(_SEPARATORS)
    return unquote(user.partition(":")[0]).strip(), context


def _global(user: str) -> str:
    number = user.replace("(0)", "").translate(_SEPARATORS)  # "+44 (0)20 …" is not dialed, but written
    if E164.fullmatch(number):
        return number
    digits = number[1:]
    if (not digits or (digits.isascii() and digits.isdigit() and digits[0] != "0")) and len(digits) < DIGITS_MIN:
        raise NumberIncomplete("the number is too short")
    raise NumberUnknown("what was dialed is not a number")


def _in_context(digits: str, context: str) -> str:
    """A local number and the global prefix it belongs to: a country, or a part of one."""
    prefix = context[1:]
    if not (prefix.isascii() and prefix.isdigit()):
        raise NumberUnknown("the phone-context is neither a number nor a domain")
    if len(prefix) <= 3:
        region = phonenumbers.region_code_for_country_code(int(prefix))
        if region != phonenumbers.UNKNOWN_REGION:
            return _local(digits, region)
    return _global(context + digits)


def _local(digits: str, country: str | None) -> str:
    readings = [number for number in (_dialed_at_home(digits, country), _international(digits, country)) if number]
    for number in readings:
        if phonenumbers.is_valid_number(number):
            return _text(number)
    verdict = ValidationResult.INVALID_LENGTH
    for number in readings:
        verdict = phonenumbers.is_possible_number_with_reason(number)
        if verdict == ValidationResult.IS_POSSIBLE:
            return _text(number)
        if verdict in (ValidationResult.TOO_SHORT, ValidationResult.IS_POSSIBLE_LOCAL_ONLY):
            break
    if _VIRTUAL_DIGITS.fullmatch(digits):
        return f"+{digits}"
    short = len(digits) < DIGITS_MIN or verdict in (
        ValidationResult.TOO_SHORT,
        ValidationResult.IS_POSSIBLE_LOCAL_ONLY,
    )
    if short and not _is_short_code(digits, country):
        raise NumberIncomplete("the number is too short")
    raise NumberUnknown("what was dialed is not a number")


def _dialed_at_home(digits: str, country: str | None) -> PhoneNumber | None:
    return _parsed(digits, country) if country else None


def _international(digits: str, country: str | None) -> PhoneNumber | None:
    home = _dialed_at_home(digits, country)
    if home is not None and home.country_code_source == CountryCodeSource.FROM_NUMBER_WITH_IDD:
        return None  # the country's own prefix was dialed: there is one reading only
    if digits.startswith("00"):
        return _parsed(f"+{digits[2:]}", None)
    if digits.startswith("011") and (not country or phonenumbers.country_code_for_region(country) in (0, 1)):
        return _parsed(f"+{digits[3:]}", None)
    return _parsed(f"+{digits}", None) if digits[0] != "0" else None


def _parsed(text: str, country: str | None) -> PhoneNumber | None:
    if len(text) > DIGITS_MAX + 6:  # a longest number after a longest prefix
        return None
    try:
        return phonenumbers.parse(text, country, keep_raw_input=True)
    except NumberParseException:
        return None


def _text(number: PhoneNumber) -> str:
    text = phonenumbers.format_number(number, PhoneNumberFormat.E164)
    if E164.fullmatch(text):
        return text
    raise NumberUnknown("what was dialed is not a number")


def _is_short_code(digits: str, country: str | None) -> bool:
    """112, 911, and what else is a complete number of few digits in that country."""
    if digits in ("112", "911"):
        return True
    number = _parsed(digits, country) if country else None
    if number is None or country is None:
        return False
    return phonenumbers.is_emergency_number(digits, country) or phonenumbers.is_valid_short_number_for_region(
        number, country
    )
