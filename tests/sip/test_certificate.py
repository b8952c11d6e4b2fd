"""Whom a certificate is for."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest

from edge.sip.certificate import LENGTH, names, proves
from tests.certificates import Authority


@pytest.mark.parametrize(
    ("hosts", "uris", "expected"),
    [
        (["Sip.Example.com", "192.0.2.1"], [], ("sip.example.com", "192.0.2.1")),
        (["a.example"], ["sip:Example.com"], ("sip:example.com", "a.example")),
        (["::1"], ["sips:example.com", "sip:user@example.com", "https://example.com", "sip:"], ("::1",)),
        (["*.example.com", "b.example"], [], ("b.example",)),  # RFC 5922 §7.2: no wildcards
        ([], [], ()),
    ],
)
def test_names(tmp_path: Path, hosts: list[str], uris: list[str], expected: tuple[str, ...]) -> None:
    pair = Authority(tmp_path).issue(*hosts, uris=uris, file="one")
    assert names(ssl.PEM_cert_to_DER_cert(pair.certificate.read_text())) == expected


def test_a_certificate_with_very_many_names(tmp_path: Path) -> None:
    pair = Authority(tmp_path).issue(*(f"host-{n}.example.com" for n in range(1000)), file="one")
    found = names(ssl.PEM_cert_to_DER_cert(pair.certificate.read_text()))
    assert 10 < len(found) < 1000
    assert len(" ".join(found)) < LENGTH


def test_rubbish_has_no_names() -> None:
    assert names(b"no certificate") == ()


@pytest.mark.parametrize(
    ("shown", "wanted", "verdict"),
    [
        (["sip.example.com"], ["SIP.example.com."], True),
        (["sip.example.com"], ["example.com"], False),
        (["sip:example.com", "gw.example.com"], ["example.com"], True),
        (["sip:example.com", "gw.example.com"], ["gw.example.com"], False),  # RFC 5922 §7.1: a URI goes before
        (["sip:example.com"], ["sip:example.com"], True),
        (["sip:example.com", "192.0.2.1"], ["192.0.2.1"], True),
        (["2001:db8::1"], ["2001:DB8:0::1"], True),
        (["a.example"], ["b.example", "a.example"], True),
        ([], ["a.example"], False),
        (["a.example"], [], False),
    ],
)
def test_what_names_prove(shown: list[str], wanted: list[str], verdict: bool) -> None:
    assert proves(shown, wanted) is verdict
