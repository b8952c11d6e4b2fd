"""The GSM alphabet of 7 bits (3GPP TS 23.038 §6.2.1), its extension table, and the national tables (Annex A).

A septet stands here in an octet of its own, as SMPP has it; `unpack` and `pack` are for those who have them packed
(§6.1.2.1). Two tables read a text: a locking one for all its septets, a single shift one for those behind the escape.
Both have numbers, the national language identifiers of §6.2.1.2.4; 0 are the default alphabet and its extension. The
national ones are read only: what we write uses the default, which every telephone knows.
"""

from __future__ import annotations

import codecs
import re
import tomllib
from functools import cache
from importlib.resources import files
from typing import Any, Final

ESCAPE: Final = 0x1B
BROKEN: Final = "\ufffd"  # in place of what is no character

_ESCAPED = re.compile(rb"\x1b(.?)", re.DOTALL)
_CR: Final = 0x0D  # fills up seven spare bits (§6.1.2.3.1)


def decode(septets: bytes, locking: int = 0, single: int = 0) -> str:
    """The text of unpacked septets. What is no character of the alphabet is marked, an octet above 0x7F too.

    An escape before something that its table does not have is passed over, and a language without such a table, or one
    that is not known, has the default one (§6.2.1.1, §6.2.1.2.4). The escape to a further table, of which there is
    none, and one with nothing behind it are a space.
    """
    table = _locking(locking)
    if ESCAPE not in septets:
        return codecs.charmap_decode(septets, "strict", table)[0]
    shifted = _single(single)
    text: list[str] = []
    end = 0
    for match in _ESCAPED.finditer(septets):
        text.append(codecs.charmap_decode(septets[end : match.start()], "strict", table)[0])
        code = match[1]
        text.append(shifted.get(code[0]) or table[code[0]] if code else " ")
        end = match.end()
    text.append(codecs.charmap_decode(septets[end:], "strict", table)[0])
    return "".join(text)


def encode(text: str) -> bytes | None:
    """The septets of a text in the default alphabet and its extension; None when it has a character of neither."""
    if _FITS.fullmatch(text) is None:
        return None
    return text.translate(_SEPTETS).encode("latin-1")


def strange(text: str) -> list[str]:
    """The characters of a text that the alphabet does not have, each once, in their order."""
    return list(dict.fromkeys(_STRANGE.findall(text)))


def unpack(octets: bytes, fill: int = 0) -> bytes:
    """The septets of packed octets, from behind `fill` bits on, which make a header end where a septet does.

    Of eight septets in seven octets the last may be a filler; so it is left out where it is a CR.
    """
    septets = bytearray()
    bits, width = 0, -fill
    for octet in octets:
        bits |= octet << width if width >= 0 else octet >> -width
        width += 8
        while width >= 7:
            septets.append(bits & 0x7F)
            bits >>= 7
            width -= 7
    if septets and width == 0 and septets[-1] == _CR:
        septets.pop()
    return bytes(septets)


def pack(septets: bytes, fill: int = 0) -> bytes:
    """The octets of septets, behind `fill` bits. Seven spare bits at the end are filled with a CR."""
    if (fill + 7 * len(septets)) % 8 == 1:
        septets += bytes([_CR])
    octets = bytearray()
    bits, width = 0, fill
    for septet in septets:
        bits |= septet << width
        width += 7
        while width >= 8:
            octets.append(bits & 0xFF)
            bits >>= 8
            width -= 8
    if width > 0:
        octets.append(bits)
    return bytes(octets)


@cache
def _tables() -> dict[str, dict[str, Any]]:
    return tomllib.loads(files("edge.sms").joinpath("gsm.toml").read_text())


@cache
def _locking(language: int) -> str:
    """The characters of all octets, broken ones for those that are none."""
    rows = _tables()["locking"].get(str(language))
    if rows is None:
        return _locking(0)
    codes = " ".join(rows["rows"]).split()
    table = [BROKEN if code == "...." else chr(int(code, 16)) for code in codes]
    table[ESCAPE] = " "
    return "".join(table) + BROKEN * 128


@cache
def _single(language: int) -> dict[int, str]:
    codes = _tables()["single"].get(str(language))
    if codes is None:
        return _single(0)
    return {int(code, 16): chr(int(character, 16)) for code, _, character in _pairs(codes["codes"])}


def _pairs(codes: str) -> list[tuple[str, str, str]]:
    return [pair.partition("=") for pair in codes.split()]


_BASIC: Final = {character: code for code, character in enumerate(_locking(0)[:128]) if code != ESCAPE}
_EXTENDED: Final = {character: code for code, character in _single(0).items()}
_SEPTETS: Final = {ord(character): chr(code) for character, code in _BASIC.items()} | {
    ord(character): chr(ESCAPE) + chr(code) for character, code in _EXTENDED.items()
}
_FITS = re.compile("[" + re.escape("".join(map(chr, _SEPTETS))) + "]*")
_STRANGE = re.compile("[^" + re.escape("".join(map(chr, _SEPTETS))) + "]")
