"""Numbers, SIP URIs, email addresses and URLs as options carry them: a text, or the platform's address object.

    "+14155550100"   "tel:+14155550100"   "sip:desk@pbx.example.com"
    {"type": "tel", "target": "+14155550100"}   {"type": "sip", "target": "desk@pbx.example.com"}
    "ann@example.com"   {"type": "email", "target": "ann@example.com", "target_name": "Ann"}

A URI goes into a header of a message that we send, and parts of it may come from a caller. So it is taken apart and
checked against the characters of RFC 3261 §25.1: nothing can close the angle brackets around it, begin a new header or
smuggle headers into the next request. An email address goes into a command and a header, and is checked as strictly:
RFC 5321 §4.1.2 without what is quoted. The other keys of an address object (name, detail, and target_name but for
emails) are taken and not used.
"""

from __future__ import annotations

import re
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from typing import Annotated, Any, Final, NamedTuple

from pydantic import AfterValidator, BeforeValidator, Field

from edge.errors import Invalid
from edge.flows import limits
from edge.http import read_url

KEYS: Final = ("type", "target", "target_name", "name", "detail")

E164: Final = re.compile(r"\+[1-9][0-9]{6,14}")
SEPARATORS: Final = str.maketrans("", "", " -.()")  # RFC 3966 §5.1.1, and the blank that people write

_ESCAPED = r"%[0-9A-Fa-f]{2}"
_UNRESERVED = r"A-Za-z0-9\-_.!~*'()"
_USER: Final = re.compile(rf"(?:[{_UNRESERVED}&=+$,;?/]|{_ESCAPED})+")
_PASSWORD: Final = re.compile(rf"(?:[{_UNRESERVED}&=+$,]|{_ESCAPED})*")
_PARAMETERS: Final = re.compile(
    rf"(?:;(?:[{_UNRESERVED}\[\]/:&+$]|{_ESCAPED})+(?:=(?:[{_UNRESERVED}\[\]/:&+$]|{_ESCAPED})+)?)*"
)
_HOST: Final = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.\-]+)(?::(?P<port>[0-9]{1,5}))?")
_LABEL: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9\-]{0,61}[A-Za-z0-9])?")
_ATOM: Final = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~\-]+"
_LOCAL_PART: Final = re.compile(rf"(?=.{{1,64}}\Z){_ATOM}(?:\.{_ATOM})*")
_TEL: Final = re.compile(rf"(?P<number>\+?[0-9A-Fa-f*#]+)(?P<parameters>{_PARAMETERS.pattern})")


def read_number(value: Any) -> str:
    """A telephone number as E.164. Raises ValueError with a sentence that says what is wrong."""
    kind, target = _parts(value)
    if kind == "sip":
        raise ValueError("needs a telephone number, not a SIP address")
    number = target.removeprefix("tel:").translate(SEPARATORS)
    if not E164.fullmatch(number):
        raise ValueError(f"needs a number like +14155550100, not {_shown(target)}")
    return number


def read_uri(value: Any) -> str:
    """A URI that a call can be sent to. Raises ValueError with a sentence that says what is wrong."""
    kind, target = _parts(value)
    scheme, colon, rest = target.partition(":")
    if kind == "sip" and not (colon and scheme.lower() in ("sip", "sips")):
        scheme, rest = "sip", target
    elif kind == "tel" and not (colon and scheme.lower() == "tel"):
        scheme, rest = "tel", target
    scheme = scheme.lower()
    if scheme in ("sip", "sips"):
        return f"{scheme}:{_checked_sip(rest, target)}"
    if scheme == "tel":
        return f"tel:{_checked_tel(rest, target)}"
    raise ValueError(f"needs a sip:, sips: or tel: URI, not {_shown(target)}")


class Mailbox(NamedTuple):
    """Where an email goes."""

    address: str
    name: str  # of whom it is; "" when nobody said


