"""Certificates and keys as they stand in files: what serves, and what is refused when it is read."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pydantic import SecretStr

from edge.errors import Invalid
from edge.metrics import REGISTRY
from edge.sip.section import SipSection, TlsSection
from edge.sip.transport.tls import Tls, read_tls
from tests.certificates import Authority
from tests.logged import logged


def test_what_serves(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    pair = authority.issue("127.0.0.1", ends=timedelta(days=3), password=b"secret")
    both = tmp_path / "both.pem"
    both.write_bytes(pair.certificate.read_bytes() + authority.file.read_bytes())
    section = TlsSection(certificate=both, key=pair.key, key_password=SecretStr("secret"), ca=authority.file)
    tls = Tls.read(section)
    assert tls.server is not None
    assert tls.expires is not None
    assert timedelta(days=2) < tls.expires - datetime.now(UTC) < timedelta(days=3)
    one_file = tmp_path / "one.pem"
    plain = authority.issue("a.example")
    one_file.write_bytes(plain.certificate.read_bytes() + plain.key.read_bytes())
    assert Tls.read(TlsSection(certificate=one_file)).server is not None
    assert Tls.read(TlsSection()).server is None


Section = Callable[[Path, Authority], TlsSection]


def test_how_long_it_lasts_is_told(tmp_path: Path) -> None:
    pair = Authority(tmp_path).issue("127.0.0.1", ends=timedelta(days=3))
    tls = Tls.read(TlsSection(certificate=pair.certificate, key=pair.key))
    assert tls.expires is not None
    with logged() as lines:
        tls.announce()
        assert REGISTRY.get_sample_value("edge_sip_certificate_expiry_time_seconds") == tls.expires.timestamp()
        assert [line["event"] for line in lines()] == ["certificate expires soon"]
        tls.announce(tls.expires - timedelta(days=15))
        assert len(lines()) == 1
    Tls.read(TlsSection()).announce()
    assert REGISTRY.get_sample_value("edge_sip_certificate_expiry_time_seconds") == 0


@pytest.mark.parametrize(
    ("section", "where", "what"),
    [
        (lambda folder, _: TlsSection(certificate=folder / "none.pem"), "certificate", "none.pem: No such file"),
        (lambda _, ca: TlsSection(certificate=ca.issue("a").key), "certificate", "a.key: there is no certificate"),
        (lambda _, ca: TlsSection(certificate=ca.file, key=ca.issue("a").key), "key", "a.key: the key is not that of"),
        (lambda _, ca: TlsSection(certificate=ca.file), "key", "authority.pem: no key can be read"),
        (lambda folder, ca: TlsSection(certificate=ca.file, key=folder / "no"), "key", "no: No such file"),
        (lambda folder, ca: TlsSection(key=ca.issue("a").key), "key", "a key without a certificate"),
        (
            lambda _, ca: TlsSection(**ca.issue("a", password=b"x")._asdict()),
            "key",
            "a.key: the key needs a password",
        ),
        (
            lambda _, ca: TlsSection(**ca.issue("a", password=b"x")._asdict(), key_password=SecretStr("y")),
            "key",
            "a.key: no key can be read from it by that password",
        ),
        (
            lambda _, ca: TlsSection(**ca.issue("a")._asdict(), key_password=SecretStr("y")),
            "key",
            "a.key: the key has no password, and one is given",
        ),
        (
            lambda _, ca: TlsSection(**ca.issue("a", ends=timedelta(hours=-1))._asdict()),
            "certificate",
            "a.pem: CN=somebody expired at ",
        ),
        (
            lambda _, ca: TlsSection(**ca.issue("a", begins=timedelta(hours=1))._asdict()),
            "certificate",
            "a.pem: CN=somebody is not valid before ",
        ),
        (lambda folder, _: TlsSection(ca=folder), "ca", "Is a directory"),
        (lambda _, ca: TlsSection(**ca.issue("a")._asdict(), clients="ask"), "clients", "but no ca"),
    ],
)
def test_what_does_not(tmp_path: Path, section: Section, where: str, what: str) -> None:
    with pytest.raises(Invalid) as caught:
        Tls.read(section(tmp_path, Authority(tmp_path)))
    (fault,) = caught.value.faults
    assert fault.where == f"sip.tls.{where}"
    assert what in fault.what


def test_listening_needs_a_certificate() -> None:
    with pytest.raises(Invalid) as caught:
        read_tls(SipSection(listen=("tls:127.0.0.1:0",)))
    assert "without a certificate" in caught.value.faults[0].what
    assert read_tls(SipSection()).server is None
