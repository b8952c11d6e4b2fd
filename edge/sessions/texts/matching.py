"""Which text a report is of, and what it changes of that: rules, and nothing is read or written.

A report names a part of a text by our id or by its carrier's: as it is, else in another spelling (`carrier_ids.py`) if
the numbers that it names are those of the text. Where two texts may be meant nobody guesses.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

from edge.sessions.texts.carrier_ids import distance, fold
from edge.sms.text import Report

SUFFIX: Final = 7  # digits that make two spellings of a number the same one
CHANCE: Final = 6  # digits; of shorter ids one is soon another one's in hexadecimal

_NO_DIGIT: Final = re.compile(r"[^0-9]")

FINAL: Final = frozenset({"delivered", "failed"})
Unsure = Literal["ambiguous"]
AMBIGUOUS: Final[Unsure] = "ambiguous"  # what becomes of a report that may be of several texts, for now


@dataclass(frozen=True, slots=True)
class Part:
    """A part that was sent. `tm_create` in microseconds."""

    place: int
    carrier: str
    carrier_id: str
    state: str
    tm_create: int


@dataclass(frozen=True, slots=True)
class Known:
    """A message that a report may be of."""

    id: str
    state: str
    revision: int
    carrier: str
    customer_id: str
    number: str
    peer: str
    number_id: str
    parts: tuple[Part, ...]


class Step(NamedTuple):
    """What a report changes: these parts, and the state of the message, which may stay what it is."""

    parts: tuple[Part, ...]
    state: str


def choose(candidates: Sequence[Known], report: Report, oldest: int) -> tuple[int, Known] | Unsure | None:
    """The message that a report is of, of those that have a part of that name, and how far it is spelled from that: one
    that is spelled most alike, of those under one id that is not over yet, then the newest. Under another spelling
    several ids may be the same one, then none is meant; and one that is only the same number has to have both numbers
    of the report, its receiver's said, or to be so long that it is no chance."""
    fitting: list[tuple[int, bool, int, str, Known]] = []
    for known in candidates:
        if not is_of(known, report):
            continue
        for part in hit(known, report):
            far = distance(report.carrier_id, part.carrier_id) or 0
            if part.tm_create < oldest or not _between(known, report, exact=far == 0):
                continue
            if far == 2 and not report.destination and len(fold(report.carrier_id)) < CHANCE:
                continue
            fitting.append((far, known.state in FINAL, -part.tm_create, part.carrier_id, known))
    if not fitting:
        return None
    fitting.sort(key=lambda fit: fit[:3])
    far, *_, called, known = fitting[0]
    if far and any(fit[0] == far and fit[3] != called for fit in fitting):
        return AMBIGUOUS
    return far, known


def hit(known: Known, report: Report) -> list[Part]:
    """The parts that a report is of: those whose id is spelled most like its own, else, when it has our id, all. Under
    an id that is none of theirs it tells of a try before, whose answer was lost: that it was delivered is good news of
    all, other news is of none.
    """
    mine = [part for part in known.parts if part.carrier == report.carrier]
    named = [(far, part) for part in mine if (far := distance(report.carrier_id, part.carrier_id)) is not None]
    if named:
        nearest = min(far for far, _ in named)
        return [part for far, part in named if far == nearest]
    tells_of_all = report.message_id == known.id and (not report.carrier_id or report.status == "delivered")
    return mine if tells_of_all else []


def move(known: Known, report: Report) -> Step | None:
    """What a report changes of a message; None: nothing."""
    parts = tuple(part for part in hit(known, report) if part.state not in FINAL and part.state != report.status)
    if known.parts:
        moved = {part.place for part in parts}
        states = [report.status if part.place in moved else part.state for part in known.parts]
        reached = "failed" if "failed" in states else "delivered" if set(states) == {"delivered"} else "sent"
    else:
        reached = report.status
    goes = known.state == "sent" or (known.state == "failed" and reached == "delivered")
    state = reached if goes else known.state
    return Step(parts, state) if parts or state != known.state else None


def same_number(said: str, ours: str) -> bool:
    """Whether that may be one of our spellings of a number; who says nothing does not contradict."""
    if not said:
        return True
    one, other = (_NO_DIGIT.sub("", text).lstrip("0") for text in (said, ours))
    if not one or not other:
        return said.casefold() == ours.casefold()
    shorter, longer = sorted((one, other), key=len)
    return longer == shorter or (len(shorter) >= SUFFIX and longer.endswith(shorter))


def _between(known: Known, report: Report, *, exact: bool) -> bool:
    """Whether a report names the numbers of a message: its receiver, and its sender unless the id is exact, for
    carriers do replace who sends. An SMSC that does not swap them names both of them the other way round."""
    source, destination = report.source, report.destination
    if same_number(destination, known.peer) and (exact or same_number(source, known.number)):
        return True
    named = bool(source and destination)
    return named and same_number(source, known.peer) and same_number(destination, known.number)


def is_of(known: Known, report: Report) -> bool:
    """Whether whoever brought a report may speak of that message."""
    return report.account is None or report.account == known.customer_id


def sent_by(known: Known, carrier: str) -> bool:
    """Whether that carrier took a message, or is to."""
    return carrier in ({part.carrier for part in known.parts} or {known.carrier})
