from __future__ import annotations

import timeit
from typing import Any

import pytest

from edge.errors import Invalid
from edge.trunks import table as module
from edge.trunks.table import TrunkTable
from edge.trunks.trunk import Trunk


def trunk(name: str, *networks: str, **more: Any) -> Trunk:
    return Trunk.model_validate({"name": name, "networks": networks, **more})


TABLE = TrunkTable(
    [
        trunk("wide", "10.0.0.0/8", "2001:db8::/32"),
        trunk("narrow", "10.1.0.0/16", "2001:db8:1::/48"),
        trunk("one", "10.1.2.3", "2001:db8:1::5", "::ffff:198.51.100.0/120"),
    ]
)


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("10.9.9.9", "wide"),
        ("10.255.255.255", "wide"),
        ("11.0.0.0", None),
        ("9.255.255.255", None),
        ("10.1.9.9", "narrow"),
        ("10.1.2.3", "one"),
        ("10.1.2.4", "narrow"),
        ("::ffff:10.1.2.3", "one"),
        ("::FFFF:0a01:0203", "one"),
        ("198.51.100.77", "one"),
        ("198.51.101.1", None),
        ("2001:db8::1", "wide"),
        ("2001:0DB8:0000::1", "wide"),
        ("2001:db8:1::1", "narrow"),
        ("2001:db8:1::5", "one"),
        ("[2001:db8:1::5]", "one"),
        ("2001:db8:1::5%eth0", "one"),
        ("2001:db9::1", None),
        ("::10.1.2.3", None),
        ("", None),
        ("10.1.2", None),
        ("carrier.example.com", None),
    ],
)
def test_the_longest_prefix_wins(address: str, name: str | None) -> None:
    for _ in ("looked up", "remembered"):
        found = TABLE.find(address)
        assert (found.name if found else None) == name
        assert TABLE.admits(address) is (name is not None)


def test_everything_is_a_prefix_too() -> None:
    table = TrunkTable([trunk("all", "0.0.0.0/0"), trunk("home", "127.0.0.0/8")])
    assert [t.name for t in map(table.find, ("192.0.2.1", "127.0.0.1")) if t] == ["all", "home"]
    assert table.find("::1") is None


def test_a_table_without_trunks_admits_nobody() -> None:
    assert TrunkTable([]).find("127.0.0.1") is None


def test_trunks_are_found_by_name_and_in_order() -> None:
    assert [t.name for t in TABLE] == ["wide", "narrow", "one"]
    assert len(TABLE) == 3
    assert TABLE.named("one") is not None
    assert TABLE.named("two") is None


def test_duplicates_are_refused_by_place() -> None:
    with pytest.raises(Invalid) as caught:
        TrunkTable([trunk("a", "10.0.0.0/8"), trunk("b", "192.0.2.1", "::ffff:10.0.0.0/104"), trunk("a", "192.0.2.1")])
    assert list(map(str, caught.value.faults)) == [
        "trunks[2].name: a is the name of trunks[0] already",
        "trunks[1].networks[1]: 10.0.0.0/8 of trunk b is that of trunk a (trunks[0].networks[0]) already",
        "trunks[2].networks[0]: 192.0.2.1/32 of trunk a is that of trunk b (trunks[1].networks[0]) already",
    ]


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "REMEMBERED", 8)
    table = TrunkTable([trunk("all", "10.0.0.0/8")])
    for last in range(100):
        assert table.find(f"10.0.0.{last}") is not None
        assert table.find(f"11.0.0.{last}") is None
    assert len(table._by_transport["udp"].known) <= 8
    assert len(table._by_transport["udp"]._strangers) <= 8


def test_strangers_do_not_push_out_trunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "REMEMBERED", 8)
    table = TrunkTable([trunk("all", "10.0.0.0/8")])
    table.find("10.0.0.1")
    for last in range(100):
        table.find(f"11.0.0.{last}")
    assert "10.0.0.1" in table._by_transport["udp"].known


def test_a_known_address_is_found_fast() -> None:
    TABLE.find("10.1.2.3")
    best = min(timeit.repeat(lambda: TABLE.find("10.1.2.3"), number=10_000, repeat=5)) / 10_000
    assert best < 3e-6  # it takes 0.1 µs; the bound only catches a lookup that is no longer remembered


# Transports and certificates

