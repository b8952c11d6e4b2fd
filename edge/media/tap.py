"""A tap: somebody who hears a stream besides the one who listens, to record it, to fork it, to watch for silence.

A stream may have several at once. Each gets both directions as PCM, packet by packet, with the RTP timestamps of that
direction: what the other side sends as it comes, lost and late packets included as such; and what we send it. Our own
silence is not told, nor are keys; a gap between timestamps is silence. The two directions have clocks of their own.
"""

from __future__ import annotations

from typing import Protocol


class Tap(Protocol):
    """Called by the packet: it must be quick. One that raises is taken off its stream."""

    def heard(self, timestamp: int, pcm: bytes) -> None:
        """A packet of the other side came."""

    def said(self, timestamp: int, pcm: bytes) -> None:
        """A packet was sent to the other side: of a prompt, of a live source, or relayed."""
