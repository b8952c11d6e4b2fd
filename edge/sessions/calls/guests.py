"""Guests: hosts of SIP URIs that we call, which belong to no trunk. What they send is listened to as long as a call of
ours to them lasts, and a little longer, for what is repeated on the wire. They may answer; a call of theirs is refused.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Final

LINGER: Final = 64.0  # s; the last repeats of a transaction take 32 (RFC 3261 §17), and two may follow each other


class Guests:
    """Their addresses, each with the number of calls."""

    def __init__(self) -> None:
        self._calls: Counter[str] = Counter()

    def admits(self, address: str) -> bool:
        return address in self._calls

    def enter(self, address: str) -> None:
        self._calls[address] += 1

    def leave(self, address: str) -> None:
        """A call is over."""
        asyncio.get_running_loop().call_later(LINGER, self._forget, address)

    def _forget(self, address: str) -> None:
        self._calls[address] -= 1
        if not self._calls[address]:
            del self._calls[address]
