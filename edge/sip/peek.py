"""A look at an ACK without reading it: most ACKs answer a final refusal, and need no more than their transaction's key.

Only for the shape nearly everybody writes. For any other the answer is None, and the caller reads the message in full.
"""

from __future__ import annotations

import re
from typing import NamedTuple

_top_via = re.compile(
    rb"\r\n(?:[Vv][Ii][Aa]|[Vv]): SIP/2\.0/[A-Z]++ ([A-Za-z0-9.:\[\]\-]++);branch=([A-Za-z0-9\-.!%*_+`'~]++)[;\r]"
).search
_any_via = re.compile(rb"\r\n(?:[Vv][Ii][Aa]|[Vv])[ \t]*:").search
_call_id = re.compile(rb"\r\n(?:[Cc][Aa][Ll][Ll]-[Ii][Dd]|[Ii]): ([^\r\n \t]++)\r\n").search


class AckKey(NamedTuple):
    """What finds the server transaction of an ACK (RFC 3261 §17.2.3)."""

    branch: str
    sent_by: str  # as `Via.sent_by`
    call_id: str


def peek_ack(data: bytes) -> AckKey | None:
    """The key of an ACK. None: it is no ACK, or one to be read in full."""
    if data[:4] != b"ACK ":
        return None
    via = _top_via(data)
    call_id = _call_id(data)
    if via is None or call_id is None:
        return None
    return AckKey(via[2].decode(), via[1].decode().lower(), call_id[1].decode("utf-8", "surrogateescape"))
