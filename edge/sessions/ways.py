"""Where a call of ours goes, and whether it may.

A `tel:` URI goes out by a trunk that takes calls. Who pays for it is the account, so it must be allowed to call there
(`accounts/allowance.py`), and nobody else's number is shown: the source is a number of the account, or the number of
who called us, where the trunk lets a call that is passed on show that.

A caller who wants his number withheld stays anonymous (RFC 3323); what the trunk has to know to bill the call is in
P-Asserted-Identity, under `Privacy: id` (RFC 3325).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

from edge.accounts.allowance import country_of, refusal
from edge.errors import EdgeError, Forbidden, Invalid, Unavailable
from edge.flows.dial import Dial
from edge.numbers.e164 import read_dialed
from edge.numbers.number import E164
from edge.sessions.leg import Way
from edge.sessions.texting import Owns
from edge.sip.grammar import print_host
from edge.sip.peer import Peer
from edge.sip.transport import Endpoint
from edge.trunks.resolve import Targets
from edge.trunks.table import TrunkTable
from edge.trunks.trunk import Trunk

ANY_LOCAL: Final = ("", 0)
NOBODY: Final = '"Anonymous" <sip:anonymous@anonymous.invalid>'  # RFC 3323 §4.1.1.3


class Origin(NamedTuple):
    """On whose behalf a call is made."""

    customer_id: str
    number: str  # the account's own that is at work: what is called from where nothing is said, and what is home
    caller: str  # who called us, as he was told; "" when nobody did
    private: bool  # the caller wants his number withheld
    hops: int  # what is left of Max-Forwards


@dataclass(frozen=True, slots=True)
class Ways:
    """Finds the ways. `owns` says whether a number is an active one of an account."""

    trunks: TrunkTable
    targets: Targets
    owns: Owns
    endpoint: Endpoint

    async def find(self, origin: Origin, dial: Dial) -> list[Way | EdgeError]:
        """For each destination its way, or why there is none."""
        return [await self._try(origin, dial, destination) for destination in dial.destinations]

    async def _try(self, origin: Origin, dial: Dial, destination: str) -> Way | EdgeError:
        try:
            return await self._way(origin, dial, destination)
        except EdgeError as error:
            return error

    async def _way(self, origin: Origin, dial: Dial, destination: str) -> Way:
        number = read_dialed(destination, country_of(origin.number))
        reason = refusal(number, (), origin.number)
        if reason is not None:
            raise Forbidden(reason, reason="DESTINATION_NOT_ALLOWED")
        trunk = self._trunk(dial.trunk)
        source = await self._source(origin, dial, shows=trunk.pass_caller, by=f"trunk {trunk.name}")
        target = trunk.target
        assert target is not None
        address = self.targets.address(target)
        if address is None:
            raise Unavailable(f"the target of trunk {trunk.name}, {target.host}, has no address")
        peer = self._reached(Peer(target.transport, ANY_LOCAL, (address, target.port)))
        transport = ";transport=tcp" if target.transport == "tcp" else ""
        uri = f"sip:{trunk.dialed(number)}@{target.hostport}{transport}"
        here = f"{print_host(peer.local[0])}:{peer.local[1]}"
        shown = f"<sip:{trunk.dialed(source)}@{here}>"
        hidden = dial.anonymous == "yes" or (dial.anonymous == "auto" and origin.private)
        return Way(
            peer=peer,
            uri=uri,
            from_=NOBODY if hidden else shown,
            to=f"<{uri}>",
            fields=(("Privacy", "id"), ("P-Asserted-Identity", shown)) if hidden else (),
            hops=origin.hops,
            trunk=trunk.name,
            source=source,
            destination=number,
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
