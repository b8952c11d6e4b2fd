from __future__ import annotations

import pytest

from edge.sip.message import AckKey, Request, parse, peek_ack

REST = "From: <sip:a@b>;tag=1\r\nTo: <sip:c@d>;tag=2\r\nCall-ID: 7@x\r\nCSeq: 1 ACK\r\nContent-Length: 0\r\n\r\n"


def ack(*vias: str, start: str = "ACK sip:c@d SIP/2.0", rest: str = REST) -> bytes:
    return "\r\n".join([start, *vias, rest]).encode()


@pytest.mark.parametrize(
    "data",
    [
        ack("Via: SIP/2.0/UDP 192.0.2.1:5061;branch=z9hG4bK1"),
        ack("v: SIP/2.0/UDP A.Example;rport;branch=z9hG4bK1"),
        ack("VIA: SIP/2.0/TCP [2001:db8::1]:5061;branch=z9hG4bK1;rport=5;received=1.2.3.4"),
        ack("Via: SIP/2.0/UDP a;branch=z9hG4bK1", "Via: SIP/2.0/UDP b;branch=z9hG4bK2"),
    ],
)
def test_it_finds_what_reading_finds(data: bytes) -> None:
    message = parse(data)
    assert isinstance(message, Request)
    assert message.via.branch is not None
    assert peek_ack(data) == AckKey(message.via.branch, message.via.sent_by, message.call_id)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"ACK ",
        b"ACK sip:c@d SIP/2.0\r\n\r\n",
        ack("Via: SIP/2.0/UDP a;branch=z9hG4bK1", start="INVITE sip:c@d SIP/2.0"),
        ack("Via: SIP/2.0/UDP a;branch=z9hG4bK1", start="ACKS sip:c@d SIP/2.0"),
        ack("Via: SIP/2.0/UDP a"),
        ack("Via: SIP/2.0/UDP a;x=y;branch=z9hG4bK1"),
        ack("Via: SIP/2.0/UDP a;branch=z9hG4bK1, SIP/2.0/UDP b"),
        ack("Via: SIP / 2.0 / UDP a;branch=z9hG4bK1"),
        ack("Max-Forwards: 70", "Via: SIP/2.0/UDP a;branch=z9hG4bK1"),
        ack("Via:\r\n SIP/2.0/UDP a;branch=z9hG4bK1"),
        ack("Via: SIP/2.0/UDP a;branch=z9hG4bK1", rest=REST.replace("Call-ID", "i")),
        ack("Via: SIP/2.0/UDP a;branch=z9hG4bK1", rest="Call-ID: x"),
    ],
)
def test_all_else_is_read_in_full(data: bytes) -> None:
    assert peek_ack(data) is None
