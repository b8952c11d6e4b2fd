"""The codec: what goes in comes out, what others write is read, what nobody can read says what is wrong with it."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.sms.smpp import limits, pdu, status
from edge.sms.smpp.pdu import Address, Bind, Bound, Malformed, Message, Pdu, Stream, read_id, write_id

bytes_ = st.integers(0, 255)


def strings(limit: int) -> st.SearchStrategy[str]:
    return st.text(st.characters(min_codepoint=1, max_codepoint=255), max_size=limit)


addresses = st.builds(Address, strings(20), bytes_, bytes_)
tlvs = st.lists(st.tuples(st.integers(0, 0xFFFF), st.binary(max_size=40)), max_size=4).map(tuple)
messages = st.builds(
    Message,
    source=addresses,
    destination=addresses,
    short_message=st.binary(max_size=254),
    data_coding=bytes_,
    esm_class=bytes_,
    tlvs=tlvs,
    service_type=strings(5),
    registered_delivery=bytes_,
    validity_period=strings(16),
    schedule_delivery_time=strings(16),
    protocol_id=bytes_,
    priority_flag=bytes_,
    replace_if_present=bytes_,
    sm_default_msg_id=bytes_,
)
pdus = st.builds(
    Pdu, st.integers(0, 0xFFFFFFFF), st.integers(0, 0xFFFFFFFF), st.integers(0, 0xFFFFFFFF), st.binary(max_size=80)
)
binds = st.builds(Bind, strings(15), strings(30), strings(12), bytes_, bytes_, bytes_, strings(40))


@given(messages)
def test_a_message_is_read_as_it_was_written(message: Message) -> None:
    assert Message.read(message.write()) == message


@given(addresses, addresses, bytes_, bytes_, bytes_, tlvs, strings(5))
def test_so_is_that_of_a_data_sm(
    source: Address, destination: Address, esm: int, registered: int, coding: int, optional: Any, service: str
) -> None:
    message = Message(
        source,
        destination,
        esm_class=esm,
        registered_delivery=registered,
        data_coding=coding,
        tlvs=optional,
        service_type=service,
    )
    assert Message.read_data(message.write_data()) == message


@given(binds)
def test_so_is_a_bind_and_it_never_shows_its_password(bind: Bind) -> None:
    assert Bind.read(bind.write()) == bind
    shown = repr(bind._replace(password="hunter2"))
    assert "hunter2" not in shown
    assert "hunter2" not in str(bind._replace(password="hunter2"))


@given(strings(15), tlvs)
def test_so_is_what_answers_it(system_id: str, optional: Any) -> None:
    assert Bound.read(Bound(system_id, optional).write()) == Bound(system_id, optional)


@given(st.lists(pdus, max_size=5), st.data())
def test_a_stream_is_cut_into_pdus_wherever_it_is_torn(sent: list[Pdu], data: st.DataObject) -> None:
    whole = b"".join(one.write() for one in sent)
    stream, found = Stream(), []
    while whole:
        size = data.draw(st.integers(1, len(whole)))
        more, fault = stream.take(whole[:size])
        assert fault is None
        found += more
        whole = whole[size:]
    assert found == sent
    assert stream.waiting == 0


@given(st.binary(max_size=200))
def test_any_body_is_read_or_malformed(body: bytes) -> None:
    for read in (Message.read, Message.read_data, Bind.read):
        with suppress(Malformed):
            read(body)
    Bound.read(body)
    read_id(body)


BODY = Message(Address("1234", 1, 1), Address("5678"), b"hi", tlvs=((pdu.MESSAGE_STATE, b"\2"),)).write()


@pytest.mark.parametrize(
    ("body", "code", "says"),
    [
        (b"", status.RINVCMDLEN, "the body ends before its last field"),
        (b"no end", status.RINVCMDLEN, "the body ends before its last field"),
        (BODY[:18], status.RINVCMDLEN, "the body ends before its last field"),
        (BODY[:-6], status.RINVMSGLEN, "a text of 2 octets of which 1 are there"),
        (BODY[:-1], status.RINVOPTPARSTREAM, "parameter 0x0427 has 1 octets, 0 are there"),
        (BODY + b"\0\1", status.RINVOPTPARSTREAM, "2 octets after the last parameter"),
        (b"x" * 300 + BODY, status.RINVSERTYP, "a string of 300 octets"),
        (b"\0\1\1" + b"1" * 300 + BODY, status.RINVSRCADR, "an address of 300 octets"),
        (b"\0\1\1\x001\1" + b"1" * 300 + BODY, status.RINVDSTADR, "an address of 300 octets"),
    ],
)
def test_a_body_that_nobody_can_read(body: bytes, code: int, says: str) -> None:
    with pytest.raises(Malformed) as caught:
        Message.read(body)
    assert (caught.value.status, caught.value.sentence) == (code, says)


def test_nuls_after_the_last_parameter_are_none() -> None:
    assert Message.read(BODY + b"\0\0\0") == Message.read(BODY)


@pytest.mark.parametrize("length", [0, 15, limits.PDU + 1, 0xFFFFFFFF])
def test_a_length_that_no_pdu_has_ends_the_stream(length: int) -> None:
    good = Pdu(pdu.ENQUIRE_LINK, 7)
    found, fault = Stream().take(good.write() + length.to_bytes(4, "big") + b"\0" * 12)
    assert found == [good]
    assert fault is not None
    assert (fault.status, fault.sentence) == (status.RINVCMDLEN, f"a PDU of {length} octets")


@pytest.mark.parametrize(
    "write",
    [
        lambda: Message(Address("1" * 21), Address("1")).write(),
        lambda: Message(Address("1\x002"), Address("1")).write(),
        lambda: Message(Address("Łódź"), Address("1")).write(),
        lambda: Message(Address("1"), Address("1"), b"x" * 255).write(),
        lambda: Message(Address("1"), Address("1"), service_type="TOOLONG").write(),
        lambda: write_id("1" * 65),
    ],
)
def test_what_no_field_takes_is_not_written(write: Any) -> None:
    with pytest.raises(ValueError):
        write()


@pytest.mark.parametrize(
    ("one", "says"),
    [
        (Pdu(pdu.SUBMIT_SM, 7), "submit_sm 7"),
        (Pdu(pdu.SUBMIT_SM | pdu.RESP, 7, status.RTHROTTLED), "submit_sm_resp 7 ESME_RTHROTTLED"),
        (Pdu(pdu.GENERIC_NACK, 0, 0x4FF), "generic_nack 0 status 0x000004FF"),
        (Pdu(0x999, 1), "command 0x00000999 1"),
    ],
)
def test_a_pdu_says_what_it_is(one: Pdu, says: str) -> None:
    assert str(one) == says


def test_a_text_is_found_where_it_is() -> None:
    short = Message(Address("1"), Address("2"), b"short")
    long = Message(Address("1"), Address("2"), tlvs=((0x1400, b"x"), (pdu.MESSAGE_PAYLOAD, b"long")))
    assert (short.payload, long.payload, long.tlv(0x1400), long.tlv(0x1401)) == (b"short", b"long", b"x", None)
    assert Message(Address("1"), Address("2")).payload == b""


# What others wrote: npm's `smpp` 0.5.1 …

RECEIPT = (
    (pdu.RECEIPTED_MESSAGE_ID, b"abc\0"),
    (pdu.MESSAGE_STATE, b"\2"),
    (pdu.NETWORK_ERROR_CODE, b"\3\0\0"),
)
SAR = ((pdu.SAR_MSG_REF_NUM, b"\x12\x34"), (pdu.SAR_TOTAL_SEGMENTS, b"\2"), (pdu.SAR_SEGMENT_SEQNUM, b"\1"))
DATA = Message(Address("1"), Address("2"), data_coding=8, tlvs=((pdu.MESSAGE_PAYLOAD, b"\0H\0i"),))
BY_NODE = [
    (
        "00000029000000090000000000000001656467650073656372657400766d61003401015e3134313500",
        Pdu(pdu.BIND_TRANSCEIVER, 1, 0, Bind("edge", "secret", "vma", 0x34, 1, 1, "^1415").write()),
    ),
    (
        "0000001a800000090000000000000001736d7363000210000134",
        Pdu(pdu.BIND_TRANSCEIVER | pdu.RESP, 1, 0, Bound("smsc", ((pdu.SC_INTERFACE_VERSION, b"\x34"),)).write()),
    ),
    (
        "0000003f000000050000000000000007434d5400010131343135353535303131310001013134313535353530313030000000"
        "000000000000000568656c6c6f",
        Pdu(
            pdu.DELIVER_SM,
            7,
            0,
            Message(Address("14155550111", 1, 1), Address("14155550100", 1, 1), b"hello", service_type="CMT").write(),
        ),
    ),
    (
        "0000005c00000005000000000000000900000031343135353535303131310000003134313535353530313030000400000000"
        "000000001169643a3120737461743a44454c49565244001e000461626300042700010204230003030000",
        Pdu(
            pdu.DELIVER_SM,
            9,
            0,
            Message(
                Address("14155550111"), Address("14155550100"), b"id:1 stat:DELIVRD", esm_class=4, tlvs=RECEIPT
            ).write(),
        ),
    ),
    (
        "0000002400000103000000000000000a0000003100000032000000080424000400480069",
        Pdu(pdu.DATA_SM, 10, 0, DATA.write_data()),
    ),
    ("000000148000000400000000000000026d2d3100", Pdu(pdu.SUBMIT_SM | pdu.RESP, 2, 0, write_id("m-1"))),
    (
        "0000005800000004000000000000000300050045646765000101313431353535353031313100000000003030303030323030"
        "303030303030305200010000000870617274206f6e65020c00021234020e000102020f000101",
        Pdu(
            pdu.SUBMIT_SM,
            3,
            0,
            Message(
                Address("Edge", 5),
                Address("14155550111", 1, 1),
                b"part one",
                tlvs=SAR,
                registered_delivery=1,
                validity_period="000002000000000R",
            ).write(),
        ),
    ),
    ("00000010800000000000000300000004", Pdu(pdu.GENERIC_NACK, 4, status.RINVCMDID)),
    ("00000010000000060000000000000005", Pdu(pdu.UNBIND, 5)),
]
# … and PyPI's smpp34 1.5.0
BY_RUST = [
    (
        "0000005e00000004000000000000000b57415000010131343135353535303130300001013439313531313233343536373800"
        "400000003030303030313030303030303030305200010008000b0500032a020168656c6c6f140100036e6574",
        Pdu(
            pdu.SUBMIT_SM,
            11,
            0,
            Message(
                Address("14155550100", 1, 1),
                Address("4915112345678", 1, 1),
                b"\x05\x00\x03\x2a\x02\x01hello",
                8,
                pdu.UDHI,
                ((0x1401, b"net"),),
                "WAP",
                1,
                "000001000000000R",
            ).write(),
        ),
    ),
    (
        "0000003900000005000000000000000c00030031323334350000003134313535353530313030000004020000000003000004"
        "240004636166e9",
        Pdu(
            pdu.DELIVER_SM,
            12,
            0,
            Message(
                Address("12345", 3),
                Address("14155550100"),
                data_coding=3,
                protocol_id=4,
                priority_flag=2,
                tlvs=((pdu.MESSAGE_PAYLOAD, b"caf\xe9"),),
            ).write(),
        ),
    ),
]


@pytest.mark.parametrize(("written", "one"), BY_NODE + BY_RUST, ids=lambda value: str(value)[:16])
def test_what_others_write_we_write_and_read(written: str, one: Pdu) -> None:
    assert one.write().hex() == written
    assert Stream().take(bytes.fromhex(written)) == ([one], None)


def test_an_id_that_cannot_be_kept_is_none() -> None:
    assert read_id(b"7" * 255 + b"\0") == "7" * 255
    assert read_id(b"7" * 256 + b"\0") == ""
