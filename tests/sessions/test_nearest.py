"""The nearest misses of an address and of a number."""

from __future__ import annotations

import pytest

from edge.accounts.customer import CustomerTable
from edge.numbers.number import draft
from edge.numbers.table import NumberTable
from edge.sessions.nearest import numbers_near, trunks_near
from edge.store.cache_outbox import CacheWriter
from edge.store.engine import open_engine
from edge.store.notice import Notices
from edge.trunks.table import TrunkTable
from edge.trunks.trunk import Trunk

TRUNKS = TrunkTable(
    [
        Trunk(name="a", networks=("192.0.2.0/29",)),
        Trunk(name="b", networks=("192.0.3.0/24", "2001:db8:1::/48")),
        Trunk(name="c", networks=("198.51.100.7/32",), transport="tls"),
        Trunk(name="d", networks=("203.0.113.0/24",), transport="tls", certificates=("sip.example.com",)),
    ]
)


@pytest.mark.parametrize(
    ("address", "transport", "said"),
    [
        (
            "192.0.2.9",
            "udp",
            ["192.0.2.9 is outside trunk a's 192.0.2.0/29", "192.0.2.9 is outside trunk b's 192.0.3.0/24"],
        ),
        ("198.51.100.7", "udp", ["198.51.100.7 is in trunk c, which is of transport tls, not udp"]),
        ("203.0.113.9", "tls", ["203.0.113.9 is in trunk d, which wants the certificate of sip.example.com"]),
        ("2001:db8:2::1", "udp", ["2001:db8:2::1 is outside trunk b's 2001:db8:1::/48"]),
        ("10.0.0.1", "udp", []),
        ("2a00::1", "udp", []),
        ("no address", "udp", []),
    ],
)
def test_trunks_near_an_address(address: str, transport: str, said: list[str]) -> None:
    assert trunks_near(TRUNKS, address, transport) == said


async def test_numbers_near_a_number(database_url: str) -> None:
    engine = await open_engine(database_url)
    cache = CacheWriter(engine, None, Notices())
    a, b = [(await CustomerTable(engine, cache).create(name)).id for name in "ab"]
    table = NumberTable(engine, cache)
    made = [("+14155550111", a), ("+14155550112", b), ("+12065550110", a), ("+442071838750", a)]
    _, second, *_ = [await table.create(draft(customer_id=customer, number=number)) for number, customer in made]
    await table.release(second.id)
    near = ["+14155550111 is one slip away", "+14155550112 is one slip away (it is released)"]
    end = "+12065550110 ends in the same 7 digits"
    assert await numbers_near(table, "+14155550110") == [*near, end]
    assert await numbers_near(table, "+14155550110", a) == [near[0], end]
    assert await numbers_near(table, "+4155550111") == [near[0]]  # a digit is missing
    assert await numbers_near(table, "+442071837850") == ["+442071838750 is one slip away"]  # two are swapped
    assert await numbers_near(table, "+33123456789") == []
    await engine.dispose()
