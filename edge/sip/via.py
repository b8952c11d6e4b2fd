"""The Via header field (RFC 3261 §20.42, RFC 3581): who sent the request, and where the response goes."""

from __future__ import annotations

import re
from typing import NamedTuple

from edge.sip.grammar import (
    HOST,
    LWS,
    NO_PARAMS,
    PLAIN_HOST,
    PLAIN_PORT,
    PORT,
    PORT_MAX,
    TOKEN,
    Params,
    Unreadable,
    number,
    print_host,
    read_host,
    read_port,
    split_list,
)

# What nearly everybody writes. What matches is right without a further look. Groups: transport, host, port, rport
# before the branch, branch, rport behind it.
match_plain = re.compile(
    rf"SIP/2\.0/([A-Z]++) ({PLAIN_HOST})(?::({PLAIN_PORT}))?(;rport)?;branch=({TOKEN}++)(?(4)|(;rport)?)"
).fullmatch
_any = re.compile(
    rf"({TOKEN}++){LWS}/{LWS}({TOKEN}++){LWS}/{LWS}({TOKEN}++)[ \t]++({HOST})(?:{LWS}:{LWS}({PORT}))?"
).match
_new = tuple.__new__  # a third of the time of calling the class
_branch = re.compile(rf";{LWS}branch{LWS}={LWS}({TOKEN}++)", re.IGNORECASE).search


class Via(NamedTuple):
    """One Via value. Prints its parameters in the order of the fields, which means nothing (§7.3.1)."""

    transport: str  # in upper case: UDP, TCP, TLS, SCTP, or a word we do not know
    host: str  # sent-by in lower case, IPv6 without brackets
    port: int | None = None
    branch: str | None = None  # None: the client is one of RFC 2543
    received: str | None = None  # where the request really came from; IPv6 without brackets
    rport: bool | int | None = None  # None: not there. True: asked for. A number: filled in (RFC 3581 §4)
    params: Params = NO_PARAMS  # all the others: maddr, ttl, alias …
    protocol: str = "SIP/2.0"

    @classmethod
    def parse(cls, text: str) -> Via:
        """Reads one value. Raises `Unreadable`."""
        match = match_plain(text)
        if match is not None:
            return of_plain(match)
        match = _any(text)
        if match is None:
            raise Unreadable("not a Via")
        name, version, transport, host, port = match.groups()
        others = dict(Params.parse(text[match.end() :].strip(" \t")))
        rport: bool | int | None = None
        if "rport" in others:
            value = others.pop("rport")
            rport = True if value is None else number(value, PORT_MAX + 1)
        received = others.pop("received", None)
        if received and received[0] == "[" and received[-1] == "]":  # wrong, and seen (RFC 5118 §4.5)
            received = received[1:-1]
        return cls(
            transport.upper(),
            read_host(host),
            read_port(port),
            others.pop("branch", None),
            received,
            rport,
            Params(others) if others else NO_PARAMS,
            f"{name.upper()}/{version}",
        )

    @classmethod
    def salvage(cls, text: str) -> Via | None:
        """What is left of a broken value if a 400 can be sent by it: transport, sent-by, branch. None if it cannot."""
        match = _any(text)
        if match is None:
            return None
        try:
            host, port = read_host(match[4]), read_port(match[5])
        except Unreadable:
            return None
        branch = _branch(text)
        return cls(match[3].upper(), host, port, branch and branch[1], protocol=f"{match[1].upper()}/{match[2]}")

    @property
    def sent_by(self) -> str:
        """`host` or `host:port`, a part of a transaction's key (§17.2.3)."""
        return print_host(self.host) if self.port is None else f"{print_host(self.host)}:{self.port}"

    def __str__(self) -> str:
        return self.stamped(self.received, self.rport)

    def stamped(self, received: str | None, rport: bool | int | None) -> str:
        """The text of this value with another `received` and `rport`."""
        text = f"{self.protocol}/{self.transport} {self.sent_by}"
        if self.branch is not None:
            text += f";branch={self.branch}"
        if received is not None:
            text += f";received={received}"
        if rport is not None:
            text += ";rport" if rport is True else f";rport={rport}"
        return f"{text}{self.params}" if self.params else text


def of_plain(match: re.Match[str]) -> Via:
    """The value of what `match_plain` found."""
    transport, host, port, before, branch, behind = match.groups()
    rport = True if before or behind else None
    return _new(Via, (transport, host, int(port) if port else None, branch, None, rport, NO_PARAMS, "SIP/2.0"))


def top_of(text: str) -> tuple[str, str]:
    """The first value of a Via field and the others behind it, as texts; the second is "" when there is one value
    only."""
    if "," not in text:
        return text, ""
    values = split_list(text)
    return (values[0], ", ".join(values[1:])) if values else (text, "")
