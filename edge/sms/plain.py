"""What could be written instead of characters that the GSM alphabet does not have, and that make a text dear.

Word processors and telephones put typographic quotation marks, dashes and spaces into texts that would otherwise have
160 characters a part instead of 70. What has a likeness of the same meaning gets it; letters lose accents only, and
nothing is rewritten that stands for something of its own, such as an emoji or another script.
"""

from __future__ import annotations

import unicodedata
from functools import lru_cache
from typing import Final

from edge.sms import gsm

_LIKE: Final = {
    character: like
    for like, characters in {
        "'": "\u2018\u2019\u201a\u201b\u2032\u02b9\u02bb\u02bc\u00b4\u0060",
        '"': "\u201c\u201d\u201e\u201f\u2033\u00ab\u00bb",
        "-": "\u2010\u2011\u2012\u2013\u2014\u2015\u2212",
        "*": "\u2022\u2023\u25cf",
        ".": "\u00b7",
        "...": "\u2026",
        "<": "\u2039",
        ">": "\u203a",
        "/": "\u2044\u2215",
        "x": "\u00d7",
        "ss": "\u1e9e",
        " ": "\u00a0\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000\t",
        "": "\u00ad\u200b\u2060\ufeff",
        "\n": "\u2028\u2029\u000b\u0085",
        "l": "\u0142",
        "L": "\u0141",
        "d": "\u0111",
        "D": "\u0110",
        "i": "\u0131",
        "oe": "\u0153",
        "OE": "\u0152",
        "(c)": "\u00a9",
        "(r)": "\u00ae",
        "(TM)": "\u2122",
    }.items()
    for character in characters
}


def plain(text: str) -> str:
    """The text with likenesses where there are such; the other characters as they are."""
    text = unicodedata.normalize("NFC", text)
    for character in gsm.strange(text):
        if (like := instead(character)) is not None:
            text = text.replace(character, like)
    return text


@lru_cache(maxsize=1024)
def instead(character: str) -> str | None:
    """What the GSM alphabet has of the same meaning as a character that it does not have; None when it has nothing."""
    like = _LIKE.get(character)
    if like is None:
        parts = unicodedata.normalize("NFKD", character)
        bare = "".join(_LIKE.get(part, part) for part in parts if not unicodedata.combining(part))
        like = bare if bare and bare != character and gsm.encode(bare) is not None else None
    return like