BY_TRANSPORT = TrunkTable(
    [
        trunk("everyway", "10.0.0.0/8"),
        trunk("datagrams", "10.1.0.0/16", transport="udp"),
        trunk("streams", "192.0.2.0/24", transport="tcp"),
        trunk("datagrams-too", "192.0.2.0/24", transport="udp"),
        trunk("proven", "192.0.2.0/24", "2001:db8::/32", transport="tls", certificates=["sip.Example.com"]),
        trunk("proven-else", "2001:db8::/32", transport="tls", certificates=["b.example.com", "sip:b.example.com"]),
        trunk("whoever", "2001::/16", transport="tls"),
    ]
)


@pytest.mark.parametrize(
    ("address", "transport", "subject", "name"),
    [
        ("10.1.0.1", "udp", "", "datagrams"),
        ("10.1.0.1", "tcp", "", "everyway"),
        ("10.1.0.1", "tls", "", "everyway"),
        ("10.1.0.1", "loop", "", None),
        ("::ffff:10.1.0.1", "udp", "", "datagrams"),
        ("192.0.2.1", "tcp", "", "streams"),
        ("192.0.2.1", "udp", "", "datagrams-too"),
        ("192.0.2.1", "tls", "", None),
        ("192.0.2.1", "tls", "sip.example.com", "proven"),
        ("192.0.2.1", "tls", "example.com SIP.example.com", "proven"),
        ("192.0.2.1", "tls", "evil-sip.example.com", None),
        ("2001:db8::1", "tls", "sip.example.com", "proven"),
        ("2001:db8::1", "tls", "sip:b.example.com", "proven-else"),
        ("2001:db8::1", "tls", "", None),
        ("2001:db8::1", "tls", "other.example.com", None),
        ("2001:1::1", "tls", "other.example.com", "whoever"),
        ("2001:1::1", "tcp", "other.example.com", None),
    ],
)
def test_each_transport_has_its_trunks(address: str, transport: str, subject: str, name: str | None) -> None:
    for _ in ("looked up", "remembered"):
        found = BY_TRANSPORT.find(address, transport, subject)
        assert (found.name if found else None) == name


def test_over_tls_the_certificate_has_the_last_word() -> None:
    assert BY_TRANSPORT.admits("192.0.2.1", "tls")
    assert not BY_TRANSPORT.admits("198.51.100.1", "tls")
    assert not BY_TRANSPORT.admits("2001:1::1", "udp")


def test_all_trunks_that_an_address_is_in() -> None:
    assert [t.name for t in BY_TRANSPORT.around("10.1.2.3")] == ["datagrams", "everyway"]
    assert BY_TRANSPORT.around("198.51.100.1") == []


@pytest.mark.parametrize(
    ("one", "other", "clash"),
    [
        ({"transport": "udp"}, {"transport": "tcp"}, False),
        ({"transport": "udp"}, {"transport": "udp"}, True),
        ({"transport": "any"}, {"transport": "udp"}, True),
        ({"transport": "tls"}, {"transport": "any"}, True),
        ({"transport": "tls", "certificates": ["a"]}, {"transport": "tls", "certificates": ["b"]}, False),
        ({"transport": "tls", "certificates": ["a", "b"]}, {"transport": "tls", "certificates": ["B"]}, True),
        ({"transport": "tls", "certificates": ["a"]}, {"transport": "tls"}, True),
        ({"transport": "any", "certificates": ["a"]}, {"transport": "tls", "certificates": ["b"]}, True),
    ],
)
def test_one_network_belongs_to_one_trunk_of_a_transport(
    one: dict[str, Any], other: dict[str, Any], clash: bool
) -> None:
    trunks = [trunk("a", "10.0.0.0/8", **one), trunk("b", "192.0.2.0/24", "10.0.0.0/8", **other)]
    if not clash:
        assert len(TrunkTable(trunks)) == 2
        return
    with pytest.raises(Invalid) as caught:
        TrunkTable(trunks)
    assert list(map(str, caught.value.faults)) == [
        "trunks[1].networks[1]: 10.0.0.0/8 of trunk b is that of trunk a (trunks[0].networks[0]) already"
    ]


def test_a_table_that_is_refused_stays_as_it_was() -> None:
    table = TrunkTable([trunk("a", "10.0.0.0/8")])
    with pytest.raises(Invalid):
        table.replace([trunk("b", "192.0.2.0/24"), trunk("b", "192.0.2.0/24")])
    assert [t.name for t in table] == ["a"]
    assert table.admits("10.0.0.1")
