"""PDUs of SMPP 3.4 (§3.2, §4): found in a stream of bytes, read, and written.

A `Pdu` is a header with its body still as bytes. Who knows what the body is reads it: `Message` for submit_sm,
deliver_sm and data_sm, `Bind`, `Bound`, and the message id of a response. Each of them writes itself.

We are strict in what we write and forgiving in what we read: strings may be longer than allowed, a response may lack
its body, TLVs and statuses that nobody knows are kept as numbers, NULs after the last TLV are none. A body that cannot
be understood at all is `Malformed`, which says how to answer it; a length that no PDU has is the end of the stream.
"""

from __future__ import annotations

from collections.abc import Iterable
from struct import Struct
from typing import Final, NamedTuple

from edge.sms.smpp import limits, status

GENERIC_NACK: Final = 0x80000000
BIND_RECEIVER: Final = 0x01
BIND_TRANSMITTER: Final = 0x02
SUBMIT_SM: Final = 0x04
DELIVER_SM: Final = 0x05
UNBIND: Final = 0x06
BIND_TRANSCEIVER: Final = 0x09
OUTBIND: Final = 0x0B
ENQUIRE_LINK: Final = 0x15
ALERT_NOTIFICATION: Final = 0x102
DATA_SM: Final = 0x103
RESP: Final = 0x80000000  # §5.1.2.1: the bit that makes the response of a request

COMMANDS: Final = {
    BIND_RECEIVER: "bind_receiver",
    BIND_TRANSMITTER: "bind_transmitter",
    0x03: "query_sm",
    SUBMIT_SM: "submit_sm",
    DELIVER_SM: "deliver_sm",
    UNBIND: "unbind",
    0x07: "replace_sm",
    0x08: "cancel_sm",
    BIND_TRANSCEIVER: "bind_transceiver",
    OUTBIND: "outbind",
    ENQUIRE_LINK: "enquire_link",
    0x21: "submit_multi",
    ALERT_NOTIFICATION: "alert_notification",
    DATA_SM: "data_sm",
}

# Optional parameters, §5.3.2
NETWORK_ERROR_CODE: Final = 0x0423
MESSAGE_PAYLOAD: Final = 0x0424
MESSAGE_STATE: Final = 0x0427
RECEIPTED_MESSAGE_ID: Final = 0x001E
SAR_MSG_REF_NUM: Final = 0x020C
SAR_TOTAL_SEGMENTS: Final = 0x020E
SAR_SEGMENT_SEQNUM: Final = 0x020F
SC_INTERFACE_VERSION: Final = 0x0210

UDHI: Final = 0x40  # §5.2.12, of esm_class: the payload begins with a user data header
HEADER: Final = 16  # octets

_HEADER = Struct("!IIII")
_TLV = Struct("!HH")

Tlv = tuple[int, bytes]


