"""The two halves of a stream as others see them: its statistics and its RTCP reports."""

from __future__ import annotations

from typing import NamedTuple

from edge.media.g711 import SAMPLES_PER_MS
from edge.media.receiver import Receiver
from edge.media.rtcp import Report, Sent
from edge.media.sender import Sender


class StreamClosed(Exception):
    """The stream was closed while something was being played or pressed on it, or before."""


class Stats(NamedTuple):
    """What a stream has sent and received so far. Times in milliseconds."""

    sent_packets: int
    sent_bytes: int
    received_packets: int
    received_bytes: int
    lost_packets: int
    jitter_ms: float
    strange_packets: int  # from another source, of another payload type, or no RTP
    remote_lost_packets: int  # as the other side's last report says
    remote_jitter_ms: float


def report(sender: Sender, receiver: Receiver, now: float, ntp_time: int) -> Report:
    """The report due now: a sender's if anything was sent, else a receiver's (RFC 3550 §6.4)."""
    block = receiver.block(now)
    sent = None
    if sender.packets:
        sent = Sent(ntp_time, sender.timestamp, sender.packets & 0xFFFFFFFF, sender.octets & 0xFFFFFFFF)
    return Report(sender.ssrc, sent, (block,) if block is not None else ())


def stats(sender: Sender, receiver: Receiver) -> Stats:
    return Stats(
        sent_packets=sender.packets,
        sent_bytes=sender.octets,
        received_packets=receiver.packets,
        received_bytes=receiver.octets,
        lost_packets=max(0, receiver.lost),
        jitter_ms=receiver.jitter / SAMPLES_PER_MS,
        strange_packets=receiver.strange + receiver.elsewhere,
        remote_lost_packets=max(0, receiver.remote_lost),
        remote_jitter_ms=receiver.remote_jitter / SAMPLES_PER_MS,
    )
