"""A small certification authority, and who signs for callers with what it gives out."""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from jwt.algorithms import ECAlgorithm
from jwt.api_jws import PyJWS

from edge.stir.credential import TN_AUTH_LIST

NOW: Final = 1_800_000_000
WHEN: Final = datetime.fromtimestamp(NOW, UTC)
DAY: Final = timedelta(days=1)
URL: Final = "https://certificates.example/shaken.pem"
CALLER, CALLED, FORMER = "14155550199", "14155550100", "14155550111"
ORIGID: Final = "7f1c2b0e-2a57-4a3c-9d4e-5b9a4a0e0001"

Key = ec.EllipticCurvePrivateKey


def key(curve: ec.EllipticCurve | None = None) -> Key:
    return ec.generate_private_key(curve or ec.SECP256R1())


def tlv(tag: int, content: bytes) -> bytes:
    """DER."""
    size = len(content)
    length = bytes([size]) if size < 0x80 else b"\x82" + size.to_bytes(2, "big")
    return bytes([tag]) + length + content


def spc(code: str) -> bytes:
    return tlv(0xA0, tlv(0x16, code.encode()))


def span(start: str, count: int) -> bytes:
    return tlv(0xA1, tlv(0x30, tlv(0x16, start.encode()) + tlv(0x02, count.to_bytes(4, "big").lstrip(b"\0"))))


def one(number: str) -> bytes:
    return tlv(0xA2, tlv(0x16, number.encode()))


def numbers(*entries: bytes) -> bytes:
    """A TNAuthList."""
    return tlv(0x30, b"".join(entries))


class Holder(NamedTuple):
    """A certificate and its key."""

    certificate: x509.Certificate
    key: Key

    def issue(self, name: str, **how: Any) -> Holder:
        return certificate(name, issuer=self, **how)


def certificate(
    name: str,
    *,
    issuer: Holder | None = None,
    ca: bool = False,
    path: int | None = None,
    usage: bool = True,
    listed: bytes | None = None,
    critical: bool = False,
    since: datetime = WHEN - DAY,
    until: datetime = WHEN + DAY,
    own: Any = None,
) -> Holder:
    own = own or key()
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.certificate.subject if issuer else subject)
        .public_key(own.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(since)
        .not_valid_after(until)
        .add_extension(x509.BasicConstraints(ca, path), critical=True)
    )
    signs = usage and not ca
    builder = builder.add_extension(
        x509.KeyUsage(signs, False, not signs and not ca, False, False, ca and usage, ca, False, False), critical=True
    )
    if listed is not None:
        builder = builder.add_extension(x509.UnrecognizedExtension(TN_AUTH_LIST, listed), critical=critical)
    return Holder(builder.sign(issuer.key if issuer else own, hashes.SHA256()), own)


class Authority:
    """Anchor, intermediate, and a provider's certificate."""

    def __init__(self) -> None:
        self.root = certificate("root", ca=True)
        self.middle = self.root.issue("middle", ca=True, path=0)
        self.leaf = self.provider()

    def provider(self, **how: Any) -> Holder:
        return self.middle.issue("SHAKEN 1234", **{"listed": numbers(spc("1234")), **how})

    @property
    def anchors(self) -> tuple[x509.Certificate, ...]:
        return (self.root.certificate,)

    def file(self, leaf: Holder | None = None) -> bytes:
        return pem(leaf or self.leaf, self.middle)


def pem(*holders: Holder) -> bytes:
    return b"".join(holder.certificate.public_bytes(Encoding.PEM) for holder in holders)


def claims(
    kind: str = "shaken",
    *,
    caller: Any = CALLER,
    called: Sequence[Any] | Any = (CALLED,),
    issued: Any = NOW,
    diverted: Any = FORMER,
    **more: Any,
) -> dict[str, Any]:
    said = {"orig": {"tn": caller}, "dest": {"tn": called}, "iat": issued}
    if kind == "shaken":
        said |= {"attest": "A", "origid": ORIGID}
    if kind == "div":
        said["div"] = {"tn": diverted}
    return said | more


def token(said: Mapping[str, Any], by: Key, kind: str = "shaken", url: str = URL, **header: Any) -> str:
    head = {"typ": "passport", "ppt": kind, "x5u": url} if kind else {"typ": "passport", "x5u": url}
    return PyJWS().encode(
        json.dumps(said, sort_keys=True, separators=(",", ":")).encode(), by, algorithm="ES256", headers=head | header
    )


def identity(said: Mapping[str, Any], by: Holder, kind: str = "shaken", url: str = URL, **header: Any) -> str:
    """An Identity field in full form."""
    ppt = f";ppt={kind}" if kind else ""
    return f"{token(said, by.key, kind, url, **header)};info=<{url}>;alg=ES256{ppt}"


def compact(said: Mapping[str, Any], by: Holder, url: str = URL) -> str:
    """The same in compact form, of a PASSporT without a type."""
    head = {"alg": "ES256", "typ": "passport", "x5u": url}
    written = b".".join(
        urlsafe_b64encode(json.dumps(part, sort_keys=True, separators=(",", ":")).encode()).rstrip(b"=")
        for part in (head, said)
    )
    signature = ECAlgorithm(ECAlgorithm.SHA256).sign(written, by.key)
    return f"..{urlsafe_b64encode(signature).rstrip(b'=').decode()};info=<{url}>;alg=ES256"
