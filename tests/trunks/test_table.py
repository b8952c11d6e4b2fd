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
        "trunks[1].networks[1]: 10.0.0.0/8 of trunk b is trunks[0].networks[0] already",
        "trunks[2].networks[0]: 192.0.2.1/32 of trunk a is trunks[1].networks[0] already",
    ]


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "REMEMBERED", 8)
    table = TrunkTable([trunk("all", "10.0.0.0/8")])
    for last in range(100):
        assert table.find(f"10.0.0.{last}") is not None
        assert table.find(f"11.0.0.{last}") is None
    assert len(table._known) <= 8
    assert len(table._strangers) <= 8


def test_strangers_do_not_push_out_trunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "REMEMBERED", 8)
    table = TrunkTable([trunk("all", "10.0.0.0/8")])
    table.find("10.0.0.1")
    for last in range(100):
        table.find(f"11.0.0.{last}")
    assert "10.0.0.1" in table._known


def test_a_known_address_is_found_fast() -> None:
    TABLE.find("10.1.2.3")
    best = min(timeit.repeat(lambda: TABLE.find("10.1.2.3"), number=10_000, repeat=5)) / 10_000
    assert best < 3e-6  # it takes 0.1 µs; the bound only catches a lookup that is no longer remembered
