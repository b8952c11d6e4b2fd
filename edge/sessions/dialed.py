"""Which number a request is for, and who sent it, by the rules of its trunk.

`dialed_from` says in which field the dialed number stands, in order; the first that has one counts, and one that is not
believed is never asked (`trunks/trunk.py` sees to that). Then the trunk's rules rewrite the digits, and what comes of
that is read as a number of its country (`numbers/e164.py`).

    request-uri, to, p-called-party-id (RFC 7315 §4.2)     the user part
    diversion (RFC 5806)                                   the topmost: who diverted the call last, to us
    history-info (RFC 7044)                                the entry that the last one came from (rc, mp, np), else the
                                                           one before it; a single one is itself what was dialed
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from edge.errors import EdgeError
from edge.numbers.e164 import read_dialed, user_of
from edge.sip.message import Address, Malformed, Request, Unreadable, Uri
from edge.trunks.trunk import DialedFrom, Rewriting, Trunk, rewritten

PLAIN: Final[tuple[DialedFrom, ...]] = ("request-uri",)
REMEMBERED: Final = 4096  # callers' numbers and what was made of them

_DIGITS = re.compile(r"\+?[0-9*#]+")


def dialed(request: Request, trunk: Trunk) -> str:
    """What a request dials that came by a trunk, as it is to be read as a number; nothing where no field of
    `dialed_from` has one."""
    text = request.uri if trunk.dialed_from == PLAIN else read_field(request, trunk.dialed_from)[0]
    return (by_rules(text, trunk.dialed_rules) if trunk.dialed_rules else "") or text


def caller(source: str, trunk: Trunk) -> str:
    """The number of a caller or sender, rewritten by its trunk's rules and in E.164 where it can be read so."""
    if source.startswith("+") and not trunk.caller_rules:
        return source
    return _caller(source, trunk.caller_rules, trunk.country)


def read_field(request: Request, fields: tuple[DialedFrom, ...]) -> tuple[str, DialedFrom]:
    """The first field that has a number, and what stands there."""
    for field in fields:
        try:
            uri = _in(request, field)
        except Malformed:  # of a request that is refused for it
            continue
        if uri is not None and (uri.user or uri.opaque):
            return request.uri if field == "request-uri" else str(uri), field
    return "", fields[0]


def by_rules(text: str, rules: tuple[Rewriting, ...]) -> str:
    """What they make of the digits in a number or URI; empty where none applies."""
    try:
        digits = user_of(text)
    except EdgeError:
        return ""
    if not _DIGITS.fullmatch(digits):
        return ""
    made = rewritten(rules, digits)
    return "" if made == digits else made


@lru_cache(maxsize=REMEMBERED)
def _caller(source: str, rules: tuple[Rewriting, ...], country: str | None) -> str:
    if rules:
        source = by_rules(source, rules) or source
    if country is None or not _DIGITS.fullmatch(source):
        return source
    try:
        return read_dialed(source, country)
    except EdgeError:
        return source


def _in(request: Request, field: DialedFrom) -> Uri | None:
    match field:
        case "request-uri":
            return request.target
        case "to":
            return request.to.uri
        case "history-info":
            return _diverted(request)
    for text in request.headers.values(field)[:1]:
        return _uri(text)
    return None


def _diverted(request: Request) -> Uri | None:
    """Of the entries of History-Info the one that the call came to us from."""
    try:
        entries = [Address.parse(text) for text in request.headers.values("history-info")]
    except Unreadable:
        return None
    if len(entries) < 2:
        return entries[0].uri if entries else None
    last = entries[-1].params
    came_from = last.get("rc") or last.get("mp") or last.get("np")
    for entry in entries[:-1]:
        if came_from is not None and entry.params.get("index") == came_from:
            return entry.uri
    return entries[-2].uri


def _uri(text: str) -> Uri | None:
    try:
        return Address.parse(text).uri
    except Unreadable:
        return None
