"""Keys of SRTP as they stand in a session description: `a=crypto` (RFC 4568, SDES; RFC 7714 for AEAD).

Text → value → text. An attribute that we cannot serve to the letter is none: a suite that we do not know, several keys
or one with an index (MKI), a session parameter that must be understood. Lifetimes are read and not kept: a key serves
for 2^48 packets (RFC 3711 §9.2), and no call lasts so long.

A key prints itself as nothing but its suite, so that none gets into a log.
"""

from __future__ import annotations

import binascii
import re
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterable, Mapping
from typing import Final, Literal, NamedTuple

Suite = Literal["AEAD_AES_256_GCM", "AEAD_AES_128_GCM", "AES_CM_128_HMAC_SHA1_80", "AES_CM_128_HMAC_SHA1_32"]
Srtp = Literal["off", "optional", "required"]  # what an offer may or must have

OCTETS: Final[dict[Suite, int]] = {  # of key and salt; best first
    "AEAD_AES_256_GCM": 44,
    "AEAD_AES_128_GCM": 28,
    "AES_CM_128_HMAC_SHA1_80": 30,
    "AES_CM_128_HMAC_SHA1_32": 30,
}
TAGS: Final[dict[Suite, int]] = {suite: tag for tag, suite in enumerate(OCTETS, 1)}  # in offers of ours
IGNORED: Final = ("wsh=", "-")  # session parameters that change nothing (§6.3.7), or say that they may be ignored

_form = re.compile(
    r"(\d{1,9}) +([A-Za-z0-9_]+) +inline:([A-Za-z0-9+/]+={0,2})(?:\|(?:2\^\d{1,2}|\d{1,15}))?((?: +[\x21-\x7e]+)*) *",
    re.IGNORECASE | re.ASCII,
)


class Crypto(NamedTuple):
    """One attribute: a suite, and the key that its sender encrypts with."""

    tag: int
    suite: Suite
    key: bytes  # and salt

    @classmethod
    def parse(cls, text: str) -> Crypto | None:
        """None for one that cannot be served."""
        found = _form.fullmatch(text)
        if found is None:
            return None
        suite = next((suite for suite in OCTETS if suite == found[2].upper()), None)
        if suite is None or any(not word.lower().startswith(IGNORED) for word in found[4].split()):
            return None
        try:
            key = b64decode(found[3], validate=True)
        except binascii.Error:
            return None
        return cls(int(found[1]), suite, key) if len(key) == OCTETS[suite] else None

    def __str__(self) -> str:
        return f"{self.tag} {self.suite} inline:{b64encode(self.key).decode()}"

    def __repr__(self) -> str:
        return f"<key {self.tag} {self.suite}>"


class Sdes(NamedTuple):
    """What both sides agreed on: each encrypts with its own key. `tag` is that of the offer."""

    tag: int
    suite: Suite
    ours: bytes
    theirs: bytes

    def __repr__(self) -> str:
        return f"<{self.suite}>"

    @property
    def line(self) -> str:
        """Our side of it, as an attribute."""
        return f"a=crypto:{Crypto(self.tag, self.suite, self.ours)}"


class Keyring:
    """Ours of one session: for each suite another, the same as long as the session lasts."""

    __slots__ = ("_keys",)

    def __init__(self, random: Callable[[int], bytes]) -> None:
        self._keys: Mapping[Suite, bytes] = {suite: random(octets) for suite, octets in OCTETS.items()}

    def choose(self, offered: Iterable[str]) -> Sdes | None:
        """The first of the attributes offered that we can serve (§5.1.2), and our answer to it."""
        for text in offered:
            crypto = Crypto.parse(text)
            if crypto is not None:
                return Sdes(crypto.tag, crypto.suite, self._keys[crypto.suite], crypto.key)
        return None

    def accept(self, answered: Iterable[str]) -> Sdes | None:
        """What is agreed by the answer to `lines`: exactly one of ours (§5.1.3)."""
        texts = list(answered)
        crypto = Crypto.parse(texts[0]) if len(texts) == 1 else None
        if crypto is None or TAGS[crypto.suite] != crypto.tag:
            return None
        return Sdes(crypto.tag, crypto.suite, self._keys[crypto.suite], crypto.key)

    def lines(self, only: Suite | None = None) -> list[str]:
        """Our offer: all suites, or the one that is spoken already."""
        return [
            f"a=crypto:{Crypto(TAGS[suite], suite, key)}"
            for suite, key in self._keys.items()
            if only is None or suite == only
        ]
