"""Messages as a capture file that Wireshark, tshark and sngrep read.

The file is the classic one (draft-ietf-opsawg-pcap), its packets raw IP. What stood below SIP is not known any more, so
it is made up: addresses and ports are true; identifiers, sequence numbers and hop limits are not. What came by TLS
is there as if it had come by plain TCP, and what a number of ours said to another as if by UDP.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final

from edge.sip.capture import Captured
from edge.sip.masking import masked

MAGIC: Final = 0xA1B2C3D4  # times in microseconds
RAW_IP: Final = 101  # LINKTYPE_RAW: the first octet says which IP
LONGEST: Final = 65_535
SEGMENT: Final = 1400  # octets of a message in one TCP segment
HOPS: Final = 64
UDP: Final = 17
TCP: Final = 6
PUSH_ACK: Final = 0x18

Address = IPv4Address | IPv6Address
Place = tuple[str, int]


def pcap(messages: Iterable[Captured]) -> bytes:
    """The file, without secrets (`masking.py`)."""
    parts = [struct.pack("<IHHiIII", MAGIC, 2, 4, 0, 0, LONGEST, RAW_IP)]
    for when, packet in _packets(messages):
        parts.append(struct.pack("<IIII", when // 1_000_000, when % 1_000_000, len(packet), len(packet)))
        parts.append(packet)
    return b"".join(parts)


def _packets(messages: Iterable[Captured]) -> Iterator[tuple[int, bytes]]:
    said: dict[tuple[Place, Place], int] = {}  # by direction, the next octet of its stream
    for message in messages:
        ours, theirs = message.peer.local, message.peer.remote
        source, target = (ours, theirs) if message.sent else (theirs, ours)
        data = masked(message.data)
        if message.peer.transport in ("udp", "loop"):
            yield message.when, _udp(source, target, data)
            continue
        for start in range(0, len(data), SEGMENT):
            piece = data[start : start + SEGMENT]
            at, heard = said.get((source, target), 1), said.get((target, source), 1)
            yield message.when, _tcp(source, target, piece, at, heard)
            said[source, target] = (at + len(piece)) & 0xFFFF_FFFF


def _udp(source: Place, target: Place, data: bytes) -> bytes:
    """RFC 768."""
    length = 8 + len(data)
    head = struct.pack("!HHHH", source[1], target[1], length, 0)
    one, other = _ends(source, target)
    check = _checksum(_pseudo(one, other, UDP, length) + head + data) or 0xFFFF
    return _ip(one, other, UDP, head[:6] + struct.pack("!H", check) + data)


def _tcp(source: Place, target: Place, data: bytes, at: int, heard: int) -> bytes:
    """RFC 9293 §3.1."""
    head = struct.pack("!HHIIBBHHH", source[1], target[1], at, heard, 5 << 4, PUSH_ACK, 65_535, 0, 0)
    one, other = _ends(source, target)
    check = _checksum(_pseudo(one, other, TCP, len(head) + len(data)) + head + data)
    return _ip(one, other, TCP, head[:16] + struct.pack("!H", check) + head[18:] + data)


def _ip(source: Address, target: Address, protocol: int, payload: bytes) -> bytes:
    if isinstance(source, IPv6Address):  # RFC 8200 §3
        return struct.pack("!IHBB", 6 << 28, len(payload), protocol, HOPS) + source.packed + target.packed + payload
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(payload), 0, 0, HOPS, protocol, 0)  # RFC 791 §3.1
    ends = source.packed + target.packed
    return head[:10] + struct.pack("!H", _checksum(head + ends)) + ends + payload


def _ends(source: Place, target: Place) -> tuple[Address, Address]:
    """Both addresses, of one family."""
    one, other = _address(source[0]), _address(target[0])
    if one.version == other.version:
        return one, other
    wide = [end if isinstance(end, IPv6Address) else IPv6Address(f"::ffff:{end}") for end in (one, other)]
    return wide[0], wide[1]


def _address(host: str) -> Address:
    try:
        return ip_address(host.partition("%")[0].strip("[]"))
    except ValueError:  # a name that was never looked up
        return IPv4Address("0.0.0.0")


def _pseudo(source: Address, target: Address, protocol: int, length: int) -> bytes:
    """What UDP and TCP sum up of the header below them."""
    if isinstance(source, IPv6Address):  # RFC 8200 §8.1
        return source.packed + target.packed + struct.pack("!IHBB", length, 0, 0, protocol)
    return source.packed + target.packed + struct.pack("!BBH", 0, protocol, length)


def _checksum(data: bytes) -> int:
    """RFC 1071."""
    if len(data) % 2:
        data += b"\0"
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
