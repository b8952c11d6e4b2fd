"""The carrier by SMPP with SMSCs that others wrote: npm's `smpp`, and PyPI's `smpp34`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from edge.carriers.smpp import Smpp
from edge.errors import NumberUnknown
from edge.metrics import REGISTRY
from edge.sms.carrier import Busy, Refused
from edge.sms.part import Part
from edge.sms.smpp import pdu, status
from edge.sms.smpp.pdu import Address, Message, Pdu
from edge.sms.text import Text
from tests.carriers.smpp_stage import Desk, carrier, served
from tests.carriers.stage import TEXT
from tests.smsc.process import KINDS, Event, Smsc, free_port, running

pytestmark = pytest.mark.server

LONG = replace(TEXT, body="Grüße, 0123456789 " * 15)


@pytest.fixture(params=KINDS)
def smsc(request: pytest.FixtureRequest) -> Iterator[Smsc]:
    with running(request.param) as found:
        yield found


@pytest.fixture
def node() -> Iterator[Smsc]:
    with running("node") as found:
        yield found


async def told(smsc: Smsc, kind: str) -> Event:
    return await asyncio.to_thread(smsc.expect, kind)


@asynccontextmanager
async def bound(smsc: Smsc, desk: Desk | None = None, count: int = 1, **settings: Any) -> AsyncIterator[Smpp]:
    """A carrier that has its connections."""
    smpp = carrier(smsc.host, **settings)
    async with served(smpp, desk or Desk()):
        for _ in range(count):
            await told(smsc, "bind")
        await up(smpp, count)
        yield smpp


async def up(smpp: Smpp, count: int = 1) -> None:
    async with asyncio.timeout(15):
        while sum(link.session.up for link in smpp.connections) < count:
            await asyncio.sleep(0.005)


# Both


async def test_a_text_comes_in(smsc: Smsc) -> None:
    desk = Desk()
    async with bound(smsc, desk):
        smsc.deliver("hello", tag=1)
        assert (await told(smsc, "answered"))["status"] == status.ROK
    (text,) = desk.kept
    assert isinstance(text, Text)
    assert (text.source, text.destination, text.body) == ("+14155550111", "+14155550100", "hello")


async def test_it_is_refused_while_sql_is_away(smsc: Smsc) -> None:
    desk = Desk()
    async with bound(smsc, desk):
        desk.away = True
        smsc.deliver()
        assert (await told(smsc, "answered"))["status"] == status.RX_T_APPN
        desk.away = False
        smsc.deliver()
        assert (await told(smsc, "answered"))["status"] == status.ROK
    assert len(desk.kept) == 1


async def test_it_is_refused_for_good_when_the_number_is_not_ours(smsc: Smsc) -> None:
    desk = Desk()
    desk.refusals["+14155550100"] = NumberUnknown
    async with bound(smsc, desk):
        smsc.deliver()
        assert (await told(smsc, "answered"))["status"] == status.RINVDSTADR


async def test_a_text_goes_out(smsc: Smsc) -> None:
    async with bound(smsc) as smpp:
        receipt = await smpp.send(TEXT)
        sent = await told(smsc, "submit")
        assert receipt.ids == (sent["id"],)
        assert (sent["source"], sent["destination"]) == ("14155550100", "14155550111")
        assert (sent["source_ton"], sent["destination_ton"], sent["registered"]) == (1, 1, 1)


async def test_a_long_one_in_parts(smsc: Smsc) -> None:
    async with bound(smsc) as smpp:
        receipt = await smpp.send(LONG)
        parts = [await told(smsc, "submit") for _ in range(2)]
        assert {*receipt.ids} == {part["id"] for part in parts}  # one of them takes many at a time, in any order
        assert {part["esm_class"] for part in parts} == {pdu.UDHI}


async def test_a_text_that_is_too_much_waits(smsc: Smsc) -> None:
    async with bound(smsc) as smpp:
        smsc.do("answer", how=[{"status": status.RTHROTTLED}, {"status": status.RINVDSTADR}])
        with pytest.raises(Busy) as caught:
            await smpp.send(TEXT)
        assert caught.value.after == 1.0
        with pytest.raises(Refused):
            await smpp.send(TEXT)
        assert (await smpp.send(TEXT)).ids


async def test_they_unbind_and_we_come_back(smsc: Smsc) -> None:
    async with bound(smsc) as smpp:
        smsc.do("unbind")
        await told(smsc, "unbound")
        await told(smsc, "bind")
        await up(smpp)
        assert (await smpp.send(TEXT)).ids


async def test_we_unbind(smsc: Smsc) -> None:
    async with bound(smsc):
        pass
    await told(smsc, "closed")


async def test_an_smsc_that_is_killed_and_started_again(smsc: Smsc) -> None:
    desk = Desk()
    async with bound(smsc, desk) as smpp:
        smsc.kill()
        async with asyncio.timeout(10):
            while smpp.connections:
                await asyncio.sleep(0.005)
        with pytest.raises(Busy):
            await smpp.send(TEXT)
        with running(smsc.kind, smsc.port) as again:
            await told(again, "bind")
            await up(smpp)
            assert (await smpp.send(TEXT)).ids
            again.deliver()
            await told(again, "answered")
    assert len(desk.kept) == 1


# The one that can be told to misbehave


@pytest.mark.parametrize(
    ("body", "coding"),
    [("hello [world] {€}", 0), ("Grüße ñ Ω", 0), ("Grüß Gott ☎ 😀", 8)],
)
async def test_another_reads_what_we_write(node: Smsc, body: str, coding: int) -> None:
    async with bound(node) as smpp:
        await smpp.send(replace(TEXT, body=body))
        sent = await told(node, "submit")
        assert (sent["text"], sent["coding"]) == (body, coding)


async def test_and_our_parts(node: Smsc) -> None:
    async with bound(node) as smpp:
        await smpp.send(LONG)
        parts = [await told(node, "submit") for _ in range(2)]
        assert "".join(part["text"] for part in parts) == LONG.body
        assert [part["udh"][:2] + part["udh"][3:] for part in parts] == [[0, 3, 2, 1], [0, 3, 2, 2]]
        assert len({part["udh"][2] for part in parts}) == 1


@pytest.mark.parametrize(("how", "count"), [("sar", 2), ("payload", 1)])
async def test_in_whatever_way_they_go(node: Smsc, how: str, count: int) -> None:
    async with bound(node, long_texts=how) as smpp:
        await smpp.send(LONG)
        parts = [await told(node, "submit") for _ in range(count)]
        assert "".join(part["text"] for part in parts) == LONG.body
        if how == "sar":
            assert [part["sar"][1:] for part in parts] == [[2, 1], [2, 2]]
        else:
            assert parts[0]["in_payload"]


async def test_texts_in_pieces_of_three_octets(node: Smsc) -> None:
    desk = Desk()
    async with bound(node, desk):
        whole = b"".join(
            Pdu(
                pdu.DELIVER_SM, 100 + count, 0, Message(Address("1555"), Address("1666"), b"%d" % count).write()
            ).write()
            for count in range(20)
        )
        node.do("raw", hex=whole.hex(), piece=3)
        async with asyncio.timeout(10):
            while len(desk.kept) < 20:
                await asyncio.sleep(0.005)
    assert {text.body for text in desk.kept if isinstance(text, Text)} == {str(count) for count in range(20)}


async def test_parts_by_their_header(node: Smsc) -> None:
    desk = Desk()
    async with bound(node, desk):
        for number in (2, 1):
            node.deliver("", short_message=f"0500032a020{number}{number:02x}", esm_class=pdu.UDHI)
            assert (await told(node, "answered"))["status"] == status.ROK
    assert [
        (part.reference, part.total, part.number, part.payload) for part in desk.kept if isinstance(part, Part)
    ] == [
        (42, 2, 2, b"\2"),
        (42, 2, 1, b"\1"),
    ]


async def test_a_long_text_in_message_payload_and_one_by_data_sm(node: Smsc) -> None:
    desk = Desk()
    long = "0123456789" * 50
    async with bound(node, desk):
        node.deliver("", message_payload=long.encode().hex())
        assert (await told(node, "answered"))["status"] == status.ROK
        fields = {"source_addr": "1555", "destination_addr": "1666", "message_payload": b"by data".hex()}
        node.do("deliver", command="data_sm", tag=2, fields={**fields, "data_coding": 0})
        assert (await told(node, "answered"))["name"] == "data_sm_resp"
    assert [text.body for text in desk.kept if isinstance(text, Text)] == [long, "by data"]


async def test_receipts(node: Smsc) -> None:
    desk = Desk()
    async with bound(node, desk) as smpp:
        (carrier_id,) = (await smpp.send(TEXT)).ids
        node.deliver(f"id:{carrier_id} sub:001 dlvrd:001 stat:DELIVRD err:000 text:hi", esm_class=4)
        node.deliver("", esm_class=4, receipted_message_id="x9", message_state=5, network_error_code="03001b")
        for _ in range(2):
            assert (await told(node, "answered"))["status"] == status.ROK
    assert not desk.kept
    assert {(report.carrier_id, report.status, report.code) for report in desk.reports} == {
        (carrier_id, "delivered", ""),
        ("x9", "failed", "27"),
    }


async def test_answers_with_wrong_sequence_numbers_and_twice(node: Smsc) -> None:
    async with bound(node) as smpp:
        node.do("answer", how=[{"wrong": True}])
        first = await smpp.send(TEXT)
        second = await smpp.send(TEXT)
        assert (first.ids, second.ids) == (("n-1",), ("n-2",))


async def test_connections_that_are_dropped_with_texts_on_their_way(node: Smsc) -> None:
    desk = Desk()
    async with bound(node, desk, binds=2, count=2) as smpp:
        desk.open.clear()
        node.deliver("once")
        async with asyncio.timeout(10):
            while not any(link.session.working for link in smpp.connections):
                await asyncio.sleep(0.005)
        node.do("drop")
        desk.open.set()
        for _ in range(2):
            await told(node, "bind")
        await up(smpp, 2)
        node.deliver("once")
        assert (await told(node, "answered"))["status"] == status.ROK
        assert (await smpp.send(TEXT)).ids
    assert len(desk.kept) == 1


async def test_a_bind_that_is_refused_is_tried_again(node: Smsc) -> None:
    node.do("refuse", status=status.RALYBND)
    smpp = carrier(node.host)
    async with served(smpp, Desk()):
        assert (await told(node, "bind"))["status"] == status.RALYBND
        node.do("refuse", status=0)
        assert (await told(node, "bind"))["status"] == 0
        await up(smpp)


async def test_both_ask_whether_the_other_lives(node: Smsc) -> None:
    async with bound(node, enquire_seconds=0.05):
        await told(node, "enquire_link")
        node.do("enquire")
        assert (await told(node, "alive"))["status"] == 0


async def test_a_thousand_texts_over_two_connections(node: Smsc) -> None:
    desk = Desk()
    async with bound(node, desk, binds=2, count=2):
        fields = {"source_addr": "14155550111", "destination_addr": "14155550100"}
        node.do("flood", fields=fields, count=1000)
        for _ in range(1000):
            assert (await told(node, "answered"))["status"] == status.ROK
    assert len({text.id for text in desk.kept}) == 1000


# TLS


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A key and a certificate for 127.0.0.1 that it signed itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "smsc")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "smsc.pem"
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + made.public_bytes(serialization.Encoding.PEM)
    )
    return path


async def test_by_tls(certificate: Path) -> None:
    desk = Desk()
    with running("node", tls=certificate) as smsc:
        async with bound(smsc, desk, tls=True, tls_ca=certificate) as smpp:
            assert (await smpp.send(TEXT)).ids
            smsc.deliver()
            assert (await told(smsc, "answered"))["status"] == status.ROK
    assert len(desk.kept) == 1


def not_reached() -> float:
    labels = {"carrier": "smpp", "outcome": "failed"}
    return REGISTRY.get_sample_value("edge_smpp_connects_total", labels) or 0.0


async def test_a_certificate_that_nobody_trusts_is_no_connection(certificate: Path) -> None:
    with running("node", tls=certificate) as smsc:
        smpp = carrier(smsc.host, tls=True)
        tried = not_reached()
        async with served(smpp, Desk()):
            async with asyncio.timeout(15):
                while not_reached() == tried:
                    await asyncio.sleep(0.005)
            assert not smsc.seen("bind")
            with pytest.raises(Busy):
                await smpp.send(TEXT)


async def test_the_next_host_is_tried_at_once(node: Smsc) -> None:
    smpp = carrier(f"127.0.0.1:{free_port()}", node.host)
    async with served(smpp, Desk()):
        await told(node, "bind")
        await up(smpp)
        assert (await smpp.send(TEXT)).ids
