"""What the octets of a short message are written in, and the text they are.

An alphabet has a name: one of `CODECS`, `gsm`, `gsm-4-1` with national tables (locking and single shift, see `gsm.py`),
`ucs2`, or `binary`. It comes from the data_coding of SMPP, whose 0 means what carrier and edge have agreed on. A text
that was cut is decoded once its parts are together, for a cut may go through a character.

`decode` takes whatever a wire brings: what is no character becomes U+FFFD, and what is no text is shown in hexadecimal.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Literal

from edge.sms import gsm, udh

Default = Literal["gsm", "gsm-packed", "latin-1", "ascii", "utf-8"]  # what data_coding 0 may mean

BINARY: Final = "binary"
CODECS: Final = {
    "ascii": "ascii",
    "latin-1": "cp1252",  # as its senders mean it: where Latin-1 has control codes, that has quotation marks and the €
    "utf-8": "utf-8",
    "cyrillic": "iso8859-5",
    "hebrew": "iso8859-8",
    "shift-jis": "shift_jis",
    "iso-2022-jp": "iso2022_jp",
    "euc-jp": "euc_jp",
    "euc-kr": "euc_kr",
}
_SMPP: Final = {  # v3.4 §5.2.19
    1: "ascii",
    2: BINARY,
    3: "latin-1",
    4: BINARY,
    5: "shift-jis",  # JIS X 0208-1990
    6: "cyrillic",
    7: "hebrew",
    8: "ucs2",
    9: "shift-jis",  # pictograms
    10: "iso-2022-jp",  # music codes
    13: "euc-jp",  # JIS X 0212-1990
    14: "euc-kr",  # KS C 5601
}
_NATIONAL = re.compile(r"gsm-(\d+)-(\d+)")


@dataclass(frozen=True, slots=True)
class Body:
    """What a short message says: the octets behind its header, and how they are to be read."""

    alphabet: str
    payload: bytes
    header: udh.Header = udh.NONE

    @property
    def text(self) -> str:
        return decode(self.alphabet, self.payload)


def read(octets: bytes, data_coding: int, *, headed: bool = False, default: Default = "gsm") -> Body:
    """The body of a message. `headed`: a user data header stands in front of it. Never raises."""
    header, payload = udh.read(octets) if headed else (udh.NONE, octets)
    alphabet = of_coding(data_coding, default)
    if alphabet == "gsm-packed":
        alphabet, payload = "gsm", gsm.unpack(payload, header.fill)
    if alphabet == "gsm" and (header.locking or header.single):
        alphabet = f"gsm-{header.locking}-{header.single}"
    return Body(alphabet, payload, header)


def of_coding(data_coding: int, default: Default = "gsm") -> str:
    """The alphabet that a data_coding says.

    Above 15 it is the Data Coding Scheme of GSM (3GPP TS 23.038 §4), of which SMPP names a few groups only and which
    carriers pass on as it is. What is reserved is read as the default alphabet (ibid.).
    """
    if data_coding < 0x10:
        return _SMPP.get(data_coding, default)
    group = data_coding >> 4
    if group < 0x8:  # general, and the same marked for automatic deletion
        if data_coding & 0x20:
            return BINARY  # compressed (3GPP TS 23.042), which nobody sends
        return (default, BINARY, "ucs2", default)[data_coding >> 2 & 3]
    if group == 0xE:  # a message waits, said in UCS-2
        return "ucs2"
    if group == 0xF:  # a message class
        return BINARY if data_coding & 4 else default
    return default  # a message waits, or reserved


def decode(alphabet: str, payload: bytes) -> str:
    """The text of a payload, with marks for what is broken. It can be stored. Never raises."""
    if alphabet == "gsm":
        return gsm.decode(payload)
    if (national := _NATIONAL.fullmatch(alphabet)) is not None:
        return gsm.decode(payload, int(national[1]), int(national[2]))
    if alphabet == "ucs2":
        return _storable(_ucs2(payload))
    codec = CODECS.get(alphabet)
    return _storable(payload.decode(codec, "replace")) if codec is not None else _shown(payload)


def _ucs2(payload: bytes) -> str:
    """UTF-16 in fact, as telephones write it; a byte order mark is heeded, and no character."""
    if payload.startswith(b"\xff\xfe"):
        return payload[2:].decode("utf-16-le", "replace")
    return payload.removeprefix(b"\xfe\xff").decode("utf-16-be", "replace")


def _shown(payload: bytes) -> str:
    """A visiting card is 8-bit data that can be read as it is; other data are shown by their octets."""
    try:
        text = payload.decode()
    except UnicodeDecodeError:
        return payload.hex(" ")
    return text if all(character.isprintable() or character in "\t\r\n" for character in text) else payload.hex(" ")


def _storable(text: str) -> str:
    """Without the NULs that some end a text with, and with marks for any others."""
    return text.rstrip("\0").replace("\0", gsm.BROKEN) if "\0" in text else text
