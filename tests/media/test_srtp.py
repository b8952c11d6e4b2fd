"""Our side of SRTP beside libsrtp used for itself."""

from __future__ import annotations

import pytest
from pylibsrtp import Policy

from edge.media.crypto import OCTETS, Sdes, Suite
from edge.media.rtp import Packet, read
from edge.media.srtp import Cipher
from tests.media.secure_phone import keys, session


def packet(sequence: int, payload: bytes = b"\x55" * 160) -> bytes:
    return Packet(0, sequence & 0xFFFF, sequence * 160 & 0xFFFFFFFF, 4711, payload).to_bytes()


@pytest.mark.parametrize("suite", list(OCTETS))
def test_both_directions_bit_for_bit(suite: Suite) -> None:
    ours, theirs = keys(suite)
    cipher = Cipher(Sdes(1, suite, ours, theirs))
    hears, says = session(suite, ours, Policy.SSRC_ANY_INBOUND), session(suite, theirs, Policy.SSRC_ANY_OUTBOUND)
    for n in range(1, 4):
        sealed = cipher.seal(packet(n))
        assert sealed is not None
        assert read(sealed).payload != read(packet(n)).payload
        assert hears.unprotect(sealed) == packet(n)
        assert cipher.open(says.protect(packet(n))) == packet(n)
    report = b"\x80\xc9\x00\x01\x00\x00\x12\x67"
    sealed = cipher.seal_report(report)
    assert sealed is not None
    assert hears.unprotect_rtcp(sealed) == report
    assert cipher.open_report(says.protect_rtcp(report)) == report


def test_what_is_not_theirs_is_none() -> None:
    suite: Suite = "AES_CM_128_HMAC_SHA1_80"
    ours, theirs = keys(suite)
    cipher = Cipher(Sdes(1, suite, ours, theirs))
    says, other = (session(suite, key, Policy.SSRC_ANY_OUTBOUND) for key in (theirs, ours))
    good = says.protect(packet(1))
    assert cipher.open(packet(1)) is None
    assert cipher.open(other.protect(packet(1))) is None
    assert cipher.open(good[:-1] + bytes([good[-1] ^ 1])) is None
    assert cipher.open(b"") is None
    assert cipher.open(b"\x80" * 3000) is None
    assert cipher.open(good) == packet(1)
    assert cipher.open(good) is None  # a replay
    assert cipher.open_report(b"\x80\xc9\x00\x01\x00\x00\x12\x67") is None
    assert cipher.seal(packet(1)) is not None
    assert cipher.seal(packet(1)) is None  # two packets of one number would show what is in them
    assert cipher.seal(b"\x80" * 3000) is None
    assert cipher.seal_report(b"") is None


def test_numbers_roll_over() -> None:
    suite: Suite = "AEAD_AES_128_GCM"
    ours, theirs = keys(suite)
    cipher = Cipher(Sdes(1, suite, ours, theirs))
    hears, says = session(suite, ours, Policy.SSRC_ANY_INBOUND), session(suite, theirs, Policy.SSRC_ANY_OUTBOUND)
    for n in range(65_500, 65_600):
        sealed = cipher.seal(packet(n))
        assert sealed is not None
        assert hears.unprotect(sealed) == packet(n)
        assert cipher.open(says.protect(packet(n))) == packet(n)


def test_the_same_keys_go_on_and_new_ones_begin() -> None:
    suite: Suite = "AES_CM_128_HMAC_SHA1_80"
    ours, theirs = keys(suite)
    cipher = Cipher(Sdes(1, suite, ours, theirs))
    says = session(suite, theirs, Policy.SSRC_ANY_OUTBOUND)
    first = says.protect(packet(1))
    assert cipher.open(first) == packet(1)
    cipher.agree(Sdes(2, suite, ours, theirs))  # another tag is nothing
    assert cipher.open(first) is None
    assert cipher.open(says.protect(packet(2))) == packet(2)
    _, changed = keys(suite, 7)
    assert cipher.seal(packet(1)) is not None
    cipher.agree(Sdes(2, suite, ours, changed))
    assert cipher.open(says.protect(packet(3))) is None
    assert cipher.open(session(suite, changed, Policy.SSRC_ANY_OUTBOUND).protect(packet(3))) == packet(3)
    assert cipher.seal(packet(1)) is None  # ours went on
