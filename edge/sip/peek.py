"""A look at an ACK without reading it: nearly all answer a final refusal, and need only their transaction's key.

Only for the shape nearly everybody writes, with the Via right behind the request line. For any other the answer is
None, and the caller reads the message in full. What is found is what reading it would find, or the ACK is malformed and
would be dropped anyway.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from edge.sip.grammar import TOKEN

_via = re.compile(
    r"\r\n[Vv](?:[Ii][Aa])?: SIP/2\.0/[A-Z]++ ([A-Za-z0-9.:\[\]\-]++)"
    rf"(?:;rport)?;branch=({TOKEN}++)[;\r]"
).match
_CALL_ID: Final = "\r\nCall-ID: "

_new = tuple.__new__


class AckKey(NamedTuple):
    """What finds the server transaction of an ACK (RFC 3261 §17.2.3)."""

    branch: str
    sent_by: str  # as `Via.sent_by`
    call_id: str


def peek_ack(data: bytes) -> AckKey | None:
    """The key of an ACK. None: it is no ACK, or one to be read in full."""
    if data[:4] != b"ACK ":
        return None
    text = str(data, "utf-8", "surrogateescape")
    via = _via(text, text.find("\r\n"))
    start = text.find(_CALL_ID)
    end = text.find("\r\n", start + len(_CALL_ID))
    if via is None or start < 0 or end < 0:
        return None
    sent_by, branch = via.groups()
    return _new(AckKey, (branch, sent_by.lower(), text[start + len(_CALL_ID) : end].strip(" \t")))
