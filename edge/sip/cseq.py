"""The CSeq header field: a number and a method (RFC 3261 §20.16)."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from edge.sip.grammar import TOKEN, Unreadable, number

CSEQ_MAX: Final = (
    2**31
)  # §8.1.1.5: less than this. (§20.16 alone would allow 32 bits; nobody who obeys both gets there.)

_cseq = re.compile(rf"([0-9]++)[ \t]++({TOKEN}++)").fullmatch


class CSeq(NamedTuple):
    number: int
    method: str

    @classmethod
    def parse(cls, text: str) -> CSeq:
        """Raises `Unreadable`."""
        match = _cseq(text)
        if match is None:
            raise Unreadable("not a CSeq")
        return cls(number(match[1], CSEQ_MAX), match[2])

    def __str__(self) -> str:
        return f"{self.number} {self.method}"
