"""The Reason header field (RFC 3326): why a call ended, in the words of another protocol."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import Final

from edge.sip.grammar import Params, Unreadable, split_list

CAUSES: Final = range(1, 128)  # seven bits in ISDN (Q.850 §2.1)


def read_cause(text: str | None) -> int | None:
    """The Q.850 cause in the value of a Reason field, or of several joined by commas; None when none can be read."""
    for params in _of_q850(text):
        cause = params.get("cause") or ""
        if cause.isascii() and cause.isdigit() and len(cause) <= 3 and int(cause) in CAUSES:
            return int(cause)
    return None


def read_text(text: str | None) -> str:
    """What it says in words; "" for nothing."""
    return next((words for params in _of_q850(text) if (words := params.text("text"))), "")


def _of_q850(text: str | None) -> Iterator[Params]:
    for value in split_list(text or ""):
        protocol, semicolon, params = value.partition(";")
        if protocol.strip(" \t").upper() == "Q.850":
            with suppress(Unreadable):
                yield Params.parse(semicolon + params)
