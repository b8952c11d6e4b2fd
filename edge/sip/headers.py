"""Header fields as they came: names made canonical, values raw (unfolded, stripped), nothing interpreted.

Names are case-insensitive and have compact forms (RFC 3261 §7.3.3); both end in one canonical key, the full name in
lower case. Spellings are remembered in a table, for the same few come in every message; the table is bounded, since the
other side chooses what it is asked for. Order is kept among fields of one name, where alone it means something
(§7.3.1).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final

from edge.sip.grammar import LWS, TOKEN, Params, Unreadable, is_token, split_list

COMPACT: Final = {  # the registry of IANA, "SIP Header Fields"
    "a": "accept-contact",
    "b": "referred-by",
    "c": "content-type",
    "d": "request-disposition",
    "e": "content-encoding",
    "f": "from",
    "i": "call-id",
    "j": "reject-contact",
    "k": "supported",
    "l": "content-length",
    "m": "contact",
    "n": "identity-info",
    "o": "event",
    "r": "refer-to",
    "s": "subject",
    "t": "to",
    "u": "allow-events",
    "v": "via",
    "x": "session-expires",
    "y": "identity",
}

_SPELLED: Final = """
    Accept Accept-Contact Accept-Encoding Accept-Language Alert-Info Allow Allow-Events Authorization Call-ID
    Call-Info Contact Content-Disposition Content-Encoding Content-Language Content-Length Content-Type CSeq
    Date Diversion Error-Info Event Expires From History-Info Identity Identity-Info In-Reply-To Info-Package
    Join Max-Forwards MIME-Version Min-Expires Min-SE Organization P-Access-Network-Info P-Asserted-Identity
    P-Charging-Vector P-Early-Media P-Preferred-Identity Path Priority Privacy Proxy-Authenticate
    Proxy-Authorization Proxy-Require RAck Reason Record-Route Recv-Info Refer-Sub Refer-To Referred-By
    Reject-Contact Remote-Party-ID Replaces Reply-To Request-Disposition Require Retry-After Route RSeq Server
    Service-Route Session-Expires Session-ID SIP-ETag SIP-If-Match Subject Subscription-State Supported
    Target-Dialog Timestamp To Unsupported User-Agent User-to-User Via Warning WWW-Authenticate
