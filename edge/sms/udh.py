"""The user data header (3GPP TS 23.040 §9.2.3.24): what stands before the text of a short message, in its own octets.

    octets     length of what follows · element · element …
    element    identifier · length · content

Read are the ones that say how a text is to be put together and read; others are kept as they came. A header that does
not fit its own lengths is no header: all of it is passed over (ibid.), and the text is what follows its length, or
everything where that leads beyond the end. Of two elements that exclude each other the later one counts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

CONCATENATED_8: Final = 0x00
PORTS_8: Final = 0x04
PORTS_16: Final = 0x05
CONCATENATED_16: Final = 0x08
SINGLE_SHIFT: Final = 0x24
LOCKING_SHIFT: Final = 0x25


@dataclass(frozen=True, slots=True)
class Concatenation:
    """Where a part belongs: the reference that all parts of a text have, how many there are, and which this is."""

    reference: int
    total: int
    number: int  # from 1

    def header(self) -> bytes:
        """The user data header that says so, with its length in front; a reference above 255 makes it longer."""
        if self.reference > 0xFF:
            return bytes((6, CONCATENATED_16, 4, *divmod(self.reference & 0xFFFF, 256), self.total, self.number))
        return bytes((5, CONCATENATED_8, 3, self.reference, self.total, self.number))


@dataclass(frozen=True, slots=True)
class Header:
    """A header as it was read. `locking` and `single` are national language identifiers, see `gsm.py`."""

    concatenation: Concatenation | None = None
    locking: int = 0
    single: int = 0
    ports: tuple[int, int] | None = None  # destination, source
    elements: tuple[tuple[int, bytes], ...] = ()  # all of them, in their order
    fill: int = 0  # bits between it and packed septets (§9.2.3.24)


NONE: Final = Header()


def read(octets: bytes) -> tuple[Header, bytes]:
    """The header that a payload begins with, and the rest of it."""
    if not octets or octets[0] >= len(octets):
        return NONE, octets
    end = 1 + octets[0]
    elements = _elements(octets[1:end])
    fill = -8 * end % 7
    if elements is None:
        return Header(fill=fill), octets[end:]
    concatenation: Concatenation | None = None
    ports: tuple[int, int] | None = None
    locking = single = 0
    for identifier, content in elements:
        size = len(content)
        if identifier == CONCATENATED_8 and size == 3:
            concatenation = _concatenation(content[0], content[1], content[2])
        elif identifier == CONCATENATED_16 and size == 4:
            concatenation = _concatenation(content[0] << 8 | content[1], content[2], content[3])
        elif identifier == PORTS_8 and size == 2:
            ports = content[0], content[1]
        elif identifier == PORTS_16 and size == 4:
            ports = content[0] << 8 | content[1], content[2] << 8 | content[3]
        elif identifier == SINGLE_SHIFT and size == 1:
            single = content[0]
        elif identifier == LOCKING_SHIFT and size == 1:
            locking = content[0]
    return Header(concatenation, locking, single, ports, tuple(elements), fill), octets[end:]


def _elements(octets: bytes) -> list[tuple[int, bytes]] | None:
    """None when the last one is cut off."""
    found: list[tuple[int, bytes]] = []
    at = 0
    while at < len(octets):
        if at + 1 >= len(octets) or (end := at + 2 + octets[at + 1]) > len(octets):
            return None
        found.append((octets[at], octets[at + 2 : end]))
        at = end
    return found


def _concatenation(reference: int, total: int, number: int) -> Concatenation | None:
    """None for what §9.2.3.24.1 says is to be passed over: no parts at all, or one that is not among them."""
    return Concatenation(reference, total, number) if 1 <= number <= total else None
