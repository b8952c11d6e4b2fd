"""Keys for the other side of a call, in the way that its trunk wants them and its phone takes them.

- `rfc4733`: telephone events. Where they were not agreed on: by INFO if its Allow has that, else as tones in the audio.
- `info`: by SIP INFO, one key after another, each once the one before is answered. Where its Allow has no INFO: tones.
- `both`: events and INFO, as far as each is possible; a side that takes neither hears tones.
"""

from __future__ import annotations

from typing import Final, Literal

Way = Literal["events", "info", "tones"]
Wanted = Literal["rfc4733", "info", "both"]

KIND: Final = "application/dtmf-relay"
NOBODY: Final[frozenset[str]] = frozenset()  # methods of a side that cannot be asked anything yet


def ways(wanted: Wanted, *, events: bool, methods: frozenset[str] | None) -> tuple[Way, ...]:
    """How a key goes. `events`: they were agreed on; `methods`: what the other side serves, None: it does not say."""
    says, may = methods is not None and "INFO" in methods, methods is None or "INFO" in methods
    if wanted == "info":
        return ("info",) if may else ("tones",)
    if events:
        return ("events", "info") if wanted == "both" and may else ("events",)
    return ("info",) if says or (wanted == "both" and may) else ("tones",)


def body(key: str, press_ms: int) -> bytes:
    """One key of an INFO."""
    return f"Signal={key}\r\nDuration={press_ms}\r\n".encode()
