"""A text of ours as the submit_sm that it goes out in: one, or one for each part.

The parts of a text share a reference that is made from its id, so that those of a later try fit the ones that an
earlier one got through.
"""

from __future__ import annotations

from typing import Final
from zlib import crc32

from edge.errors import Invalid
from edge.sms import gsm
from edge.sms.carrier import Refused
from edge.sms.smpp import address, pdu
from edge.sms.smpp.pdu import Message, Tlv
from edge.sms.smpp.section import SmppSection
from edge.sms.split import Alphabet, Split, split, whole
from edge.sms.text import OutgoingText

_HEADER: Final = 6  # octets of the header of a part, with its length


def messages(text: OutgoingText, section: SmppSection) -> list[Message]:
    """In the order of the parts. Raises Refused for a text that cannot be sent this way."""
    first = Message(
        address.write(text.source, ton=section.source_ton, npi=section.source_npi, plus=section.plus),
        address.write(text.destination, ton=section.destination_ton, npi=section.destination_npi, plus=section.plus),
        service_type=section.service_type,
        registered_delivery=int(section.receipts),
        validity_period=_period(section.validity_minutes),
    )
    reference = crc32(text.id.encode())
    default: Alphabet = "gsm" if section.default_alphabet == "gsm-packed" else section.default_alphabet
    try:
        cut = split(text.body, reference, header=section.long_texts == "udh", alphabet=default)
    except Invalid as error:
        raise Refused(str(error.faults[0]) if error.faults else error.message) from None
    total = len(cut.parts)
    in_one = section.long_texts == "payload" and total > 1
    if in_one:
        cut = whole(text.body, alphabet=default)
    if section.default_alphabet == "gsm-packed" and cut.encoding == "gsm":
        cut = Split(cut.encoding, tuple(_packed(part, cut.headed) for part in cut.parts), cut.headed)
    first = first._replace(data_coding=cut.data_coding, esm_class=pdu.UDHI if cut.headed else 0)
    if in_one:
        return [first._replace(tlvs=((pdu.MESSAGE_PAYLOAD, cut.parts[0]),))]
    if section.long_texts == "sar" and total > 1:
        return [
            first._replace(short_message=octets, tlvs=_sar(reference & 0xFFFF, total, number))
            for number, octets in enumerate(cut.parts, 1)
        ]
    return [first._replace(short_message=octets) for octets in cut.parts]


def _packed(part: bytes, headed: bool) -> bytes:
    """3GPP TS 23.040 §9.2.3.24: septets begin where a septet would, counted from the beginning of the header."""
    if not headed:
        return gsm.pack(part)
    return part[:_HEADER] + gsm.pack(part[_HEADER:], -8 * _HEADER % 7)


def _sar(reference: int, total: int, number: int) -> tuple[Tlv, ...]:
    return (
        (pdu.SAR_MSG_REF_NUM, reference.to_bytes(2, "big")),
        (pdu.SAR_TOTAL_SEGMENTS, bytes((total,))),
        (pdu.SAR_SEGMENT_SEQNUM, bytes((number,))),
    )


def _period(minutes: int | None) -> str:
    """§7.1.1.2: years, months, days, hours, minutes, seconds from now."""
    if minutes is None:
        return ""
    days, rest = divmod(minutes, 24 * 60)
    return f"0000{days:02}{rest // 60:02}{rest % 60:02}00000R"
