"""A call's messages as a ladder: who said what to whom, and when, as text and as SVG.

A column is an address that messages came from or went to; ours are one, the edge. What was the very same message again
is marked so. Nothing of a message is read as markup, and no control character of it is shown.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Final, NamedTuple
from xml.sax.saxutils import escape

from edge.sip.capture import Captured, Passed
from edge.sip.masking import masked
from edge.sip.peer import shown

_uri = re.compile(r"(?i) sips?:([^@;\s]{1,40})@\S*")  # of which the user part tells

EDGE: Final = "edge"
LABEL: Final = 48  # characters of what stands on an arrow
SPACE: Final = 30  # characters between two columns of text
TIMES: Final = 14  # characters of the time before them

WIDTH: Final = 260  # of a column of the picture
LEFT: Final = 130
TOP: Final = 70
STEP: Final = 34
STYLE: Final = """
text{font:12px ui-monospace,Menlo,Consolas,monospace;fill:#222}
.title{font-weight:bold}.time{fill:#666;font-size:11px}
.life{stroke:#57606a;stroke-dasharray:3 4}.way{stroke:#0550ae}.bad{stroke:#cf222e}
.again{stroke-dasharray:5 4;opacity:.6}
"""


class Rung(NamedTuple):
    """One message: from column to column."""

    when: int
    source: int
    target: int
    label: str
    again: bool
    bad: bool


def label_of(data: bytes) -> str:
    """What a message is, in a few words: `INVITE +14155550100 (sdp)`, `486 Busy Here`."""
    label = _uri.sub(r" \1", first_line(data))
    return f"{label} (sdp)" if b"\r\nm=" in data.partition(b"\r\n\r\n")[2] else label


def first_line(data: bytes) -> str:
    """The line that a message begins with, without its version."""
    first = data.partition(b"\r\n")[0].decode("utf-8", "replace")
    return printable(first.removesuffix(" SIP/2.0").removeprefix("SIP/2.0 "))


def printable(text: str) -> str:
    """Without control characters and the like."""
    return "".join(c if c.isprintable() else "·" for c in text)


def text(passed: Passed, *, whole: bool = False) -> str:
    """The ladder for a terminal; `whole`: with the messages themselves below it, without secrets."""
    columns, rungs = _drawn(passed.messages)
    lines = [*_text(columns, rungs)]
    if passed.omitted:
        lines.append(f"({passed.omitted} messages in the middle are not kept)")
    if whole:
        for message in passed.messages:
            lines += ["", *_message(message)]
    return "\n".join(lines) + "\n"


def _message(message: Captured) -> Iterator[str]:
    way = "to" if message.sent else "from"
    yield f"--- {_clock(message.when)}  {way} {message.peer.transport} {shown(message.peer.remote)}"
    for line in masked(message.data).decode("utf-8", "replace").replace("\r\n", "\n").rstrip("\n").split("\n"):
        yield printable(line)


def _drawn(messages: Sequence[Captured]) -> tuple[list[str], list[Rung]]:
    """The columns and what is between them."""
    columns: list[str] = []
    rungs = []
    seen = set[tuple[bool, str, bytes]]()
    for message in messages:
        theirs = EDGE if message.peer.inside else f"{message.peer.transport} {shown(message.peer.remote)}"
        for name in (theirs, EDGE) if not message.sent else (EDGE, theirs):
            if name not in columns:
                columns.append(name)
        source, target = (EDGE, theirs) if message.sent else (theirs, EDGE)
        key = message.sent, theirs, message.data
        label = label_of(message.data)
        rung = Rung(
            message.when, columns.index(source), columns.index(target), label, key in seen, label[:1] in ("4", "5", "6")
        )
        seen.add(key)
        rungs.append(rung)
    return columns, rungs


def _text(columns: Sequence[str], rungs: Sequence[Rung]) -> Iterator[str]:
    places = [TIMES + 8 + at * SPACE for at in range(len(columns))]
    heads = [" "] * (places[-1] + SPACE if places else 0)
    for place, name in zip(places, columns, strict=True):
        start = max(0, place - len(name) // 2)
        heads[start : start + len(name)] = name
    yield "".join(heads).rstrip()
    bare = [" "] * ((places[-1] if places else 0) + 1)
    for place in places:
        bare[place] = "|"
    yield "".join(bare)
    before = 0
    for rung in rungs:
        line = bare.copy()
        time = _clock(rung.when) if not before else f"+{(rung.when - before) / 1e6:.6f}"
        before = before or rung.when
        line[: len(time)] = time
        words = (rung.label if len(rung.label) <= LABEL else rung.label[: LABEL - 1] + "…") + (
            " (again)" if rung.again else ""
        )
        if rung.source == rung.target:  # from one number of ours to another
            yield "".join(line) + f" ↺ {words}"
            continue
        low, high = sorted((places[rung.source], places[rung.target]))
        inside = high - low - 1
        label = f" {words} "
        arrow = label.center(inside - 1, "-") if len(label) < inside else "-" * (inside - 1)
        line[low + 1 : high] = f"{arrow}>" if rung.source < rung.target else f"<{arrow}"
        yield "".join(line) + (f"  {words}" if len(label) >= inside else "")


def svg(passed: Passed, title: str) -> str:
    """The same as a picture."""
    columns, rungs = _drawn(passed.messages)
    wide, high = LEFT + WIDTH * max(len(columns), 1), TOP + STEP * (len(rungs) + 1)
    return "\n".join(_svg(columns, rungs, printable(title), wide, high)) + "\n"


def _svg(columns: Sequence[str], rungs: Sequence[Rung], title: str, wide: int, high: int) -> Iterator[str]:
    yield (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{wide}" height="{high}" viewBox="0 0 {wide} {high}"'
        ' role="img">'
    )
    yield f"<title>{escape(title)}</title>"
    yield f"<style>{STYLE}</style>"
    yield (
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="8" markerHeight="8" orient="auto">'
        '<path d="M0 0L8 4L0 8z" fill="#0550ae"/></marker></defs>'
    )
    yield f'<rect width="{wide}" height="{high}" fill="#fff"/>'
    yield f'<text class="title" x="10" y="20">{escape(title)}</text>'
    places = [LEFT + WIDTH // 2 + WIDTH * at for at in range(len(columns))]
    for place, name in zip(places, columns, strict=True):
        yield f'<text x="{place}" y="44" text-anchor="middle">{escape(name)}</text>'
        yield f'<line class="life" x1="{place}" y1="52" x2="{place}" y2="{high - 8}"/>'
    before = 0
    for number, rung in enumerate(rungs):
        y = TOP + STEP * (number + 0.5)
        time = _clock(rung.when) if not before else f"+{(rung.when - before) / 1e6:.6f}"
        before = before or rung.when
        yield f'<text class="time" x="10" y="{y + 4:.0f}">{time}</text>'
        one, other = places[rung.source], places[rung.target]
        kind = "way" + (" bad" if rung.bad else "") + (" again" if rung.again else "")
        if one == other:
            yield f'<path class="{kind}" fill="none" d="M{one} {y - 8:.0f}h24v14h-24" marker-end="url(#tip)"/>'
            x, anchor = one + 32, "start"
        else:
            yield f'<line class="{kind}" x1="{one}" y1="{y:.0f}" x2="{other}" y2="{y:.0f}" marker-end="url(#tip)"/>'
            x, anchor = (one + other) // 2, "middle"
        yield f'<text x="{x}" y="{y - 5:.0f}" text-anchor="{anchor}">{escape(_fitting(rung))}</text>'
    yield "</svg>"


def _fitting(rung: Rung) -> str:
    """What stands on an arrow of the picture."""
    room = WIDTH // 8 * max(abs(rung.source - rung.target), 1)
    words, width = "", 0
    for character in rung.label:
        width += 2 if unicodedata.east_asian_width(character) in "WF" else 1
        if width > room:
            return words + "…"
        words += character
    return words


def _clock(when: int) -> str:
    return datetime.fromtimestamp(when / 1e6, UTC).strftime("%H:%M:%S.%f")[:-1]
