"""The table of trunks: which trunk an address belongs to.

A trunk of transport `any` counts for each. Of those that count for a transport the longest matching prefix wins, over
IPv4, IPv6 and IPv4 mapped into IPv6; the same prefix on two of them is refused, so there is never a draw. Only trunks
of transport `tls` may share one, if each asks for certificates of its own: then the certificate decides.

It is asked for every packet, so addresses are remembered: those of trunks apart from strangers, so that a flood from
made-up addresses forgets strangers only.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final, NamedTuple

from edge.errors import Fault, Invalid
from edge.trunks.trunk import Network, Trunk

REMEMBERED: Final = 8192  # addresses of each kind and transport; when full, all are forgotten and looked up again
TRANSPORTS: Final = ("udp", "tcp", "tls")


class Clash(NamedTuple):
    """Two trunks that have the same network."""

    later: int  # its place among the trunks
    place: int  # of the network in it
    network: Network
    earlier: int
    earlier_place: int


class TrunkTable:
    """All trunks. Raises Invalid when a name or a network is there twice, naming both places."""

    def __init__(self, trunks: Sequence[Trunk], *, complete: bool = True) -> None:
        self.complete = complete  # all that there are; else some may be in a database that was never read so far
        self.replace(trunks)

    def replace(self, trunks: Sequence[Trunk]) -> None:
        """Other trunks in the same table, for all who hold it. Raises Invalid, and then nothing changed."""
        faults = [*_double_names(trunks), *_double_networks(trunks)]
        if faults:
            raise Invalid("trunks get in each other's way", faults=faults)
        self._trunks = tuple(trunks)
        self._by_name = {trunk.name: trunk for trunk in trunks}
        self._by_id = {trunk.id: trunk for trunk in trunks}
        self._by_transport = {transport: _OfTransport(trunks, transport) for transport in TRANSPORTS}

    def find(self, address: str, transport: str = "udp", subject: str = "") -> Trunk | None:
        """The trunk that an address, in any spelling, belongs to when it comes by that transport. What is no address
        belongs to none.

        `subject` is what its TLS certificate proves, one name or several with blanks between them. The longest prefix
        decides first: a certificate is no way from there to the trunk of a wider one.
        """
        of = self._by_transport.get(transport)
        if of is None:
            return None
        for trunk, certificates in of.known.get(address) or of.look(address):
            if certificates is None or not certificates.isdisjoint(subject.lower().split()):
                return trunk
        return None

    def admits(self, address: str, transport: str = "udp") -> bool:
        """Whether anything from this address is listened to; over TLS its certificate has the last word (`find`)."""
        of = self._by_transport.get(transport)
        return of is not None and (address in of.known or bool(of.look(address)))

    def around(self, address: str) -> list[Trunk]:
        """The trunks that an address is in, by any transport."""
        found = (trunk for of in self._by_transport.values() for trunk, _ in of.known.get(address) or of.look(address))
        return list({trunk.name: trunk for trunk in found}.values())

    def named(self, name: str) -> Trunk | None:
        return self._by_name.get(name)

    def of_id(self, trunk_id: str) -> Trunk | None:
        return self._by_id.get(trunk_id)

    def __iter__(self) -> Iterator[Trunk]:
        return iter(self._trunks)

    def __len__(self) -> int:
        return len(self._trunks)


# A trunk, and the names of which its certificate must show one, in lower case; None: none is asked for.
_Candidate = tuple[Trunk, frozenset[str] | None]


class _OfTransport:
    """The networks of one transport, and what was asked about them."""

    __slots__ = ("_prefixes", "_strangers", "known")

    def __init__(self, trunks: Iterable[Trunk], transport: str) -> None:
        mine = [trunk for trunk in trunks if trunk.transport in ("any", transport)]
        self._prefixes = {4: _prefixes(mine, 4), 6: _prefixes(mine, 6)}
        self._strangers: set[str] = set()
        self.known: dict[str, tuple[_Candidate, ...]] = {}

    def look(self, address: str) -> tuple[_Candidate, ...]:
        """The trunks of the longest prefix that an address has, none for a stranger's."""
        if address in self._strangers:
            return ()
        found = self._look(address)
        if not found:
            if len(self._strangers) >= REMEMBERED:
                self._strangers.clear()
            self._strangers.add(address)
        else:
            if len(self.known) >= REMEMBERED:
                self.known.clear()
            self.known[address] = found
        return found

    def _look(self, address: str) -> tuple[_Candidate, ...]:
        ip = read_address(address)
        if ip is None:
            return ()
        bits, width = int(ip), ip.max_prefixlen
        for length, networks in self._prefixes[ip.version]:
            found = networks.get(bits >> (width - length))
            if found is not None:
                return found
        return ()


def read_address(text: str) -> IPv4Address | IPv6Address | None:
    """An address in any spelling, IPv4 for one that is mapped into IPv6; None for what is none."""
    try:
        ip = ip_address(text.partition("%")[0].strip("[]"))  # without zone (RFC 4007 §11), without brackets
    except ValueError:
        return None
    return ip.ipv4_mapped or ip if isinstance(ip, IPv6Address) else ip


def clashes(trunks: Sequence[Trunk]) -> Iterator[Clash]:
    """Each network that is there already when it comes."""
    holders: dict[Network, list[tuple[int, int]]] = {}
    for index, trunk in enumerate(trunks):
        for place, network in enumerate(trunk.networks):
            held = holders.setdefault(network, [])
            for other, other_place in held:
                if other == index or _collide(trunks[other], trunk):
                    yield Clash(index, place, network, other, other_place)
                    break
            held.append((index, place))


def _collide(one: Trunk, other: Trunk) -> bool:
    """Whether both cannot have the same network."""
    if one.transport != other.transport:
        return "any" in (one.transport, other.transport)
    mine, theirs = _names(one), _names(other)
    return one.transport != "tls" or mine is None or theirs is None or not mine.isdisjoint(theirs)


def _names(trunk: Trunk) -> frozenset[str] | None:
    return frozenset(name.lower() for name in trunk.certificates) or None


def _prefixes(trunks: Iterable[Trunk], version: int) -> list[tuple[int, dict[int, tuple[_Candidate, ...]]]]:
    """Longest first: a prefix length, and the trunks by their networks' leading bits."""
    tables: dict[int, dict[int, tuple[_Candidate, ...]]] = {}
    for trunk in trunks:
        for network in trunk.networks:
            if network.version == version:
                leading = int(network.network_address) >> (network.max_prefixlen - network.prefixlen)
                table = tables.setdefault(network.prefixlen, {})
                table[leading] = (*table.get(leading, ()), (trunk, _names(trunk)))
    return sorted(tables.items(), reverse=True)


def _double_names(trunks: Sequence[Trunk]) -> Iterator[Fault]:
    first: dict[str, int] = {}
    for index, trunk in enumerate(trunks):
        other = first.setdefault(trunk.name, index)
        if other != index:
            yield Fault(f"trunks[{index}].name", f"{trunk.name} is the name of trunks[{other}] already")


def _double_networks(trunks: Sequence[Trunk]) -> Iterator[Fault]:
    for index, place, network, other, other_place in clashes(trunks):
        where = f"trunks[{index}].networks[{place}]"
        held = f"that of trunk {trunks[other].name} (trunks[{other}].networks[{other_place}])"
        yield Fault(where, f"{network} of trunk {trunks[index].name} is {held} already")