def read_mailbox(value: Any) -> Mailbox:
    """An email address. Raises ValueError with a sentence that says what is wrong."""
    name = ""
    if isinstance(value, dict) and value.get("type") == "email":
        _parts({**value, "type": "tel"})
        name = " ".join("".join(filter(str.isprintable, (value.get("target_name") or "").replace("\n", " "))).split())
        value = value.get("target") or ""
    elif not isinstance(value, str):
        raise ValueError("needs an email address, or an address object of type email")
    address = value.strip()
    local, _, host = address.rpartition("@")
    if not _LOCAL_PART.fullmatch(local) or not _is_host(host) or host.startswith("["):
        raise ValueError(f"not an email address: {_shown(address)}")
    return Mailbox(address, name)


def check_url(text: str) -> str:
    """An http or https URL, as it is. Raises ValueError with a sentence that says what is wrong."""
    try:
        read_url(text)
    except Invalid as error:
        raise ValueError(error.message) from None
    return text


def _parts(value: Any) -> tuple[str, str]:
    """(tel, sip or "" where the target itself says it, the target)."""
    if isinstance(value, str):
        return ("tel" if value.strip().startswith("+") else "", value.strip())
    if not isinstance(value, dict):
        raise ValueError("needs a text or an address object with type and target")
    for key, item in value.items():
        if key not in KEYS:
            raise ValueError(f"an address has no key {str(key)[:40]!r}; it has {', '.join(KEYS)}")
        if item is not None and not isinstance(item, str):
            raise ValueError(f"the {key} of an address must be a text")
    kind, target = value.get("type") or "", (value.get("target") or "").strip()
    if kind not in ("tel", "sip"):
        raise ValueError(f"an address of type {_shown(kind)} is not available here; tel and sip are")
    return kind, target


def _checked_sip(rest: str, target: str) -> str:
    """`user:password@host:port;parameters`, RFC 3261 §19.1.1. Headers (after a ?) are refused."""
    before, at, after = rest.rpartition("@")
    user, _, password = before.partition(":")
    if at and not (_USER.fullmatch(user) and _PASSWORD.fullmatch(password)):
        raise ValueError(f"not a SIP URI: {_shown(target)}")
    found = _HOST.match(after)
    if found is None or not _is_host(found["host"]) or not 0 < int(found["port"] or 5060) < 65536:
        raise ValueError(f"not the host of a SIP URI: {_shown(target)}")
    if after[found.end() :].partition(";")[0].startswith("?") or "?" in after:
        raise ValueError(f"a SIP URI with headers is not available here: {_shown(target)}")
    if not _PARAMETERS.fullmatch(after, found.end()):
        raise ValueError(f"not a SIP URI: {_shown(target)}")
    return rest


def _checked_tel(rest: str, target: str) -> str:
    """RFC 3966 §3: a global number, or a local one with its context."""
    number, semicolon, parameters = rest.partition(";")
    bare = number.translate(SEPARATORS) + semicolon + parameters
    found = _TEL.fullmatch(bare)
    if found is None:
        raise ValueError(f"not a telephone number: {_shown(target)}")
    if found["number"].startswith("+"):
        if not E164.fullmatch(found["number"]):
            raise ValueError(f"not a telephone number: {_shown(target)}")
    elif ";phone-context=" not in found["parameters"].lower():  # RFC 3966 §5.1.5
        raise ValueError(f"a number without + needs a phone-context: {_shown(target)}")
    return bare


def _is_host(text: str) -> bool:
    try:
        if text.startswith("["):
            IPv6Address(text[1:-1])
            return True
        if re.fullmatch(r"[\d.]+", text):
            IPv4Address(text)
            return True
    except AddressValueError:
        return False
    return len(text) <= 253 and all(_LABEL.fullmatch(label) for label in text.removesuffix(".").split("."))


def _shown(text: str) -> str:
    return repr(text if len(text) <= 60 else text[:60] + "…")


Number = Annotated[str, BeforeValidator(read_number, json_schema_input_type=str | dict[str, str])]
Uri = Annotated[str, BeforeValidator(read_uri, json_schema_input_type=str | dict[str, str])]
MailboxOption = Annotated[Mailbox, BeforeValidator(read_mailbox, json_schema_input_type=str | dict[str, str])]
WebUrl = Annotated[str, Field(max_length=limits.SOURCE_CHARACTERS), AfterValidator(check_url)]
