"""What carriers call a text, and the other ways in which they may write the same.

Some SMSCs answer a text with a hexadecimal id and tell of it later with the same in decimal, or the other way round, or
with other leading zeros, or in the other case. So an id is kept in one folded spelling as well, and looked for in up to
three: as it is, as if it were decimal there, as if it were hexadecimal there.
"""

from __future__ import annotations

import re
from hashlib import sha256
from typing import Final, NamedTuple

LONGEST: Final = 200  # an id longer than this is looked for by its hash: an index takes no more of it
DIGITS: Final = 20  # no number of an SMSC's has more: 64 bits in decimal
CARRIER_WIDTH: Final = 32  # of the column, and so of a key's first part

_HEX = re.compile(r"[0-9a-f]+")
_DECIMAL = re.compile(r"[0-9]+")


class Spellings(NamedTuple):
    """How an id may stand in `folded` of the other side. What is no number is only itself."""

    folded: str
    as_hex: str  # what it is in hexadecimal, if it is decimal
    as_decimal: str  # what it is in decimal, if it is hexadecimal


def fold(carrier_id: str) -> str:
    """The id in lower case, without leading zeros where it is a number."""
    folded = carrier_id.strip().lower()
    if len(folded) > LONGEST:
        return "sha256:" + sha256(folded.encode()).hexdigest()
    if _HEX.fullmatch(folded):
        return folded.lstrip("0") or "0"
    return folded


def spellings(carrier_id: str) -> Spellings:
    folded = fold(carrier_id)
    if len(folded) > DIGITS or not _HEX.fullmatch(folded):
        return Spellings(folded, folded, folded)
    return Spellings(
        folded,
        f"{int(folded):x}" if _DECIMAL.fullmatch(folded) else folded,
        str(int(folded, 16)),
    )


def key(carrier: str, spelling: str) -> str:
    """What a spelling of an id is looked up by."""
    return carrier.ljust(CARRIER_WIDTH) + spelling


def distance(said: str, kept: str) -> int | None:
    """How far what a report says is from what was kept: 0 the same, 1 folded the same, 2 the same number; None: not."""
    if said == kept:
        return 0
    known = fold(kept)
    ways = spellings(said)
    if ways.folded == known:
        return 1
    return 2 if known in ways else None
