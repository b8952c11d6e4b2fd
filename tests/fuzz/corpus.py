"""What to begin with: for each target some inputs as they should be, and the collections of others that fit it."""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode
from typing import Final

from edge.sms.smpp.pdu import Address, Message, Pdu
from tests.sip.ladder import SDP, invite, request
from tests.sip.vectors import FOLDER, seeds, torture
from tests.stir.authority import URL, claims

LARGEST: Final = 16_384  # octets of a file of others that is taken

IDENTITIES: Final = {
    "P-Asserted-Identity": '"Acme" <sip:+14155550123@acme.example>, <tel:+14155550123>',
    "Remote-Party-ID": "<sip:+14155550123@x>;party=calling;privacy=full;screen=yes",
    "Privacy": "id;critical",
    "Diversion": '<sip:+14155550102@x>;reason=no-answer;counter=1, "A" <tel:+14155550101>;reason="user-busy"',
    "History-Info": "<sip:+14155550101@x?Reason=SIP%3Bcause%3D302>;index=1, <sip:+14155550102@x>;index=1.1;mp=1",
    "P-Called-Party-ID": "<sip:+14155550100@x>",
    "Authorization": 'Digest username="a", realm="edge", nonce="b", uri="sip:c", response="d", algorithm=SHA-256,'
    ' qop=auth, nc=00000001, cnonce="e"',
    "Require": "100rel, timer",
    "Session-Expires": "1800;refresher=uac",
    "RAck": "1 1 INVITE",
}
MULTIPART: Final = (
    b"--x\r\nContent-Type: application/sdp\r\n\r\n"
    + SDP
    + b"\r\n--x\r\nContent-Type: application/isup;base=itu-t92+\r\n"
    b"Content-Disposition: signal;handling=optional\r\n\r\n\x01\x02\r\n--x--\r\n"
)

MESSAGES: Final = (
    invite(fields=dict(IDENTITIES)),
    invite(body=MULTIPART, fields={"Content-Type": "multipart/mixed;boundary=x"}),
    *(
        request(method, branch=method.lower(), to_tag="us")
        for method in ("ACK", "BYE", "CANCEL", "OPTIONS", "PRACK", "UPDATE")
    ),
    request("MESSAGE", branch="m", body=b"hello", kind="text/plain"),
    request("INFO", branch="i", body=b"Signal=5\r\nDuration=160\r\n", kind="application/dtmf-relay", to_tag="us"),
    b"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKt1;rport=5060;received=192.0.2.1\r\n"
    b"From: <sip:a@b>;tag=t2\r\nTo: <sip:c@d>;tag=x\r\nCall-ID: t3\r\nCSeq: 1 INVITE\r\nContact: <sip:c@192.0.2.9>\r\n"
    b'WWW-Authenticate: Digest realm="x", nonce="y", algorithm=MD5, qop="auth"\r\nContent-Length: 0\r\n\r\n',
)
DESCRIPTIONS: Final = (
    SDP,
    b"v=0\r\no=- 1 1 IN IP6 2001:db8::1\r\ns=-\r\nc=IN IP6 2001:db8::1\r\nt=0 0\r\na=sendonly\r\n"
    b"m=audio 4000 RTP/SAVP 8 0 101\r\n"
    b"a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\na=ptime:20\r\na=rtcp:4001\r\n"
    b"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz|2^20|1:32\r\n"
    b"m=video 5000 RTP/AVPF 96\r\nc=IN IP4 192.0.2.9\r\na=rtpmap:96 VP8/90000\r\na=inactive\r\n",
)
ENVELOPE: Final = (
    b"From: <sip:a@b>\r\nTo: <tel:+14155550100>\r\nDateTime: 2026-11-23T10:00:00Z\r\n\r\n"
    b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\naGVsbG8="
)
_TEXT: Final = Message(
    source=Address("14155550199", 1, 1), destination=Address("14155550100", 1, 1), short_message=b"hi"
)
PDUS: Final = (
    Pdu(5, 0, 1, _TEXT.write()).write(),
    Pdu(0x80000004, 0, 2, b"id-1\x00").write(),
    Pdu(21, 0, 3, b"").write(),
)
HEADERS: Final = (
    b"\x05\x00\x03\x07\x02\x01hello",
    b"\x06\x08\x04\x12\x34\x03\x02hello",
    b"\x0b\x05\x04\x0b\x84\x23\xf0x",
)
RTP: Final = (
    b"\x80\x00\x00\x01\x00\x00\x00\xa0\x12\x34\x56\x78" + b"\xff" * 160,
    b"\x80\xe5\x00\x02\x00\x00\x00\xa0\x12\x34\x56\x78\x05\x8a\x03\x20",
    b"\x81\xc8\x00\x0c\x12\x34\x56\x78" + b"\x00" * 44,
)


def signed(kind: str) -> bytes:
    """An Identity field, its signature aside."""
    head = {"alg": "ES256", "typ": "passport", "ppt": kind, "x5u": URL}
    parts = (urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=") for part in (head, claims(kind)))
    return b".".join((*parts, b"c2lnbmF0dXJl")) + f";info=<{URL}>;alg=ES256;ppt={kind}".encode()


def corpus(target: str) -> list[bytes]:
    """What to break for that target; the collections of others only where they are there."""
    files = [path.read_bytes() for path in seeds() if path.stat().st_size <= LARGEST] if FOLDER.is_dir() else []
    sip = [*MESSAGES, *(vector.data for vector in torture()), *(data for data in files if b"SIP/2.0" in data)]
    return {
        "message": sip,
        "frames": sip,
        "agent": sip,
        "sdp": [*DESCRIPTIONS, *(data for data in files if data.startswith(b"v=0"))],
        "digest": [
            IDENTITIES["Authorization"].encode(),
            b'Digest realm="x", nonce="y", qop="auth,auth-int", stale=true',
        ],
        "cpim": [ENVELOPE],
        "smpp": [*PDUS],
        "udh": [*HEADERS],
        "rtp": [*RTP],
        "identity": [*map(signed, ("shaken", "div", "")), b"..c2lnbmF0dXJl;info=<https://a.example/b.pem>;alg=ES256"],
    }[target]