class Malformed(Exception):
    """A body, or a length, that nobody can read. `status` is the command_status to answer it with."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status
        self.sentence = sentence


class Pdu(NamedTuple):
    """A header, and the body that belongs to it."""

    command: int
    sequence: int
    status: int = 0
    body: bytes = b""

    def write(self) -> bytes:
        return _HEADER.pack(HEADER + len(self.body), self.command, self.status, self.sequence) + self.body

    @property
    def name(self) -> str:
        """`submit_sm_resp`, or the number of a command that nobody knows."""
        if self.command == GENERIC_NACK:
            return "generic_nack"
        known = COMMANDS.get(self.command & ~RESP)
        if known is None:
            return f"command 0x{self.command:08X}"
        return f"{known}_resp" if self.command & RESP else known

    def __str__(self) -> str:
        says = f" {status.name(self.status)}" if self.status or self.command & RESP else ""
        return f"{self.name} {self.sequence}{says}"


class Stream:
    """Bytes as they come, cut into PDUs."""

    __slots__ = ("_rest",)

    def __init__(self) -> None:
        self._rest = bytearray()

    @property
    def waiting(self) -> int:
        """Octets of a PDU that is not here as a whole."""
        return len(self._rest)

    def take(self, data: bytes) -> tuple[list[Pdu], Malformed | None]:
        """The PDUs that are whole now. Malformed: what comes after them has no length, the stream is of no more use."""
        source: bytes | bytearray = data
        if self._rest:
            self._rest += data
            source = self._rest
        found: list[Pdu] = []
        at, end = 0, len(source)
        while end - at >= HEADER:
            length, command, state, sequence = _HEADER.unpack_from(source, at)
            if not HEADER <= length <= limits.PDU:
                return found, Malformed(status.RINVCMDLEN, f"a PDU of {length} octets")
            if length > end - at:
                break
            found.append(Pdu(command, sequence, state, bytes(source[at + HEADER : at + length])))
            at += length
        self._rest = bytearray(source[at:]) if at or source is data else self._rest
        return found, None


class Address(NamedTuple):
    """A number or a name with its type of number and its numbering plan (§5.2.5, §5.2.6)."""

    digits: str
    ton: int = 0
    npi: int = 0


class Message(NamedTuple):
    """The body of a submit_sm or a deliver_sm (§4.4.1, §4.6.1), alike in their fields, or of a data_sm (§4.7.1)."""

    source: Address
    destination: Address
    short_message: bytes = b""
    data_coding: int = 0
    esm_class: int = 0
    tlvs: tuple[Tlv, ...] = ()
    service_type: str = ""
    registered_delivery: int = 0
    validity_period: str = ""
    schedule_delivery_time: str = ""
    protocol_id: int = 0
    priority_flag: int = 0
    replace_if_present: int = 0
    sm_default_msg_id: int = 0

    @classmethod
    def read(cls, body: bytes) -> Message:
        """The body of a submit_sm or a deliver_sm. Raises Malformed."""
        try:
            service_type, at = _string(body, 0, status.RINVSERTYP)
            source, at = _address(body, at, status.RINVSRCADR)
            destination, at = _address(body, at, status.RINVDSTADR)
            esm_class, protocol_id, priority_flag = body[at], body[at + 1], body[at + 2]
            if body[at + 3] or body[at + 4]:
                schedule, at = _string(body, at + 3, status.RINVSCHED)
                validity, at = _string(body, at, status.RINVEXPIRY)
            else:
                schedule, validity, at = "", "", at + 5
            registered, replace, coding, default, length = body[at : at + 5]
        except (IndexError, ValueError):
            raise Malformed(status.RINVCMDLEN, "the body ends before its last field") from None
        at += 5
        short_message = body[at : at + length]
        if len(short_message) < length:
            raise Malformed(status.RINVMSGLEN, f"a text of {length} octets of which {len(short_message)} are there")
        at += length
        return cls(
            source,
            destination,
            short_message,
            coding,
            esm_class,
            _tlvs(body, at) if at < len(body) else (),
            service_type,
            registered,
            validity,
            schedule,
            protocol_id,
            priority_flag,
            replace,
            default,
        )

    @classmethod
    def read_data(cls, body: bytes) -> Message:
        """The body of a data_sm. Raises Malformed."""
        try:
            service_type, at = _string(body, 0, status.RINVSERTYP)
            source, at = _address(body, at, status.RINVSRCADR)
            destination, at = _address(body, at, status.RINVDSTADR)
            esm_class, registered, coding = body[at : at + 3]
        except (IndexError, ValueError):
            raise Malformed(status.RINVCMDLEN, "the body ends before its last field") from None
        return cls(
            source,
            destination,
            data_coding=coding,
            esm_class=esm_class,
            tlvs=_tlvs(body, at + 3),
            service_type=service_type,
            registered_delivery=registered,
        )

    def write(self) -> bytes:
        """As the body of a submit_sm or a deliver_sm. Raises ValueError for what no field takes."""
        if len(self.short_message) > 254:
            raise ValueError(f"{len(self.short_message)} octets are more than a short_message takes")
        return b"".join(
            (
                _cstring(self.service_type, 6),
                _written(self.source),
                _written(self.destination),
                bytes((self.esm_class, self.protocol_id, self.priority_flag)),
                _cstring(self.schedule_delivery_time, 17),
                _cstring(self.validity_period, 17),
                bytes((self.registered_delivery, self.replace_if_present, self.data_coding, self.sm_default_msg_id)),
                bytes((len(self.short_message),)),
                self.short_message,
                _written_tlvs(self.tlvs),
            )
        )

    def write_data(self) -> bytes:
        """As the body of a data_sm, which has its text in a TLV."""
        return b"".join(
            (
                _cstring(self.service_type, 6),
                _written(self.source, 65),
                _written(self.destination, 65),
                bytes((self.esm_class, self.registered_delivery, self.data_coding)),
                _written_tlvs(self.tlvs),
            )
        )

    def tlv(self, tag: int) -> bytes | None:
        """The value of the first TLV of that tag."""
        for found, value in self.tlvs:
            if found == tag:
                return value
        return None

    @property
    def payload(self) -> bytes:
        """The text, wherever it is (§5.3.2.32)."""
        if self.short_message or not self.tlvs:
            return self.short_message
        return self.tlv(MESSAGE_PAYLOAD) or b""


class Bind(NamedTuple):
    """The body of a bind_receiver, bind_transmitter or bind_transceiver (§4.1). Its password is never shown."""

    system_id: str
    password: str
    system_type: str = ""
    interface_version: int = 0x34
    addr_ton: int = 0
    addr_npi: int = 0
    address_range: str = ""

    @classmethod
    def read(cls, body: bytes) -> Bind:
        """Raises Malformed."""
        try:
            system_id, at = _string(body, 0, status.RINVSYSID)
            password, at = _string(body, at, status.RINVPASWD)
            system_type, at = _string(body, at, 0x53)
            version, ton, npi = body[at : at + 3]
            return cls(system_id, password, system_type, version, ton, npi, _string(body, at + 3, status.RBINDFAIL)[0])
        except ValueError:
            raise Malformed(status.RINVCMDLEN, "the body ends before its last field") from None

    def write(self) -> bytes:
        """Raises ValueError for what no field takes. Passwords may be longer than the 8 of §4.1.1: many are."""
        return b"".join(
            (
                _cstring(self.system_id, 65),
                _cstring(self.password, 65),
                _cstring(self.system_type, 13),
                bytes((self.interface_version, self.addr_ton, self.addr_npi)),
                _cstring(self.address_range, 41),
            )
        )

    def __repr__(self) -> str:
        return f"Bind(system_id={self.system_id!r}, password=…, system_type={self.system_type!r})"


class Bound(NamedTuple):
    """The body of the answer to a bind (§4.1.2). It is empty in a refusal, and in that of some who agree."""

    system_id: str = ""
    tlvs: tuple[Tlv, ...] = ()

    @classmethod
    def read(cls, body: bytes) -> Bound:
        """Whatever can be read of it: nothing in it is worth an error."""
        system_id, _, rest = body.partition(b"\0")
        try:
            return cls(system_id.decode("latin-1"), _tlvs(rest, 0))
        except Malformed:
            return cls(system_id.decode("latin-1"))

    def write(self) -> bytes:
        return _cstring(self.system_id, 16) + _written_tlvs(self.tlvs)

    @property
    def version(self) -> int | None:
        """The SMPP version of the other side, 0x34 for 3.4."""
        return next((value[0] for tag, value in self.tlvs if tag == SC_INTERFACE_VERSION and len(value) == 1), None)


def read_id(body: bytes) -> str:
    """The message_id in a submit_sm_resp or data_sm_resp (§4.4.2); empty when there is none that can be kept."""
    message_id = body.partition(b"\0")[0].decode("latin-1")
    return message_id if len(message_id) <= limits.ID else ""


def write_id(message_id: str) -> bytes:
    return _cstring(message_id, 65)


def _string(body: bytes, at: int, fault: int) -> tuple[str, int]:
    """A C-octet string (§3.1), and where the next field begins. Raises ValueError when it has no end, Malformed."""
    end = body.index(0, at)
    if end - at > limits.STRING:
        raise Malformed(fault, f"a string of {end - at} octets")
    return body[at:end].decode("latin-1"), end + 1


def _address(body: bytes, at: int, fault: int) -> tuple[Address, int]:
    end = body.index(0, at + 2)
    if end - at > limits.STRING:
        raise Malformed(fault, f"an address of {end - at - 2} octets")
    return Address(body[at + 2 : end].decode("latin-1"), body[at], body[at + 1]), end + 1


def _tlvs(body: bytes, at: int) -> tuple[Tlv, ...]:
    found: list[Tlv] = []
    end = len(body)
    while end - at >= 4:
        tag, length = _TLV.unpack_from(body, at)
        at += 4
        if length > end - at:
            raise Malformed(status.RINVOPTPARSTREAM, f"parameter 0x{tag:04X} has {length} octets, {end - at} are there")
        found.append((tag, body[at : at + length]))
        at += length
    if any(body[at:]):
        raise Malformed(status.RINVOPTPARSTREAM, f"{end - at} octets after the last parameter")
    return tuple(found)


def _cstring(text: str, limit: int) -> bytes:
    """With its NUL, in at most `limit` octets."""
    try:
        data = text.encode("latin-1")
    except UnicodeEncodeError:
        raise ValueError(f"{text} has characters that no string of SMPP takes") from None
    if len(data) >= limit or 0 in data:
        raise ValueError(f"{text} is not a string of up to {limit - 1} characters")
    return data + b"\0"


def _written(address: Address, limit: int = 21) -> bytes:
    return bytes((address.ton, address.npi)) + _cstring(address.digits, limit)


def _written_tlvs(tlvs: Iterable[Tlv]) -> bytes:
    return b"".join(_TLV.pack(tag, len(value)) + value for tag, value in tlvs)
