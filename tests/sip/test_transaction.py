"""How messages find their transactions, and the machines on their own (RFC 3261 §17, RFC 6026)."""

from __future__ import annotations

from itertools import count
from typing import Any

import pytest

from edge.sip.client_transaction import PlainClient
from edge.sip.message import Request, Response, check, parse, peek_ack
from edge.sip.peer import Peer
from edge.sip.server_transaction import InviteServer, PlainServer
from edge.sip.timers import GIVE_UP, T1, T2, T4
from edge.sip.transaction import client_key, merge_key, server_key
from edge.sip.wire import Wire, back
from tests.sip.ladder import TCP, UDP, invite, request


def read(data: bytes) -> Request:
    message = parse(data)
    assert isinstance(message, Request)
    check(message)
    return message


def wire() -> Wire:
    tokens = count(1)
    return Wire(lambda: f"t{next(tokens)}", "", {})


OLD: dict[str, Any] = {"fields": {"Via": "SIP/2.0/UDP 192.0.2.9:5062"}}


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (invite(), invite(), True),
        (invite(), request("ACK", to_tag="x"), True),
        (invite(), request("ACK", cseq=2), True),  # the branch says it all
        (invite(), invite(branch="two"), False),
        (invite(), invite(via="SIP/2.0/UDP 192.0.2.9:5063"), False),
        (invite(), invite(via="SIP/2.0/UDP 192.0.2.8:5062"), False),
        (invite(via="SIP/2.0/UDP A.Example:5062"), invite(via="SIP/2.0/UDP a.example:5062"), True),
        (invite(via="SIP/2.0/UDP [2001:DB8::1]:5062"), invite(via="SIP/2.0/TCP [2001:db8::1]:5062"), True),
        (invite(via="SIP/2.0/UDP a"), invite(via="SIP/2.0/UDP a:5060"), False),
        (invite(), request("CANCEL"), False),
        (request("BYE"), request("BYE"), True),
        (request("BYE"), request("INFO"), False),
        (invite(**OLD), invite(**OLD), True),
        (invite(**OLD), request("ACK", to_tag="x", **OLD), True),
        (invite(**OLD), invite(cseq=2, **OLD), False),
        (invite(**OLD), invite(tag="other", **OLD), False),
        (invite(**OLD), invite(uri="sip:other@192.0.2.1", **OLD), False),
    ],
)
def test_which_requests_are_one_transaction(one: bytes, other: bytes, same: bool) -> None:
    assert (server_key(read(one)) == server_key(read(other))) is same


@pytest.mark.parametrize("via", ["SIP/2.0/UDP 192.0.2.9:5062", "SIP/2.0/UDP a.example", "SIP/2.0/TCP [2001:db8::1]:1"])
def test_an_ack_is_found_without_being_read(via: str) -> None:
    key = peek_ack(request("ACK", via=via, to_tag="x", fields={"Via": f"{via};branch=z9hG4bK-one"}))
    assert key is not None
    assert key == server_key(read(invite(via=via)))


def test_a_cancel_looks_for_its_invite() -> None:
    assert server_key(read(request("CANCEL")), "INVITE") == server_key(read(invite()))


def test_what_merges() -> None:
    assert merge_key(read(invite(branch="a"))) == merge_key(read(invite(branch="b", via="SIP/2.0/UDP x")))
    assert merge_key(read(invite())) != merge_key(read(invite(cseq=2)))
    assert merge_key(read(invite())) != merge_key(read(request("MESSAGE")))


@pytest.mark.parametrize(
    ("via", "peer", "remote"),
    [
        ("SIP/2.0/UDP a:99;rport", UDP, ("192.0.2.9", 5062)),
        ("SIP/2.0/UDP a:99", UDP, ("192.0.2.9", 99)),
        ("SIP/2.0/UDP a", UDP, ("192.0.2.9", 5060)),
        ("SIP/2.0/TCP a:99", TCP, ("192.0.2.9", 5062)),
    ],
)
def test_where_responses_go(via: str, peer: Peer, remote: tuple[str, int]) -> None:
    asked = read(invite(fields={"Via": f"{via};branch=z9hG4bK1"}))
    assert back(asked, peer) == peer._replace(remote=remote)


# Machines


def sends(one: Wire) -> list[bytes]:
    out = [data for _, data in one.out]
    one.out.clear()
    return out


def test_an_invite_server() -> None:
    ground = wire()
    asked = read(invite())
    machine = InviteServer(ground, server_key(asked), asked, UDP)
    machine.repeated()
    assert sends(ground) == []
    machine.provisional(b"100")
    machine.repeated()
    assert sends(ground) == [b"100", b"100"]
    machine.respond(b"404", 0.0)
    machine.respond(b"486", 0.0)  # one final answer
    machine.provisional(b"180")
    assert sends(ground) == [b"404"]
    ground.timers.fire(T1)
    assert sends(ground) == [b"404"]
    assert machine.acknowledged(1.0)
    machine.repeated()
    assert sends(ground) == []
    assert machine.acknowledged(1.1)
    ground.timers.fire(1.0 + T4)
    assert (ground.servers, len(ground.timers)) == ({}, 0)


def test_an_accepted_invite_leaves_acks_to_the_dialog() -> None:
    ground = wire()
    asked = read(invite())
    machine = InviteServer(ground, server_key(asked), asked, UDP)
    machine.accept(0.0)
    assert not machine.acknowledged(0.1)
    ground.timers.fire(GIVE_UP)  # Timer L
    assert ground.servers == {}


@pytest.mark.parametrize(("peer", "stays"), [(UDP, GIVE_UP), (TCP, 0.0)])
def test_a_plain_server(peer: Peer, stays: float) -> None:
    ground = wire()
    asked = read(request("OPTIONS"))
    machine = PlainServer(ground, server_key(asked), asked, peer)
    machine.respond(b"200", 0.0)
    machine.repeated()
    assert sends(ground) == ([b"200", b"200"] if stays else [b"200"])
    if stays:
        ground.timers.fire(stays - 0.01)
        assert len(ground.servers) == 1
        ground.timers.fire(stays)
    assert ground.servers == {}


def test_a_plain_client() -> None:
    ground = wire()
    told: list[Any] = []
    key = ("z9hG4bK-x", "BYE")
    machine = PlainClient(
        ground, key, UDP, b"BYE", 0.0, lambda r, _: told.append(r.status), lambda s, _: told.append(s)
    )
    at = []
    while (due := ground.timers.next()) is not None and due < GIVE_UP:
        at.append(due)
        ground.timers.fire(due)
    assert at == [T1, 3 * T1, 7 * T1, 7 * T1 + T2, *[7 * T1 + n * T2 for n in range(2, 8)]]  # Timer E
    assert len(sends(ground)) == 11
    ground.timers.fire(GIVE_UP)
    assert told == [408]  # Timer F
    assert ground.clients == {}
    machine.lost(GIVE_UP)
    assert told == [408]


def test_a_response_finds_its_request() -> None:
    response = parse(
        b"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP a;branch=z9hG4bK-x\r\nFrom: <sip:a>;tag=1\r\nTo: <sip:b>;tag=2\r\n"
        b"Call-ID: c\r\nCSeq: 7 BYE\r\n\r\n"
    )
    assert isinstance(response, Response)
    assert client_key(response) == ("z9hG4bK-x", "BYE")
