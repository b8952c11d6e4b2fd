"""The pieces of grammar that several header fields share (RFC 3261 §25.1): tokens, quoted strings, numbers, hosts,
lists, parameters.

Two rules hold for every expression here. Repetitions of a character class are possessive (`++`, `*+`), and what may
follow one begins with none of its characters, so that reading is linear in the length of the text. (Groups are not
possessive: up to Python 3.11.4, and Debian 12 has 3.11.2, one that fails half-way keeps what it had read.) Character
classes are spelled out, because `\\d` and `str.strip` know digits and blanks of other scripts, and SIP does not.

Where we are more liberal than the grammar, and why: a host may contain `_` (container names), a parameter value may be
any run of visible characters without a separator (carriers send `/`, `:` and `==` there), and text beyond ASCII may
stand in a display name without quotes. Separators too many (`;;`) are never forgiven: RFC 4475 §3.1.2.1.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from ipaddress import IPv6Address
from typing import Final

TOKEN: Final = r"[A-Za-z0-9\-.!%*_+`'~]"  # noqa: S105
LWS: Final = r"[ \t]*+"
QUOTED: Final = r'"(?:[^"\\]++|\\.)*"'
HOST: Final = r"(?:[A-Za-z0-9_][A-Za-z0-9_.\-]*+|\[[0-9A-Fa-f:.]++\])"
PORT: Final = r"[0-9]{1,5}+"
# A host and a port as most write them: what matches is right and canonical without a further look.
PLAIN_HOST: Final = r"[a-z0-9_][a-z0-9_.\-]*+"
PLAIN_PORT: Final = r"(?:[1-5][0-9]{0,4}+|[06-9][0-9]{0,3}+)"
VALUE: Final = r'[^\x00-\x20\x7f;,"<>]'  # one character of a parameter value outside quotes

PORT_MAX: Final = 65535
PARAMS_MAX: Final = 64  # parameters of one value; honest ones have fewer than ten

_token = re.compile(rf"{TOKEN}++").fullmatch
_quoted = re.compile(QUOTED, re.DOTALL).fullmatch
_escaped = re.compile(r"\\(.)", re.DOTALL)
_to_escape = re.compile(r'(["\\])')
_param = re.compile(
    rf"{LWS};{LWS}({TOKEN}++)(?:{LWS}={LWS}({QUOTED}|\[[0-9A-Fa-f:.]++\]|{VALUE}++))?{LWS}", re.DOTALL
).match
# One element of a comma-separated list. A quote or a bracket that is never closed runs to the end of the text.
_element = re.compile(r'(?:[^",<]++|"(?:[^"\\]++|\\.)*(?:"|\\?\Z)|<[^>]*+(?:>|\Z))+', re.DOTALL).finditer


class Unreadable(ValueError):
    """A text that does not follow the grammar. The message says what was expected, and is safe to show to the
    sender."""


def is_token(text: str) -> bool:
    return _token(text) is not None


def quote(text: str) -> str:
    """`text` as a quoted-string."""
    if '"' in text or "\\" in text:
        text = _to_escape.sub(r"\\\1", text)
    return f'"{text}"'


def unquote(text: str) -> str:
    """What a quoted-string says; any other text is returned as it is."""
    if _quoted(text) is None:
        return text
    return _escaped.sub(r"\1", text[1:-1]) if "\\" in text else text[1:-1]


def number(text: str, below: int) -> int:
    """A decimal number less than `below`, leading zeros allowed (RFC 4475 §3.1.1.1). Raises `Unreadable`."""
    if not (text.isascii() and text.isdigit()):
        raise Unreadable("not a number")
    digits = text.lstrip("0") or "0"
    if len(digits) > 19 or int(digits) >= below:
        raise Unreadable("number out of range")
    return int(digits)


def read_host(text: str) -> str:
    """A host as it stands in a URI or Via, in lower case and without brackets. Raises `Unreadable` for a wrong IPv6
    address."""
    if text[0] != "[":
        return text.lower()
    address = text[1:-1].lower()
    if not _is_ipv6(address):
        raise Unreadable("not an IPv6 address")
    return address


def print_host(host: str) -> str:
    """The reverse: an IPv6 address gets its brackets back (RFC 5118 §4.1)."""
    return f"[{host}]" if ":" in host else host


def read_port(text: str | None) -> int | None:
    return None if text is None else number(text, PORT_MAX + 1)


_new = object.__new__


@lru_cache(maxsize=1024)
def _is_ipv6(text: str) -> bool:
    try:
        IPv6Address(text)
    except ValueError:
        return False
    return True


def split_list(text: str) -> list[str]:
    """The elements of a comma-separated list; commas in quotes and in <> do not count. Empty elements are left out."""
    parts = text.split(",") if '"' not in text and "<" not in text else [m.group() for m in _element(text)]
    return [part for part in (part.strip(" \t") for part in parts) if part]


class Params(Mapping[str, str | None]):
    """Parameters behind a `;`: names in lower case, values as written (quotes included), None where there is no `=`."""

    __slots__ = ("_items",)

    def __init__(self, items: Mapping[str, str | None] | None = None) -> None:
        self._items: Mapping[str, str | None] = {} if items is None else dict(items)

    @classmethod
    def parse(cls, text: str) -> Params:
        """Reads `;a;b=c;d="e"`, blanks around separators allowed. Raises `Unreadable`."""
        if not text:
            return NO_PARAMS
        found: dict[str, str | None] = {}
        at = 0
        while at < len(text):
            match = _param(text, at)
            if match is None:
                raise Unreadable("wrong parameters")
            name = match[1].lower()
            if name in found:  # §7.3.1: any given parameter name must not appear more than once
                raise Unreadable("a parameter stands twice")
            if len(found) == PARAMS_MAX:
                raise Unreadable("too many parameters")
            found[name] = match[2]
            at = match.end()
        return cls(found)

    def text(self, name: str) -> str | None:
        """The value without its quotes."""
        value = self._items.get(name)
        return None if value is None else unquote(value)

    def with_(self, name: str, value: str | None) -> Params:
        """A copy in which `name` is set."""
        return Params({**self._items, name: value})

    def __getitem__(self, name: str) -> str | None:
        return self._items[name]

    def __contains__(self, name: object) -> bool:
        return name in self._items

    def __iter__(self) -> Iterator[str]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)

    def __bool__(self) -> bool:
        return bool(self._items)

    def __hash__(self) -> int:
        return hash(frozenset(self._items.items()))

    def __str__(self) -> str:
        return "".join(f";{name}" if value is None else f";{name}={value}" for name, value in self._items.items())

    def __repr__(self) -> str:
        return f"Params({self._items!r})"


NO_PARAMS: Final = Params()


def one_param(name: str, value: str | None) -> Params:
    """The one parameter `name`, in lower case."""
    params: Params = _new(Params)
    params._items = {name: value}
    return params


def simple_params(text: str) -> Params:
    """As `Params.parse`, for a text already known to be `;name=value` without quotes and blanks."""
    if not text:
        return NO_PARAMS
    found: dict[str, str | None] = {}
    count = 0
    for part in text[1:].split(";"):
        name, equals, value = part.partition("=")
        found[name.lower()] = value if equals else None
        count += 1
    if len(found) != count:
        raise Unreadable("a parameter stands twice")
    if count > PARAMS_MAX:
        raise Unreadable("too many parameters")
    params: Params = _new(Params)
    params._items = found
    return params
