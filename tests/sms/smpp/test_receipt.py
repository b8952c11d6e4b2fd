"""Receipts in the dialects of carriers."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.sms.smpp import pdu, receipt
from edge.sms.smpp.pdu import Address, Message
from edge.sms.smpp.receipt import Receipt, is_receipt, read, report
from edge.sms.text import Report

THEIRS, OURS = Address("14155550111", 1, 1), Address("14155550100", 1, 1)


def message(text: bytes | str = b"", esm_class: int = 4, data_coding: int = 0, **tlvs: bytes) -> Message:
    octets = text.encode("latin-1") if isinstance(text, str) else text
    tags = {"id": pdu.RECEIPTED_MESSAGE_ID, "state": pdu.MESSAGE_STATE, "error": pdu.NETWORK_ERROR_CODE}
    optional = tuple((tags[name], value) for name, value in tlvs.items())
    return Message(THEIRS, OURS, octets, data_coding, esm_class, optional)


AS_SPECIFIED = (
    "id:0123456789 sub:001 dlvrd:001 submit date:2611231200 done date:2611231201 stat:DELIVRD err:000 text:hello"
)
UNDELIVERED = Receipt("7", "failed", "UNDELIV", "027", "it could not be delivered (UNDELIV)")


@pytest.mark.parametrize(
    ("said", "found"),
    [
        (message(AS_SPECIFIED), Receipt("0123456789", "delivered", "DELIVRD", "", "")),
        # dialects
        (message(AS_SPECIFIED.upper()), Receipt("0123456789", "delivered", "DELIVRD", "", "")),
        (
            message("id:0a1b-2c sub:1 dlvrd:1 submit date:261123120000 done date:261123120105 stat:DELIVRD err:0 Text"),
            Receipt("0a1b-2c", "delivered", "DELIVRD", "", ""),
        ),
        (message("stat:UNDELIV err:027 id:7"), UNDELIVERED),
        (message("Id: 7 Stat: undeliv Err: 027"), UNDELIVERED),
        (message("id:7,stat:UNDELIV,err:027"), UNDELIVERED),
        (message("id:7\r\nstat:UNDELIV\r\nerr:027\r\n"), UNDELIVERED),
        (message("text:hello id:7 stat:UNDELIV err:027"), UNDELIVERED),
        (
            message("id:7 stat:REJECTD err:1F"),
            Receipt("7", "failed", "REJECTD", "1F", "it was rejected (REJECTD)"),
        ),
        (message("id:7 stat:DELIVERED err:0x00"), Receipt("7", "delivered", "DELIVERED", "", "")),
        (
            message("id:7 stat:EXPIRED"),
            Receipt("7", "failed", "EXPIRED", "", "it could not be delivered in time (EXPIRED)"),
        ),
        (message("id:7 stat:ACCEPTD err:000"), Receipt("7", "sent", "ACCEPTD", "", "it was taken over (ACCEPTD)")),
        (
            message("id:7 stat:UNKNOWN err:000"),
            Receipt("7", "failed", "UNKNOWN", "", "the carrier does not know what became of it (UNKNOWN)"),
        ),
        (message("id:7 stat:WHATEVER"), Receipt("7", "sent", "WHATEVER", "", "the carrier says WHATEVER (WHATEVER)")),
        (message("id:7"), Receipt("7", "sent", "", "", "")),
        (message("id:7 stat:DELIVRD".encode("utf-16-be"), data_coding=8), Receipt("7", "delivered", "DELIVRD", "", "")),
        # what somebody wrote in the text is nothing that the carrier says
        (message("id:7 stat:DELIVRD err:000 text:stat:UNDELIV id:8"), Receipt("7", "delivered", "DELIVRD", "", "")),
        # TLVs, alone and against words
        (message(id=b"abc\0", state=b"\2"), Receipt("abc", "delivered", "DELIVRD", "", "")),
        (message(id=b"abc", state=b"\5", error=b"\3\0\x1b"), UNDELIVERED._replace(id="abc", code="27")),
        (message("id:7 stat:ENROUTE", id=b"abc\0", state=b"\2"), Receipt("abc", "delivered", "DELIVRD", "", "")),
        (message("id:7 stat:UNDELIV err:027", state=b"\x63", error=b"\3\0\5"), UNDELIVERED),
        (message("id:7 stat:UNDELIV err:000", error=b"\3\0\5"), UNDELIVERED._replace(code="5")),
        (message("stat:DELIVRD", id=b"\0"), None),
        # on the way to a receipt
        (
            message("id:7 stat:DELIVRD", esm_class=0x20),
            Receipt("7", "sent", "DELIVRD", "", ""),
        ),
        (message("id:7 stat:UNDELIV err:027", esm_class=0x20), UNDELIVERED._replace(status="sent")),
        # of nobody knows what
        (message("hello"), None),
        (message(b""), None),
        (message("stat:DELIVRD err:000"), None),
        (message("id:" + "7" * 256), None),
        (message(id=b"7" * 256), None),
    ],
)
def test_a_receipt_is_read(said: Message, found: Receipt | None) -> None:
    assert is_receipt(said)
    assert read(said) == found


@pytest.mark.parametrize("kind", [0, 0x08, 0x10, 0x18, 0x40, 0x80, 0xC3])
def test_words_alone_make_no_receipt(kind: int) -> None:
    assert not is_receipt(message(AS_SPECIFIED, esm_class=kind))


@pytest.mark.parametrize("kind", [0x04, 0x20, 0x44, 0x87])
def test_esm_class_says_so(kind: int) -> None:
    assert is_receipt(message("x", esm_class=kind))


def test_so_does_the_id_of_a_receipt() -> None:
    assert is_receipt(message(esm_class=0, id=b"1\0"))


def test_it_is_reported_with_the_numbers_of_the_text_that_it_is_about() -> None:
    at = datetime(2026, 8, 1, 9, tzinfo=UTC)
    said = message("id:7 stat:UNDELIV err:027")
    assert report(UNDELIVERED, said, "acme", at) == Report(
        carrier="acme",
        carrier_id="7",
        status="failed",
        received_at=at,
        code="027",
        reason="it could not be delivered (UNDELIV)",
        source="+14155550100",
        destination="+14155550111",
    )


@given(st.binary(max_size=160), st.lists(st.tuples(st.sampled_from([0x1E, 0x423, 0x427]), st.binary(max_size=8))))
def test_nothing_is_too_strange_to_be_read(octets: bytes, tlvs: Any) -> None:
    found = read(Message(THEIRS, OURS, octets, 0, 4, tuple(tlvs)))
    assert found is None or (found.id and len(found.code) <= receipt.CODE_MAX)


def test_what_is_kept_of_it_is_bounded() -> None:
    found = read(message("id:7 stat:" + "X" * 9000 + " err:" + "Y" * 9000))
    assert found is not None
    assert (found.state, found.code) == ("X" * 32, "Y" * 32)
    assert len(found.reason) < 100
