from __future__ import annotations

from ipaddress import ip_network

import pytest

from edge.sessions.entrance import Entrance
from edge.sip.message import Request, parse
from edge.sip.peer import Peer
from edge.trunks.resolve import Targets
from edge.trunks.table import TrunkTable
from edge.trunks.trunk import Trunk
from tests.sip.ladder import invite

TRUNKS = [
    Trunk.model_validate({"name": "a", "networks": ["192.0.2.0/24"], "target": "sip:203.0.113.7"}),
    Trunk.model_validate({"name": "b", "networks": ["2001:db8::/32", "10.9.0.0/16"], "transport": "tcp"}),
    Trunk.model_validate(
        {"name": "c", "networks": ["198.51.100.0/24"], "transport": "tls", "certificates": ["c.example.com"]}
    ),
]
PROXIES = [ip_network("10.0.0.0/24"), ip_network("2001:db8:ffff::/48")]
ENTRANCE = Entrance(TrunkTable(TRUNKS), PROXIES, Targets(TRUNKS))
OURS = ("10.0.0.100", 5060)


def came(remote: str, *vias: str, transport: str = "udp", subject: str = "") -> tuple[Request, Peer]:
    data = invite(fields={"Via": "\r\nVia: ".join(f"SIP/2.0/{via};branch=z9hG4bK{i}" for i, via in enumerate(vias))})
    request = parse(data)
    assert isinstance(request, Request)
    return request, Peer(transport, OURS, (remote, 5060), 0, subject)


PROXY = "UDP 10.0.0.1"


@pytest.mark.parametrize(
    ("remote", "vias", "expected"),
    [
        ("192.0.2.9", ["UDP 192.0.2.9"], ("a", "192.0.2.9", "")),
        ("203.0.113.1", ["UDP 203.0.113.1"], None),
        # behind the proxy: the Via below its own says it, as the proxy has stamped it
        ("10.0.0.1", [PROXY, "UDP 192.0.2.9"], ("a", "192.0.2.9", "10.0.0.1")),
        ("10.0.0.1", [PROXY, "UDP pbx.example.com;received=192.0.2.9"], ("a", "192.0.2.9", "10.0.0.1")),
        ("10.0.0.1", [PROXY, "UDP 172.16.0.9:5062;rport=1024;received=192.0.2.9"], ("a", "192.0.2.9", "10.0.0.1")),
        ("10.0.0.1", [PROXY, "TCP [2001:db8::9]"], ("b", "2001:db8::9", "10.0.0.1")),
        ("10.0.0.1", [PROXY, "TCP x;received=[2001:db8::9]"], ("b", "2001:db8::9", "10.0.0.1")),
        ("2001:db8:ffff::1", ["TCP [2001:db8:ffff::1]", "TCP 10.9.0.1"], ("b", "10.9.0.1", "2001:db8:ffff::1")),
        # what is below that one decides nothing
        ("10.0.0.1", [PROXY, "UDP 203.0.113.1", "UDP 192.0.2.9"], None),
        ("10.0.0.1", [PROXY, "UDP 192.0.2.9;received=203.0.113.1"], None),
        ("10.0.0.1", [PROXY, "UDP 192.0.2.9;received=203.0.113.1;received=192.0.2.9"], None),
        ("10.0.0.1", [PROXY, "UDP pbx.example.com"], None),
        ("10.0.0.1", [PROXY, "UDP [2001:db8::9]"], None),  # trunk b speaks TCP
        ("10.0.0.1", [PROXY, "TLS 198.51.100.9"], None),  # its certificate was not shown to us
        # two proxies: each vouches for the one below
        ("10.0.0.1", [PROXY, "TCP 10.0.0.2", "UDP 192.0.2.9"], ("a", "192.0.2.9", "10.0.0.1")),
        ("10.0.0.1", [PROXY, "TCP 10.0.0.2;received=203.0.113.1", "UDP 192.0.2.9"], None),
        # its own
        ("10.0.0.1", [PROXY], None),
        # who is no proxy may write what he likes
        ("203.0.113.1", ["UDP 10.0.0.1", "UDP 192.0.2.9"], None),
        ("192.0.2.9", ["UDP 192.0.2.9", "UDP 203.0.113.1"], ("a", "192.0.2.9", "")),
    ],
)
def test_who_sent_it(remote: str, vias: list[str], expected: tuple[str, str, str] | None) -> None:
    entry = ENTRANCE.find(*came(remote, *vias))
    assert (entry and (entry.trunk.name, entry.address, entry.proxy)) == expected


def test_a_proxy_may_be_in_a_trunk_itself() -> None:
    entrance = Entrance(TrunkTable(TRUNKS), [ip_network("192.0.2.1/32")])
    entry = entrance.find(*came("192.0.2.1", "UDP 192.0.2.1"))
    assert entry is not None
    assert (entry.trunk.name, entry.proxy) == ("a", "")


def test_a_certificate_is_asked_for() -> None:
    about = came("198.51.100.9", "TLS 198.51.100.9", transport="tls")
    assert ENTRANCE.find(*about) is None
    entry = ENTRANCE.find(about[0], about[1]._replace(subject="c.example.com"))
    assert entry is not None
    assert entry.trunk.name == "c"


@pytest.mark.parametrize(
    ("address", "transport", "heard"),
    [
        ("192.0.2.9", "udp", True),
        ("2001:db8::9", "udp", False),
        ("2001:db8::9", "tcp", True),
        ("10.0.0.1", "udp", True),  # a proxy
        ("2001:db8:ffff::1", "tls", True),
        ("203.0.113.7", "udp", True),  # where trunk a sends its requests: answers come from there
        ("203.0.113.8", "udp", False),
        ("example.com", "udp", False),
    ],
)
def test_who_is_listened_to(address: str, transport: str, heard: bool) -> None:
    for _ in ("looked up", "remembered"):
        assert ENTRANCE.admits(address, transport) is heard
