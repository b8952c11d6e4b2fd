"""What is kept of messages."""

from __future__ import annotations

import pytest

from edge.sip.concealed import conceal


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        (b"a=crypto:1 AES inline:abc+/=|2^20\r\n", b"a=crypto:1 AES inline:******|2^20\r\n"),
        (b"A=CRYPTO:1 AES INLINE:cd", b"A=CRYPTO:1 AES INLINE:**"),
        (b"a=crypto:1 AES inline:ab;inline:cd", b"a=crypto:1 AES inline:**;inline:**"),
        (b"INVITE sip:a@b SIP/2.0\r\nSubject: inline:abc\r\n", b"INVITE sip:a@b SIP/2.0\r\nSubject: inline:abc\r\n"),
    ],
)
def test_messages_are_kept_without_keys(message: bytes, shown: bytes) -> None:
    assert conceal(message) == shown
