"""How many calls of our own making there may be, in one place.

The story of the bound: a flow decides whom we call, and a flow may be wrong, or an account in the wrong hands. What it
can begin at once is bounded per account, and how far a call may be handed on from number to number of ours is bounded
per call. What is beyond either fails at once, and the flow sees why.
"""

from __future__ import annotations

LEGS_PER_ACCOUNT = 100  # outgoing calls that ring or are up, of one account
PLACED_SECONDS = 60.0  # that a call of its own may ring
HOPS = 8  # numbers of ours that one call passes through; then 482
RESOLVE_SECONDS = 5.0  # until the host of a SIP URI must have an address
