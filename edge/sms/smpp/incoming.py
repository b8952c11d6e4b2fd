"""What a deliver_sm brings: a text, a part of one, or what became of one of ours.

A part says so in its user data header (3GPP TS 23.040 §9.2.3.24.1), or in SAR TLVs (§5.3.2.22 to .24); a long text may
also come whole, in message_payload. Its identity is the id that the carrier sends in a TLV, or what `repeats.py` makes.
"""

from __future__ import annotations

from datetime import datetime
from hashlib import blake2b
from typing import Final, NamedTuple

from edge.errors import EdgeError, Invalid, NumberReleased, NumberSuspended
from edge.sms import alphabet
from edge.sms.alphabet import Default
from edge.sms.part import Part
from edge.sms.smpp import address, limits, pdu, receipt, status
from edge.sms.smpp.pdu import Malformed, Message
from edge.sms.smpp.repeats import Line, Repeats, Seen
from edge.sms.text import ADDRESS_LIMIT, Report, Text, Verdict
from edge.sms.udh import Concatenation

# What an Invalid of Text is about, as an SMSC is told
_FAULTS: Final = {"from": status.RINVSRCADR, "to": status.RINVDSTADR, "text": status.RINVMSGLEN}


class Brought(NamedTuple):
    """What came, and what a repeat of it is known by, if not by an id of the carrier's."""

    what: Text | Part | Report | None  # None: a receipt of nobody knows what
    seen: Seen | None = None


class Reader:
    """Reads what one carrier delivers."""

    def __init__(self, carrier: str, country: str | None, default: Default, id_tag: int | None) -> None:
        self._carrier = carrier
        self._country = country
        self._default = default
        self._id_tag = id_tag
        self.repeats = Repeats()

    def read(self, message: Message, line: Line, now: float, received_at: datetime) -> Brought:
        """Raises Malformed for what cannot be kept, with what its SMSC is to be told."""
        if (message.esm_class & receipt.KIND or message.tlvs) and receipt.is_receipt(message):
            found = receipt.read(message)
            return Brought(receipt.report(found, message, self._carrier, received_at) if found is not None else None)
        headed = bool(message.esm_class & pdu.UDHI)
        body = alphabet.read(message.payload, message.data_coding, headed=headed, default=self._default)
        part = body.header.concatenation or (_sar(message) if message.tlvs else None)
        source, destination = address.read(message.source), address.read(message.destination)
        seen = None
        carrier_id = self._carrier_id(message)
        if not carrier_id:
            seen = self.repeats.identify(message, line, now, int(received_at.timestamp() * 1000))
            carrier_id = seen.id
        elif part is not None:  # some give all parts the id of the whole
            carrier_id = f"{carrier_id} {part.number}"
        if part is not None and part.total > 1:
            _check(source, destination)
            return Brought(
                Part(
                    carrier=self._carrier,
                    id=carrier_id,
                    source=source,
                    destination=destination,
                    reference=part.reference,
                    total=part.total,
                    number=part.number,
                    alphabet=body.alphabet,
                    payload=body.payload,
                    received_at=received_at,
                    country=self._country,
                ),
                seen,
            )
        try:
            text = Text(self._carrier, carrier_id, source, destination, body.text, received_at, country=self._country)
        except Invalid as error:
            fault = error.faults[0]
            raise Malformed(_FAULTS.get(fault.where, status.RX_P_APPN), str(fault)) from None
        return Brought(text, seen)

    def _carrier_id(self, message: Message) -> str:
        """What the carrier calls a text; nothing when it has no name for it."""
        if self._id_tag is None:
            return ""
        value = message.tlv(self._id_tag)
        if value is None:
            return ""
        text = value.rstrip(b"\0").decode("latin-1")
        if not text:
            return ""
        if len(text) <= limits.ID and text.isascii() and text.isprintable():
            return f"id {text}"
        return f"id {blake2b(value, digest_size=16).hexdigest()}"


def answer(verdict: Verdict) -> int:
    """What an SMSC is told of a text that was kept. None of it makes it try again."""
    refusal: type[EdgeError] | None = verdict.refusal
    if refusal is None:
        return status.ROK
    return status.RX_P_APPN if refusal in (NumberSuspended, NumberReleased) else status.RINVDSTADR


def _sar(message: Message) -> Concatenation | None:
    values = [message.tlv(tag) for tag in (pdu.SAR_MSG_REF_NUM, pdu.SAR_TOTAL_SEGMENTS, pdu.SAR_SEGMENT_SEQNUM)]
    if None in values:
        return None
    reference, total, number = (int.from_bytes(value or b"", "big") for value in values)
    if not (1 <= number <= total <= 255 and reference <= 0xFFFF):
        raise Malformed(status.RINVOPTPARAMVAL, f"part {number} of {total}")
    return Concatenation(reference, total, number)


def _check(source: str, destination: str) -> None:
    """What Text checks of itself; a part is checked here."""
    for code, what, value in (
        (status.RINVSRCADR, "from", source),
        (status.RINVDSTADR, "to", destination),
    ):
        if not 0 < len(value) <= ADDRESS_LIMIT:
            raise Malformed(code, f"{what}: has {len(value)} characters")
