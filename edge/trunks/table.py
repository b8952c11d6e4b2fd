"""The table of trunks: which trunk an address belongs to.

The longest matching prefix wins, over IPv4, IPv6 and IPv4 mapped into IPv6. It is asked for every packet, so addresses
are remembered: those of trunks apart from strangers, so that a flood from made-up addresses forgets strangers only.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from ipaddress import IPv6Address, ip_address
from typing import Final

from edge.errors import Fault, Invalid
from edge.trunks.trunk import Network, Trunk

REMEMBERED: Final = 8192  # addresses of each kind; when full, all of the kind are forgotten and looked up again


class TrunkTable:
    """All trunks. Raises Invalid when a name or a network is there twice, naming both places."""

    def __init__(self, trunks: Sequence[Trunk]) -> None:
        self.replace(trunks)

    def replace(self, trunks: Sequence[Trunk]) -> None:
        """Other trunks in the same table, for all who hold it. Raises Invalid, and then nothing changed."""
        faults = [*_double_names(trunks), *_double_networks(trunks)]
        if faults:
            raise Invalid("trunks get in each other's way", faults=faults)
        self._trunks = tuple(trunks)
        self._by_name = {trunk.name: trunk for trunk in trunks}
        self._prefixes = {4: _prefixes(trunks, 4), 6: _prefixes(trunks, 6)}
        self._known: dict[str, Trunk] = {}
        self._strangers: set[str] = set()

    def find(self, address: str, transport: str = "udp", subject: str = "") -> Trunk | None:
        """The trunk that an address, in any spelling, belongs to when it comes by that transport; `subject` is what its
        TLS certificate proves. What is no address belongs to none."""
        trunk = self._known.get(address)
        if trunk is not None or address in self._strangers:
            return trunk
        return self._remember(address, self._look(address))

    def admits(self, address: str) -> bool:
        """Whether anything from this address is listened to."""
        return self.find(address) is not None

    def named(self, name: str) -> Trunk | None:
        return self._by_name.get(name)

    def __iter__(self) -> Iterator[Trunk]:
        return iter(self._trunks)

    def __len__(self) -> int:
        return len(self._trunks)

    def _look(self, address: str) -> Trunk | None:
        try:
            ip = ip_address(address.partition("%")[0].strip("[]"))  # without zone (RFC 4007 §11), without brackets
        except ValueError:
            return None
        if isinstance(ip, IPv6Address):
            ip = ip.ipv4_mapped or ip
        bits, width = int(ip), ip.max_prefixlen
        for length, networks in self._prefixes[ip.version]:
            trunk = networks.get(bits >> (width - length))
            if trunk is not None:
                return trunk
        return None

    def _remember(self, address: str, trunk: Trunk | None) -> Trunk | None:
        if trunk is None:
            if len(self._strangers) >= REMEMBERED:
                self._strangers.clear()
            self._strangers.add(address)
        else:
            if len(self._known) >= REMEMBERED:
                self._known.clear()
            self._known[address] = trunk
        return trunk


def _prefixes(trunks: Sequence[Trunk], version: int) -> list[tuple[int, dict[int, Trunk]]]:
    """Longest first: a prefix length, and the trunks by their networks' leading bits."""
    tables: dict[int, dict[int, Trunk]] = {}
    for trunk in trunks:
        for network in trunk.networks:
            if network.version == version:
                leading = int(network.network_address) >> (network.max_prefixlen - network.prefixlen)
                tables.setdefault(network.prefixlen, {})[leading] = trunk
    return sorted(tables.items(), reverse=True)


def _double_names(trunks: Sequence[Trunk]) -> Iterator[Fault]:
    first: dict[str, int] = {}
    for index, trunk in enumerate(trunks):
        other = first.setdefault(trunk.name, index)
        if other != index:
            yield Fault(f"trunks[{index}].name", f"{trunk.name} is the name of trunks[{other}] already")


def _double_networks(trunks: Sequence[Trunk]) -> Iterator[Fault]:
    first: dict[Network, str] = {}
    for index, trunk in enumerate(trunks):
        for place, network in enumerate(trunk.networks):
            where = f"trunks[{index}].networks[{place}]"
            other = first.setdefault(network, where)
            if other != where:
                yield Fault(where, f"{network} of trunk {trunk.name} is {other} already")
