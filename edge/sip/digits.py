"""Keys pressed, as the body of a SIP INFO: `application/dtmf-relay` (Signal=, Duration=) and `application/dtmf` (the
key alone).
"""

from __future__ import annotations

import re
from typing import Final

DURATION_MAX: Final = 10_000  # ms; longer ones are not keys, and are cut

_SPELLED: Final = {"10": "*", "11": "#", "12": "A", "13": "B", "14": "C", "15": "D"}  # numbers of RFC 4733 §3.2
_signal = re.compile(r"^[ \t]*signal[ \t]*[=:][ \t]*([0-9*#A-D]{1,2})[ \t]*$", re.IGNORECASE | re.MULTILINE).search
_duration = re.compile(r"^[ \t]*duration[ \t]*[=:][ \t]*([0-9]{1,6})[ \t]*$", re.IGNORECASE | re.MULTILINE).search


def read_digits(kind: str, body: bytes) -> tuple[str, int | None] | None:
    """The key and how long it was pressed, in ms (None: not said); None when there is no key in it."""
    text = body.decode("ascii", "replace").replace("\r", "\n")
    duration = None
    if kind == "application/dtmf":
        key = text.strip()
    else:
        match = _signal(text)
        key = match[1] if match else ""
        if (pressed := _duration(text)) is not None:
            duration = min(int(pressed[1]), DURATION_MAX)
    key = _SPELLED.get(key, key).upper()
    return (key, duration) if len(key) == 1 and key in "0123456789*#ABCD" else None
