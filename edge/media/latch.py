"""Latch: from whom a stream takes its packets (symmetric RTP, RFC 4961), as long as it has not heard the right one.

Ports of media can be guessed, and somebody may spray all of them. So it matters where the first packet comes from:

- The host that the SDP named, the one that the signalling comes from, or whom we heard before: believed at once, at
  whatever port, for a NAT may have changed that.
- Another one, where what the SDP named cannot be what a packet of theirs shows here (a private address, a name, none),
  or in the same network as what it named: believed for the time being, after some packets in a row of one source, until
  one of the first kind comes.
- Anybody else is never believed.

What has the right key (SRTP) needs none of this.
"""

from __future__ import annotations

from collections import OrderedDict
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Literal

Verdict = Literal["right", "perhaps", "no"]

PROBATION = 5  # packets in a row,
PROBATION_SECONDS = 0.05  # over at least this time, from somewhere else
SKIPPED = 3  # by how much the number of one may be ahead of that before
CANDIDATES = 32  # sources on probation at once; of more, those go that were heard longest ago
PREFIX = {4: 24, 6: 64}  # of hosts that count as one network

Address = tuple[str, int]


class Latch:
    """What one stream knows of sources. `near` is the host that its signalling comes from, if that is known."""

    __slots__ = ("_candidates", "_near", "_open", "_right", "_told")

    def __init__(self, near: str = "") -> None:
        self._near = near
        self._candidates: OrderedDict[Address, tuple[int, int, int, float]] = OrderedDict()
        self.expect(None)

    def expect(self, told: Address | None, heard: Address | None = None) -> None:
        """Begin anew: the SDP says there, and so far it came from where we `heard` it."""
        self._told = "" if told is None else told[0]
        self._right = {host for host in (self._told, self._near, "" if heard is None else heard[0]) if host}
        self._open = not _is_global(self._told)
        self._candidates.clear()

    def knows(self, host: str) -> bool:
        """Whether whoever is there is believed at once."""
        return host in self._right

    def judge(self, source: Address, ssrc: int, sequence: int, now: float) -> Verdict:
        """What to think of a packet of RTP from there."""
        if source[0] in self._right:
            return "right"
        if not self._open and _network(source[0]) != _network(self._told):
            return "no"
        before = self._candidates.pop(source, None)
        count, since = 1, now
        if before is not None and before[0] == ssrc and 0 < sequence - before[1] & 0xFFFF <= SKIPPED:
            count, since = before[2] + 1, before[3]
        elif len(self._candidates) >= CANDIDATES:
            self._candidates.popitem(last=False)
        if count >= PROBATION and now - since >= PROBATION_SECONDS:
            return "perhaps"
        self._candidates[source] = (ssrc, sequence, count, since)
        return "no"


@lru_cache(maxsize=1024)
def _is_global(host: str) -> bool:
    try:
        return ip_address(host).is_global
    except ValueError:
        return False


@lru_cache(maxsize=1024)
def _network(host: str) -> IPv4Network | IPv6Network:
    address = ip_address(host.partition("%")[0])
    return ip_network((address, PREFIX[address.version]), strict=False)
