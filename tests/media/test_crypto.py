"""`a=crypto`: text → value → text, and its invalid twin."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.media.crypto import OCTETS, Crypto, Keyring, Sdes

KEY = bytes(range(30))
B64 = b64encode(KEY).decode()
LONG = b64encode(bytes(44)).decode()


def counting() -> Callable[[int], bytes]:
    at = iter(range(256))
    return lambda count: bytes([next(at)]) * count


@pytest.mark.parametrize(
    ("text", "tag", "suite"),
    [
        (f"1 AES_CM_128_HMAC_SHA1_80 inline:{B64}", 1, "AES_CM_128_HMAC_SHA1_80"),
        (f"2 aes_cm_128_hmac_sha1_32 inline:{B64}|2^20", 2, "AES_CM_128_HMAC_SHA1_32"),
        (f"3 AES_CM_128_HMAC_SHA1_80 INLINE:{B64}|1048576 WSH=64 -OWN=1", 3, "AES_CM_128_HMAC_SHA1_80"),
        (f"999999999 AEAD_AES_256_GCM inline:{LONG}", 999999999, "AEAD_AES_256_GCM"),
        (f"1 AEAD_AES_128_GCM inline:{b64encode(bytes(28)).decode()} ", 1, "AEAD_AES_128_GCM"),
    ],
)
def test_read(text: str, tag: int, suite: str) -> None:
    crypto = Crypto.parse(text)
    assert crypto is not None
    assert (crypto.tag, crypto.suite) == (tag, suite)
    assert Crypto.parse(str(crypto)) == crypto


@pytest.mark.parametrize(
    "text",
    [
        "",
        f"1 AES_192_CM_HMAC_SHA1_80 inline:{B64}",
        f"1 AES_CM_128_HMAC_SHA1_80 inline:{LONG}",  # too long for it
        f"1 AES_CM_128_HMAC_SHA1_80 inline:{B64}|2^20|1:4",  # an index of keys
        f"1 AES_CM_128_HMAC_SHA1_80 inline:{B64}|1:4",
        f"1 AES_CM_128_HMAC_SHA1_80 inline:{B64};inline:{B64}",
        f"1 AES_CM_128_HMAC_SHA1_80 inline:{B64} UNENCRYPTED_SRTP",
        f"1 AES_CM_128_HMAC_SHA1_80 inline:{B64} UNAUTHENTICATED_SRTP",
        f"1 AES_CM_128_HMAC_SHA1_80 inline:{B64} KDR=1",
        f"1 AES_CM_128_HMAC_SHA1_80 inline:{B64[:-1]}",
        f"1234567890 AES_CM_128_HMAC_SHA1_80 inline:{B64}",
        f"1 AES_CM_128_HMAC_SHA1_80 {B64}",
        "1 AES_CM_128_HMAC_SHA1_80 inline:",
    ],
)
def test_not_served(text: str) -> None:
    assert Crypto.parse(text) is None


@given(st.text())
def test_anything_is_read_or_not(text: str) -> None:
    Crypto.parse(text)


def test_the_first_that_can_be_served_is_chosen() -> None:
    ring = Keyring(counting())
    offered = [f"1 F8_128_HMAC_SHA1_80 inline:{B64}", f"7 AES_CM_128_HMAC_SHA1_32 inline:{B64}", f"8 {LONG}"]
    sdes = ring.choose(offered)
    assert sdes == Sdes(7, "AES_CM_128_HMAC_SHA1_32", b"\3" * 30, KEY)
    assert ring.choose(offered) == sdes  # the same key of ours again
    assert sdes.line == f"a=crypto:7 AES_CM_128_HMAC_SHA1_32 inline:{b64encode(bytes([3]) * 30).decode()}"
    assert ring.choose([]) is None


def test_an_offer_of_ours_has_all_suites_each_with_its_own_key() -> None:
    ring = Keyring(counting())
    offered = [Crypto.parse(line.removeprefix("a=crypto:")) for line in ring.lines()]
    assert [crypto and crypto.suite for crypto in offered] == list(OCTETS)
    assert [crypto and crypto.tag for crypto in offered] == [1, 2, 3, 4]
    assert len({crypto and crypto.key[:8] for crypto in offered}) == 4
    assert len(ring.lines("AEAD_AES_128_GCM")) == 1
    accepted = ring.accept([f"3 AES_CM_128_HMAC_SHA1_80 inline:{B64}"])
    assert accepted == Sdes(3, "AES_CM_128_HMAC_SHA1_80", b"\2" * 30, KEY)
    assert ring.accept([f"4 AES_CM_128_HMAC_SHA1_80 inline:{B64}"]) is None  # that tag was another's
    assert ring.accept([]) is None
    assert ring.accept([f"3 AES_CM_128_HMAC_SHA1_80 inline:{B64}"] * 2) is None


def test_a_key_does_not_show_itself() -> None:
    sdes = Sdes(1, "AES_CM_128_HMAC_SHA1_80", KEY, KEY)
    for secret in (sdes, Crypto(1, "AES_CM_128_HMAC_SHA1_80", KEY), Keyring(counting())):
        assert B64 not in f"{secret!r}"
        assert repr(KEY) not in f"{secret!r}"
