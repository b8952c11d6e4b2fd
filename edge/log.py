"""Log lines: one per event, logfmt or JSON, on standard error.

    log = get_logger("sessions")
    log.info("call ended", call_id="…", outcome="answered", seconds=3.2)

Lower-case event first, then facts as keys. What comes from the wire is only ever a value: control characters are
escaped in both formats, so nobody outside can forge a line. Callers' numbers and bodies of texts go in under the keys
of `PRIVATE` and are redacted unless the operator asks for them.
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import MutableMapping
from typing import Any, Literal, TextIO

import structlog
from pydantic import Field

from edge.settings import Section

PRIVATE = frozenset({"caller", "source", "destination", "peer_number", "body", "text", "digits"})
NUMBER = re.compile(r"(?<![\w-])\+?\d{7,15}(?![\w-])")  # as errors quote them; not a part of an id
KEEP_DIGITS = 3  # of a redacted number its last digits stay, enough to tell two callers apart

Event = MutableMapping[str, Any]
Logger = structlog.typing.FilteringBoundLogger


class LogSection(Section):
    """What is logged, and how."""

    level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="Lines below this level are not written."
    )
    format: Literal["logfmt", "json"] = Field(default="logfmt", description="logfmt for people, json for machines.")
    private: bool = Field(
        default=False, description="Write callers' numbers and the bodies of texts in full. Off: they are redacted."
    )


_enabled: dict[str, bool] = {}


def enabled(level: Literal["debug", "info"]) -> bool:
    """Whether lines of this level are written. For the path of a call: asking the logger costs as much as writing."""
    return _enabled.get(level, True)


def get_logger(name: str) -> Logger:
    """The logger of one part of the edge. Cheap; call it at the top of a module."""
    logger: Logger = structlog.get_logger(part=name)
    return logger


def configure(section: LogSection, stream: TextIO | None = None) -> None:
    """Set the format and level of all loggers, the standard library's included."""
    level = getattr(logging, section.level.upper())
    _enabled.update(debug=level <= logging.DEBUG, info=level <= logging.INFO)
    out = stream or sys.stderr
    processors: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
        structlog.processors.format_exc_info,
        *([] if section.private else [redact]),
        structlog.processors.JSONRenderer(ensure_ascii=True) if section.format == "json" else logfmt,
    ]
    structlog.configure(
        processors=processors,
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(file=out),
        cache_logger_on_first_use=False,
    )
    library = logging.StreamHandler(out)
    library.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=[_forget_record, *processors[-2:]], foreign_pre_chain=processors[:4]
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [library]
    root.setLevel(max(level, logging.WARNING))


def redact(_logger: Any, _method: str, event: Event) -> Event:
    """Replace private values: a number keeps its last digits, also where an error names it; a body only its length."""
    for key in PRIVATE & event.keys():
        value = event[key]
        if value is None:
            continue
        text = str(value)
        number = text.lstrip("+").isdigit()
        event[key] = "…" + text[-KEEP_DIGITS:] if number and key != "digits" else f"({len(text)} characters)"
    if isinstance(event.get("error"), str):
        event["error"] = NUMBER.sub(lambda found: "…" + found[0][-KEEP_DIGITS:], event["error"])
    return event


def logfmt(_logger: Any, _method: str, event: Event) -> str:
    """`time=… level=… event="…" key=value …`, every value on one line."""
    first = [k for k in ("time", "level", "part", "event") if k in event]
    return " ".join(f"{_key(k)}={_word(event[k])}" for k in [*first, *(k for k in event if k not in first)])


def _key(key: str) -> str:
    return "".join(c if c.isalnum() or c in "_.-" else "_" for c in key)


def _word(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "true" if value else "false"
    text = str(value)
    if text and text.isprintable() and not any(c in ' "=\\' for c in text):
        return text
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(c if c.isprintable() else _escape(c) for c in escaped) + '"'


def _escape(character: str) -> str:
    return {"\n": "\\n", "\r": "\\r", "\t": "\\t"}.get(character, f"\\u{ord(character):04x}")


def _forget_record(_logger: Any, _method: str, event: Event) -> Event:
    event.pop("_record", None)
    event.pop("_from_structlog", None)
    return event
