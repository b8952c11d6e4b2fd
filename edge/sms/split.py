"""A text cut into the parts that a carrier takes one by one, and how many that makes.

A text in the GSM alphabet has up to 160 septets, or 153 in each part of a longer one; any other is UCS-2, 70 and 67
units of 16 bits: 140 octets, less the header that says how parts belong together (3GPP TS 23.040 §9.2.3.24.1). A cut
never goes through an escape and what it escapes, nor through a character of two units, nor, where there is another
place nearby, through what people see as one character: a letter with its accents, an emoji with its colour.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, Literal

from edge.errors import Fault, Invalid
from edge.sms import gsm
from edge.sms.udh import Concatenation

Encoding = Literal["gsm", "ucs2"]
Alphabet = Literal["gsm", "latin-1", "ascii", "utf-8"]  # what data_coding 0 means to a carrier

PARTS_MAX: Final = 255  # what the header can count
LIMITS: Final[dict[Encoding, tuple[int, int]]] = {"gsm": (160, 153), "ucs2": (70, 67)}  # units: alone, and as a part
DATA_CODING: Final[dict[Encoding, int]] = {"gsm": 0, "ucs2": 8}
_SIZES: Final[dict[Encoding, int]] = {"gsm": 1, "ucs2": 2}  # octets of a unit
_BACK: Final = 16  # units that a cut goes back for the sake of one visible character
_JOINER: Final = "\u200d"  # joins emoji to one


@dataclass(frozen=True, slots=True)
class Split:
    """What to send: each of `parts` is a short message, with its header in front if there are several."""

    encoding: Encoding
    parts: tuple[bytes, ...]
    headed: bool  # each part begins with a user data header, which the UDHI bit of esm_class says

    @property
    def data_coding(self) -> int:
        """Of SMPP (v3.4 §5.2.19)."""
        return DATA_CODING[self.encoding]


@dataclass(frozen=True, slots=True)
class Segments:
    """How long a text is as its carriers count: `units` septets or 16-bit units, in so many parts.

    `left` is what the last part has room for.
    """

    encoding: Encoding
    parts: int
    units: int
    left: int


def split(text: str, reference: int, *, header: bool = True, alphabet: Alphabet = "gsm") -> Split:
    """Cut a text. `reference` is what its parts have in common, of 8 bits; the next text should have another one.

    Without `header` the cuts are the same, for carriers that are told in their own way what belongs together.
    `alphabet` is what the carrier wants a text of the GSM alphabet written in; one that has other characters than that
    goes in UCS-2. Raises Invalid for a text of more than 255 parts.
    """
    encoding, octets = _octets(text, alphabet)
    cuts = _cut(encoding, octets)
    total = len(cuts) - 1
    if total > PARTS_MAX:
        raise Invalid("the text is too long", faults=[Fault("text", f"makes {total} parts, more than {PARTS_MAX}")])
    parts = [_written(octets[start:end], encoding, alphabet) for start, end in pairwise(cuts)]
    headed = header and total > 1
    if headed:
        parts = [Concatenation(reference & 0xFF, total, at).header() + part for at, part in enumerate(parts, 1)]
    return Split(encoding, tuple(parts), headed)


def whole(text: str, *, alphabet: Alphabet = "gsm") -> Split:
    """A text in one piece, however long, for a carrier that cuts it itself."""
    encoding, octets = _octets(text, alphabet)
    return Split(encoding, (_written(octets, encoding, alphabet),), False)


def count(text: str, *, alphabet: Alphabet = "gsm") -> Segments:
    """What `split` would make of a text, also of one that it would refuse."""
    encoding, octets = _octets(text, alphabet)
    cuts = _cut(encoding, octets)
    size, total = _SIZES[encoding], len(cuts) - 1
    room = LIMITS[encoding][total > 1]
    return Segments(encoding, total, len(octets) // size, room - (cuts[-1] - cuts[-2]) // size)


def _octets(text: str, alphabet: Alphabet) -> tuple[Encoding, bytes]:
    """The whole text, an octet for a septet and two for a unit."""
    septets = gsm.encode(text)
    if septets is not None and _writes(alphabet, text):
        return "gsm", septets
    return "ucs2", text.encode("utf-16-be", "replace")


def _written(octets: bytes, encoding: Encoding, alphabet: Alphabet) -> bytes:
    return octets if encoding == "ucs2" or alphabet == "gsm" else gsm.decode(octets).encode(alphabet)


def _writes(alphabet: Alphabet, text: str) -> bool:
    if alphabet == "gsm" or alphabet == "utf-8" or text.isascii():
        return True
    if alphabet == "ascii":
        return False
    try:
        text.encode(alphabet)
    except UnicodeEncodeError:
        return False
    return True


def _cut(encoding: Encoding, octets: bytes) -> list[int]:
    """Where the parts begin, and the end of the last."""
    alone, part = (limit * _SIZES[encoding] for limit in LIMITS[encoding])
    if len(octets) <= alone:
        return [0, len(octets)]
    end_of = _whole_septets if encoding == "gsm" else _whole_units
    places = [0]
    while len(octets) - places[-1] > part:
        places.append(end_of(octets, places[-1], places[-1] + part))
    places.append(len(octets))
    return places


def _whole_septets(septets: bytes, start: int, end: int) -> int:
    return end - 1 if septets[end - 1] == gsm.ESCAPE else end


def _whole_units(units: bytes, start: int, end: int) -> int:
    """The last place up to `end` between two visible characters; where there is none nearby, between two of Unicode."""
    if _is_low(units, end):
        end -= 2
    for place in range(end, max(start, end - 2 * _BACK), -2):
        if not _is_low(units, place) and not _belongs(_character(units, place - 2), _character(units, place)):
            return place
    return end


def _is_low(units: bytes, place: int) -> bool:
    """Whether the unit there is the second half of a surrogate pair."""
    return 0xDC <= units[place] <= 0xDF


def _character(units: bytes, place: int) -> str:
    """The character that begins or ends at a unit."""
    if _is_low(units, place):
        place -= 2
    wide = 0xD8 <= units[place] <= 0xDB
    return units[place : place + (4 if wide else 2)].decode("utf-16-be", "replace")


def _belongs(before: str, after: str) -> bool:
    """Whether two characters are seen as one; the part of UAX #29 that people write in texts."""
    if after == _JOINER or before == _JOINER:
        return True
    if after <= "\u007f":
        return before == "\r" and after == "\n"
    if unicodedata.category(after) in ("Mn", "Me", "Mc") or "\U0001f3fb" <= after <= "\U0001f3ff":
        return True
    if "\U000e0020" <= after <= "\U000e007f":  # tags, which make the flags of Scotland and Wales
        return True
    return all("\U0001f1e6" <= character <= "\U0001f1ff" for character in (before, after))  # half a flag each
