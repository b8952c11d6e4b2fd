"""The Via header field (RFC 3261 §20.42, RFC 3581): who sent the request, and where the response goes."""

from __future__ import annotations

import re
from typing import NamedTuple

from edge.sip.grammar import (
    HOST,
    LWS,
    NO_PARAMS,
    PORT,
    PORT_MAX,
    TOKEN,
    VALUE,
    Params,
    Unreadable,
    number,
    print_host,
    read_host,
    read_port,
    simple_params,
    split_list,
)

_plain = re.compile(
    rf"SIP/2\.0/([A-Z]++) ({HOST})(?::({PORT}))?+((?:;{TOKEN}++(?:={VALUE}++)?+)*+)"
).fullmatch  # what nearly everybody writes: one value, no quotes, no blanks
_any = re.compile(
    rf"({TOKEN}++){LWS}/{LWS}({TOKEN}++){LWS}/{LWS}({TOKEN}++)[ \t]++({HOST})(?:{LWS}:{LWS}({PORT}))?+"
).match
_branch = re.compile(rf";{LWS}branch{LWS}={LWS}({TOKEN}++)", re.IGNORECASE).search


class Via(NamedTuple):
    """One Via value."""

    transport: str  # in upper case: UDP, TCP, TLS, SCTP, or a word we do not know
    host: str  # sent-by in lower case, IPv6 without brackets
    port: int | None = None
    params: Params = NO_PARAMS
    protocol: str = "SIP/2.0"

    @classmethod
    def parse(cls, text: str) -> Via:
        """Reads one value. Raises `Unreadable`."""
        match = _plain(text)
        if match is not None:
            transport, host, port, params = match.groups()
            via = cls(transport, read_host(host), read_port(port), simple_params(params))
        else:
            match = _any(text)
            if match is None:
                raise Unreadable("not a Via")
            name, version, transport, host, port = match.groups()
            params = Params.parse(text[match.end() :].strip(" \t"))
            via = cls(transport.upper(), read_host(host), read_port(port), params, f"{name.upper()}/{version}")
        if "rport" in via.params:
            _ = via.rport  # raises when it is no port
        return via

    @classmethod
    def salvage(cls, text: str) -> Via | None:
        """What can be read of a broken value, enough to send a 400 by: transport, sent-by, branch. None when not even that."""
        match = _any(text)
        if match is None:
            return None
        try:
            host, port = read_host(match[4]), read_port(match[5])
        except Unreadable:
            return None
        branch = _branch(text)
        params = NO_PARAMS if branch is None else Params({"branch": branch[1]})
        return cls(match[3].upper(), host, port, params, f"{match[1].upper()}/{match[2]}")

    @property
    def branch(self) -> str | None:
        return self.params.get("branch")

    @property
    def sent_by(self) -> str:
        """`host` or `host:port`, as a part of a transaction's key (§17.2.3)."""
        return print_host(self.host) if self.port is None else f"{print_host(self.host)}:{self.port}"

    @property
    def received(self) -> str | None:
        """The address the request really came from, without brackets (RFC 5118 §4.5: they are wrong here, and seen)."""
        value = self.params.get("received")
        return value[1:-1] if value and value[0] == "[" and value[-1] == "]" else value

    @property
    def rport(self) -> bool | int | None:
        """None: not there. True: asked for. A number: filled in by a server (RFC 3581 §4)."""
        if "rport" not in self.params:
            return None
        value = self.params["rport"]
        return True if value is None else number(value, PORT_MAX + 1)

    def __str__(self) -> str:
        return f"{self.protocol}/{self.transport} {self.sent_by}{self.params if self.params else ''}"


def top_of(text: str) -> tuple[str, str]:
    """The first value of a Via field and the others behind it, as texts; the second is "" when there is one value only."""
    if "," not in text:
        return text, ""
    values = split_list(text)
    return (values[0], ", ".join(values[1:])) if values else (text, "")
