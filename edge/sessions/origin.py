"""On whose behalf a call is made."""

from __future__ import annotations

from typing import NamedTuple

from edge.sip.dialog import MAX_FORWARDS


class Origin(NamedTuple):
    """The account, and what is known of the session whose flow wants the call."""

    customer_id: str
    number: str  # the account's own that is at work: what is called from where nothing is said, and what is home
    caller: str = ""  # who called us, as he was told; "" when nobody did, or when his call is not passed on
    private: bool = False  # the caller wants his number withheld
    path: tuple[str, ...] = ()  # the numbers of ours that it came through
    hops: int = MAX_FORWARDS  # what is left of Max-Forwards
