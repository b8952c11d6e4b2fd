"""Offers and answers with encrypted media (RFC 4568)."""

from __future__ import annotations

from base64 import b64encode

import pytest

from edge.media import sdp
from edge.media.crypto import Crypto, Keyring, Sdes, Srtp
from edge.media.sdp import Local, NoCommonCodec
from tests.media.test_crypto import counting
from tests.media.test_sdp import offer

KEY = b64encode(bytes(range(30))).decode()
CRYPTO = f"a=crypto:5 AES_CM_128_HMAC_SHA1_80 inline:{KEY}"
PLAIN = ("m=audio 4000 RTP/AVP 0",)
SECURE = ("m=audio 4002 RTP/SAVP 0", "a=crypto:4 F8_128_HMAC_SHA1_80 inline:abc", CRYPTO)
BOTH_WAYS = {"optional": (PLAIN, SECURE), "off": (PLAIN,), "required": (SECURE,)}


def local(srtp: Srtp, *, keys: bool = True) -> Local:
    return Local("192.0.2.1", 20000, 7, 1, srtp=srtp, keys=Keyring(counting()) if keys else None)


def test_an_answer_has_one_key_that_is_ours() -> None:
    body, agreed = sdp.answer(offer(*SECURE), local("optional"))
    lines = body.decode().split("\r\n")
    assert "m=audio 20000 RTP/SAVP 0" in lines
    (line,) = [line for line in lines if line.startswith("a=crypto:")]
    assert line == f"a=crypto:5 AES_CM_128_HMAC_SHA1_80 inline:{b64encode(bytes([2]) * 30).decode()}"
    assert agreed.sdes == Sdes(5, "AES_CM_128_HMAC_SHA1_80", bytes([2]) * 30, bytes(range(30)))


@pytest.mark.parametrize("srtp", ["off", "optional", "required"])
@pytest.mark.parametrize("lines", [PLAIN, SECURE])
def test_what_may_and_what_must_be(srtp: Srtp, lines: tuple[str, ...]) -> None:
    if lines in BOTH_WAYS[srtp]:
        body, agreed = sdp.answer(offer(*lines), local(srtp))
        assert (agreed.sdes is not None) is (lines is SECURE)
        assert (b"RTP/SAVP" in body) is (lines is SECURE)
    else:
        with pytest.raises(NoCommonCodec) as caught:
            sdp.answer(offer(*lines), local(srtp))
        assert caught.value.sip == 488
        assert caught.value.code == 304
        assert ("RTP/SAVP is served" in caught.value.text) is (srtp == "required")


@pytest.mark.parametrize(
    ("srtp", "lines", "keys", "why"),
    [
        ("optional", ("m=audio 4000 RTP/SAVP 0",), True, "no a=crypto"),
        ("optional", SECURE[:2], True, "no a=crypto"),
        ("optional", SECURE, False, "RTP/AVP is served"),
        ("required", SECURE, False, "keys need TLS"),
        ("required", PLAIN, False, "keys need TLS"),
        ("optional", ("m=audio 4000 RTP/SAVP 18", CRYPTO), True, "PCMU and PCMA"),
        ("optional", ("m=audio 4000 UDP/TLS/RTP/SAVP 0", "a=fingerprint:x"), True, "RTP/AVP is served"),
    ],
)
def test_what_cannot_be_agreed(srtp: Srtp, lines: tuple[str, ...], keys: bool, why: str) -> None:
    with pytest.raises(NoCommonCodec, match=why):
        sdp.answer(offer(*lines), local(srtp, keys=keys))


@pytest.mark.parametrize(("srtp", "ports"), [("off", "4000 0"), ("optional", "4000 0"), ("required", "0 4002")])
def test_of_two_lines_the_first_that_may_be(srtp: Srtp, ports: str) -> None:
    body, agreed = sdp.answer(offer(*PLAIN, *SECURE), local(srtp))
    lines = [line for line in body.decode().split("\r\n") if line.startswith("m=")]
    assert [line.split()[1] == "0" for line in lines] == [port == "0" for port in ports.split()]
    assert agreed.remote is not None
    assert str(agreed.remote[1]) in ports


def test_our_keys_stay_and_theirs_may_change() -> None:
    ours = local("required")
    body, agreed = sdp.answer(offer(*SECURE), ours)
    again, same, ours = sdp.reanswer(offer(*SECURE), ours, body, agreed)
    assert (again, same) == (body, agreed)
    other = b64encode(bytes(30)).decode()
    changed = offer(SECURE[0], f"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{other}")
    body, now, ours = sdp.reanswer(changed, ours, body, agreed)
    assert now.sdes == Sdes(1, "AES_CM_128_HMAC_SHA1_80", bytes([2]) * 30, bytes(30))
    assert ours.session_version == 2
    inactive = offer("m=audio 4002 RTP/SAVP 18", "a=inactive", CRYPTO)
    _, held, _ = sdp.reanswer(inactive, ours, body, now)
    assert held.sdes == now.sdes


def test_ours_to_them() -> None:
    ours = local("optional")
    read = sdp.read(sdp.offer(ours))
    assert read.media[0].protocol == "RTP/SAVP"
    keys = [Crypto.parse(value or "") for name, value in read.media[0].attributes if name == "crypto"]
    assert [key.tag for key in keys if key is not None] == [1, 2, 3, 4]
    answer = f"a=crypto:3 AES_CM_128_HMAC_SHA1_80 inline:{KEY}"
    agreed = sdp.accept(ours, offer("m=audio 4000 RTP/SAVP 0", answer))
    assert agreed.sdes == Sdes(3, "AES_CM_128_HMAC_SHA1_80", bytes([2]) * 30, bytes(range(30)))
    hold = sdp.offer(ours, direction="sendonly", agreed=agreed).decode()
    assert hold.count("a=crypto:") == 1
    assert agreed.sdes is not None
    assert f"\r\n{agreed.sdes.line}\r\n" in hold  # the same key as before
    plain = sdp.accept(ours, offer(*PLAIN))  # it may be
    assert plain.sdes is None
    assert b"RTP/AVP" in sdp.offer(ours, agreed=plain)
    for wrong in (PLAIN, ("m=audio 4000 RTP/SAVP 0",), ("m=audio 4000 RTP/SAVP 0", answer.replace(":3", ":2"))):
        with pytest.raises(NoCommonCodec):
            sdp.accept(local("required"), offer(*wrong))


@pytest.mark.parametrize("keys", [True, False])
def test_off_is_off(keys: bool) -> None:
    assert b"RTP/AVP" in sdp.offer(local("off", keys=keys))
    assert b"RTP/AVP" in sdp.offer(local("optional", keys=False))
    assert b"crypto" not in sdp.offer(local("off", keys=keys))
