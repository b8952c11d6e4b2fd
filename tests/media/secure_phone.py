"""A phone that encrypts, with libsrtp used for itself: nothing of the edge's own SRTP is in it."""

from __future__ import annotations

from pylibsrtp import Policy, Session

from edge.media import rtcp
from edge.media.crypto import Sdes, Suite
from edge.media.rtp import Packet, read
from edge.media.sdp import Negotiated
from edge.media.transport.stream import Stream
from tests.media.phone import Phone, arrived

PROFILES: dict[Suite, int] = {
    "AEAD_AES_256_GCM": Policy.SRTP_PROFILE_AEAD_AES_256_GCM,
    "AEAD_AES_128_GCM": Policy.SRTP_PROFILE_AEAD_AES_128_GCM,
    "AES_CM_128_HMAC_SHA1_80": Policy.SRTP_PROFILE_AES128_CM_SHA1_80,
    "AES_CM_128_HMAC_SHA1_32": Policy.SRTP_PROFILE_AES128_CM_SHA1_32,
}
LENGTHS: dict[Suite, int] = {
    "AEAD_AES_256_GCM": 44,
    "AEAD_AES_128_GCM": 28,
    "AES_CM_128_HMAC_SHA1_80": 30,
    "AES_CM_128_HMAC_SHA1_32": 30,
}


def keys(suite: Suite, seed: int = 1) -> tuple[bytes, bytes]:
    """Two keys of a suite."""
    length = LENGTHS[suite]
    return bytes(seed + n for n in range(length)), bytes(seed + 100 + n for n in range(length))


def session(suite: Suite, key: bytes, streams: int) -> Session:
    return Session(Policy(key=key, ssrc_type=streams, srtp_profile=PROFILES[suite]))


class SecurePhone(Phone):
    """Its packets are encrypted, and so must be those that arrive."""

    def __init__(self, suite: Suite, seed: int = 1) -> None:
        super().__init__()
        self.suite = suite
        self.edge_key, self.key = keys(suite, seed)
        self.ours = session(suite, self.key, Policy.SSRC_ANY_OUTBOUND)
        self.theirs = session(suite, self.edge_key, Policy.SSRC_ANY_INBOUND)

    def agreed(self, **changes: object) -> Negotiated:
        return super().agreed(**{"sdes": Sdes(1, self.suite, self.edge_key, self.key), **changes})

    def sealed(self, payload: bytes = b"\xff" * 160, kind: int = 0, timestamp: int | None = None) -> bytes:
        self.sequence += 1
        when = self.sequence * 160 if timestamp is None else timestamp
        return self.ours.protect(Packet(kind, self.sequence, when, 77, payload).to_bytes())

    def say(self, stream: Stream, payload: bytes = b"\xff" * 160, kind: int = 0, timestamp: int | None = None) -> None:
        self.rtp.sendto(self.sealed(payload, kind, timestamp), stream.local)

    def packets(self) -> list[Packet]:
        return [read(self.theirs.unprotect(data)) for data in arrived(self.rtp)]

    def reports(self) -> list[rtcp.Report | rtcp.Bye]:
        return [item for data in arrived(self.rtcp) for item in rtcp.read(self.theirs.unprotect_rtcp(data))]
