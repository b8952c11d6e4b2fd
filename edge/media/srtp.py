"""SRTP (RFC 3711): the packets of one stream, encrypted and signed by libsrtp, which also counts roll-overs and knows
replays.

Whoever agrees on the same keys again goes on where he was. A new key of theirs begins with a roll-over count of 0, as
at the beginning of a session (RFC 4568 §6.4).

What is not nice: pylibsrtp takes packets of up to 1,500 octets; a longer one is no audio of ours.
"""

from __future__ import annotations

from typing import Final

from pylibsrtp import Error, Policy, Session

from edge.media.crypto import Sdes, Suite

PROFILES: Final[dict[Suite, int]] = {
    "AEAD_AES_256_GCM": Policy.SRTP_PROFILE_AEAD_AES_256_GCM,
    "AEAD_AES_128_GCM": Policy.SRTP_PROFILE_AEAD_AES_128_GCM,
    "AES_CM_128_HMAC_SHA1_80": Policy.SRTP_PROFILE_AES128_CM_SHA1_80,
    "AES_CM_128_HMAC_SHA1_32": Policy.SRTP_PROFILE_AES128_CM_SHA1_32,
}
WINDOW: Final = 1024  # packets that may lie between one and one that overtook it


class Cipher:
    """Both directions of one stream."""

    __slots__ = ("_in", "_out", "_sdes")

    def __init__(self, sdes: Sdes) -> None:
        self._sdes = sdes
        self._in = _session(sdes.suite, sdes.theirs, Policy.SSRC_ANY_INBOUND)
        self._out = _session(sdes.suite, sdes.ours, Policy.SSRC_ANY_OUTBOUND)

    def agree(self, sdes: Sdes) -> None:
        """From now on by these keys; what stays the same goes on."""
        before, self._sdes = self._sdes, sdes
        if (before.suite, before.theirs) != (sdes.suite, sdes.theirs):
            self._in = _session(sdes.suite, sdes.theirs, Policy.SSRC_ANY_INBOUND)
        if (before.suite, before.ours) != (sdes.suite, sdes.ours):
            self._out = _session(sdes.suite, sdes.ours, Policy.SSRC_ANY_OUTBOUND)

    def seal(self, packet: bytes) -> bytes | None:
        """The packet as it goes out; None for one that was sent before, or is too long."""
        try:
            return self._out.protect(packet)
        except (Error, ValueError):
            return None

    def open(self, packet: bytes) -> bytes | None:
        """The packet in it; None for one that is not theirs, or was here before."""
        try:
            return self._in.unprotect(packet)
        except (Error, ValueError):
            return None

    def seal_report(self, packet: bytes) -> bytes | None:
        try:
            return self._out.protect_rtcp(packet)
        except (Error, ValueError):
            return None

    def open_report(self, packet: bytes) -> bytes | None:
        try:
            return self._in.unprotect_rtcp(packet)
        except (Error, ValueError):
            return None


def _session(suite: Suite, key: bytes, streams: int) -> Session:
    policy = Policy(key=key, ssrc_type=streams, srtp_profile=PROFILES[suite])
    policy.window_size = WINDOW
    return Session(policy)
