"""The certificate, its key and whom we trust, read from their files: what `[sip.tls]` means now.

What cannot serve is refused when it is read, naming the file: one that is not there, a key that is another's, a
certificate that is not valid today. So a reload either takes all of it, or leaves what was.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from edge.errors import Fault, Invalid
from edge.log import get_logger
from edge.metrics import gauge
from edge.sip.section import SipSection, TlsSection

log = get_logger("sip")

CIPHERS: Final = "ECDHE+AESGCM:ECDHE+CHACHA20"  # of TLS 1.2: keys of today do not open what was said yesterday
WARN: Final = timedelta(days=14)  # before the end of the certificate the log says so at each start

EXPIRY = gauge(
    "sip_certificate_expiry_time_seconds",
    "When our SIP certificate, or one that vouches for it, expires, in seconds since the epoch; 0 without one.",
)


class Tls:
    """What connections are secured with from now on. `server` is None without a certificate of our own."""

    def __init__(self, server: ssl.SSLContext | None, client: ssl.SSLContext, expires: datetime | None = None) -> None:
        self.server = server
        self.client = client
        self.expires = expires

    @classmethod
    def read(cls, section: TlsSection, now: datetime | None = None) -> Tls:
        """Read all files. Raises Invalid, a fault for each that is wrong."""
        now = now or datetime.now(UTC)
        faults: list[Fault] = []
        chain = _certificates(section.certificate, "certificate", faults)
        trusted = _certificates(section.ca, "ca", faults)
        if section.certificate is None and section.key is not None:
            faults.append(Fault("sip.tls.key", "a key without a certificate"))
        if section.clients != "ignore" and section.ca is None:
            faults.append(Fault("sip.tls.clients", "asked for a certificate, but no ca says who may vouch for it"))
        wrongs = filter(None, (_not_today(certificate, now) for certificate in chain))
        faults += [Fault("sip.tls.certificate", f"{section.certificate}: {wrong}") for wrong in wrongs]
        if chain and not faults:
            faults.extend(_key_faults(section, chain[0]))
        if faults:
            raise Invalid("no TLS with these", faults=faults)
        expires = min((one.not_valid_after_utc for one in chain), default=None)
        server = _server(section) if chain else None
        return cls(server, _client(section, trusted=bool(trusted)), expires)

    def announce(self, now: datetime | None = None) -> None:
        """Tell metrics and log how long the certificate lasts."""
        EXPIRY.set(self.expires.timestamp() if self.expires is not None else 0)
        if self.expires is not None and self.expires - (now or datetime.now(UTC)) < WARN:
            log.warning("certificate expires soon", at=self.expires.isoformat())


def read_tls(section: SipSection) -> Tls:
    """The same, for what is listened for. Raises Invalid."""
    tls = Tls.read(section.tls)
    if section.secure and tls.server is None:
        raise Invalid("no TLS", faults=[Fault("sip.tls.certificate", "TLS is listened for without a certificate")])
    return tls


def _certificates(path: Path | None, key: str, faults: list[Fault]) -> list[x509.Certificate]:
    if path is None:
        return []
    try:
        return x509.load_pem_x509_certificates(path.read_bytes())
    except (OSError, ValueError) as error:
        what = error.strerror if isinstance(error, OSError) else "there is no certificate in it (PEM)"
        faults.append(Fault(f"sip.tls.{key}", f"{path}: {what}"))
        return []


def _not_today(certificate: x509.Certificate, now: datetime) -> str:
    whose = certificate.subject.rfc4514_string() or "the certificate"
    if certificate.not_valid_after_utc < now:
        return f"{whose} expired at {certificate.not_valid_after_utc:%Y-%m-%d %H:%M} UTC"
    if certificate.not_valid_before_utc > now:
        return f"{whose} is not valid before {certificate.not_valid_before_utc:%Y-%m-%d %H:%M} UTC"
    return ""


def _key_faults(section: TlsSection, certificate: x509.Certificate) -> Iterable[Fault]:
    path = section.key or section.certificate
    assert path is not None
    password = section.key_password
    try:
        key = serialization.load_pem_private_key(
            path.read_bytes(), password.get_secret_value().encode() if password is not None else None
        )
    except OSError as error:
        yield Fault("sip.tls.key", f"{path}: {error.strerror}")
    except TypeError:  # a password where none is, or none where one is
        needs = "has no password, and one is given" if password is not None else "needs a password (key_password)"
        yield Fault("sip.tls.key", f"{path}: the key {needs}")
    except ValueError:
        yield Fault("sip.tls.key", f"{path}: no key can be read from it{' by that password' if password else ''}")
    else:
        if _public(key.public_key()) != _public(certificate.public_key()):
            yield Fault("sip.tls.key", f"{path}: the key is not that of {section.certificate}")


def _public(key: object) -> bytes:
    written: bytes = key.public_bytes(  # type: ignore[attr-defined]  # every kind of key has it
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return written


def _context(protocol: int) -> ssl.SSLContext:
    context = ssl.SSLContext(protocol)
    context.minimum_version = ssl.TLSVersion.TLSv1_2  # RFC 8996
    context.set_ciphers(CIPHERS)
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    context.check_hostname = False  # `Secured` looks at names, as RFC 5922 wants it
    return context


def _server(section: TlsSection) -> ssl.SSLContext:
    context = _context(ssl.PROTOCOL_TLS_SERVER)
    context.options |= ssl.OP_CIPHER_SERVER_PREFERENCE
    _show(context, section)
    if section.clients != "ignore":
        context.load_verify_locations(section.ca)
        context.verify_mode = ssl.CERT_REQUIRED if section.clients == "require" else ssl.CERT_OPTIONAL
    return context


def _client(section: TlsSection, *, trusted: bool) -> ssl.SSLContext:
    context = _context(ssl.PROTOCOL_TLS_CLIENT)
    context.verify_mode = ssl.CERT_REQUIRED
    if trusted:
        context.load_verify_locations(section.ca)
    else:
        context.load_default_certs()
    if section.certificate is not None:
        _show(context, section)
    return context


def _show(context: ssl.SSLContext, section: TlsSection) -> None:
    """Raises Invalid for what OpenSSL does not take, as a key that is too short."""
    assert section.certificate is not None
    password = section.key_password
    try:
        context.load_cert_chain(
            section.certificate, section.key, password.get_secret_value() if password is not None else ""
        )
    except (OSError, ssl.SSLError) as error:
        what = getattr(error, "reason", None) or error.strerror or str(error)
        raise Invalid("no TLS", faults=[Fault("sip.tls.certificate", f"{section.certificate}: {what}")]) from None
