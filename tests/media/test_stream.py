from __future__ import annotations

from edge.media.audio import Audio
from edge.media.receiver import Receiver
from edge.media.rtcp import Sent
from edge.media.rtp import Packet
from edge.media.sdp import Negotiated
from edge.media.sender import Sender
from edge.media.stream import Stats, report, stats

AGREED = Negotiated("PCMU", 0, 101, 20, ("192.0.2.9", 4000), "sendrecv")


def halves() -> tuple[Sender, Receiver]:
    sender, receiver = Sender(5, 0, 1000), Receiver(0.0)
    sender.agree(AGREED, on=True)
    receiver.agree(AGREED, 0.0)
    return sender, receiver


def test_who_sent_reports_as_a_sender() -> None:
    sender, receiver = halves()
    assert report(sender, receiver, 1.0, 99).sent is None
    sender.play([Audio(bytes(640))], lambda: None)
    sender.packet()
    sender.packet()
    receiver.receive(Packet(0, 1, 0, 7, bytes(160)).to_bytes(), 1.0)
    made = report(sender, receiver, 1.0, 99)
    assert made.ssrc == 5
    assert made.sent == Sent(99, 1320, 2, 320)
    assert [block.ssrc for block in made.blocks] == [7]


def test_statistics() -> None:
    sender, receiver = halves()
    sender.packet()
    for sequence in (1, 4):
        receiver.receive(Packet(0, sequence, sequence * 160, 7, bytes(160)).to_bytes(), sequence * 0.02)
    receiver.receive(b"?", 1.0)
    assert stats(sender, receiver) == Stats(1, 160, 2, 320, 2, 0.0, 1, 0, 0.0)
