"""Certificates made for a test: an authority of its own, and who it vouches for."""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

PEM = serialization.Encoding.PEM


class Pair(NamedTuple):
    """Two files."""

    certificate: Path
    key: Path


class Authority:
    """Vouches for others; its own certificate is in `file`."""

    def __init__(self, folder: Path, name: str = "authority") -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _named(name)
        now = datetime.now(UTC)
        certificate = (
            _draft(self._name, self._name, self._key.public_key(), now - timedelta(days=2), now + timedelta(days=9))
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(self._key, hashes.SHA256())
        )
        self.file = folder / f"{name}.pem"
        self.file.write_bytes(certificate.public_bytes(PEM))

    def issue(
        self,
        *hosts: str,
        uris: Sequence[str] = (),
        begins: timedelta = timedelta(days=-1),
        ends: timedelta = timedelta(days=8),
        password: bytes | None = None,
        file: str = "",
    ) -> Pair:
        """A certificate for hosts (names or addresses) and URIs, its times as seen from now."""
        key = ec.generate_private_key(ec.SECP256R1())
        now = datetime.now(UTC)
        names: list[x509.GeneralName] = [x509.UniformResourceIdentifier(uri) for uri in uris]
        names += [
            x509.IPAddress(ip_address(host)) if host[0].isdigit() or ":" in host else x509.DNSName(host)
            for host in hosts
        ]
        draft = _draft(_named(file or "somebody"), self._name, key.public_key(), now + begins, now + ends)
        if names:
            draft = draft.add_extension(x509.SubjectAlternativeName(names), critical=False)
        file = file or hosts[0].replace(":", "_") if hosts or file else "nobody"
        pair = Pair(self._folder / f"{file}.pem", self._folder / f"{file}.key")
        pair.certificate.write_bytes(draft.sign(self._key, hashes.SHA256()).public_bytes(PEM))
        cipher = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
        pair.key.write_bytes(key.private_bytes(PEM, serialization.PrivateFormat.PKCS8, cipher))
        return pair

    def client(self, pair: Pair | None = None) -> ssl.SSLContext:
        """What a phone connects with that trusts this authority."""
        context = ssl.create_default_context(cafile=str(self.file))
        if pair is not None:
            context.load_cert_chain(pair.certificate, pair.key)
        return context


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _draft(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, begins: datetime, ends: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins)
        .not_valid_after(ends)
    )
