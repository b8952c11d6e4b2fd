"""An address in From, To, Contact, Refer-To, P-Asserted-Identity: a name, a URI, parameters (RFC 3261 §20.10, §20.20).

With brackets (name-addr) what follows `>` are parameters of the field. Without them (addr-spec) everything from the
first `;` on is, and the URI can have neither comma nor question mark (§20).
"""

from __future__ import annotations

import re
from typing import NamedTuple

from edge.sip.grammar import (
    NO_PARAMS,
    QUOTED,
    TOKEN,
    Params,
    Unreadable,
    is_token,
    one_param,
    quote,
    split_list,
    unquote,
)
from edge.sip.uri import PLAIN_SIP, Uri, of_plain

# What nearly everybody writes; whatever does not match is read by the long way below. What matches is right without a
# further look, so that `check` may leave the value unbuilt. Groups: quoted or bare display name, those of PLAIN_SIP,
# tag.
match_plain = re.compile(
    rf"(?:(\"[^\"\\\\\x00-\x1f\x7f]*+\") ?+|({TOKEN}[A-Za-z0-9\-.!%*_+`'~ ]*+))?"
    rf"<{PLAIN_SIP}>(?:;tag=({TOKEN}++))?"
).fullmatch
_quoted_name = re.compile(rf"({QUOTED})[ \t]*+<", re.DOTALL).match
_bare_name = re.compile(r"((?:[A-Za-z0-9\-.!%*_+`'~ \t]|[^\x00-\x7f])*)<").match


class Address(NamedTuple):
    """One address."""

    uri: Uri
    display: str = ""  # without quotes and escapes
    params: Params = NO_PARAMS

    @classmethod
    def parse(cls, text: str) -> Address:
        """Reads one address. Raises `Unreadable`."""
        match = match_plain(text)
        if match is not None:
            return of_match(match)
        if "<" not in text:  # addr-spec
            uri, semicolon, params = text.partition(";")
            uri = uri.rstrip(" \t")
            if "?" in uri or "," in uri:  # §20: then it must be enclosed in < and >
                raise Unreadable("address without brackets")
            return cls(Uri.parse(uri), "", Params.parse(semicolon + params))
        match = _quoted_name(text) or _bare_name(text)
        if match is None:
            raise Unreadable("wrong display name")
        uri, bracket, params = text[match.end() :].partition(">")
        if not bracket:
            raise Unreadable("bracket not closed")
        return cls(Uri.parse(uri), unquote(match[1].strip(" \t")), Params.parse(params.strip(" \t")))

    @classmethod
    def parse_list(cls, text: str) -> tuple[Address, ...]:
        """Reads a comma-separated list. Raises `Unreadable`."""
        return tuple(cls.parse(element) for element in split_list(text))

    @property
    def tag(self) -> str | None:
        return self.params.get("tag")

    def __str__(self) -> str:
        if not self.display:
            return f"<{self.uri}>{self.params}"
        name = self.display if all(map(is_token, self.display.split(" "))) else quote(self.display)
        return f"{name} <{self.uri}>{self.params}"


def of_match(match: re.Match[str]) -> Address:
    """The value of what `match_plain` found."""
    quoted, bare, scheme, user, host, port, param, value, tag = match.groups()
    display = quoted[1:-1] if quoted else bare.rstrip(" ") if bare else ""
    uri = of_plain(scheme, user, host, port, param, value)
    return Address(uri, display, NO_PARAMS if tag is None else one_param("tag", tag))


def user_and_name(match: re.Match[str]) -> tuple[str, str]:
    """The user part of the URI and the display name of what `match_plain` found; "" for what is not there."""
    quoted, bare, user = match.group(1, 2, 4)
    return user or "", quoted[1:-1] if quoted else bare.rstrip(" ") if bare else ""
