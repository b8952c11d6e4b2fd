"""Whom a certificate is for (RFC 5922): the SIP domains in its subjectAltName.

A name is what `Peer.subject` is made of, and what a trunk's `certificates` are compared with: `sip:example.com` for a
URI, `example.com` for a DNS name, `192.0.2.1` for an address; in lower case, several with a space between them. The
common name says nothing, and a wildcard is no name (RFC 5922 §7.2).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from ipaddress import ip_address
from typing import Final

from cryptography import x509

LENGTH: Final = 512  # of all names together; a carrier's certificate has a handful

_host = re.compile(r"[a-z0-9_](?:[a-z0-9._-]{0,252}[a-z0-9])?\.?").fullmatch


def names(der: bytes) -> tuple[str, ...]:
    """The names in a certificate, those that are URIs first. None of one that cannot be read."""
    try:
        known = (
            x509.load_der_x509_certificate(der).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        )
        uris = [uri.lower() for uri in known.get_values_for_type(x509.UniformResourceIdentifier)]
        hosts = [name.lower() for name in known.get_values_for_type(x509.DNSName)]
        addresses = [str(ip) for ip in known.get_values_for_type(x509.IPAddress)]
    except (ValueError, x509.ExtensionNotFound, x509.DuplicateExtension, x509.UnsupportedGeneralNameType):
        return ()
    domains = [uri for uri in uris if uri.startswith("sip:") and _host(uri[4:])]  # §7.1: no user part, and no sips
    found: list[str] = []
    left = LENGTH
    for name in [*domains, *(name.rstrip(".") for name in hosts if _host(name)), *addresses]:
        left -= len(name) + 1
        if left < 0:
            break
        found.append(name)
    return tuple(found)


def proves(shown: Iterable[str], wanted: Iterable[str]) -> bool:
    """Whether one of the wanted names is among those shown. A host is proved by the URI of its domain as well; by a DNS
    name only where there is no URI at all (RFC 5922 §7.1)."""
    shown = frozenset(shown)
    if any(name.startswith("sip:") for name in shown):
        shown = frozenset(name for name in shown if name.startswith("sip:") or _is_address(name))
    return any(name in shown or f"sip:{name}" in shown for name in map(_plain, wanted))


def _plain(name: str) -> str:
    name = name.lower().rstrip(".")
    return str(ip_address(name)) if _is_address(name) else name


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True
