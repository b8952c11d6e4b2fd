"""RTCP (RFC 3550 §6): the reports two sides of a stream give each other.

We send compound packets of a sender or receiver report, our canonical name, and at the end a BYE. We read sender and
receiver reports and BYE; everything else in a compound packet is stepped over. `read` is strict about lengths, so
that a malformed packet is told from a foreign one.
"""

from __future__ import annotations

from collections.abc import Sequence
from struct import Struct
from typing import NamedTuple

SR, RR, SDES, BYE = 200, 201, 202, 203
CNAME = 1
INTERVAL_SECONDS = 5.0  # between reports, RFC 3550 §6.2; the one who sends spreads it by chance, §6.3.1
MAX_CNAME = 255
MAX_BLOCKS = 31  # the count has five bits

_HEAD = Struct("!BBH")
_SENDER = Struct("!IIIIII")
_BLOCK = Struct("!IIIIII")
_NTP_EPOCH = 2_208_988_800  # seconds from 1900 to 1970


class BadRtcp(ValueError):
    """These bytes are no RTCP packet; the message says why."""


class Block(NamedTuple):
    """What one side received of a source, RFC 3550 §6.4.1.

    `fraction` is in 1/256 since the last report, `lost` the total (negative with duplicates), `highest` the extended
    sequence number, `jitter` in samples, `last_report` the middle 32 bits of the NTP time of the source's last report,
    `delay` since then in 1/65536 s.
    """

    ssrc: int
    fraction: int
    lost: int
    highest: int
    jitter: int
    last_report: int = 0
    delay: int = 0


class Sent(NamedTuple):
    """What a sender has sent itself: the NTP time (64 bits), the RTP timestamp of that instant, totals."""

    ntp: int
    timestamp: int
    packets: int
    octets: int


class Report(NamedTuple):
    """A sender report, or a receiver report when `sent` is None."""

    ssrc: int
    sent: Sent | None
    blocks: tuple[Block, ...]


class Bye(NamedTuple):
    """The sources that have left."""

    ssrcs: tuple[int, ...]


def ntp(unix_seconds: float) -> int:
    """Wall time as NTP's 64 bits: seconds since 1900 and their binary fraction, RFC 3550 §4."""
    return int((unix_seconds + _NTP_EPOCH) * 4294967296.0) & 0xFFFFFFFFFFFFFFFF


def middle(ntp_time: int) -> int:
    """The middle 32 bits of an NTP time, as report blocks carry it."""
    return ntp_time >> 16 & 0xFFFFFFFF


def compound(report: Report, cname: str, *, bye: bool = False) -> bytes:
    """The report, the canonical name, and BYE if this is the end: one datagram (RFC 3550 §6.1)."""
    parts = [_report(report), _sdes(report.ssrc, cname)]
    if bye:
        parts.append(_HEAD.pack(0x81, BYE, 1) + report.ssrc.to_bytes(4, "big"))
    return b"".join(parts)


def _report(report: Report) -> bytes:
    blocks = report.blocks[:MAX_BLOCKS]
    body = b"".join(
        _BLOCK.pack(
            block.ssrc,
            block.fraction << 24 | max(-0x800000, min(0x7FFFFF, block.lost)) & 0xFFFFFF,
            block.highest,
            block.jitter,
            block.last_report,
            block.delay,
        )
        for block in blocks
    )
    if report.sent is None:
        own, kind = report.ssrc.to_bytes(4, "big"), RR
    else:
        time, timestamp, packets, octets = report.sent
        own = _SENDER.pack(report.ssrc, time >> 32, time & 0xFFFFFFFF, timestamp, packets, octets)
        kind = SR
    return _HEAD.pack(0x80 | len(blocks), kind, (len(own) + len(body)) // 4) + own + body


def _sdes(ssrc: int, cname: str) -> bytes:
    name = cname.encode()[:MAX_CNAME]
    chunk = ssrc.to_bytes(4, "big") + bytes((CNAME, len(name))) + name
    chunk += bytes(4 - len(chunk) % 4)  # at least one zero ends the list, RFC 3550 §6.5
    return _HEAD.pack(0x81, SDES, len(chunk) // 4) + chunk


def read(data: bytes) -> Sequence[Report | Bye]:
    """The reports and byes of a compound packet, in order. Raises BadRtcp."""
    if len(data) < 8:
        raise BadRtcp(f"{len(data)} bytes are too few")
    found: list[Report | Bye] = []
    at = 0
    while at < len(data):
        if len(data) - at < 4:
            raise BadRtcp("bytes are left over at the end")
        first, kind, words = _HEAD.unpack_from(data, at)
        if first & 0xC0 != 0x80:
            raise BadRtcp(f"version {first >> 6} instead of 2")
        end = at + 4 + 4 * words
        if end > len(data):
            raise BadRtcp("a packet goes beyond the end")
        body = data[at + 4 : end]
        if first & 0x20:
            if not body or not 0 < body[-1] <= len(body):
                raise BadRtcp("more padding than packet")
            body = body[: -body[-1]]
        if kind in (SR, RR):
            found.append(_read_report(kind, first & 0x1F, body))
        elif kind == BYE:
            found.append(_read_bye(first & 0x1F, body))
        at = end
    return found


def _read_report(kind: int, count: int, body: bytes) -> Report:
    start = 24 if kind == SR else 4
    if len(body) < start + count * _BLOCK.size:
        raise BadRtcp("the report is shorter than its blocks")
    sent = None
    if kind == SR:
        ssrc, high, low, timestamp, packets, octets = _SENDER.unpack_from(body)
        sent = Sent(high << 32 | low, timestamp, packets, octets)
    else:
        ssrc = int.from_bytes(body[:4], "big")
    return Report(
        ssrc, sent, tuple(_read_block(body, at) for at in range(start, start + count * _BLOCK.size, _BLOCK.size))
    )


def _read_block(body: bytes, at: int) -> Block:
    ssrc, losses, highest, jitter, last_report, delay = _BLOCK.unpack_from(body, at)
    lost = losses & 0xFFFFFF
    return Block(ssrc, losses >> 24, lost - 0x1000000 if lost & 0x800000 else lost, highest, jitter, last_report, delay)


def _read_bye(count: int, body: bytes) -> Bye:
    if len(body) < 4 * count:
        raise BadRtcp("the BYE is shorter than its sources")
    return Bye(tuple(int.from_bytes(body[at : at + 4], "big") for at in range(0, 4 * count, 4)))
