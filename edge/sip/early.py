"""Early dialogs of calls that we make (RFC 3261 §12.1): provisional answers begin them, one for each phone that rings.

A provisional answer that wants to be acknowledged gets a PRACK (RFC 3262 §4), in order and once; the PRACK repeats
itself. Its session description is the answer to our offer, so from then on either side may change the session.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge.sip.dialog import Dialog
from edge.sip.extension import RELIABLE, requires
from edge.sip.grammar import Unreadable, number
from edge.sip.peer import Peer
from edge.sip.terms import Terms

if TYPE_CHECKING:
    from edge.sip.handle import OutgoingCall, Reoffer
    from edge.sip.message import Response


class Early:
    """One of them."""

    __slots__ = ("_dialog", "_reoffer", "_rseq", "agreed", "outgoing")

    def __init__(self, outgoing: OutgoingCall, dialog: Dialog) -> None:
        self.outgoing = outgoing
        self.agreed = False  # our offer has its answer, and that for sure
        self._dialog = dialog
        self._reoffer: Reoffer | None = None
        self._rseq: int | None = None  # the last that was acknowledged

    @property
    def peer(self) -> Peer:
        return self._dialog.peer

    @property
    def terms(self) -> Terms:
        return self.outgoing.terms

    def follows(self, rseq: int) -> bool:
        """Whether this RSeq is the next; then it is the last. A repeat is none, nor one whose forerunner is missing:
        that is sent again, and so is this (§4)."""
        if self._rseq is not None and rseq != self._rseq + 1:
            return False
        self._rseq = rseq
        return True


def read_rseq(response: Response) -> int | None:
    """The RSeq of an answer that wants a PRACK; None for any other (§4: a 100 never does)."""
    if response.status == 100 or not requires(response, RELIABLE):
        return None
    try:
        return number(response.headers.first.get("rseq", ""), 1 << 32)
    except Unreadable:
        return None
