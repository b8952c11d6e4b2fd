"""INVITEs that were refused lately, and how: the same one again gets the same answer, without anybody being asked.

A refusal that was sent without a transaction must be the same for each repeat (RFC 3261 §8.2.7), and one that had a
transaction is forgotten by it after 32 s at the most. Some carriers come back with the very same request after that, or
by another way. What they get is said from memory. "The same request" means its Call-ID, From-tag and CSeq; who tries
anew, with other credentials or less in his offer, counts his CSeq up (§8.1.3.5) and is looked at anew.

Refusals that may be over a moment later are for repeats only, which have the branch of the first: a proxy that comes
back with a branch of its own is looked at anew.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Final

from edge.sip.limits import REFUSALS, REFUSED_SECONDS

if TYPE_CHECKING:
    from edge.sip.screen import Refusal
    from edge.sip.transaction import MergeKey

PASSING: Final = frozenset({408, 480, 482, 487, 491, 500, 503, 504, 600})  # may be over a moment later


class Refusals:
    """Those of one agent, no more than `REFUSALS` and none older than `REFUSED_SECONDS`."""

    __slots__ = ("_by_key",)

    def __init__(self) -> None:
        self._by_key: OrderedDict[MergeKey, tuple[float, str | None, Refusal]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._by_key)

    def remember(self, key: MergeKey, branch: str | None, refusal: Refusal, now: float) -> None:
        """Keep it; what is too old, or the oldest of too many, makes room."""
        known = self._by_key
        for _ in range(2):  # twice as many may go as come
            oldest = next(iter(known), None)
            if oldest is None or (known[oldest][0] > now and len(known) < REFUSALS):
                break
            del known[oldest]
        known[key] = now + REFUSED_SECONDS, branch, refusal
        known.move_to_end(key)

    def find(self, key: MergeKey, branch: str | None, now: float) -> Refusal | None:
        """How that INVITE was refused, if it was."""
        known = self._by_key.get(key)
        if known is None:
            return None
        until, of_branch, refusal = known
        if until <= now:
            del self._by_key[key]
            return None
        return None if refusal[0] in PASSING and branch != of_branch else refusal
