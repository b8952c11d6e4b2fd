"""Nonces that need not be remembered, and how often each was used.

A nonce says when it was made and by which process, and a sum under a key over that and over whom it is for: a trunk, an
address and a Call-ID. So it is good for one call from one place, for some time, and nobody else can make one; a
challenge costs no memory. The processes of one edge share the key, and thereby take each other's for genuine.

    milliseconds since the epoch (8 octets) · who made it (4) · HMAC-SHA-256, its first half (16), in base64

What is remembered is how high each nonce was counted by requests that proved themselves, until it is too old: the same
proof does not serve twice. A count that is not higher than the last, as when two requests overtook each other, is
refused like an old nonce, and its sender comes again with a new one.

The story of the bound: only who knows the password gets into the table. When it is full, the oldest entry goes, and no
nonce that was made before that one is taken any more unless it is in there.
"""

from __future__ import annotations

import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections import OrderedDict
from hashlib import sha256
from math import inf
from typing import Final, NamedTuple

NONCES: Final = 65_536  # used ones that are remembered, about 200 octets each: 1,000 calls/s for a minute
SKEW: Final = 5.0  # s that the clocks of two edges may differ
LENGTH: Final = 40  # characters of a nonce
MAKER: Final = 4  # octets that tell processes apart
UNCOUNTED: Final = 1 << 32  # the count of a proof as of old, which serves once: no other is higher


class Issued(NamedTuple):
    """A nonce that one of us made, for who brings it, and not long ago."""

    nonce: str
    made: float  # seconds since the epoch
    ours: bool  # by this process


class Nonces:
    """Makes nonces and knows them again. All times are seconds since the epoch, for edges have to agree on them."""

    def __init__(self, key: bytes, maker: bytes, seconds: float) -> None:
        """`maker` tells this process from others, and from itself before a restart. A nonce is good for `seconds`."""
        if len(maker) != MAKER:
            raise ValueError(f"a maker is {MAKER} octets")
        self.seconds = seconds
        self._key = hmac.new(key, digestmod=sha256)
        self._maker = maker
        self._counts: OrderedDict[str, tuple[float, int]] = OrderedDict()  # when it was made, the highest count
        self._floor = -inf  # made before: good only if it is in there

    def __len__(self) -> int:
        return len(self._counts)

    def make(self, whom: str, now: float) -> str:
        """A fresh one."""
        head = int(now * 1000).to_bytes(8, "big") + self._maker
        return _text(head + self._sum(head, whom))

    def read(self, nonce: str, whom: str, now: float) -> Issued | None:
        """None: it is none of ours, not for them, or too old."""
        if len(nonce) > LENGTH:
            return None
        try:
            raw = urlsafe_b64decode(nonce.encode("ascii") + b"=" * (-len(nonce) % 4))
        except ValueError:
            return None
        head = raw[: 8 + MAKER]
        if _text(raw) != nonce:  # there is one way to write it
            return None
        if not hmac.compare_digest(raw[8 + MAKER :], self._sum(head, whom)):
            return None
        made = int.from_bytes(head[:8], "big") / 1000
        if not now - self.seconds <= made <= now + SKEW:
            return None
        return Issued(nonce, made, head[8:] == self._maker)

    def used(self, issued: Issued, count: int, now: float) -> bool:
        """Whether a proof with that count is the first of its kind here; it is remembered then."""
        self._forget(now)
        counts = self._counts
        known = counts.get(issued.nonce)
        if known is None:
            if issued.made <= self._floor:
                return False
            if len(counts) >= NONCES:
                self._floor = max(self._floor, counts.popitem(last=False)[1][0])
                if issued.made <= self._floor:
                    return False
        elif count <= known[1]:
            return False
        counts[issued.nonce] = issued.made, count
        return True

    def _forget(self, now: float) -> None:
        """Those that are too old by now; they stand about in the order of their making."""
        counts = self._counts
        while counts:
            made, _ = next(iter(counts.values()))
            if made >= now - self.seconds:
                return
            counts.popitem(last=False)

    def _sum(self, head: bytes, whom: str) -> bytes:
        mac = self._key.copy()
        mac.update(head)
        mac.update(whom.encode("utf-8", "surrogateescape"))
        return mac.digest()[:16]


def _text(raw: bytes) -> str:
    return urlsafe_b64encode(raw).decode().rstrip("=")
