from __future__ import annotations

from edge.trunks.resolve import Targets, resolve
from edge.trunks.target import Target
from edge.trunks.trunk import Trunk

NAMES = [
    Trunk.model_validate({"name": "a", "networks": ["10.0.0.1"], "target": "sip:gw.example.com:5070"}),
    Trunk.model_validate({"name": "b", "networks": ["10.0.0.2"], "target": "sip:other.example.com"}),
    Trunk.model_validate({"name": "c", "networks": ["10.0.0.3"], "target": "sip:192.0.2.9"}),
    Trunk.model_validate({"name": "d", "networks": ["10.0.0.4"]}),
]
GATEWAY, OTHER, FIXED = (Target("gw.example.com", 5070), Target("other.example.com"), Target("192.0.2.9"))


class Zone:
    """A resolver that knows what it is told."""

    def __init__(self, **addresses: str) -> None:
        self.addresses = addresses
        self.asked: list[tuple[str, int]] = []

    async def __call__(self, host: str, port: int) -> str:
        self.asked.append((host, port))
        try:
            return self.addresses[host.partition(".")[0]]
        except KeyError:
            raise OSError("no such name") from None


async def test_names_are_resolved_and_addresses_are_not() -> None:
    zone = Zone(gw="192.0.2.1", other="2001:db8::2")
    targets = Targets(NAMES, zone)
    assert targets.address(FIXED) == "192.0.2.9"
    assert targets.address(GATEWAY) is None
    await targets.refresh()
    assert targets.address(GATEWAY) == "192.0.2.1"
    assert targets.address(OTHER) == "2001:db8::2"
    assert sorted(zone.asked) == [("gw.example.com", 5070), ("other.example.com", 5060)]


async def test_a_name_that_is_lost_keeps_its_address_and_hurts_no_other() -> None:
    zone = Zone(gw="192.0.2.1")
    targets = Targets(NAMES, zone)
    await targets.refresh()
    zone.addresses = {"other": "192.0.2.5"}
    await targets.refresh()
    assert targets.address(GATEWAY) == "192.0.2.1"
    assert targets.address(OTHER) == "192.0.2.5"


async def test_other_trunks_take_the_place_of_the_old_ones() -> None:
    zone = Zone(other="192.0.2.5")
    targets = Targets(NAMES[:2], zone)
    await targets.refresh()
    targets.replace(NAMES[1:])
    kept, fixed = NAMES[1].target, NAMES[2].target
    assert kept is not None
    assert fixed is not None
    assert targets.address(kept) is not None
    assert targets.address(fixed) == fixed.host


async def test_the_system_resolver_knows_this_machine() -> None:
    assert await resolve("localhost", 5060) in ("127.0.0.1", "::1")


def test_what_is_down_is_tried_last() -> None:
    first, second = "sip:192.0.2.1", "sip:192.0.2.2"
    values = {"name": "a", "networks": ["10.0.0.1"], "target": first, "failover": [second]}
    trunk = Trunk.model_validate(values)
    other = trunk.model_copy(update={"name": "b"})
    one, two = trunk.targets
    targets = Targets([trunk, other])
    assert list(targets.order(trunk)) == [one, two]
    targets.mark("a", one, down=True)
    assert list(targets.order(trunk)) == [two, one]
    assert list(targets.order(other)) == [one, two]
    targets.mark("a", two, down=True)
    assert list(targets.order(trunk)) == [one, two]  # as they stand, for one may be up again
    targets.mark("a", one, down=False)
    targets.mark("a", two, down=False)
    assert targets.order(trunk) == trunk.targets
    targets.mark("a", one, down=True)
    targets.replace([])
    targets.replace([trunk])
    assert list(targets.order(trunk)) == [one, two]
