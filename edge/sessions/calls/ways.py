"""Where a call of ours goes, and whether it may.

A `tel:` URI with a number of ours stays within the edge: it comes back as an offered call (the peer "loop" of the
agent) and runs that number's flow, whoever owns it. It carries the numbers that it passed through, so that calls do not
go in circles (`offered.py`).

Any other number goes out by a trunk that takes calls. Who pays for it is the account, so it must be allowed to call
there (`accounts/allowance.py`), and nobody else's number is shown: the source is a number of the account, or the number
of who called us, where the trunk lets a call that is passed on show that.

A `sip:` URI goes to its host, if that is somebody's on the Internet or in a network that the configuration names: not
one that only we can reach, not ourselves, and not a carrier, whom numbers lead to. A name is resolved here, while the
flow waits, to an address (A and AAAA, not the SRV of RFC 3263).

A caller who wants his number withheld stays anonymous (RFC 3323); what the trunk has to know to bill the call is in
P-Asserted-Identity, under `Privacy: id` (RFC 3325).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address
from typing import Final, Protocol

from edge.accounts.allowance import country_of, refusal
from edge.errors import EdgeError, Forbidden, Invalid, Unavailable
from edge.flows.dial import Dial
from edge.http import embedded, is_public
from edge.numbers.e164 import read_dialed
from edge.numbers.number import E164, Number
from edge.sessions.admission import agreed
from edge.sessions.calls import limits
from edge.sessions.calls.leg import Way
from edge.sessions.calls.offered import PATH_FIELD
from edge.sessions.memory import peer_of
from edge.sessions.origin import Origin
from edge.sessions.route import Owns
from edge.sip.grammar import print_host
from edge.sip.peer import LOOP, Peer
from edge.sip.terms import DEFAULT, Terms
from edge.sip.transport import Endpoint, is_address
from edge.sip.uri import Uri
from edge.store.tiers import Found
from edge.trunks.resolve import Resolve, Targets, resolve
from edge.trunks.table import TrunkTable
from edge.trunks.target import SIP_PORT, SIPS_PORT, TRANSPORTS, Target
from edge.trunks.trunk import Network, Trunk

ANY_LOCAL: Final = ("", 0)
INSIDE: Final = Peer(LOOP, ("127.0.0.1", 5060), ("127.0.0.1", 5060))  # media of such calls stay on this machine
OURS: Final = frozenset({"active", "suspended"})  # a released number may be somebody else's by now
ANYBODY: Final = Terms(reliable="supported")  # how we deal with the host of a URI
NOBODY: Final = '"Anonymous" <sip:anonymous@anonymous.invalid>'  # RFC 3323 §4.1.1.3


class Tables(Protocol):
    """What has to be known of numbers and accounts (`route.Routes`)."""

    async def number(self, e164: str, /) -> Found[Number]: ...

    async def destinations(self, customer_id: str, /) -> tuple[str, ...]: ...


@dataclass(frozen=True, slots=True)
class Ways:
    """Finds the ways. `owns` says whether a number is an active one of an account."""

    trunks: TrunkTable
    targets: Targets
    owns: Owns
    tables: Tables
    endpoint: Endpoint
    allow_private: Sequence[Network] = ()
    resolve: Resolve = resolve

    async def find(self, origin: Origin, dial: Dial) -> list[Way | EdgeError]:
        """For each destination its way, or why there is none."""
        if origin.caller:
            origin = origin._replace(caller=peer_of(origin.caller, country_of(origin.number)))
        if len(dial.destinations) == 1:
            return [await self._try(origin, dial, dial.destinations[0])]
        return await asyncio.gather(*(self._try(origin, dial, destination) for destination in dial.destinations))

    async def owned(self, number: str, customer_id: str) -> Number:
        """A number of the account. Raises Forbidden for one that is not, or not active."""
        found = await self.owns(number, customer_id)
        if found is None:
            raise Forbidden(f"{number} is no active number of this account", reason="SOURCE_NOT_ALLOWED")
        return found

    async def _try(self, origin: Origin, dial: Dial, destination: str) -> Way | EdgeError:
        try:
            return await self._way(origin, dial, destination)
        except EdgeError as error:
            return error

    async def _way(self, origin: Origin, dial: Dial, destination: str) -> Way:
        if not destination.startswith("tel:"):
            return await self._host(origin, dial, destination)
        number = read_dialed(destination, country_of(origin.number))
        found = (await self.tables.number(number)).value
        if found is not None and found.status in OURS:
            source = await self._source(origin, dial, shows=True, by="")
            uri = f"sip:{number}@{print_host(INSIDE.local[0])}"
            path = ((PATH_FIELD, ",".join(origin.path)),) if origin.path else ()
            return self._signed(INSIDE, uri, origin, dial, source, number, source=source, fields=path)
        reason = refusal(number, await self.tables.destinations(origin.customer_id), origin.number)
        if reason is not None:
            raise Forbidden(reason, reason="DESTINATION_NOT_ALLOWED")
        trunk = self._trunk(dial.trunk)
        source = await self._source(origin, dial, shows=trunk.pass_caller, by=f"trunk {trunk.name}")
        uri, shown = trunk.dialed(number), trunk.dialed(source)
        ways: list[Way] = []
        for target, peer in self._peers(trunk):
            ways.append(self._signed(peer, target.uri(uri), origin, dial, shown, number, source=source, trunk=trunk))
        return ways[0]._replace(further=tuple(ways[1:]))

    def _peers(self, trunk: Trunk) -> list[tuple[Target, Peer]]:
        """The targets of a trunk that can be reached, in order. Raises Unavailable, for the first, when none can."""
        found: list[tuple[Target, Peer]] = []
        fault: Unavailable | None = None
        for target in self.targets.order(trunk):
            try:
                address = self.targets.address(target)
                if address is None:
                    raise Unavailable(f"the target of trunk {trunk.name}, {target.host}, has no address")
                peer = Peer(target.transport, ANY_LOCAL, (address, target.port), subject=target.subject)
                found.append((target, self._reached(peer)))
            except Unavailable as error:
                fault = fault or error
        if not found:
            raise fault or Unavailable(f"trunk {trunk.name} has no target")
        return found

    async def _host(self, origin: Origin, dial: Dial, destination: str) -> Way:
        uri = Uri.parse(destination)
        if not uri.is_sip:
            raise Invalid(f"{uri.scheme}: URIs cannot be called from here")
        transport = "tls" if uri.scheme == "sips" else (uri.params.get("transport") or "udp").lower()
        if transport not in TRANSPORTS:
            raise Invalid(f"SIP over {transport[:20]} is not spoken here")
        port = uri.port or (SIPS_PORT if transport == "tls" else SIP_PORT)
        address = _plain(await self._address(uri.host, port))
        if not self._is_open(address):
            raise Forbidden(f"{uri.host} is at an address that is not allowed", reason="DESTINATION_NOT_ALLOWED")
        if any(trunk.outbound for trunk in self.trunks.around(address)) or self._is_carrier(uri.host, address):
            raise Forbidden(f"{uri.host} is a trunk, which only numbers lead to", reason="DESTINATION_NOT_ALLOWED")
        peer = self._reached(
            Peer(transport, ANY_LOCAL, (address, port), subject=uri.host.lower() if transport == "tls" else "")
        )
        if peer.local == peer.remote:
            raise Forbidden(f"{uri.host} is this edge itself", reason="DESTINATION_NOT_ALLOWED")
        source = await self._source(origin, dial, shows=True, by="")
        return self._signed(peer, destination, origin, dial, source, destination, source=source, trusted=False)

    async def _address(self, host: str, port: int) -> str:
        if is_address(host):
            return host
        try:
            return await asyncio.create_task(_in_time(self.resolve(host, port)))
        except (OSError, TimeoutError) as error:
            raise Unavailable(f"{host} cannot be resolved: {error or 'no answer'}") from None

    def _is_open(self, address: str) -> bool:
        ip = ip_address(address)
        inner = embedded(ip)
        meant = (ip,) if inner is None else (ip, inner)
        return is_public(ip) or any(one in network for one in meant for network in self.allow_private)

    def _is_carrier(self, host: str, address: str) -> bool:
        """Whether that is where a trunk leads to, by its name or by an address that ends up there."""
        inner = embedded(ip_address(address))
        meant = {address, str(inner)}
        targets = [target for trunk in self.trunks for target in trunk.targets]
        named = host.lower().rstrip(".")
        return any(
            named == target.host.lower().rstrip(".")
            or ((known := self.targets.address(target)) is not None and _plain(known) in meant)
            for target in targets
        )

    def _signed(
        self,
        peer: Peer,
        uri: str,
        origin: Origin,
        dial: Dial,
        shown: str,
        destination: str,
        *,
        source: str,
        trunk: Trunk | None = None,
        fields: tuple[tuple[str, str], ...] = (),
        trusted: bool = True,
    ) -> Way:
        """The way, with who calls in it: `shown` as the other side wants it written, or nobody."""
        host = trunk.advertise if trunk is not None and trunk.advertise is not None else peer.local[0]
        identity = f"<sip:{shown}@{print_host(host)}:{peer.local[1]}>"
        withheld = origin.private and source == origin.caller  # the flow has no say in that
        hidden = withheld or dial.anonymous == "yes" or (dial.anonymous == "auto" and origin.private)
        if hidden and trusted:  # RFC 3325 §7: nobody else is told
            fields = (*fields, ("Privacy", "id"), ("P-Asserted-Identity", identity))
        return Way(
            peer=peer,
            uri=uri,
            from_=NOBODY if hidden else identity,
            to=f"<{uri}>",
            fields=fields,
            hops=origin.hops,
            trunk=trunk.name if trunk is not None else "",
            source=source,
            destination=destination,
            max_calls=None if trunk is None else trunk.max_calls,
            withheld=withheld,
            terms=agreed(trunk) if trunk is not None else ANYBODY if not trusted else DEFAULT,
            carrier=trunk,
            stranger=not trusted and is_public(ip_address(peer.remote[0])),
        )

    def _trunk(self, name: str | None) -> Trunk:
        if name is None:
            trunk = next((trunk for trunk in self.trunks if trunk.outbound), None)
            if trunk is None:
                raise Unavailable("no trunk takes calls")
            return trunk
        trunk = self.trunks.named(name)
        if trunk is None or not trunk.outbound:
            raise Invalid(f"there is no trunk {name[:60]} that takes calls")
        return trunk

    async def _source(self, origin: Origin, dial: Dial, *, shows: bool, by: str) -> str:
        """The number to show. `shows`: it may be the caller's own."""
        wanted = dial.source
        if wanted is None:
            if shows and E164.fullmatch(origin.caller):
                return origin.caller
            wanted = origin.number
        if not wanted:
            raise Invalid("no source, and there is no number to call from")
        if shows and wanted == origin.caller:
            return wanted
        if await self.owns(wanted, origin.customer_id) is None:
            why = f", and {by} does not show that of a caller" if wanted == origin.caller else ""
            raise Forbidden(f"{wanted} is no active number of this account{why}", reason="SOURCE_NOT_ALLOWED")
        return wanted

    def _reached(self, peer: Peer) -> Peer:
        try:
            return peer._replace(local=self.endpoint.local_for(peer))
        except OSError as error:
            raise Unavailable(str(error)) from None


def _plain(address: str) -> str:
    """An address in the one spelling that it is compared in; IPv4 mapped into IPv6 is IPv4."""
    ip = ip_address(address)
    return str(ip.ipv4_mapped or ip) if isinstance(ip, IPv6Address) else str(ip)


async def _in_time(work: Awaitable[str]) -> str:
    async with asyncio.timeout(limits.RESOLVE_SECONDS):
        return await work
