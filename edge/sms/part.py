"""A part of a long text, as it came: the bytes, not yet text, for a character may lie on the cut between two parts."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Part:
    """One of `total` parts that share a reference, a source and a destination (3GPP TS 23.040 §9.2.3.24.1).

    `alphabet` says how the payload is read once it is whole, see `alphabet.py`. `(carrier, id)` is the part's identity,
    as it is a text's.
    """

    carrier: str
    id: str
    source: str
    destination: str
    reference: int  # 8 or 16 bits; carriers use the same one again soon
    total: int
    number: int  # from 1
    alphabet: str
    payload: bytes
    received_at: datetime  # aware
    country: str | None = None
    route: str = ""
