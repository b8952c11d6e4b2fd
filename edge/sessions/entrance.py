"""Who sent a request: the trunk that it is from, and the way that it came.

A source is known by its address and transport, over TLS also by its certificate. Behind a proxy that we trust
(`sip.trusted_proxies`) who sent it is the one below that proxy's Via: the proxy has written there, as `received`, where
the packet came from, unless that is the very address the Via itself names (RFC 3261 §18.2.1). Of several such proxies
each vouches for the Via below its own. What the sender wrote himself decides nothing: where two `received` stand
it is not known who sent it, nor where a Via names a host that nobody has checked. A certificate was shown to the proxy
and not to us, so a trunk that asks for one is never found behind a proxy.
"""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Network, IPv6Network
from typing import NamedTuple

from edge.numbers.number import Number
from edge.sip.authentication import Proof
from edge.sip.message import Malformed, Request, Via
from edge.sip.peer import Peer
from edge.trunks.resolve import Targets
from edge.trunks.table import REMEMBERED, TrunkTable, read_address
from edge.trunks.trunk import Trunk


class Entry(NamedTuple):
    """How a request came in."""

    trunk: Trunk
    address: str  # of who sent it, as far as we can tell
    proxy: str = ""  # the trusted proxy that it came through
    auth: str = ""  # how who sent it proved who he is, as the record has it
    proof: Proof | None = None  # one that other edges have to be asked about


class Entrance:
    """Tells whom requests are from. `targets`: the addresses that our own requests go to are heard as well."""

    def __init__(
        self,
        trunks: TrunkTable,
        proxies: Sequence[IPv4Network | IPv6Network] = (),
        targets: Targets | None = None,
    ) -> None:
        self._trunks = trunks
        self._proxies = tuple(proxies)
        self._targets = targets
        self._known: dict[str, bool] = {}  # addresses, and whether they are of such proxies

    def find(self, request: Request, peer: Peer) -> Entry | None:
        """None: a stranger's."""
        address = peer.remote[0]
        if self._proxies and self.is_proxy(address):
            return self._behind(request, peer)
        trunk = self._trunks.find(address, peer.transport, peer.subject)
        return None if trunk is None else Entry(trunk, address)

    def admits(self, address: str, transport: str) -> bool:
        """Whether anything from there is listened to."""
        return (
            self._trunks.admits(address, transport)
            or (bool(self._proxies) and self.is_proxy(address))
            or (self._targets is not None and self._targets.reach(address))
        )

    def nearest(self, number: Number, trunk: Trunk) -> str:
        """In words, where a number answers that does not on that trunk."""
        trunks = ((self._trunks.of_id(one), one) for one in number.trunk_ids)
        names = " and ".join(known.name if known is not None else one for known, one in trunks)
        return f"{number.number} is bound on trunk {names}, not {trunk.name}"

    def takes_tcp(self, peer: Peer) -> bool:
        """Whether a request of ours to there may go by TCP: not where a carrier agreed to UDP alone."""
        address = peer.remote[0]
        return self._trunks.admits(address, "tcp") or not self._trunks.admits(address, "udp")

    def is_proxy(self, address: str) -> bool:
        """Whether that is a proxy that we trust."""
        known = self._known.get(address)
        if known is None:
            ip = read_address(address)
            known = ip is not None and any(ip in network for network in self._proxies)
            if len(self._known) >= REMEMBERED:
                self._known.clear()
            self._known[address] = known
        return known

    def _behind(self, request: Request, peer: Peer) -> Entry | None:
        proxy = peer.remote[0]
        try:
            vias = request.vias
        except Malformed:
            return None
        for via in vias[1:]:
            address = _stamped(via)
            if address is None:
                return None
            if not self.is_proxy(address):
                trunk = self._trunks.find(address, via.transport.lower())
                return None if trunk is None else Entry(trunk, address, proxy)
        trunk = self._trunks.find(proxy, peer.transport, peer.subject)  # its own: nobody is below it
        return None if trunk is None else Entry(trunk, proxy)


def _stamped(via: Via) -> str | None:
    """Where the proxy above says that a request came from; None for a host that nobody has checked. A Via with two
    `received` cannot be read at all (§7.3.1)."""
    ip = read_address(via.received if via.received is not None else via.host)
    return None if ip is None else str(ip)
