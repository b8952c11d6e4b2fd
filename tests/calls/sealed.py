"""SRTP for callers of tests, by libsrtp used for itself: a key of their own, and the daemon's once it was read."""

from __future__ import annotations

import re
import secrets
from base64 import b64decode, b64encode
from typing import Final

from pylibsrtp import Policy, Session

Address = tuple[str, int]

PROFILES: Final = {
    "AEAD_AES_256_GCM": (Policy.SRTP_PROFILE_AEAD_AES_256_GCM, 44),
    "AEAD_AES_128_GCM": (Policy.SRTP_PROFILE_AEAD_AES_128_GCM, 28),
    "AES_CM_128_HMAC_SHA1_80": (Policy.SRTP_PROFILE_AES128_CM_SHA1_80, 30),
    "AES_CM_128_HMAC_SHA1_32": (Policy.SRTP_PROFILE_AES128_CM_SHA1_32, 30),
}
USUAL: Final = "AES_CM_128_HMAC_SHA1_80"


class Sealed:
    """Both directions of one caller's audio."""

    def __init__(self, suite: str = USUAL, tag: int = 1) -> None:
        self.suite = suite
        self.tag = tag
        self.theirs = ""  # the daemon's key, as it was written
        self._waiting: list[tuple[bytes, Address]] = []
        self._in: Session | None = None
        self.change()

    def change(self) -> None:
        """Take another key."""
        profile, octets = PROFILES[self.suite]
        key = secrets.token_bytes(octets)
        self.ours = b64encode(key).decode()
        self._out = Session(Policy(key=key, ssrc_type=Policy.SSRC_ANY_OUTBOUND, srtp_profile=profile))

    @property
    def line(self) -> str:
        """For an offer or an answer."""
        return f"a=crypto:{self.tag} {self.suite} inline:{self.ours}"

    def agree(self, body: bytes) -> list[tuple[bytes, Address]]:
        """The daemon's key is in this description, under our tag; what waited for it."""
        found = re.findall(rf"(?m)^a=crypto:{self.tag} {self.suite} inline:(\S+)\r$", body.decode())
        assert len(found) == 1, body.decode()
        if found[0] != self.theirs:
            self.theirs = found[0]
            profile, _ = PROFILES[self.suite]
            policy = Policy(key=b64decode(self.theirs), ssrc_type=Policy.SSRC_ANY_INBOUND, srtp_profile=profile)
            self._in = Session(policy)
        waiting, self._waiting = self._waiting, []
        return [(self._in.unprotect(data), source) for data, source in waiting if self._in is not None]

    def open(self, data: bytes, source: Address) -> bytes | None:
        """None: the key is not known yet, and it waits for that."""
        if self._in is None:
            self._waiting.append((data, source))
            return None
        return bytes(self._in.unprotect(data))

    def seal(self, data: bytes) -> bytes:
        return bytes(self._out.protect(data))
