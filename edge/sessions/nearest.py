"""The nearest misses: what was nearly it, for who asks why a call was not taken.

Near to an address are the trunks that have it by another transport, and else those whose networks begin with the same
bits. Near to a number are those that one slip of a finger makes of it (a digit wrong, missing, too many, two swapped),
looked up by their names, and those that end in the same digits, out of so many of ours as are cheap to look through.
"""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import ip_address
from typing import Final

from edge.numbers.table import NumberTable
from edge.trunks.table import TrunkTable
from edge.trunks.trunk import Network

SHOWN: Final = 3  # misses of a kind
COMMON: Final = {4: 8, 6: 24}  # bits that a network has to begin with as the address does, to be near, by IP version
SAME_END: Final = 7  # digits
LOOKED_THROUGH: Final = 50_000  # numbers among which such an end is looked for


def trunks_near(trunks: TrunkTable, address: str, transport: str) -> list[str]:
    """What a stranger's address is near to, in words."""
    around = trunks.around(address)
    if around:
        return [
            f"{address} is in trunk {trunk.name}, which is of transport {trunk.transport}, not {transport}"
            if trunk.transport not in ("any", transport)
            else f"{address} is in trunk {trunk.name}, which wants the certificate of {', '.join(trunk.certificates)}"
            for trunk in around[:SHOWN]
        ]
    found = sorted(
        (
            (common, trunk.name, network)
            for trunk in trunks
            for network in trunk.networks
            if (common := _common(address, network))
        ),
        key=lambda one: (-one[0], one[1], str(one[2])),
    )
    return [f"{address} is outside trunk {name}'s {network}" for _, name, network in found[:SHOWN]]


def _common(address: str, network: Network) -> int:
    """How many bits both begin with; 0 for too few."""
    try:
        ip = ip_address(address.partition("%")[0].strip("[]"))
    except ValueError:
        return 0
    ip = getattr(ip, "ipv4_mapped", None) or ip
    if ip.version != network.version:
        return 0
    different = int(ip) ^ int(network.network_address)
    common = min(ip.max_prefixlen - different.bit_length(), network.prefixlen)
    return common if common >= COMMON[ip.version] else 0


async def numbers_near(table: NumberTable, e164: str, customer_id: str | None = None) -> list[str]:
    """Numbers of ours that are nearly this one, in words; of one account only, if that is said. Raises Unavailable."""
    near = await table.states(sorted(set(_slips(e164))), customer_id)
    same_end = await table.ending(e164[-SAME_END:], LOOKED_THROUGH, 4 * SHOWN, customer_id)
    said = [f"{number} is one slip away{_state(status)}" for number, status in sorted(near.items())]
    said += [
        f"{number} ends in the same {SAME_END} digits{_state(status)}"
        for number, status in sorted(same_end.items())
        if number not in near and number != e164
    ]
    return said[:SHOWN]


def _state(status: str) -> str:
    return "" if status == "active" else f" (it is {status})"


def _slips(e164: str) -> Sequence[str]:
    """What one slip of a finger makes of a number."""
    digits = e164[1:]
    found = []
    for at in range(len(digits) + 1):
        before, rest = digits[:at], digits[at:]
        found += [f"+{before}{digit}{rest}" for digit in "0123456789"]
        if rest:
            found.append(f"+{before}{rest[1:]}")
            found += [f"+{before}{digit}{rest[1:]}" for digit in "0123456789"]
        if len(rest) > 1:
            found.append(f"+{before}{rest[1]}{rest[0]}{rest[2:]}")
    return [number for number in found if number != e164]