"""

NAMES_MAX: Final = 1024  # spellings remembered, the known ones included
NAME_MAX: Final = 64  # characters of a spelling that is remembered

_media_type = re.compile(rf"({TOKEN}++){LWS}/{LWS}({TOKEN}++){LWS}(.*)", re.DOTALL).fullmatch


class _Names(dict[str, str]):
    """Spelling on the wire → canonical name. Raises `Unreadable` for what is no token."""

    def __missing__(self, spelling: str) -> str:
        name = spelling.rstrip(" \t")  # §25.1, HCOLON: blanks may stand before the colon
        if not is_token(name):
            raise Unreadable("wrong header name")
        name = name.lower()
        name = COMPACT.get(name, name)
        if len(self) < NAMES_MAX and len(spelling) <= NAME_MAX:
            self[spelling] = name
        return name


NAMES: Final = _Names()
for _name in _SPELLED.split():
    NAMES[_name] = NAMES[_name.lower()] = NAMES[_name.upper()] = _name.lower()
for _name, _full in COMPACT.items():
    NAMES[_name] = NAMES[_name.upper()] = _full

_SHOWN: Final = {name.lower(): name for name in _SPELLED.split()}


def shown(name: str) -> str:
    """A canonical name as people write it: `call-id` → `Call-ID`."""
    return _SHOWN.get(name) or "-".join(word.capitalize() for word in name.split("-"))


class Headers:
    """The fields of one message. Reads are by canonical name; any other spelling works too, more slowly."""

    __slots__ = ("first", "more")

    first: dict[str, str]  # the first value of each name
    more: dict[str, list[str]]  # all values, of those names that came more than once

    def __init__(self, fields: Iterable[tuple[str, str]] = ()) -> None:
        """Raises `Unreadable` for a name that is no token."""
        self.first = {}
        self.more = {}
        for name, value in fields:
            self._add(NAMES[name], value.strip(" \t"))

    def _add(self, name: str, value: str) -> None:
        if name not in self.first:
            self.first[name] = value
        elif name in self.more:
            self.more[name].append(value)
        else:
            self.more[name] = [self.first[name], value]

    @classmethod
    def read(cls, lines: list[str]) -> Headers:
        """Reads unfolded header lines. Raises `Unreadable`."""
        headers = cls()
        headers.more = {}
        headers.first = first = {}
        names = NAMES
        try:  # nearly every message: a blank behind each colon, no empty value
            for line in lines:
                name, colon, value = line.partition(": ")
                name = names[name]
                if name in first:
                    if not colon:
                        raise Unreadable("header line without a colon")
                    headers._add(name, value.strip(" \t"))
                else:
                    first[name] = value.strip(" \t")
        except Unreadable:
            headers._read_each(lines)
        else:
            if "" in first.values():  # empty, or a line without a colon
                headers._read_each(lines)
        return headers

    def _read_each(self, lines: list[str]) -> None:
        self.first, self.more = {}, {}
        for line in lines:
            name, colon, value = line.partition(":")
            if not colon:
                raise Unreadable("header line without a colon")
            self._add(NAMES[name], value.strip(" \t"))

    @classmethod
    def salvage(cls, lines: list[str]) -> Headers:
        """As `read`, leaving out what is no header line."""
        headers = cls()
        for line in lines:
            name, colon, value = line.partition(":")
            if colon and is_token(name.rstrip(" \t")):
                headers._add(NAMES[name], value.strip(" \t"))
        return headers

    def with_first(self, name: str, value: str) -> Headers:
        """A copy in which the first field of a canonical name has another value."""
        headers = Headers()
        headers.first = {**self.first, name: value}
        headers.more = dict(self.more)
        if name in self.more:
            headers.more[name] = [value, *self.more[name][1:]]
        return headers

    def get(self, name: str) -> str | None:
        """The first raw value."""
        value = self.first.get(name)
        return self.first.get(_canonical(name)) if value is None else value

    def all(self, name: str) -> list[str]:
        """One raw value for each header line of that name."""
        name = _canonical(name)
        if name in self.more:
            return list(self.more[name])
        return [self.first[name]] if name in self.first else []

    def values(self, name: str) -> list[str]:
        """The elements of a comma-separated list, over all lines of that name; quotes and <> are respected."""
        return [element for line in self.all(name) for element in split_list(line)]

    def __contains__(self, name: object) -> bool:
        return name in self.first or (isinstance(name, str) and _canonical(name) in self.first)

    def __iter__(self) -> Iterator[tuple[str, str]]:
        """Canonical name and raw value of every line; lines of one name stand together."""
        for name, value in self.first.items():
            if name in self.more:
                for each in self.more[name]:
                    yield name, each
            else:
                yield name, value

    def __len__(self) -> int:
        return len(self.first) + sum(len(values) - 1 for values in self.more.values())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Headers) and self.first == other.first and self.more == other.more

    __hash__ = None  # type: ignore[assignment]  # looked things up in, never looked up

    def __str__(self) -> str:
        return "".join(f"{shown(name)}: {value}\r\n" for name, value in self)

    def __repr__(self) -> str:
        return f"Headers({list(self)!r})"


def _canonical(name: str) -> str:
    known = NAMES.get(name)
    if known is not None:
        return known
    name = name.lower()
    return COMPACT.get(name, name)


def media_type(text: str) -> tuple[str, Params]:
    """`Application/SDP; charset=x` → `("application/sdp", Params({"charset": "x"}))`. Raises `Unreadable`."""
    match = _media_type(text)
    if match is None:
        raise Unreadable("not a media type")
    return f"{match[1]}/{match[2]}".lower(), Params.parse(match[3])
