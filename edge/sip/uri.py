"""A URI as SIP knows them: sip, sips, tel, and any other scheme as scheme and opaque rest (RFC 3261 §19, RFC 3966).

Reading never unescapes: `user` is kept as written, `plain_user` unescapes it exactly once (RFC 4475 §3.1.1.3). Equality
is by content after scheme, host and parameter names were put in lower case; §19.1.4 would forgive more.

Not nice: `#` is accepted in the user part, because telephones send `sip:*21#@host` without escaping it.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple
from urllib.parse import unquote_to_bytes

from edge.sip.grammar import (
    HOST,
    NO_PARAMS,
    PLAIN_HOST,
    PLAIN_PORT,
    PORT,
    Params,
    Unreadable,
    one_param,
    print_host,
    read_host,
    read_port,
    simple_params,
)

_USER: Final = r"[A-Za-z0-9\-_.!~*'()&=+$,;?/%#]"
_PASSWORD: Final = r"[A-Za-z0-9\-_.!~*'()&=+$,%]"  # noqa: S105
_PARAM: Final = r"[A-Za-z0-9\-_.!~*'()\[\]/:&+$%]"
_PARAMS: Final = rf"(?:;{_PARAM}++(?:=(?:{_PARAM}|=)+)?)*"

# One sip URI as most write it, to be built into larger expressions: no password, escapes, IPv6 or headers, one
# parameter at most, so that what matches is right without a further look. Groups: scheme, user, host, port, parameter
# and its value.
PLAIN_SIP: Final = (
    rf"(sips?+):(?:([A-Za-z0-9\-_.!~*'()&=+$,;?/#]++)@)?({PLAIN_HOST})(?::({PLAIN_PORT}))?"
    r"(?:;([A-Za-z0-9\-_.!~*'()\[\]/:&+$]++)(?:=([A-Za-z0-9\-_.!~*'()\[\]/:&+$=]++))?)?"
)
match_plain = re.compile(PLAIN_SIP).fullmatch

# scheme, user, password, host, port, parameters, headers
_sip = re.compile(
    rf"([Ss][Ii][Pp][Ss]?):(?:({_USER}++)(?::({_PASSWORD}*+))?@)?({HOST})(?::({PORT}))?({_PARAMS})"
    rf"(?:\?([A-Za-z0-9\-_.!~*'()\[\]/?:+$%=&]*+))?"
).fullmatch
_tel = re.compile(rf"[Tt][Ee][Ll]:([A-Za-z0-9\-_.!~*'()+#%]++)({_PARAMS})").fullmatch
_other = re.compile(r"([A-Za-z][A-Za-z0-9+.\-]*+):([!#-;=?-Z\[\]_a-z~]++)").fullmatch
_new = tuple.__new__  # a third of the time of calling the class
_bad_escape = re.compile(r"%(?![0-9A-Fa-f]{2})").search


class Uri(NamedTuple):
    """`sip:user:password@host:port;params?headers`; `tel:user;params`; `scheme:opaque` for all the others."""

    scheme: str  # in lower case
    user: str = ""  # as written, escapes included; the number of a tel URI; "" when there is none
    host: str = ""  # in lower case, IPv6 without brackets
    port: int | None = None
    params: Params = NO_PARAMS
    password: str | None = None
    headers: str = ""  # as written, without the "?"
    opaque: str = ""  # what follows an unknown scheme

    @classmethod
    def parse(cls, text: str) -> Uri:
        """Raises `Unreadable`."""
        match = match_plain(text)
        if match is not None:
            return of_plain(*match.groups())
        match = _sip(text)
        if match is not None:
            return _of_sip(match)
        match = _tel(text)
        if match is not None:
            return cls("tel", _escapes(match[1]), params=simple_params(_escapes(match[2])))
        match = _other(text)
        if match is None or match[1].lower() in ("sip", "sips", "tel"):
            raise Unreadable("not a URI")
        return cls(match[1].lower(), opaque=match[2])

    @property
    def is_sip(self) -> bool:
        return self.scheme in ("sip", "sips")

    @property
    def plain_user(self) -> str:
        """The user part with its escapes read, once; bytes that are no UTF-8 become surrogates."""
        return unquote_to_bytes(self.user).decode("utf-8", "surrogateescape") if "%" in self.user else self.user

    def __str__(self) -> str:
        if self.opaque:
            return f"{self.scheme}:{self.opaque}"
        params = str(self.params) if self.params else ""
        if not self.host:
            return f"{self.scheme}:{self.user}{params}"
        password = "" if self.password is None else f":{self.password}"
        user = f"{self.user}{password}@" if self.user else ""
        port = "" if self.port is None else f":{self.port}"
        headers = f"?{self.headers}" if self.headers else ""
        return f"{self.scheme}:{user}{print_host(self.host)}{port}{params}{headers}"


def of_plain(scheme: str, user: str | None, host: str, port: str | None, param: str | None, value: str | None) -> Uri:
    """The value of the groups of PLAIN_SIP."""
    params = NO_PARAMS if param is None else one_param(param.lower(), value)
    return _new(Uri, (scheme, user or "", host, int(port) if port else None, params, None, "", ""))


def _of_sip(match: re.Match[str]) -> Uri:
    scheme, user, password, host, port, params, headers = match.groups()
    _escapes(match.string)
    return Uri(
        scheme.lower(), user or "", read_host(host), read_port(port), simple_params(params), password, headers or ""
    )


def _escapes(text: str) -> str:
    """The text itself; every `%` in it must begin an escape (§25.1)."""
    if "%" in text and _bad_escape(text) is not None:
        raise Unreadable("wrong escape in the URI")
    return text
