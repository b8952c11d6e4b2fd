"""A text of ours as submit_sm, in the ways that carriers want long ones."""

from __future__ import annotations

from typing import Any

import pytest

from edge.sms import gsm, udh
from edge.sms.carrier import Refused
from edge.sms.smpp import pdu
from edge.sms.smpp.outgoing import messages
from edge.sms.smpp.pdu import Address, Message
from edge.sms.smpp.section import SmppSection
from edge.sms.text import OutgoingText

LONG = "0123456789" * 20


def text(body: str, id: str) -> OutgoingText:
    return OutgoingText(id, "c1", "+14155550100", "+14155550111", body)


def made(body: str, id: str = "m1", **settings: Any) -> list[Message]:
    return messages(text(body, id), SmppSection(**settings))


def test_a_short_text() -> None:
    assert made("hello") == [
        Message(Address("14155550100", 1, 1), Address("14155550111", 1, 1), b"hello", registered_delivery=1)
    ]


def test_what_a_section_says_of_it() -> None:
    (message,) = made(
        "hello", service_type="CMT", receipts=False, validity_minutes=1501, source_ton=0, destination_npi=8, plus=True
    )
    assert message == Message(
        Address("+14155550100", 0, 1),
        Address("+14155550111", 1, 8),
        b"hello",
        service_type="CMT",
        validity_period="000001010100000R",
    )


def test_a_long_text_has_headers() -> None:
    first, second = made(LONG)
    assert first.esm_class == second.esm_class == pdu.UDHI
    parts = [udh.read(one.short_message) for one in (first, second)]
    assert b"".join(rest for _, rest in parts).decode() == LONG
    found = [header.concatenation for header, _ in parts]
    assert [(one.total, one.number) for one in found if one] == [(2, 1), (2, 2)]
    assert len({one.reference for one in found if one}) == 1


def test_a_later_try_has_the_same_reference_and_another_text_another_one() -> None:
    assert made(LONG) == made(LONG)
    assert made(LONG, "m1") != made(LONG, "m2")


def test_a_long_text_by_sar() -> None:
    first, second = made(LONG, long_texts="sar")
    assert first.esm_class == second.esm_class == 0
    assert (first.short_message + second.short_message).decode() == LONG
    assert first.tlv(pdu.SAR_MSG_REF_NUM) == second.tlv(pdu.SAR_MSG_REF_NUM)
    assert [one.tlv(pdu.SAR_SEGMENT_SEQNUM) for one in (first, second)] == [b"\1", b"\2"]
    assert [one.tlv(pdu.SAR_TOTAL_SEGMENTS) for one in (first, second)] == [b"\2", b"\2"]
    assert made("short", long_texts="sar")[0].tlvs == ()


@pytest.mark.parametrize("body", [LONG, "☎" * 100])
def test_a_long_text_by_message_payload(body: str) -> None:
    (message,) = made(body, long_texts="payload")
    assert (message.short_message, message.esm_class) == (b"", 0)
    assert message.payload.decode("utf-16-be" if message.data_coding == 8 else "ascii") == body
    assert made("short", long_texts="payload")[0].short_message == b"short"


@pytest.mark.parametrize(
    ("alphabet", "body", "coding", "octets"),
    [
        ("gsm", "é€", 0, b"\x05\x1be"),
        ("latin-1", "é", 0, b"\xe9"),
        ("latin-1", "é€", 8, "é€".encode("utf-16-be")),
        ("ascii", "é", 8, "é".encode("utf-16-be")),
        ("utf-8", "é€", 0, "é€".encode()),
        ("gsm-packed", "hellohello", 0, bytes.fromhex("e8329bfd4697d9ec37")),
        ("gsm", "☎", 8, "☎".encode("utf-16-be")),
    ],
)
def test_what_coding_0_means_to_the_carrier(alphabet: str, body: str, coding: int, octets: bytes) -> None:
    (message,) = made(body, default_alphabet=alphabet)
    assert (message.data_coding, message.short_message) == (coding, octets)


def test_packed_parts_begin_where_a_septet_would() -> None:
    first, second = made(LONG, default_alphabet="gsm-packed")
    found = ""
    for one in (first, second):
        header, rest = udh.read(one.short_message)
        found += gsm.decode(gsm.unpack(rest, header.fill))
        assert len(one.short_message) <= 140
    assert found == LONG


def test_a_text_of_too_many_parts_is_refused() -> None:
    with pytest.raises(Refused) as caught:
        made("x" * 40_000)
    assert not caught.value.elsewhere
