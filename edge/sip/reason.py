"""The Reason header field (RFC 3326): why a call ended, in the words of another protocol."""

from __future__ import annotations

from typing import Final

from edge.sip.grammar import Params, Unreadable, split_list

CAUSES: Final = range(1, 128)  # seven bits in ISDN (Q.850 §2.1)


def read_cause(text: str | None) -> int | None:
    """The Q.850 cause in the value of a Reason field, or of several joined by commas; None when none can be read."""
    for value in split_list(text or ""):
        protocol, semicolon, params = value.partition(";")
        if protocol.strip(" \t").upper() != "Q.850":
            continue
        try:
            cause = Params.parse(semicolon + params).get("cause") or ""
        except Unreadable:
            continue
        if cause.isascii() and cause.isdigit() and len(cause) <= 3 and int(cause) in CAUSES:
            return int(cause)
    return None
