"""Messages as they may be kept and shown: without the keys of encrypted media in them (`a=crypto`, RFC 4568 §6.1)."""

from __future__ import annotations

import re

_keys = re.compile(rb"(inline:)([A-Za-z0-9+/=]+)", re.IGNORECASE)


def conceal(message: bytes) -> bytes:
    """The message, as long as before; stars where a key was."""
    if b"crypto:" not in message and b"CRYPTO:" not in message:
        return message
    return _keys.sub(lambda found: found[1] + b"*" * len(found[2]), message)
