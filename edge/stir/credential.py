"""A certificate that signs PASSporTs: its path to a trust anchor, and the numbers that it is for (RFC 8226).

The path is walked by `cryptography`: signatures, validity, basicConstraints with its path length. What its rules for
the web ask besides (a name of a host, its kinds of use) is not asked of these certificates; that keys which sign
certificates may do so, and that the last one may sign and is none of those, is. An extension that is critical and that
nobody knows makes a certificate bad. Revocation is not looked at: such certificates are short-lived.

TNAuthList (§9) names a provider by its code, which may speak for any number that it gave out, or numbers and ranges:
then for these only.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Final, Literal, NamedTuple

from cryptography.hazmat import asn1
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from cryptography.x509 import (
    BasicConstraints,
    Certificate,
    ExtensionNotFound,
    KeyUsage,
    ObjectIdentifier,
    load_der_x509_certificate,
    load_pem_x509_certificates,
)
from cryptography.x509.verification import Criticality, ExtensionPolicy, PolicyBuilder, Store, VerificationError

from edge.stir.passport import digits
from edge.stir.verdict import BAD_CREDENTIAL, Doubt

TN_AUTH_LIST: Final = ObjectIdentifier("1.3.6.1.5.5.7.1.26")
CERTIFICATES: Final = 8  # in one file; a path has two or three
ENTRIES_BYTES: Final = 65_000  # of a TNAuthList


@asn1.sequence
class _Range:
    start: asn1.IA5String
    count: int


_Spc = Annotated[asn1.Variant[asn1.IA5String, Literal["spc"]], asn1.Explicit(0)]
_Numbers = Annotated[asn1.Variant[_Range, Literal["range"]], asn1.Explicit(1)]
_One = Annotated[asn1.Variant[asn1.IA5String, Literal["one"]], asn1.Explicit(2)]


@asn1.sequence
class _Held:
    """A list needs something around it to be read."""

    entries: list[_Spc | _Numbers | _One]


class Credential(NamedTuple):
    """A certificate that leads to an anchor."""

    key: EllipticCurvePublicKey
    ranges: tuple[tuple[int, int, int], ...] | None  # how many digits, the first, the last; None: any number
    until: float  # seconds since the epoch

    def speaks_for(self, number: str) -> bool:
        """Whether it may sign for a number."""
        if self.ranges is None:
            return True
        return any(len(number) == length and first <= int(number) <= last for length, first, last in self.ranges)


def read_credential(body: bytes, anchors: Sequence[Certificate], now: datetime) -> Credential:
    """The certificate that a file begins with, others on its path behind it. Raises Doubt."""
    chain = _certificates(body)
    leaf = chain[0]
    try:
        verifier = (
            PolicyBuilder()
            .store(Store(list(anchors)))
            .time(now)
            .extension_policies(ca_policy=_ISSUERS, ee_policy=_SIGNERS)
            .build_client_verifier()
        )
        path = verifier.verify(leaf, chain[1:]).chain
    except VerificationError as error:
        raise Doubt(BAD_CREDENTIAL, f"its certificate leads to no anchor: {str(error)[:200]}") from None
    except ValueError:  # what stands in it cannot be read
        raise Doubt(BAD_CREDENTIAL, "its certificate cannot be read") from None
    key = leaf.public_key()
    if not isinstance(key, EllipticCurvePublicKey) or not isinstance(key.curve, SECP256R1):
        raise Doubt(BAD_CREDENTIAL, "its certificate has no key for ES256")
    until = min(certificate.not_valid_after_utc for certificate in path).timestamp()
    return Credential(key, _ranges(leaf), until)


def _certificates(body: bytes) -> list[Certificate]:
    """PEM, or one as DER (RFC 2585)."""
    try:
        chain = load_pem_x509_certificates(body) if b"-----BEGIN" in body else [load_der_x509_certificate(body)]
    except ValueError:
        raise Doubt(BAD_CREDENTIAL, "there is no certificate where info leads to") from None
    if len(chain) > CERTIFICATES:
        raise Doubt(BAD_CREDENTIAL, f"more than {CERTIFICATES} certificates")
    return chain


def _ranges(leaf: Certificate) -> tuple[tuple[int, int, int], ...] | None:
    """Raises Doubt for a certificate that does not say whose numbers it is for."""
    try:
        extension: Any = leaf.extensions.get_extension_for_oid(TN_AUTH_LIST).value
        entries = asn1.decode_der(_Held, _within(extension.value)).entries
    except ExtensionNotFound:
        raise Doubt(BAD_CREDENTIAL, "its certificate is for no numbers (no TNAuthList)") from None
    except ValueError:
        raise Doubt(BAD_CREDENTIAL, "its TNAuthList cannot be read") from None
    found = []
    for entry in entries:
        if entry.tag == "spc":
            return None
        numbers: Any = entry.value
        start, count = (numbers.start, numbers.count) if isinstance(numbers, _Range) else (numbers, 1)
        first = digits(start.as_str())
        if not first or count < 1:
            raise Doubt(BAD_CREDENTIAL, "its TNAuthList cannot be read")
        found.append((len(first), int(first), int(first) + count - 1))
    return tuple(found)


def _within(der: bytes) -> bytes:
    """A SEQUENCE of nothing but this."""
    if len(der) > ENTRIES_BYTES:
        raise Doubt(BAD_CREDENTIAL, "its TNAuthList is too long")
    return b"\x30\x82" + len(der).to_bytes(2, "big") + der if len(der) > 0xFF else _short(der)


def _short(der: bytes) -> bytes:
    return (b"\x30\x81" if len(der) > 0x7F else b"\x30") + bytes([len(der)]) + der


def _issues(_policy: Any, _certificate: Certificate, constraints: BasicConstraints) -> None:
    if not constraints.ca:
        raise ValueError("it may sign no certificates")


def _may_issue(_policy: Any, _certificate: Certificate, usage: KeyUsage | None) -> None:
    if usage is not None and not usage.key_cert_sign:
        raise ValueError("its key may sign no certificates")


def _issues_none(_policy: Any, _certificate: Certificate, constraints: BasicConstraints | None) -> None:
    if constraints is not None and constraints.ca:
        raise ValueError("it is one that signs certificates")


def _may_sign(_policy: Any, _certificate: Certificate, usage: KeyUsage) -> None:
    if not usage.digital_signature:
        raise ValueError("its key may not sign")


_EITHER: Final = Criticality.AGNOSTIC
_ISSUERS: Final = (
    ExtensionPolicy.permit_all()
    .require_present(BasicConstraints, _EITHER, _issues)
    .may_be_present(KeyUsage, _EITHER, _may_issue)
)
_SIGNERS: Final = (
    ExtensionPolicy.permit_all()
    .may_be_present(BasicConstraints, _EITHER, _issues_none)
    .require_present(KeyUsage, _EITHER, _may_sign)
)
