"""What two ends keep between transactions (RFC 3261 §12)."""

from __future__ import annotations

import pytest

from edge.sip.dialog import Dialog
from edge.sip.message import Request, check, parse
from edge.sip.peer import Peer
from edge.sip.wire import Wire
from tests.sip.ladder import THEM, UDP, US, Fields, invite


def answering(data: bytes, source: Peer = UDP) -> Dialog:
    message = parse(data)
    assert isinstance(message, Request)
    check(message)
    return Dialog.answering(message, "ours", source)


def sent(dialog: Dialog, method: str = "BYE") -> Request:
    message = parse(dialog.request(Wire(lambda: "t", "", {}), method, 1, "z9hG4bK-x"))
    assert isinstance(message, Request)
    check(message)
    return message


def test_from_and_to_change_places() -> None:
    asked = invite(fields={"From": '"Ann \\"A\\"" <sip:ann@a>;tag=them;x=y', "To": "sip:bob@b;y=z"})
    bye = sent(answering(asked))
    assert bye.headers.get("to") == '"Ann \\"A\\"" <sip:ann@a>;tag=them;x=y'
    assert (str(bye.from_.uri), bye.from_tag) == ("sip:bob@b", "ours")
    assert bye.call_id == "call-1"


def test_the_key_is_the_same_for_both_requests() -> None:
    dialog = answering(invite())
    assert dialog.key == ("call-1", "ours", "them")


@pytest.mark.parametrize(
    ("numbers", "verdicts"),
    [([2, 3, 10], [True, True, True]), ([2, 1, 2], [True, False, True]), ([0], [False])],
)
def test_order(numbers: list[int], verdicts: list[bool]) -> None:
    dialog = answering(invite(cseq=1))
    assert [dialog.in_order(number) for number in numbers] == verdicts


@pytest.mark.parametrize(
    ("via", "contact", "remote"),
    [
        ("192.0.2.9:5062", "<sip:a@192.0.2.9:7000>", ("192.0.2.9", 7000)),
        ("10.0.0.1:5062", "<sip:a@10.0.0.1:7000>", THEM),  # behind a NAT, and does not know
        ("10.0.0.1:5062", "<sip:a@192.0.2.50:7000>", ("192.0.2.50", 7000)),  # knows
        ("192.0.2.9:5062", "<sip:a@[2001:db8::1]>", ("2001:db8::1", 5060)),
        ("192.0.2.9:5062", "<sips:a@192.0.2.9>", ("192.0.2.9", 5060)),
        ("192.0.2.9:5062", "<mailto:a@b>", THEM),
    ],
)
def test_where_requests_go(via: str, contact: str, remote: tuple[str, int]) -> None:
    dialog = answering(invite(via=f"SIP/2.0/UDP {via}", fields={"Contact": contact}))
    assert dialog.peer == Peer("udp", US, remote)


def test_a_proxy_in_between_is_no_nat() -> None:
    vias: Fields = {
        "Via": "SIP/2.0/UDP 10.0.0.1:5062;branch=z9hG4bK1, SIP/2.0/UDP 10.0.0.1:5070;branch=z9hG4bK2",
        "Contact": "<sip:a@10.0.0.1:7000>",
    }
    assert answering(invite(fields=vias)).peer.remote == ("10.0.0.1", 7000)


@pytest.mark.parametrize(
    ("contact", "subject", "remote", "wanted"),
    [
        ("<sip:a@192.0.2.9;transport=tls>", "gw.example.com", ("192.0.2.9", 5061), "gw.example.com"),
        ("<sip:a@192.0.2.9:7000>", "", ("192.0.2.9", 7000), "192.0.2.9"),
        ("<sips:a@192.0.2.9>", "", ("192.0.2.9", 5061), "192.0.2.9"),
        ("<sip:a@192.0.2.9;transport=udp>", "", ("192.0.2.9", 5061), "192.0.2.9"),  # what is secure stays so
    ],
)
def test_where_requests_go_over_tls(contact: str, subject: str, remote: tuple[str, int], wanted: str) -> None:
    source = Peer("tls", US, THEM, 7, subject)
    dialog = answering(invite(via="SIP/2.0/TLS 192.0.2.9", fields={"Contact": contact}), source)
    assert dialog.peer == source
    assert dialog.fresh_peer() == Peer("tls", US, remote, 0, wanted)
    assert dialog.secure is contact.startswith("<sips:")


@pytest.mark.parametrize("route", ["<sip:>", "nonsense", "<tel:+1>"])
def test_a_route_that_cannot_be_read_goes_back_where_it_came_from(route: str) -> None:
    dialog = answering(invite(fields={"Record-Route": route}))
    assert dialog.peer.remote == THEM
    dialog.request(Wire(lambda: "t", "", {}), "BYE", 1, "z9hG4bK-x")


def test_a_strict_router_gets_its_own_uri_without_headers() -> None:
    dialog = answering(invite(fields={"Record-Route": "<sip:192.0.2.20?x=y>, <sip:192.0.2.21;lr>"}))
    bye = sent(dialog)
    assert bye.uri == "sip:192.0.2.20"
    assert list(bye.routes) == ["<sip:192.0.2.21;lr>", "<sip:them@192.0.2.9:5062>"]
