"""Taking what must stay secret out of a message before people see it: proofs of passwords, keys of media.

Each octet of a secret becomes an x, so lengths stay what they were and the message still parses.
"""

from __future__ import annotations

import re
from typing import Final

_SECRETS: Final = (
    # What proves a password (RFC 7616 §3.4): a hash that can be tried out against lists of passwords.
    re.compile(
        rb"(?im)^(?:proxy-)?(?:authorization|authentication-info)[ \t]*:.*?\b(?:response|rspauth)[ \t]*=[ \t]*\"?"
        rb"([^\",;\s]+)"
    ),
    re.compile(rb"(?im)^(?:proxy-)?authorization[ \t]*:[ \t]*(?:basic|bearer)[ \t]+([^\s,]+)"),
    re.compile(rb"(?i)\binline:([^|;\s]+)"),  # RFC 4568 §9.1, in an a=crypto
    re.compile(rb"(?im)^k=(?:clear|base64):(\S+)"),  # RFC 4566 §5.12
    re.compile(rb"(?i)\bsips?:[^\s@:;<>\"]{1,128}:([^\s@<>\"]{1,128})@"),  # RFC 3261 §19.1.1: a password in a URI
)


def masked(data: bytes) -> bytes:
    """The message without its secrets."""
    for secret in _SECRETS:
        if secret.search(data):
            data = secret.sub(_crossed, data)
    return data


def _crossed(match: re.Match[bytes]) -> bytes:
    start, end = match.span(1)
    whole, offset = match[0], match.start()
    return whole[: start - offset] + b"x" * (end - start) + whole[end - offset :]
