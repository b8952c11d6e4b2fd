"""Delivery receipts: deliver_sm that bring no text, but say what became of one of ours.

What they are is in esm_class (§5.2.12): a receipt, or a notification on the way to one. Where a carrier leaves that out
its receipted_message_id says so, which no handset can set; the words of a text alone never do, for anybody can write
them. What they say is in TLVs (§5.3.2.12, .31, .35), or in words that Appendix B gives as an example and everybody has
taken up, each in his own way:

    id:0123456789 sub:001 dlvrd:001 submit date:2611231200 done date:2611231201 stat:DELIVRD err:000 text:hello

Names are in any case and order, any may be missing, dates have seconds or not, `err` is decimal, hexadecimal or a word.
Of `text` nothing is believed: it is what somebody wrote. The id is left as it is, with its zeros.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Final, Literal, NamedTuple

from edge.sms.smpp import address, limits, pdu
from edge.sms.smpp.pdu import Message
from edge.sms.text import Report

Status = Literal["sent", "delivered", "failed"]

KIND: Final = 0x3C  # of esm_class: the bits that say what kind of message it is
RECEIPT: Final = 0x04
NOTIFICATION: Final = 0x20
CODE_MAX: Final = 32  # characters of a carrier's code, and of its word for a state, that are kept

# §5.2.28 and Appendix B; SCHEDULED and SKIPPED are of SMPP 5.0 §4.7.15
_STATES: Final[dict[int, str]] = {
    0: "SCHEDULED",
    1: "ENROUTE",
    2: "DELIVRD",
    3: "EXPIRED",
    4: "DELETED",
    5: "UNDELIV",
    6: "ACCEPTD",
    7: "UNKNOWN",
    8: "REJECTD",
    9: "SKIPPED",
}
_MEANINGS: Final[dict[str, tuple[Status, str]]] = {
    "SCHEDUL": ("sent", "it is to be sent later"),
    "ENROUTE": ("sent", "it is on its way"),
    "BUFFERE": ("sent", "it is on its way"),
    "ACCEPTD": ("sent", "it was taken over"),
    "ACCEPTE": ("sent", "it was taken over"),
    "SENT": ("sent", "it is on its way"),
    "DELIVRD": ("delivered", ""),
    "DELIVER": ("delivered", ""),
    "EXPIRED": ("failed", "it could not be delivered in time"),
    "DELETED": ("failed", "it was deleted on its way"),
    "UNDELIV": ("failed", "it could not be delivered"),
    "FAILED": ("failed", "it could not be delivered"),
    "REJECTD": ("failed", "it was rejected"),
    "REJECTE": ("failed", "it was rejected"),
    "SKIPPED": ("failed", "it was skipped"),
    "UNKNOWN": ("failed", "the carrier does not know what became of it"),
}

_FIELD = re.compile(r"(?:^|(?<=[\s,;]))(id|stat|err)\s*:[ \t]*([^\s,;]*)", re.IGNORECASE)
_TEXT = re.compile(r"(?:^|\s)text\s*:", re.IGNORECASE)


class Receipt(NamedTuple):
    """What a receipt says. `state` is the carrier's word."""

    id: str
    status: Status
    state: str
    code: str
    reason: str


def is_receipt(message: Message) -> bool:
    """Whether this is no text."""
    kind = message.esm_class & KIND
    return kind in (RECEIPT, NOTIFICATION) or message.tlv(pdu.RECEIPTED_MESSAGE_ID) is not None


def read(message: Message) -> Receipt | None:
    """What it says; None when it does not say of which text."""
    said = _words(_text(message))
    tlv = message.tlv(pdu.RECEIPTED_MESSAGE_ID)
    message_id = (tlv.rstrip(b"\0").decode("latin-1").strip() if tlv is not None else "") or said.get("id", "")
    if not message_id or "\0" in message_id or len(message_id) > limits.ID:
        return None
    number = message.tlv(pdu.MESSAGE_STATE)
    state = said.get("stat", "").upper()[:CODE_MAX]
    if number is not None and len(number) == 1:
        state = _STATES.get(number[0], state)
    status, reason = _MEANINGS.get(state[:7], ("sent", f"the carrier says {state}" if state else ""))
    if message.esm_class & KIND == NOTIFICATION:
        status = "sent"  # §2.10.3: whatever it says, the receipt is still to come
    if reason and state:
        reason = f"{reason} ({state})"
    return Receipt(
        message_id, status, state, _code(message, said.get("err", "")) if status != "delivered" else "", reason
    )


def report(found: Receipt, message: Message, carrier: str, received_at: datetime) -> Report:
    """The same for those who keep it. A receipt goes the way of an answer: its destination is who sent the text."""
    return Report(
        carrier=carrier,
        carrier_id=found.id,
        status=found.status,
        received_at=received_at,
        code=found.code,
        reason=found.reason,
        source=address.read(message.destination),
        destination=address.read(message.source),
    )


def _text(message: Message) -> str:
    octets = message.payload
    if message.data_coding == 8 or octets[:1] == b"\0":
        return octets.decode("utf-16-be", "replace")
    return octets.decode("latin-1")


def _words(text: str) -> dict[str, str]:
    """The fields in front of the text. Where a carrier has its text first, the last of each name behind it."""
    start = _TEXT.search(text)
    front = text if start is None else text[: start.start()]
    found: dict[str, str] = {}
    for name, value in _FIELD.findall(front):
        found.setdefault(name.lower(), value)
    if start is not None and "stat" not in found and "id" not in found:
        found = {name.lower(): value for name, value in _FIELD.findall(text[start.end() :])}
    return found


def _code(message: Message, said: str) -> str:
    """The carrier's own code; nothing when all it says is zero."""
    if said.strip("0"):
        return said[:CODE_MAX]
    network = message.tlv(pdu.NETWORK_ERROR_CODE)
    if network is not None and len(network) == 3 and any(network[1:]):
        return str(int.from_bytes(network[1:], "big"))
    return ""
