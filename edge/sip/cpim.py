"""Texts in the envelope of Common Presence and Instant Messaging, message/cpim (RFC 3862).

    From: MR SANDERS <im:piglet@100akerwood.com>
    To: Depressed Donkey <im:eeyore@100akerwood.com>

    Content-Type: text/plain; charset=utf-8

    A text.

Its own header, an empty line, and then a MIME entity with a header of its own. What is read of the first are the two
ends, of the second the text, also one that is wrapped twice. Names of header fields are taken in any case, though the
RFC wants its own exactly: nobody else's text would be lost over a capital.
"""

from __future__ import annotations

import base64
import binascii
import quopri
import re
from typing import Final, NamedTuple

from edge.sip.body import CPIM, TEXT
from edge.sip.grammar import Unreadable
from edge.sip.headers import media_type

DEPTH_MAX: Final = 4  # envelopes within envelopes
FIELDS_MAX: Final = 64  # of one header
URI_MAX: Final = 512  # characters
CHARSETS: Final = {"utf-8": "utf-8", "utf8": "utf-8", "us-ascii": "utf-8", "iso-8859-1": "iso-8859-1"}

_ESCAPE: Final = re.compile(r"\\(?:u([0-9A-Fa-f]{4})|(.))")  # §2.3.1
_ESCAPED: Final = {"b": "\b", "t": "\t", "n": "\n", "r": "\r", '"': '"', "'": "'", "\\": "\\"}
_END: Final = re.compile(r"<([^<>\s]+)>\s*$")


class Wrapped(NamedTuple):
    """What an envelope holds. The ends are URIs, percent signs and all; empty where it does not say."""

    source: str
    destination: str
    text: str


class Foreign(ValueError):
    """There is something in it, but no text that we read."""


def unwrap(body: bytes) -> Wrapped:
    """Read an envelope. Raises Unreadable for what is none, Foreign for one around something else than a text."""
    source = destination = ""
    for _ in range(DEPTH_MAX):
        fields, inner = _header(body)
        source = source or _uri(fields.get("from", ""))
        destination = destination or _uri(fields.get("to", ""))
        fields, content = _header(inner)
        kind, params = media_type(fields.get("content-type") or TEXT)
        content = _decoded(content, fields.get("content-transfer-encoding", "").strip().lower())
        if kind == TEXT:
            charset = CHARSETS.get((params.text("charset") or "utf-8").lower())
            if charset is None:
                raise Foreign("a charset that is not read here")
            return Wrapped(source, destination, content.decode(charset, "replace"))
        if kind != CPIM:
            raise Foreign(f"a body of type {kind}")
        body = content
    raise Unreadable("too many envelopes in each other")


def wrap(source: str, destination: str, text: bytes) -> bytes:
    """A text in UTF-8 with its envelope. The ends are URIs."""
    head = f"From: <{source}>\r\nTo: <{destination}>\r\n\r\nContent-Type: {TEXT}; charset=utf-8\r\n\r\n"
    return head.encode() + text


def _header(data: bytes) -> tuple[dict[str, str], bytes]:
    """The fields of a header by their names in lower case, the first of each, and what follows the empty line."""
    lines, rest = [], data
    while True:
        line, end, rest = rest.partition(b"\n")
        line = line.removesuffix(b"\r")
        if not end:
            raise Unreadable("an envelope without the end of its header")
        if not line:
            break
        lines.append(line)
        if len(lines) > FIELDS_MAX:
            raise Unreadable("too many header fields in an envelope")
    fields: dict[str, str] = {}
    name = ""
    for line in lines:
        text = line.decode("utf-8", "replace")
        if text[0] in " \t" and name:  # the inner header may be folded (RFC 2045)
            fields[name] += " " + text.strip(" \t")
            continue
        name, colon, value = text.partition(":")
        name = name.strip(" \t").lower()
        if not colon or not name:
            raise Unreadable("a line in the header of an envelope is no field")
        if name in fields:
            name += "\0"  # only the first counts
            fields[name] = ""
        else:
            fields[name] = value.strip(" \t")
    return fields, rest


def _uri(value: str) -> str:
    """The URI of `Name <uri>`; empty when there is none."""
    found = _END.search(_ESCAPE.sub(_unescaped, value))
    return found[1] if found is not None and len(found[1]) <= URI_MAX else ""


def _unescaped(found: re.Match[str]) -> str:
    if found[1] is not None:
        character = chr(int(found[1], 16))
        return "\N{REPLACEMENT CHARACTER}" if "\ud800" <= character <= "\udfff" else character
    return _ESCAPED.get(found[2], found[2])


def _decoded(content: bytes, encoding: str) -> bytes:
    match encoding:
        case "" | "7bit" | "8bit" | "binary":
            return content
        case "base64":
            try:
                return base64.b64decode(b"".join(content.split()), validate=True)
            except binascii.Error:
                raise Unreadable("base64 that is none") from None
        case "quoted-printable":
            return quopri.decodestring(content)
    raise Foreign("an encoding that is not read here")
